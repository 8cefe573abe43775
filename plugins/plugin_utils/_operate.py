# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The steps of the action operate_fleet: what the playbooks of daily work decide and tell. Pure: what was found is in the variables of the play."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Result
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_expressions import (
    confirm,
    evaluated,
    migrated,
    migration,
    whom,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_look import audit, console, logs, one_host
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_nodes import choose, ping, version
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_releases import releases, releases_asked
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_remove import drain, leaving, remains, removed
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_rotate import rotated, rotating

STEPS: t.Mapping[str, t.Callable[..., Result]] = {
    "audit": audit,
    "choose": choose,
    "confirm": confirm,
    "console": console,
    "drain": drain,
    "evaluated": evaluated,
    "leaving": leaving,
    "logs": logs,
    "migrated": migrated,
    "migration": migration,
    "one_host": one_host,
    "ping": ping,
    "releases": releases,
    "releases_asked": releases_asked,
    "remains": remains,
    "removed": removed,
    "rotated": rotated,
    "rotating": rotating,
    "version": version,
    "whom": whom,
}

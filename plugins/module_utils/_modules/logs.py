# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module beam_logs: the last lines of a node's log, secrets masked."""

from __future__ import annotations

import typing as t

from .._node.logs import follow, seconds_of
from . import node

OPTIONS: dict[str, t.Any] = {
    **node.OPTIONS,
    "lines": {"type": "int", "default": 100},
    "since": {"type": "str", "default": ""},
    "follow": {"type": "str", "default": "0"},
}


def work(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    seconds = seconds_of(options["follow"])
    found = node.node_of(options)
    said = follow(found.manager, options["lines"], options["since"], seconds)
    lines = found.mask.lines(said)
    return {"changed": False, "pointer": found.pointer, "running": found.status.process is not None, "log": lines}

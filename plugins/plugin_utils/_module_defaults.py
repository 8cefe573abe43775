# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a play sets in module_defaults for modules whose work an action of another name does."""

from __future__ import annotations

import typing as t


def defaults_of(task: t.Any, templar: t.Any, *modules: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for defaults in task.module_defaults or ():
        for name in modules:
            found.update(templar.template(defaults.get(name) or {}))
    return found

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a step of the action operate_fleet knows: the variables of the role, and what each host registered. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Vars = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


@dataclass(frozen=True)
class Desk:
    """ask: one of the variables of the role, as it is for the host of the task."""

    ask: t.Callable[[str], t.Any]
    hostvars: Vars
    check_mode: bool = False

    def told(self, register: str) -> Vars:
        """What an earlier task of the same host said; empty where it was skipped or has not been."""
        found = self.ask(register)
        return found if isinstance(found, t.Mapping) and not found.get("skipped") else {}

    def all_told(self, register: str) -> dict[str, Vars]:
        """The same of each host of the play, also of those that could not be reached. A task that must not fail says so by what is missing in its answer."""
        found = {}
        for host in self.ask("ansible_play_hosts_all") or ():
            said = (self.hostvars.get(host) or {}).get(register)
            if isinstance(said, t.Mapping) and not said.get("skipped"):
                found[host] = said
        return found

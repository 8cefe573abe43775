# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the steps of a rollout said, kept from one task to the next, in the directory that Ansible has for this run and removes at its end.

A variable would hold it for each host of a batch, and be printed with each failure.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import RECORD

Doc = dict[str, t.Any]
Vars = t.Mapping[str, t.Any]
FILE = "beam-rollout.json"
GAVE_WAY = "rollout_gave_way"


@dataclass
class Memory:
    """rollout: which one, by when it began. records: by host and step, what was said. fenced: another deployer has taken over.

    begun: what was known when the part began that a batch is in. answered: what was said since.
    urls: of the release, by key, for as long as they are good: credentials, which no task is told.
    looks: how often the fleet was looked at again. told: what steps of the fleet have answered that a later one asks for, by the name that it asks for.
    """

    rollout: str = ""
    records: dict[str, Doc] = field(default_factory=dict)
    gave_way: dict[str, Doc] = field(default_factory=dict)
    part: str = ""
    batch: list[str] = field(default_factory=list)
    begun: Doc = field(default_factory=dict)
    answered: list[dict[str, t.Any]] = field(default_factory=list)
    fenced: bool = False
    urls: dict[str, str] = field(default_factory=dict, repr=False)
    looks: int = 0
    told: dict[str, Doc] = field(default_factory=dict)
    path: str = field(default="", repr=False)

    def save(self) -> None:
        if not self.path:
            return
        own = {key: value for key, value in vars(self).items() if key != "path"}
        handle = os.open(self.path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(own, file, default=str)
        os.replace(self.path + ".new", self.path)


def rollout_of(plan: t.Optional[Vars]) -> str:
    """Which rollout it is; empty before there is one."""
    return str((plan or {}).get("begun") or "")


def load(directory: str, rollout: str) -> Memory:
    """Of this rollout; empty where another one, or none, is remembered."""
    path = os.path.join(directory, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            found = Memory(**json.load(file), path=path)
    except FileNotFoundError:
        return Memory(rollout, path=path)
    return found if found.rollout == rollout else Memory(rollout, path=path)


class Seen(t.Mapping[str, t.Any]):
    """The variables of a host, with what the memory has of it beside them."""

    def __init__(self, of: Vars, memory: Memory, host: str) -> None:
        self._of, self._own = of, {RECORD: memory.records.get(host) or {}, GAVE_WAY: memory.gave_way.get(host) or {}}

    def __getitem__(self, name: str) -> t.Any:
        return self._own[name] if self._own.get(name) else self._of[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter({**dict.fromkeys(self._of), **{name: None for name, value in self._own.items() if value}})

    def __len__(self) -> int:
        return len(list(iter(self)))


class SeenHosts(t.Mapping[str, t.Any]):
    def __init__(self, hostvars: Vars, memory: Memory) -> None:
        self._hostvars, self._memory = hostvars, memory

    def __getitem__(self, host: str) -> t.Any:
        return Seen(self._hostvars[host], self._memory, host)

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)

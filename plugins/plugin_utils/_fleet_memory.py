# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the steps of a rollout said, kept from one task to the next, in the directory that Ansible has for this run and removes at its end.

A variable would hold it for each host of a batch, and be printed with each failure. Each part of a batch has a file of its own, which grows by a line with
each turn, so that a turn costs what its batch is, however large the fleet. A small file beside them lists the parts. What a step tells a later one has a
file, too, which is read when that one asks.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import RECORD

Doc = dict[str, t.Any]
Vars = t.Mapping[str, t.Any]
FILE = "beam-rollout-%s.jsonl"
GAVE_WAY = "rollout_gave_way"
TOLD = "told-"
# Plans. What the role remembers is data, so there is nothing to evaluate in it. Ansible would do that each time, which for a thousand hosts takes 0.3 s.
PLANS = ("rollout_plan", "rollout_main")


class Lines:
    """A file of one JSON document on each line. Of a line whose writer was killed in the middle of it nothing is read, and the next one takes its place."""

    def __init__(self, path: str) -> None:
        self._path, self._whole = path, 0

    def read(self) -> list[Doc]:
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        self._whole = data.rfind(b"\n") + 1
        return [json.loads(line) for line in data[: self._whole].splitlines()]

    def add(self, doc: Vars) -> None:
        line = (json.dumps(doc, default=str) + "\n").encode()
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.seek(self._whole)
            file.truncate()
            file.write(line)
        self._whole += len(line)


class Part:
    """A part of a batch's way. answered: what was said to its turns, in their order. records: by host and step, what was said."""

    def __init__(self, name: str, batch: t.Sequence[str], halted: bool, fenced: bool) -> None:
        self.name, self.batch, self.halted, self.fenced_before = name, list(batch), halted, fenced
        self.fenced = fenced
        self.answered: list[Doc] = []
        self.records: dict[str, Doc] = {}

    def document(self) -> Doc:
        return {"part": self.name, "batch": self.batch, "halted": self.halted, "fenced": self.fenced_before}

    def turn(self, answers: Vars, records: t.Mapping[str, Vars], fenced: bool) -> None:
        self.answered.append(dict(answers))
        self.fenced = fenced
        for host, steps in records.items():
            self.records.setdefault(host, {}).update(steps)


class Memory:
    """rollout: which one, by when it began. fenced: another deployer has taken over. directory: empty where nothing has to outlive this process."""

    def __init__(self, rollout: str = "", directory: str = "") -> None:
        self.rollout, self._directory = rollout, directory
        self.fenced = False
        self.gave_way: dict[str, Doc] = {}
        self._parts: list[Part] = []
        self._of: dict[str, list[int]] = {}  # by host, the parts that it was in
        self._read: set[int] = set()
        self._files: dict[str, Lines] = {}
        self._told: dict[str, Doc] = {}

    @property
    def now(self) -> Part:
        """The part that a batch is in, or was in at last."""
        return self._part(len(self._parts) - 1)

    def begin(self, name: str, batch: t.Sequence[str], halted: bool) -> None:
        part = Part(name, batch, halted, self.fenced)
        self._add("", part.document())
        self._take_in(part)
        self._read.add(len(self._parts) - 1)

    def keep(self, answers: Vars, records: t.Mapping[str, Vars], fenced: bool) -> None:
        """What was said to a turn, and what it adds to the records of hosts. What is the same of many is written once."""
        said: list[t.Any] = []
        places: dict[int, int] = {}

        def place(doc: t.Any) -> int:
            if id(doc) not in places:
                places[id(doc)] = len(said)
                said.append(doc)
            return places[id(doc)]

        told = {key: place(doc) for key, doc in answers.items()}
        kept = {host: {step: place(doc) for step, doc in steps.items()} for host, steps in records.items()}
        self._add(str(len(self._parts)), {"said": said, "answers": told, "records": kept, "fenced": fenced})
        self.now.turn(answers, records, fenced)
        self.fenced = fenced

    def give_way(self, hosts: t.Sequence[str], found: Doc) -> None:
        self._add("", {"gave_way": found, "hosts": list(hosts)})
        self.gave_way.update(dict.fromkeys(hosts, found))

    def tell(self, name: str, found: Doc) -> None:
        """For a later step, which asks for it by this name. The latest counts."""
        if self._directory:
            self.told(name)
            self._lines(TOLD + name).add({"told": found})
        self._told[name] = found

    def told(self, name: str) -> Doc:
        """Empty where nothing was told."""
        if self._directory and name not in self._told:
            lines = self._lines(TOLD + name).read()
            self._told[name] = lines[-1]["told"] if lines else {}
        return self._told.get(name) or {}

    @property
    def looks(self) -> int:
        """How often the fleet was looked at again."""
        return int(self.told("looks").get("looks") or 0)

    @looks.setter
    def looks(self, number: int) -> None:
        self.tell("looks", {"looks": number})

    @property
    def urls(self) -> dict[str, str]:
        """Of the release, by key, for as long as they are good: credentials, which no task is told."""
        return self.told("urls")

    @urls.setter
    def urls(self, found: dict[str, str]) -> None:
        self.tell("urls", found)

    def record(self, host: str, before: bool = False) -> Doc:
        """By step, what was said of a host. before: up to where the part began that a batch is in."""
        found: Doc = {}
        for number in self._of.get(host, ()):
            if not before or number < len(self._parts) - 1:
                found.update(self._part(number).records.get(host) or {})
        return found

    def once(self, name: str, hosts: t.Sequence[str], make: t.Callable[[], Doc]) -> Doc:
        """What is made of all of these hosts, and does not change while they move."""
        lines = self._lines(name) if self._directory else None
        for doc in lines.read() if lines else ():
            if doc["hosts"] == list(hosts):
                return t.cast("Doc", doc["made"])
        found = make()
        self._add(name, {"hosts": list(hosts), "made": found})
        return found

    def read(self) -> None:
        """What was kept. Of the parts, what the last one said; the others are read when they are asked for."""
        for doc in self._lines("").read():
            if "part" in doc:
                self._take_in(Part(doc["part"], doc["batch"], doc["halted"], doc["fenced"]))
            else:
                self.gave_way.update(dict.fromkeys(doc["hosts"], doc["gave_way"]))
        if self._parts:
            self.fenced = self.now.fenced

    def _take_in(self, part: Part) -> None:
        for host in part.batch:
            self._of.setdefault(host, []).append(len(self._parts))
        self._parts.append(part)

    def _part(self, number: int) -> Part:
        part = self._parts[number]
        if self._directory and number not in self._read:
            self._read.add(number)
            for doc in self._lines(str(number + 1)).read():
                said = doc["said"]
                records = {
                    host: {step: said[place] for step, place in steps.items()} for host, steps in doc["records"].items()
                }
                part.turn({key: said[place] for key, place in doc["answers"].items()}, records, doc["fenced"])
        return part

    def _lines(self, part: str) -> Lines:
        name = FILE % "-".join(filter(None, (self.rollout, part)))
        return self._files.setdefault(part, Lines(os.path.join(self._directory, name)))

    def _add(self, part: str, doc: Vars) -> None:
        if self._directory:
            self._lines(part).add(doc)


def rollout_of(plan: t.Optional[Vars]) -> str:
    """Which rollout it is; empty before there is one."""
    return str((plan or {}).get("begun") or "")


def load(directory: str, rollout: str) -> Memory:
    """Of this rollout."""
    found = Memory(rollout, directory)
    found.read()
    return found


def remembered(hostvars: t.Any, name: str) -> t.Any:
    """What the role remembers for the whole rollout, as it is."""
    return hostvars.raw_get("localhost").get(name)


class Seen(t.Mapping[str, t.Any]):
    """The variables of a host, with what the memory has of it beside them. Ansible evaluates a variable each time that it is read: here, once."""

    def __init__(self, of: Vars, memory: Memory, host: str, raw: t.Optional[t.Callable[[str], t.Any]] = None) -> None:
        self._of, self._memory, self._host = of, memory, host
        self._raw = raw or of.__getitem__
        self._known: Doc = {}

    def _own(self, name: str) -> Doc:
        if name == RECORD:
            return self._memory.record(self._host)
        return self._memory.gave_way.get(self._host) or {} if name == GAVE_WAY else {}

    def __getitem__(self, name: str) -> t.Any:
        own = self._own(name)
        if own:
            return own
        if name not in self._known:
            self._known[name] = self._raw(name) if name in PLANS else self._of[name]
        return self._known[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter({**dict.fromkeys(self._of), **{name: None for name in (RECORD, GAVE_WAY) if self._own(name)}})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __bool__(self) -> bool:
        return bool(self._of) or any(self._own(name) for name in (RECORD, GAVE_WAY))


class SeenHosts(t.Mapping[str, t.Any]):
    """All hosts. What Ansible knows of one is put together once."""

    def __init__(self, hostvars: Vars, memory: Memory) -> None:
        self._hostvars, self._memory = hostvars, memory
        self._seen: dict[str, Seen] = {}

    def __getitem__(self, host: str) -> t.Any:
        if host not in self._seen:
            raw = getattr(self._hostvars, "raw_get", None)
            self._seen[host] = Seen(self._hostvars[host], self._memory, host, raw and (lambda name: raw(host)[name]))
        return self._seen[host]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)

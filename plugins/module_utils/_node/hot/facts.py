# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the node said of itself and of the release on its disk, as values."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import etf


@dataclass(frozen=True)
class Application:
    name: str
    version: str
    kind: str = "permanent"  # none: it is part of the release, and not loaded at its start


@dataclass(frozen=True)
class Changed:
    """A module that is loaded, and is other code in the release."""

    module: str
    app: str  # "consolidated" for a protocol
    path: str
    md5: bytes
    was: bytes
    was_path: str = ""
    kept: bool = True  # whether the code that is loaded lies in the release that it came from
    vsn: t.Any = ()  # what -vsn says: a list of terms
    vsn_to: t.Any = ()
    behaviours: frozenset[str] = frozenset()
    migrates: bool = False  # it has code_change as it is loaded
    migrates_to: bool = False  # it has code_change as it is in the release
    native: bool = False  # it has NIFs, or code that runs when it is loaded
    # The code that is loaded makes functions without variables of their surroundings. They are constants of the module: who keeps one is not seen by the
    # VM's own check for old code, and has a badfun once that code is purged.
    functions: bool = False


@dataclass(frozen=True)
class Added:
    module: str
    path: str
    md5: bytes
    native: bool = False  # code runs when it is loaded


@dataclass(frozen=True)
class Group:
    """Processes that have to do with one module; a few of them by name."""

    module: str
    count: int
    names: tuple[str, ...] = ()

    def facts(self) -> dict[str, t.Any]:
        return {"module": self.module, "count": self.count, "processes": list(self.names)}


@dataclass(frozen=True)
class Look:
    erts: str
    erts_to: str
    apps: tuple[Application, ...]  # of the release that it runs
    apps_to: tuple[Application, ...]
    loaded: tuple[Application, ...]  # as the node has them
    changed: tuple[Changed, ...] = ()
    added: tuple[Added, ...] = ()
    removed: tuple[str, ...] = ()
    processes: tuple[Group, ...] = ()  # that belong to changed or removed modules
    inside: tuple[Group, ...] = ()  # others that are in the middle of such code
    old_code: tuple[Group, ...] = ()  # that still use code which was replaced before
    specs: tuple[str, ...] = ()  # applications whose specification differs
    total: int = 0


def read_look(answer: t.Mapping[t.Any, t.Any]) -> Look:
    return Look(
        etf.text(answer["erts"]),
        etf.text(answer["erts_to"]),
        _apps(answer["from"]),
        _apps(answer["to"]),
        _apps(answer["loaded"]),
        tuple(_changed(one) for one in answer["changed"]),
        tuple(
            Added(str(one["module"]), etf.text(one["path"]), one["md5"], one["native"] is True)
            for one in answer["added"]
        ),
        tuple(map(str, answer["removed"])),
        groups(answer["processes"]),
        groups(answer["inside"]),
        groups(answer["old_code"]) + groups(answer["held"]),
        tuple(map(str, answer["specs"])),
        int(answer["total"]),
    )


def groups(rows: t.Iterable[tuple[t.Any, int, t.Sequence[bytes]]]) -> tuple[Group, ...]:
    return tuple(sorted((Group(str(m), count, whom(names)) for m, count, names in rows), key=lambda one: one.module))


def whom(names: t.Iterable[bytes]) -> tuple[str, ...]:
    return tuple(etf.text(name) for name in names)


def _apps(rows: t.Iterable[tuple[t.Any, bytes, t.Any]]) -> tuple[Application, ...]:
    return tuple(Application(str(name), etf.text(version), str(kind)) for name, version, kind in rows)


def _changed(one: t.Mapping[t.Any, t.Any]) -> Changed:
    return Changed(
        str(one["module"]),
        str(one["app"]),
        etf.text(one["path"]),
        one["md5"],
        one["was"],
        etf.text(one["was_path"]),
        one["kept"] is True,
        one["vsn"],
        one["vsn_to"],
        frozenset(map(str, one["behaviours"])),
        _migrates(one["code_change"]),
        _migrates(one["code_change_to"]),
        one["native"] is True,
        one["functions"] is True,
    )


def _migrates(arities: t.Iterable[int]) -> bool:
    return bool({3, 4} & set(arities))  # of a gen_server or gen_event, and of a gen_statem

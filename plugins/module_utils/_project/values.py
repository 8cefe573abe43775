# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Values of Elixir as far as they are known without running it.

A value that depends on variables of the environment remembers which ones, and what it is when none of them is set.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .syntax import Node

NOTHING = object()  # not known


@dataclass(frozen=True)
class Atom:
    """true, false and nil are Python's; a module is an atom with its name."""

    name: str


class Charlist(str):
    """A list of letters, which is no list here."""


@dataclass(frozen=True, eq=False)
class Open:
    """Not known, or known only for as long as some variables are not set."""

    names: frozenset[str] = frozenset()
    unset: t.Any = NOTHING
    either: bool = False  # whether one of the names would do


UNKNOWN = Open()
ENVIRONMENT = Atom("the environment")


@dataclass(frozen=True, eq=False)
class Function:
    clauses: tuple[Node, ...] = ()
    scope: t.Any = None
    capture: t.Optional[Node] = None
    named: tuple[t.Any, str] = (None, "")  # module (None: where it stands) and name, of &name/1


@dataclass
class Scope:
    values: dict[str, t.Any] = field(default_factory=dict)
    module: t.Any = None  # modules.Module
    file: str = ""

    def copy(self, **values: t.Any) -> Scope:
        return Scope({**self.values, **values}, self.module, self.file)


class Raised(Exception):
    """What is read would end here."""


def names_of(value: t.Any, depth: int = 0) -> frozenset[str]:
    """The variables that it depends on, also within lists, tuples and maps."""
    if isinstance(value, Open):
        return value.names
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)) and depth < 4:
        return frozenset().union(*(names_of(item, depth + 1) for item in value[:200]))
    return frozenset()


def unset(value: t.Any) -> t.Any:
    """What it is as long as no variable is set; NOTHING where that is not known."""
    return value.unset if isinstance(value, Open) else value


def opened(value: t.Any, names: frozenset[str], either: bool = False) -> t.Any:
    """The same value, which depends on these, too."""
    if not names:
        return value
    if isinstance(value, Open):
        return Open(value.names | names, value.unset, either)
    return Open(names, value, either)


def truth(value: t.Any) -> bool | None:
    """None where it is not known."""
    plain = unset(value)
    return None if plain is NOTHING else not (plain is None or plain is False)


def is_keywords(value: t.Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Atom) for item in value
    )


def get(value: t.Any, key: str) -> t.Any:
    """Of a keyword list or a map with atoms; UNKNOWN where it can't be told, None where it is not in it."""
    plain = unset(value)
    if plain is NOTHING:
        return UNKNOWN
    more = value.names if isinstance(value, Open) else frozenset()
    if isinstance(plain, dict):
        return opened(plain.get(Atom(key)), more) if Atom(key) in plain else None
    if isinstance(plain, list):
        found = [item[1] for item in plain if isinstance(item, tuple) and len(item) == 2 and item[0] == Atom(key)]
        # What it depends on itself says more than what decides whether it is there.
        if found:
            return found[0] if isinstance(found[0], Open) else opened(found[0], more)
        return UNKNOWN if any(isinstance(item, Open) for item in plain) else None
    return None


def merge(old: t.Any, new: t.Any, depth: int = 0) -> t.Any:
    """As Config merges: keyword lists into each other, everything else is replaced."""
    one, two = unset(old), unset(new)
    if not (is_keywords(one) and is_keywords(two)) or depth > 8 or not two:
        return new
    found = dict(one)
    for key, value in two:
        found[key] = merge(found[key], value, depth + 1) if key in found else value
    return opened(
        list(found.items()), frozenset().union(*(each.names for each in (old, new) if isinstance(each, Open)))
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a reading found: which variables are read where, what is configured, and what could not be followed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .values import NOTHING

REQUIRED, DEFAULT, OPTIONAL, GUESSED = "required", "default", "optional", "guessed"


@dataclass(frozen=True)
class Condition:
    text: str
    names: frozenset[str] = frozenset()  # it holds if one of these is set


@dataclass(frozen=True)
class Read:
    """One place that reads a variable."""

    name: str
    kind: str
    file: str
    line: int
    default: t.Any = NOTHING
    when: tuple[Condition, ...] = ()
    others: frozenset[str] = frozenset()  # one of which would do instead
    unless: frozenset[str] = frozenset()  # another value of these leads past it


@dataclass(frozen=True)
class Configured:
    app: str
    key: str  # "" where only the application was named
    value: t.Any
    file: str
    line: int
    when: tuple[Condition, ...] = ()


@dataclass
class Findings:
    reads: list[Read] = field(default_factory=list)
    configured: list[Configured] = field(default_factory=list)
    unfollowed: dict[str, None] = field(default_factory=dict)  # sentences

    def say(self, text: str) -> None:
        self.unfollowed.setdefault(text)


@dataclass(frozen=True)
class Setting:
    """A variable, as all of its places together read it."""

    name: str
    kind: str
    file: str
    line: int
    default: str = ""  # as a person would write it; "" where it has none
    when: str = ""  # the condition under which it is required
    others: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


def said(value: t.Any) -> str | None:
    """A default as it would stand in the environment; None where it is nothing of the kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


def settings(reads: t.Iterable[Read]) -> list[Setting]:
    """One for each variable, in the order in which they are read."""
    by_name: dict[str, list[Read]] = {}
    for read in reads:
        by_name.setdefault(read.name, []).append(read)
    return [_setting(name, found) for name, found in by_name.items()]


def _setting(name: str, found: list[Read]) -> Setting:
    # Below a condition that asks for the variable itself, it is there.
    asked = [read for read in found if not any(name in condition.names for condition in read.when)]
    required = [read for read in asked if read.kind == REQUIRED]
    always = [read for read in required if not read.when]
    defaults = sorted((read for read in found if said(read.default) is not None), key=lambda read: len(read.when))
    default = said(defaults[0].default) or "" if defaults else ""
    if always:
        return Setting(
            name,
            REQUIRED,
            always[0].file,
            always[0].line,
            others=tuple(sorted(always[0].others - {name})),
            unless=tuple(sorted(always[0].unless - {name})),
        )
    if required and not any(not read.when for read in defaults):
        when = " and ".join(dict.fromkeys(condition.text for condition in required[0].when))
        return Setting(name, OPTIONAL, required[0].file, required[0].line, default, when)
    if defaults and default:
        return Setting(name, DEFAULT, defaults[0].file, defaults[0].line, default)
    kind = GUESSED if all(read.kind == GUESSED for read in found) else OPTIONAL
    return Setting(name, kind, found[0].file, found[0].line)

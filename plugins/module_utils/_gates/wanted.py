# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The gates that somebody asks for: names, or names with options."""

from __future__ import annotations

import difflib
import shlex
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._release.gates import check_gate
from .._release.names import is_whole
from .kinds import KINDS, Kind

_OPTIONS = ("name", "command", "arguments", "timeout", "floor")


@dataclass(frozen=True)
class Gate:
    name: str
    timeout: int  # seconds
    kind: Kind | None = None  # None: a command of the user's own
    command: tuple[str, ...] = ()  # that one
    arguments: tuple[str, ...] = ()  # more words for the command of a kind
    floor: float | None = None  # of the coverage, in percent

    def decides(self) -> list[t.Any]:
        """What of it decides what is found. Not the time limit."""
        return [self.name, list(self.command), list(self.arguments), self.floor]


def make_gates(given: t.Sequence[t.Any], timeout: int) -> tuple[Gate, ...]:
    if not given:
        raise _refused("gates is empty", "", "Name at least one: %s" % ", ".join(KINDS))
    gates = tuple(_gate(one, timeout) for one in given)
    names = [gate.name for gate in gates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _refused("the gate %s is named twice" % twice[0], "", "Remove one of them, or give it another name")
    return gates


def _refused(what: str, why: str, hint: str) -> BeamError:
    return BeamError("invalid_gate", what, why, hint)


def _gate(given: t.Any, timeout: int) -> Gate:
    option: t.Any = {"name": given} if isinstance(given, str) else given
    if not isinstance(option, t.Mapping) or not isinstance(option.get("name"), str):
        raise _refused(
            "%.80r is not a gate" % (given,),
            "it has no name",
            "Give a name such as test, or a dict with name and options",
        )
    name = check_gate(option["name"])
    unknown = sorted(str(key) for key in option if key not in _OPTIONS)
    if unknown:
        raise _refused("the gate %s has no option %s" % (name, unknown[0]), "", "It may have %s" % ", ".join(_OPTIONS))
    seconds = option.get("timeout", timeout)
    if not is_whole(seconds) or seconds < 1:
        raise _refused("timeout of the gate %s is %.40r" % (name, seconds), "it must be 1 second or more", "Correct it")
    if option.get("command") is not None:
        return _own(name, option, seconds)
    kind = KINDS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, KINDS, 1)
        hint = "Write %s, or give it a command" % (near[0] if near else "one of " + ", ".join(KINDS))
        raise _refused("there is no gate %s" % name, "a gate of your own has a command", hint)
    floor = option.get("floor")
    if floor is not None:
        if name != "coverage":
            raise _refused("the gate %s has no floor" % name, "only coverage has one", "Move it there")
        if not isinstance(floor, (int, float)) or isinstance(floor, bool) or not 0 <= floor <= 100:
            raise _refused("floor of the gate coverage is %.40r" % (floor,), "it is a percentage", "Give 0 to 100")
    return Gate(name, seconds, kind, (), _words(name, "arguments", option.get("arguments") or ()), floor)


def _own(name: str, option: t.Mapping[str, t.Any], seconds: int) -> Gate:
    if name in KINDS:
        raise _refused(
            "the gate %s can't have a command" % name,
            "the collection has a gate of that name",
            "Give yours another name",
        )
    extra = sorted({"arguments", "floor"} & set(option))
    if extra:
        raise _refused("the gate %s can't have %s" % (name, extra[0]), "it has a command", "Write it into the command")
    command = _words(name, "command", option["command"])
    if not command:
        raise _refused("the command of the gate %s is empty" % name, "", "Give one, such as mix licenses")
    return Gate(name, seconds, None, command)


def _words(name: str, what: str, given: t.Any) -> tuple[str, ...]:
    try:
        words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given]
    except (ValueError, TypeError) as exc:
        raise _refused(
            "%s of the gate %s: %.80r can't be split into words" % (what, name, given), str(exc), "Correct the quotes"
        ) from exc
    return tuple(words)

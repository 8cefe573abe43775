# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The names of variables that something here reads, and what is near to one that nothing reads.

There is no second list to keep: the names are read from the roles and playbooks themselves.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = "beam_own_variables"
# Read by plugins, or written by hand as the examples show it.
BESIDES = frozenset((OWN, "beam_color_ports", "beam_port"))
# beam_ is ours: whatever is unknown there is refused. Names of roles are words of everybody's: refused is what is near to a known name.
NEAR = {"beam": 0.0}
NEAR_ELSEWHERE = 0.75
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_BEAM = re.compile(r"(?<![\w.])beam_[a-z0-9_]+")
Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Stray:
    """A variable that nothing reads. near: the known name that is most like it, or empty."""

    name: str
    near: str
    refused: bool
    hosts: tuple[str, ...] = ()


@functools.cache
def prefixes() -> tuple[str, ...]:
    return ("beam", *sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "defaults").is_dir()))


@functools.cache
def known() -> frozenset[str]:
    """All options of roles, whatever roles and playbooks set or register themselves, and each beam_ variable that one of them reads."""
    keys = re.compile(r"(?:^\s*(?:- )?|register: )((?:%s)_[a-z0-9_]+)(?::|\s*$)" % "|".join(prefixes()), re.MULTILINE)
    found: set[str] = set(BESIDES)
    for path in [*(ROOT / "roles").glob("*/*/*.yml"), *(ROOT / "playbooks").glob("*.yml")]:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        found.update(keys.findall(text))
        if path.parent.name != "meta":
            found.update(_BEAM.findall(text))
    return frozenset(found)


def options() -> frozenset[str]:
    """What a person may set: beam_ variables, and the documented options of the roles."""
    found = {name for name in known() if name.startswith("beam_")}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        found.update(
            re.findall(
                r"^      (%s_[a-z0-9_]+):" % path.parents[1].name, path.read_text(encoding="utf-8"), re.MULTILINE
            )
        )
    return frozenset(found)


def nearest(name: str, among: t.Iterable[str], cutoff: float = 0.6) -> str:
    """Of names with the same prefix, judged by what comes after it; empty where none is like it."""
    prefix, _line, rest = name.partition("_")
    same = (
        {other.partition("_")[2]: other for other in among if other.startswith(prefix + "_")}
        if rest
        else {other: other for other in among}
    )
    swapped = [
        other for other in sorted(same) if sorted(other) == sorted(rest or name)
    ]  # in a short word, two letters are half of it
    found = swapped or difflib.get_close_matches(rest or name, sorted(same), 1, cutoff)
    return same[found[0]] if found else ""


def strays(variables: t.Mapping[str, Raw], own: t.Iterable[str] = ()) -> list[Stray]:
    """variables: of each host, by name, as they were written: no value is evaluated. own: names and patterns of the people's own."""
    allowed, mine = known(), tuple(own)
    ours = re.compile(r"(?:%s)_\w+" % "|".join(prefixes()))
    where: dict[str, list[str]] = {}
    for host, given in variables.items():
        for name in given:
            if (
                isinstance(name, str)
                and ours.fullmatch(name)
                and name not in allowed
                and not any(fnmatch.fnmatchcase(name, pattern) for pattern in mine)
            ):
                where.setdefault(name, []).append(host)
    found = []
    for name in sorted(where):
        if not any(_mentions(given, name) for given in variables.values()):
            prefix = name.partition("_")[0]
            near, strict = nearest(name, options()), nearest(name, options(), NEAR_ELSEWHERE)
            found.append(Stray(name, near, prefix in NEAR or bool(strict), tuple(where[name])))
    return found


def _mentions(given: Raw, name: str) -> bool:
    """Whether another variable uses it: then it is the user's own."""
    word = re.compile(r"(?<!\w)%s(?!\w)" % re.escape(name))
    return any(_holds(value, word) for key, value in given.items() if key != name and isinstance(key, str))


def _holds(value: t.Any, word: t.Pattern[str], depth: int = 0) -> bool:
    if isinstance(value, str):
        return "{" in value and bool(word.search(value))
    if depth > 8:
        return False
    if isinstance(value, t.Mapping):
        return any(_holds(each, word, depth + 1) for each in value.values())
    return isinstance(value, (list, tuple)) and any(_holds(each, word, depth + 1) for each in value)


def told(stray: Stray, everyone: int) -> str:
    """One sentence about it."""
    on = (
        ""
        if len(stray.hosts) >= everyone
        else " (of %s)" % ", ".join(stray.hosts[:3] + (("…",) if len(stray.hosts) > 3 else ()))
    )
    return (
        "%s%s: did you mean %s?" % (stray.name, on, stray.near)
        if stray.near
        else "%s%s: there is nothing like it." % (stray.name, on)
    )

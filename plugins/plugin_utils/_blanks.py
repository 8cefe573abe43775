# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Blanks of an inventory: what only a person knows, and has not said yet."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

_BLANK = re.compile(r"undef\(\s*hint\s*=\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*\)")
_DEEPEST = 8


@dataclass
class Blank:
    name: str
    hint: str
    hosts: list[str] = field(default_factory=list)


def candidates(value: t.Any, name: str = "", depth: int = 0) -> t.Iterator[tuple[str, str, str]]:
    """Values as they stand in the inventory that may be blank: name, text, hint."""
    if isinstance(value, str):
        found = _BLANK.search(value)
        if found:
            yield name, value, found.group(1) or found.group(2) or ""
    elif isinstance(value, t.Mapping) and depth < _DEEPEST:
        for key in value:
            yield from candidates(value[key], "%s.%s" % (name, key) if name else str(key), depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _DEEPEST:
        for index, item in enumerate(value):
            yield from candidates(item, "%s[%d]" % (name, index), depth + 1)


def blanks(variables: t.Mapping[str, t.Mapping[str, t.Any]], is_defined: t.Callable[[str, str], bool]) -> list[Blank]:
    """Of all hosts, each once. is_defined takes the host and the text. What another host has a value for is no blank of the inventory: whoever
    needs it there is refused by Ansible itself.
    """
    found: dict[tuple[str, str], Blank] = {}
    filled: set[str] = set()
    for host, values in variables.items():
        for variable, value in values.items():
            open_ones = [(name, hint) for name, text, hint in candidates(value, variable) if not is_defined(host, text)]
            for name, hint in open_ones:
                found.setdefault((name, hint), Blank(name, hint)).hosts.append(host)
            filled.update([variable] if not open_ones else [])
    return [one for one in found.values() if re.split(r"[.\[]", one.name)[0] not in filled]


def empty(groups: t.Mapping[str, t.Sequence[str]], wanted: t.Mapping[str, str]) -> list[Blank]:
    return [Blank("the group %s" % name, hint) for name, hint in wanted.items() if name in groups and not groups[name]]


def message(found: t.Sequence[Blank]) -> str:
    lines = [
        "%s: %s" % (one.name, one.hint[len(one.name) + 2 :] if one.hint.startswith(one.name + ": ") else one.hint)
        for one in found
    ]
    return "The inventory has %d %s that only you can fill in:\n%s" % (
        len(found),
        "blank" if len(found) == 1 else "blanks",
        "\n".join("  - %s." % line.rstrip(".") for line in lines),
    )

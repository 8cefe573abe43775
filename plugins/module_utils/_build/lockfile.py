# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""mix.lock: which packages it holds, what they need, and what moved between two of them.

A reader of its own, because a lock of tomorrow must not end a build: an entry that can't be read keeps its name and its text.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

_ENTRY = re.compile(r'(?:^|[,{])[ \t]*"((?:\\.|[^"\\\n])+)"[ \t]*(?::|=>)\s*(?=\S)', re.MULTILINE)
_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:\\.|[^"\\\n])*")|(?P<atom>:(?:"(?:\\.|[^"\\\n])*"|\w+[?!]?))|(?P<word>\w+[?!]?:?)|(?P<sign>[{}\[\],]|=>|:))')
_DEEPEST = 50


class Atom(str):
    """An Elixir atom, without its colon."""


@dataclass(frozen=True)
class Locked:
    name: str
    raw: str  # as it stands in the file
    source: str = ""  # hex, git, ...; "" where the entry can't be read
    version: str = ""  # of hex: the version; of git: the commit
    label: str = ""  # what a message says: the version, or the tag with its commit
    managers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # packages that it can't do without


class _Unreadable(Exception):
    pass


def parse_lock(text: str) -> dict[str, Locked]:
    found = {}
    match = _ENTRY.search(text)
    while match is not None:
        name, start = match.group(1), match.end()
        try:
            term, end = _term(text, start)
            found[name] = _locked(name, " ".join(text[start:end].split()), term)
        except _Unreadable:
            line = text[start:].partition("\n")[0]
            found[name] = Locked(name, line.strip().rstrip(","))
            end = start + len(line)
        match = _ENTRY.search(text, end)
    return found


def _term(text: str, position: int, depth: int = 0) -> tuple[t.Any, int]:
    """An Elixir term, and where it ends. A tuple is a tuple, a list is a list, `key: value` in it is a pair."""
    match = _TOKEN.match(text, position)
    if match is None or depth > _DEEPEST:
        raise _Unreadable
    position = match.end()
    if match.group("text"):
        return _unquoted(match.group("text")), position
    if match.group("atom"):
        return Atom(_unquoted(match.group("atom")[1:])), position
    if match.group("word") and not match.group("word").endswith(":"):
        return Atom(match.group("word")), position  # true, false, nil, a number
    closing = {"{": "}", "[": "]"}.get(match.group("sign") or "")
    if closing is None:
        raise _Unreadable
    items: list[t.Any] = []
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Unreadable
        if match.group("sign") == closing:
            return (tuple(items) if closing == "}" else items), match.end()
        if match.group("sign") == ",":
            position = match.end()
            continue
        key = match.group("word") or ""
        if key.endswith(":"):
            value, position = _term(text, match.end(), depth + 1)
            items.append((key[:-1], value))
        else:
            value, position = _term(text, position, depth + 1)
            items.append(value)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _locked(name: str, raw: str, term: t.Any) -> Locked:
    if not isinstance(term, tuple) or not term or not isinstance(term[0], Atom):
        raise _Unreadable
    source, rest = str(term[0]), term[1:]
    if source == "hex" and len(rest) >= 2 and isinstance(rest[1], str):
        managers = tuple(item for item in _list(rest, 3) if isinstance(item, Atom))
        needs = tuple(str(item[0]) for item in _list(rest, 4) if isinstance(item, tuple) and item and isinstance(item[0], str) and not _optional(item))
        return Locked(name, raw, source, rest[1], rest[1], managers, needs)
    if source == "git" and len(rest) >= 2 and isinstance(rest[1], str):
        options = dict(item for item in _list(rest, 2) if isinstance(item, tuple) and len(item) == 2)
        named = options.get("tag") or options.get("branch")
        short = rest[1][:12]
        return Locked(name, raw, source, rest[1], "%s (%s)" % (named, short) if isinstance(named, str) else short)
    return Locked(name, raw, source)


def _list(items: t.Sequence[t.Any], index: int) -> list[t.Any]:
    return items[index] if len(items) > index and isinstance(items[index], list) else []


def _optional(item: tuple[t.Any, ...]) -> bool:
    options = item[2] if len(item) > 2 and isinstance(item[2], list) else []
    return ("optional", "true") in options


def used(lock: t.Mapping[str, Locked], roots: t.Iterable[str]) -> list[str]:
    """The roots and all that they can't do without, as far as the lock tells (of git it tells nothing)."""
    found: dict[str, None] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += lock[name].needs if name in lock else ()
    return sorted(found)


def moved(before: t.Mapping[str, Locked], after: t.Mapping[str, Locked]) -> list[str]:
    """What differs, in words: the moved ones first, then the added and removed ones, then those that were written anew."""
    changed, added, removed, rewritten = [], [], [], []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None:
            added.append(("%s %s" % (name, new.label)).strip() + " was added")
        elif new is None and old is not None:
            removed.append(("%s %s" % (name, old.label)).strip() + " was removed")
        elif old is not None and new is not None and old.raw != new.raw:
            if (old.source, old.label) != (new.source, new.label):
                changed.append("%s: from %s to %s" % (name, _told(old, new), _told(new, old)))
            elif old.label:
                rewritten.append("%s %s was written anew (the same version, other details)" % (name, old.label))
            else:
                rewritten.append("%s was written anew" % name)
    return changed + added + removed + rewritten


def _told(one: Locked, other: Locked) -> str:
    label = one.label or "something that can't be read"
    return label if one.source == other.source or not one.source else "%s (%s)" % (label, one.source)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Functions of Elixir that configurations call, on values that are known. What is not here gives a value that is not known."""

from __future__ import annotations

import math
import posixpath
import re
import typing as t

from .values import NOTHING, UNKNOWN, Atom, Charlist, Open, Raised, is_keywords, merge, names_of, truth, unset

if t.TYPE_CHECKING:
    from .interpreter import Interpreter

# They end the boot where they are given nil.
_NO_NIL = frozenset(
    "String.to_integer String.to_float String.to_atom String.to_existing_atom String.split String.trim String.downcase String.upcase String.to_charlist"
    " String.replace String.starts_with? String.ends_with? String.contains? String.trim_leading String.trim_trailing String.length String.slice String.at"
    " String.capitalize String.graphemes Base.decode64! Base.decode64 Base.decode16! Base.decode16 Base.decode32! Base.url_decode64! Base.url_decode64"
    " URI.parse URI.new! URI.new Integer.parse Integer.parse! Float.parse Path.join Path.expand File.read! File.read File.exists? Jason.decode! Jason.decode"
    " JSON.decode! JSON.decode Version.parse! Regex.run Regex.match? Module.concat".split()
)

# Only what they are given first has to be known.
_CONTAINERS = frozenset(
    ("put_elem", "Map.put", "Keyword.put", "Map.merge", "Keyword.merge", "Map.put_new", "Keyword.put_new", "List.wrap")
)


def _integer(text: t.Any, base: int = 10) -> int:
    try:
        return int(str(text), base)
    except ValueError:
        raise Raised from None


def _split(text: str, sign: t.Any = None, _options: t.Any = None) -> t.Any:
    found = text.split(sign) if isinstance(sign, str) and sign else text.split() if sign is None else UNKNOWN
    return [one for one in found if one or not _options] if isinstance(found, list) else found


def _text(value: t.Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.name if isinstance(value, Atom) else str(value)


def _expand(path: str, base: str = "") -> t.Any:
    """Only what begins in the repository is known."""
    found = posixpath.join(base, path)
    return posixpath.normpath(found) if base or path.startswith("/") else UNKNOWN


def _word(text: str) -> t.Any:
    return {"true": True, "false": False, "nil": None}.get(text, Atom(text))


def _parse(text: str, kind: t.Callable[[str], t.Any]) -> t.Any:
    """The number that it begins with, and the rest."""
    found = re.match(r"[+-]?\d+" + (r"(?:\.\d+(?:[eE][+-]?\d+)?)?" if kind is float else ""), text)
    return (kind(found.group()), text[found.end() :]) if found else Atom("error")


PLAIN: dict[str, t.Callable[..., t.Any]] = {
    "String.to_integer": _integer,
    "String.to_float": float,
    "String.to_atom": _word,
    "String.to_existing_atom": _word,
    "String.split": _split,
    "String.trim": lambda text, *more: text.strip(*more),
    "String.downcase": lambda text, *_m: text.lower(),
    "String.upcase": lambda text, *_m: text.upper(),
    "String.to_charlist": Charlist,
    "String.replace": lambda text, old, new, *_o: text.replace(old, new),
    "String.starts_with?": lambda text, start: text.startswith(tuple(start) if isinstance(start, list) else start),
    "String.ends_with?": lambda text, end: text.endswith(tuple(end) if isinstance(end, list) else end),
    "String.contains?": lambda text, part: any(one in text for one in (part if isinstance(part, list) else [part])),
    "String.length": len,
    "String.capitalize": lambda text, *_m: text.capitalize(),
    "Integer.parse": lambda text, *_m: _parse(text, int),
    "Float.parse": lambda text: _parse(text, float),
    "Integer.to_string": lambda number, *_m: str(number),
    "Atom.to_string": _text,
    "Atom.to_charlist": _text,
    "to_string": _text,
    "to_charlist": _text,
    "is_nil": lambda one: one is None,
    "is_binary": lambda one: isinstance(one, str) and not isinstance(one, Charlist),
    "is_atom": lambda one: one is None or isinstance(one, (Atom, bool)),
    "is_boolean": lambda one: isinstance(one, bool),
    "is_integer": lambda one: isinstance(one, int) and not isinstance(one, bool),
    "is_list": lambda one: isinstance(one, (list, Charlist)),
    "is_map": lambda one: isinstance(one, dict),
    "is_function": lambda _one, *_n: False,
    "is_number": lambda one: isinstance(one, (int, float)),
    "is_tuple": lambda one: isinstance(one, tuple),
    "is_float": lambda one: isinstance(one, float),
    "byte_size": len,
    "length": len,
    "hd": lambda one: one[0],
    "tl": lambda one: one[1:],
    "elem": lambda one, index: one[index],
    "max": max,
    "min": min,
    "div": lambda one, two: int(one / two),
    "rem": math.fmod,
    "trunc": int,
    "round": round,
    "abs": abs,
    "put_elem": lambda one, at, new: (*one[:at], new, *one[at + 1 :]),
    "List.wrap": lambda one: [] if one is None else one if isinstance(one, list) else [one],
    "List.flatten": lambda one: _flat(one, 9),
    "List.first": lambda one, *_d: one[0] if one else None,
    "List.to_tuple": tuple,
    "Tuple.to_list": list,
    "Enum.join": lambda one, sign="": sign.join(map(_text, one)),
    "Enum.concat": lambda *lists: _flat(lists, 1 if len(lists) > 1 else 2),
    "Enum.uniq": lambda one: [x for i, x in enumerate(one) if x not in one[:i]],
    "Enum.member?": lambda one, item: item in one,
    "Enum.empty?": lambda one: not one,
    "Enum.into": lambda one, into, *_f: dict(one) if isinstance(into, dict) else list(one),
    "Enum.to_list": list,
    "Enum.count": len,
    "Enum.at": lambda one, at, *_d: one[at] if -len(one) <= at < len(one) else None,
    "Map.new": dict,
    "Map.keys": list,
    "Map.to_list": lambda one: list(one.items()),
    "Map.merge": lambda one, two: {**one, **unset(two)},
    "Map.put": lambda one, key, value: {**one, key: value},
    "Keyword.merge": merge,
    "Keyword.put": lambda one, key, value: [*(x for x in one if x[0] != key), (key, value)],
    "Keyword.delete": lambda one, key: [x for x in one if x[0] != key],
    "Keyword.has_key?": lambda one, key: any(x[0] == key for x in one),
    "Keyword.take": lambda one, keys: [x for x in one if x[0] in keys],
    "Keyword.drop": lambda one, keys: [x for x in one if x[0] not in keys],
    "Path.join": lambda *parts: "/".join(part.rstrip("/") for part in _flat(parts, 2)),
    "Path.expand": _expand,
    "Function.identity": lambda one: one,
    "Mix.compilers": lambda: [],
    ":timer.seconds": lambda n: n * 1000,
    ":timer.minutes": lambda n: n * 60000,
    ":timer.hours": lambda n: n * 3600000,
}


def _flat(value: t.Any, depth: int) -> list[t.Any]:
    return [
        one
        for item in value
        for one in (
            _flat(item, depth - 1) if isinstance(item, (list, tuple)) and depth > 1 and not is_pair(item) else [item]
        )
    ]


def is_pair(value: t.Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Atom)


def lookup(value: t.Any, key: t.Any) -> tuple[bool, t.Any]:
    """Whether a keyword list or map has the key, and its value."""
    if isinstance(value, dict):
        return key in value, value.get(key)
    if isinstance(value, list) and is_keywords(value):
        return next(((True, item[1]) for item in value if item[0] == key), (False, None))
    raise TypeError


def plain_call(run: Interpreter, name: str, args: t.Sequence[t.Any], line: int) -> t.Any:
    """A function of this file; the value that it has as long as no variable is set."""
    names = (
        frozenset().union(*(names_of(arg) if isinstance(arg, Open) else frozenset() for arg in args))
        if args
        else frozenset()
    )
    plain = [unset(args[0]), *args[1:]] if name in _CONTAINERS and args else [unset(arg) for arg in args]
    if name in _NO_NIL and plain and plain[0] is None:
        if not names:
            raise Raised
        run.require(names, line, any(isinstance(arg, Open) and arg.either for arg in args))
        return Open(names)
    known = PLAIN.get(name)
    if known is None or any(arg is NOTHING for arg in plain):
        return Open(names | names_of(list(args)))
    try:
        value = known(*plain)
    except Raised:
        if not names:
            raise
        return Open(names)
    except Exception:  # not a value that the function knows here. pylint: disable=broad-except
        return Open(names | names_of(list(args)))
    return Open(names | value.names, value.unset) if isinstance(value, Open) else Open(names, value) if names else value


def _each(value: t.Any) -> list[t.Any] | None:
    plain = unset(value)
    if isinstance(plain, dict):
        return list(plain.items())[:500]
    return plain[:500] if isinstance(plain, list) else None


def higher_call(run: Interpreter, name: str, args: t.Sequence[t.Any], line: int) -> t.Any:
    """Functions that take functions."""
    if name in ("then", "Kernel.then") and len(args) == 2:
        return run.apply(args[1], [args[0]], line)
    if name in ("tap", "Kernel.tap") and len(args) == 2:
        run.apply(args[1], [args[0]], line)
        return args[0]
    items = _each(args[0])
    call = args[-1]
    if items is None:
        # What the function reads counts, whatever it is given.
        run.apply(call, [Open(names_of(args[0])), UNKNOWN][: 2 if name == "Enum.reduce" else 1], line)
        return Open(names_of(list(args[:-1])))
    if name in ("Enum.map", "Enum.each", "Enum.flat_map", "Map.new", "Enum.map_join", "Enum.into"):
        found = [run.apply(call, [item], line) for item in items]
        if name == "Map.new":
            return {
                item[0]: item[1]
                for item in found
                if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], (str, Atom))
            }
        return (
            _flat(found, 2)
            if name == "Enum.flat_map"
            else Open(names_of(found))
            if name in ("Enum.map_join", "Enum.into")
            else found
        )
    if name in ("Enum.filter", "Enum.reject", "Keyword.filter", "Keyword.reject"):
        kept = [(item, run.apply(call, [item], line)) for item in items]
        # What depends on a variable is kept: it is there once the variable is set.
        return [
            item
            for item, verdict in kept
            if names_of(verdict) or truth(verdict) is None or truth(verdict) == name.endswith("filter")
        ]
    if name == "Enum.reduce" and len(args) == 3:
        value = args[1]
        for item in items:
            value = run.apply(call, [item, value], line)
        return value
    found = [run.apply(call, [item], line) for item in items]
    if name in ("Enum.any?", "Enum.all?") and all(truth(one) is not None for one in found):
        return (any if name == "Enum.any?" else all)(truth(one) for one in found)
    return Open(names_of(found))


HIGHER = frozenset(
    "then tap Kernel.then Kernel.tap Enum.map Enum.each Enum.flat_map Map.new Enum.map_join Enum.filter Enum.reject Enum.reduce Enum.any? Enum.all? Enum.find"
    " Enum.into Keyword.filter Keyword.reject Enum.find_value Enum.sort_by Enum.group_by Enum.split_with".split()
)

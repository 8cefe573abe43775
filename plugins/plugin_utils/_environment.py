# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Variables of an inventory as the environment of a node: what YAML makes of them is text again, or is refused by name."""

from __future__ import annotations

import datetime
import functools
import math
import re
import typing as t

import yaml  # type: ignore[import-untyped]
from ansible_collections.alchemist.beam.plugins.module_utils._node.envtext import quoted

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# How a person writes a number or a date. What YAML has besides, such as 0x1F, is the number that it means.
_WRITTEN = re.compile(r"[-+]?[0-9][0-9.:eE+-]*")
_NO_TEXT = "is no name of an environment variable: YAML takes it for a %s, so write it in quotes"
_TOKEN = re.compile(r"[^\s,\]}#]+")


def problems(values: t.Any, option: str, reserved: t.Collection[str] = ()) -> list[str]:
    """Why these can't be the environment of a node, each by its name and without its value."""
    if not isinstance(values, t.Mapping):
        return ["%s must be a dictionary of variables" % option]
    found = []
    for name, value in sorted(values.items(), key=lambda item: str(item[0])):
        why = _problem(name, value, reserved) if isinstance(name, str) else _NO_TEXT % type(name).__name__
        if why:
            found.append("%s in %s %s" % (name, option, why))
    return found


def _problem(name: str, value: t.Any, reserved: t.Collection[str]) -> str:
    if not _NAME.fullmatch(name):
        return "is no name of an environment variable"
    if name in reserved:
        return "is set by the role itself, which has options for it"
    if value is None:
        return "has no value: leave it out, or write '' for an empty one"
    if isinstance(value, (t.Mapping, list, tuple, set)):
        return "is a %s and no text: write what the application reads, such as by to_json" % (
            "dictionary" if isinstance(value, t.Mapping) else "list"
        )
    if "\0" in as_text(value):
        return "has a zero byte, which no environment can hold: encode it (b64encode), or put it into a file (service_files)"
    return ""


def doubtful(values: t.Any) -> list[str]:
    """Numbers that may have been written otherwise, as NAME=text."""
    items = values.items() if isinstance(values, t.Mapping) else ()
    return sorted(
        "%s=%s" % (name, _number(value))
        for name, value in items
        if isinstance(value, float) and _as_written(value) is None and _unlike(value)
    )


def _unlike(value: float) -> bool:
    """1e3 and 1000.0 are the same number, and so are 1e-7 and 0.0000001."""
    return not math.isfinite(value) or value.is_integer() or "e" in repr(value)


def lines(values: t.Mapping[str, t.Any]) -> str:
    """The lines of an environment file, which systemd and `_node/envfile.py` read alike."""
    return "\n".join(
        "%s=%s" % (name, quoted(as_text(value)))
        for name, value in sorted(values.items(), key=lambda item: str(item[0]).lower())
    )


def as_text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, datetime.date)):
        return _as_written(value) or _number(value)
    return str(value)


def _number(value: t.Any) -> str:
    return (
        float.__repr__(value)
        if isinstance(value, float)
        else int.__repr__(value)
        if isinstance(value, int)
        else str(value)
    )


def _as_written(value: t.Any) -> str | None:
    """ansible-core remembers where a value stands: 0777, 1e3 and 1.10 are read there, as the numbers that they became are 511, 1000.0 and 1.1."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return None
    origin = Origin.get_tag(value)
    if origin is None or not origin.path or not origin.line_num or not origin.col_num:
        return None
    line = _line(str(origin.path), origin.line_num)
    token = _TOKEN.match(line, origin.col_num - 1)
    if token is None or not _WRITTEN.fullmatch(token.group()):
        return None
    try:
        meant = yaml.safe_load(token.group())
    except (yaml.YAMLError, ValueError):
        return None
    same = isinstance(meant, (int, float, datetime.date)) and isinstance(value, type(meant)) and meant == value
    return token.group() if same else None


@functools.lru_cache(maxsize=64)
def _text(path: str) -> tuple[str, ...]:
    try:
        with open(path, encoding="utf-8") as stream:
            return tuple(stream.read().split("\n"))
    except (OSError, UnicodeDecodeError):
        return ()


def _line(path: str, number: int) -> str:
    text = _text(path)
    return text[number - 1] if number <= len(text) else ""

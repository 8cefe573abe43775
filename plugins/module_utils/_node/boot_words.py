# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The words of a VM made readable: binaries and charlists that it writes as numbers, escapes of terminals, lines of JSON, and cuts. Pure."""

from __future__ import annotations

import re
import typing as t

from .._json import parse_json

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")
_NUMBERS = r"\d{1,3}(?:,\s*\d{1,3})*"
# An end that is missing was cut off, perhaps in the middle of a number.
_BINARY = re.compile(r"<<\s*(%s)\s*(?:(>>)|,?\s*$)" % _NUMBERS)
_CHARLIST = re.compile(r"\[(%s)(?:(\])|,?\s*$)" % _NUMBERS)
_QUOTED = re.compile(r'<<(\\?"(?:[^"\\]|\\.)*?\\?")(?:/utf8)?>>')
_SHORTEST = 4  # numbers; fewer may well be numbers


def plain(line: str) -> str:
    return decoded(_ESCAPES.sub("", line.replace("\t", "    "))).rstrip()


def decoded(text: str) -> str:
    """<<104,101,108,108,111>>, [104,101,108,108,111] and <<"hello">> are "hello"."""
    text = _QUOTED.sub(lambda found: found.group(1).replace('\\"', '"'), text)
    text = _BINARY.sub(lambda found: _text(found, 1), text)
    return _CHARLIST.sub(lambda found: _text(found, _SHORTEST), text)


def _text(found: re.Match[str], least: int) -> str:
    numbers = [int(number) for number in found.group(1).split(",")]
    if found.group(2) is None:
        numbers, least = numbers[:-1], max(least, 2 * _SHORTEST)
    if len(numbers) < least or any(number > 255 for number in numbers):
        return found.group(0)
    try:
        text = bytes(numbers).decode("utf-8")
    except UnicodeDecodeError:
        return found.group(0)
    if not all(sign.isprintable() or sign in "\n\r\t" for sign in text):
        return found.group(0)
    words = text.split()
    return '"%s"' % " ".join(words if found.group(2) else [*words[:-1], "…"])


def unfolded(lines: t.Iterable[str]) -> list[str]:
    """Readable lines; of a logger that writes JSON, its message."""
    out: list[str] = []
    for line in lines:
        text = line.strip()
        if text.startswith("{") and text.endswith("}"):
            try:
                doc = parse_json(text)
            except ValueError:
                doc = None
            message = _message(doc) if isinstance(doc, dict) else ""
            if message:
                out += [plain(part) for part in message.splitlines()]
                continue
        out.append(plain(line))
    return [line for line in out if line.strip()]


def _message(doc: t.Mapping[str, t.Any]) -> str:
    found = next((doc[key] for key in ("message", "msg", "event") if key in doc), "")
    return found if isinstance(found, str) else _message(found) if isinstance(found, dict) else ""


def cut(text: str, limit: int) -> str:
    """At most that long, and never in the middle of a word, a path or a quoted text."""
    if len(text) <= limit:
        return text
    head = text[: limit - 2]
    # A space, else what ends a part of an Erlang term, else it is no word of a language.
    spot = head.rfind(" ")
    if spot < limit // 4:
        spot = max(head.rfind(sign) for sign in ",({[")
    return (head[:spot].rstrip(" ,({[") if spot > 0 else head) + " …"

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The text of an environment file, read as systemd reads it (parse_env_file): quotes, values of several lines, lines that go on after a backslash."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

_NEWLINE = "\n\r"
_BLANK = " \t"
_ESCAPED = '"\\`$'  # in double quotes


@dataclass(frozen=True)
class Assignment:
    line: int  # where it begins
    key: str
    value: str | None  # None: there is no =
    closed: bool = True  # whether its quotes are


def quoted(text: str) -> str:
    """A value as it is written, of one line or of several."""
    if "'" not in text:
        return "'%s'" % text
    return '"%s"' % "".join("\\" + char if char in _ESCAPED else char for char in text)


def assignments(text: str, literal: bool = False) -> t.Iterator[Assignment]:
    """literal: a backslash outside of quotes is one, except at the end of a line."""
    at, line = 0, 1
    while at < len(text):
        start = at
        if text[at] in _NEWLINE + _BLANK:
            at += 1
        elif text[at] in "#;":
            at = _end_of_line(text, at)
        else:
            stop = _end_of_line(text, at)
            key, equals, _rest = text[at:stop].partition("=")
            if equals:
                value, at, closed = _Value(text, literal).read(at + len(key) + 1)
                yield Assignment(line, key.strip(), value, closed)
            else:
                at = stop
                yield Assignment(line, key.strip(), None)
        line += text.count("\n", start, at)


def _end_of_line(text: str, at: int) -> int:
    found = [place for place in (text.find(char, at) for char in _NEWLINE) if place >= 0]
    return min(found, default=len(text))


class _Value:
    def __init__(self, text: str, literal: bool) -> None:
        self.text = text
        self.literal = literal
        self.out: list[str] = []
        self.kept = 0  # blanks after it are no part of the value

    def _take(self, piece: str, blank: bool = False) -> None:
        self.out.extend(piece)
        if not blank:
            self.kept = len(self.out)

    def read(self, at: int) -> tuple[str, int, bool]:
        """The value, where it ends, and whether its quotes are closed."""
        text, begun, closed = self.text, False, True
        while at < len(text) and text[at] not in _NEWLINE:
            char = text[at]
            if char in "'\"" and not begun:  # after a closed quote another one may begin
                at, closed = self._quoted(at + 1, char)
            elif char == "\\":
                begun, at = True, self._escaped(at)
            else:
                blank = char in _BLANK
                if begun or not blank:
                    begun = True
                    self._take(char, blank)
                at += 1
        return "".join(self.out[: self.kept]), at, closed

    def _escaped(self, at: int) -> int:
        after = self.text[at + 1 : at + 2]
        if after and after in _NEWLINE:
            return at + 2
        if self.literal:
            self._take("\\")
            return at + 1
        self._take(after)
        return at + 2

    def _quoted(self, at: int, quote: str) -> tuple[int, bool]:
        text = self.text
        while at < len(text) and text[at] != quote:
            if quote == '"' and text[at] == "\\" and at + 1 < len(text):
                after = text[at + 1]
                self._take(after if after in _ESCAPED else "" if after == "\n" else "\\" + after)
                at += 2
            else:
                self._take(text[at])
                at += 1
        self.kept = len(self.out)
        return at + 1, at < len(text)

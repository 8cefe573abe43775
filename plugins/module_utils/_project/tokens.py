# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The tokens of Elixir source: strings with what is interpolated, heredocs, sigils, atoms, keywords, comments left out.

A project is read and never run, on a machine that may have no Elixir.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

OPERATORS = (
    "<<<",
    ">>>",
    "|||",
    "&&&",
    "^^^",
    "~~~",
    "<~>",
    "<|>",
    "===",
    "!==",
    "+++",
    "---",
    "...",
    "..//",
    "<<~",
    "~>>",
    "=~",
    "==",
    "!=",
    "<=",
    ">=",
    "&&",
    "||",
    "++",
    "--",
    "<>",
    "|>",
    "->",
    "<-",
    "=>",
    "::",
    "\\\\",
    "..",
    "**",
    "~>",
    "<~",
    "//",
    "+",
    "-",
    "*",
    "/",
    "<",
    ">",
    "=",
    "!",
    "&",
    "|",
    "^",
    "@",
    ".",
)
_BY_LENGTH = tuple(sorted(OPERATORS, key=len, reverse=True))
_SPACE = re.compile(r"[ \t\r\f\v\xa0\ufeff]+|\\\r?\n|#[^\n]*")
_NUMBER = re.compile(r"0x[0-9A-Fa-f_]+|0b[01_]+|0o[0-7_]+|\d[\d_]*(?:\.\d[\d_]*(?:[eE][+-]?\d+)?)?")
_NAME = re.compile(r"[^\W\d]\w*(?:[?!](?!=(?!=|~)))?")
_QUOTED_KEY = re.compile(r":(?![:\w])")
_KEY = re.compile(r"([^\W\d][\w@]*[?!]?):(?=\s|$)")
_ATOM = re.compile(r":([^\W\d][\w@]*[?!]?|%\{\}|\{\}|<<>>|%|\.\.//)")
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "s": " ",
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "f": "\f",
    "v": "\v",
    "d": "\x7f",
}
_DEEPEST = 20  # strings within what is interpolated into strings


class Unreadable(Exception):
    """Source that is not Elixir as it is known here."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(line, why)
        self.line = line
        self.why = why


@dataclass(frozen=True)
class Token:
    kind: str  # name, alias, key, atom, number, text, sigil, sign (operators and brackets), line, end
    value: t.Any  # of a text and of a sigil its parts: str, and tuples of tokens where something is interpolated
    line: int
    spaced: bool = False  # whether a space stands before it
    tight: bool = False  # whether none stands after it


class _Reader:
    def __init__(self, source: str, line: int, depth: int) -> None:
        self.source, self.line, self.depth, self.at = source, line, depth, 0
        self.tokens: list[Token] = []

    def read(self, nested: bool = False) -> tuple[Token, ...]:
        """To the end of the source; nested, to the brace that closes what is interpolated."""
        level, spaced = 0, True
        while self.at < len(self.source):
            space = _SPACE.match(self.source, self.at)
            if space:
                self.line += space.group().count("\n")
                self.at, spaced = space.end(), True
                continue
            line, (kind, value) = self.line, self._next()
            level += (value == "{") - (value == "}") if kind == "sign" else 0
            if nested and level < 0:
                return (*self.tokens, Token("end", "", self.line))
            tight = self.at < len(self.source) and self.source[self.at] not in " \t\r\n"
            if kind == "text" and _QUOTED_KEY.match(self.source, self.at):
                kind, self.at = "key", self.at + 1
            self.tokens.append(Token(kind, value, line, spaced, tight))
            spaced = kind == "line"
        if nested:
            raise Unreadable(self.line, "what is interpolated into a text does not end")
        return (*self.tokens, Token("end", "", self.line))

    def _next(self) -> tuple[str, t.Any]:
        source, at, char = self.source, self.at, self.source[self.at]
        if char in "\n;":
            self.at, self.line = at + 1, self.line + (char == "\n")
            return "line", char
        if char in "\"'":
            return "text", self._quoted(char)
        if char == "~" and re.compile(r"~(?:[a-z]|[A-Z][A-Z0-9]*)[/|\"'(\[{<]").match(source, at):
            return self._sigil()
        if char == "?" and at + 1 < len(source):
            end = at + (3 if source[at + 1] == "\\" else 2)
            self.at = end
            return "number", ord(
                _ESCAPES.get(source[end - 1], source[end - 1])[0] if end - at == 3 else source[end - 1 : end] or " "
            )
        for pattern, kind in ((_NUMBER, "number"), (_KEY, "key"), (_ATOM, "atom"), (_NAME, "name")):
            found = pattern.match(source, at)
            if found and kind == "number":
                self.at = found.end()
                return kind, _number(found.group())
            if found and not (kind == "atom" and source.startswith("::", at)):
                self.at = found.end()
                value = found.group(1) if kind in ("key", "atom") else found.group()
                return ("alias", value) if kind == "name" and value[0].isupper() else (kind, value)
        if char == ":" and at + 1 < len(source) and source[at + 1] in "\"'":
            self.at += 1
            return "atom", self._quoted(source[at + 1])
        if char == ":" and not source.startswith("::", at):
            named = next((one for one in _BY_LENGTH if source.startswith(one, at + 1)), None)
            if named:
                self.at = at + 1 + len(named)
                return "atom", named
        if source.startswith(("<<", ">>"), at) and not source.startswith(("<<<", ">>>", "<<~"), at):
            self.at += 2
            return "sign", source[at : at + 2]
        for sign in (*_BY_LENGTH, "(", ")", "[", "]", "{", "}", ",", "%", "$"):
            if source.startswith(sign, at):
                self.at += len(sign)
                return "sign", sign
        raise Unreadable(self.line, "%r is no Elixir" % char)

    def _sigil(self) -> tuple[str, t.Any]:
        found = re.compile(r"~([a-z]|[A-Z][A-Z0-9]*)").match(self.source, self.at)
        if found is None:
            raise AssertionError("the caller has seen a sigil")
        self.at = found.end()
        raw = found.group(1)[0].isupper()
        parts = self._quoted(self.source[self.at], raw)
        modifiers = re.compile(r"[a-zA-Z]*").match(self.source, self.at)
        if modifiers is None:
            raise AssertionError("nothing at all matches, too")
        self.at = modifiers.end()
        return "sigil", (found.group(1), parts, modifiers.group())

    def _quoted(self, opening: str, raw: bool = False) -> tuple[t.Any, ...]:
        """From the opening sign to behind the closing one."""
        start, source = self.line, self.source
        heredoc = opening in "\"'" and source.startswith(opening * 3, self.at)
        closing = opening * 3 if heredoc else _CLOSING.get(opening, opening)
        self.at += len(closing) if heredoc else 1
        parts: list[t.Any] = []
        text: list[str] = []
        stop = re.compile(r"\\|\n|#\{|" + re.escape(closing))
        while True:
            found = stop.search(source, self.at)
            if found is None:
                raise Unreadable(start, "a text that begins here does not end")
            text.append(source[self.at : found.start()])
            sign, self.at = found.group(), found.end()
            if sign == "\n":
                self.line += 1
                text.append(sign)
            elif sign == "\\":
                text.append(self._escaped(raw, closing))
            elif sign == "#{" and not raw:
                parts += ["".join(text), self._interpolated()]
                text = []
            elif sign == closing and not (
                heredoc and source[source.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
            ):
                parts.append("".join(text))
                return _dedented(parts) if heredoc else tuple(part for part in parts if part != "")
            else:
                text.append(sign)

    def _escaped(self, raw: bool, closing: str) -> str:
        char = self.source[self.at : self.at + 1]
        self.at += 1
        self.line += char == "\n"
        if raw:
            return char if char == closing else "\\" + char
        if char in "xu":
            found = re.compile(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}(?:[0-9A-Fa-f]{2})?)").match(
                self.source, self.at
            )
            if found:
                self.at = found.end()
                code = int(found.group(1) or found.group(2), 16)
                return chr(code) if code < 0x110000 else "\ufffd"
        return "" if char == "\n" else _ESCAPES.get(char, char)

    def _interpolated(self) -> tuple[Token, ...]:
        if self.depth >= _DEEPEST:
            raise Unreadable(self.line, "texts are nested too deep")
        inner = _Reader(self.source, self.line, self.depth + 1)
        inner.at = self.at
        tokens = inner.read(nested=True)
        self.at, self.line = inner.at, inner.line
        return tokens


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    return (
        float(plain)
        if re.search(r"[.]", plain)
        else int(plain, 0)
        if plain[:1] == "0" and plain[1:2] in ("x", "b", "o")
        else int(plain)
    )


def _dedented(parts: list[t.Any]) -> tuple[t.Any, ...]:
    """A heredoc without the spaces that its last line has. What is interpolated stays where it is."""
    indent = len(parts[-1]) - len(parts[-1].rstrip(" \t")) if isinstance(parts[-1], str) else 0
    cut = re.compile("(?m)^[ \t]{0,%d}" % indent)
    found = []
    for index, part in enumerate(parts):
        if isinstance(part, str):
            text = part[part.find("\n") + 1 :] if index == 0 and not part.partition("\n")[0].strip() else part
            head, newline, tail = text.partition("\n")
            text = (cut.sub("", head) if index == 0 else head) + newline + cut.sub("", tail)
            part = text if index < len(parts) - 1 else text.rstrip(" \t")
        if part != "":
            found.append(part)
    return tuple(found)


def read_tokens(source: str) -> tuple[Token, ...]:
    """All tokens; the last one is of the kind `end`."""
    return _Reader(source, 1, 0).read()

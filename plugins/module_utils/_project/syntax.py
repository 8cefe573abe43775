# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a parser of Elixir gives and goes along: nodes of the tree, and a place among tokens."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .tokens import Token, Unreadable


@dataclass(frozen=True)
class Node:
    """kind: number, text (value None where something is interpolated, then args are its parts), atom (true, false and nil too), sigil, list, tuple, map
    (value: name of the struct), bits, name, alias, call (value: name, target: of what), op, block, clauses, clause (args: patterns, body), fn, attribute,
    access, arguments.
    """

    kind: str
    value: t.Any = None
    args: tuple[Node, ...] = ()
    line: int = 0
    target: t.Optional[Node] = None


def pair(key: Node, value: Node) -> Node:
    return Node("tuple", None, (key, value), key.line)


class Cursor:
    """Where a parser is in its tokens."""

    def __init__(self, tokens: t.Sequence[Token], depth: int = 0) -> None:
        self.tokens, self.at, self.depth = tokens, 0, depth

    # Tokens.

    def peek(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def is_sign(self, *values: str) -> bool:
        token = self.peek()
        return token.kind == "sign" and token.value in values

    def is_word(self, *values: str) -> bool:
        token = self.peek()
        return token.kind == "name" and token.value in values

    def skip_lines(self) -> None:
        while self.peek().kind == "line":
            self.at += 1

    def expect(self, sign: str) -> None:
        self.skip_lines()
        if not self.is_sign(sign):
            raise Unreadable(self.peek().line, "%s is missing" % sign)
        self.at += 1

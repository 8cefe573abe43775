# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""From tokens to the tree of an Elixir file: as much of the grammar as configurations, mix.exs and modules use."""

from __future__ import annotations

import typing as t

from .syntax import Cursor, Node, pair
from .tokens import Token, Unreadable, read_tokens

_LEVELS: dict[str, tuple[int, bool]] = {}  # operator -> how strongly it binds, and whether from the right
for _level, _right, _signs in (
    (40, False, "<- \\\\"),
    (50, True, "when"),
    (60, True, "::"),
    (70, True, "|"),
    (80, True, "=>"),
    (100, True, "="),
    (120, False, "|| ||| or"),
    (130, False, "&& &&& and"),
    (140, False, "== != =~ === !=="),
    (150, False, "< > <= >="),
    (160, False, "|> <<< >>> <<~ ~>> <~ ~> <~> <|>"),
    (170, False, "in"),
    (180, False, "^^^"),
    (190, True, "//"),
    (200, True, "++ -- +++ --- .. <>"),
    (210, False, "+ -"),
    (220, False, "* /"),
    (230, False, "**"),
):
    _LEVELS.update(dict.fromkeys(_signs.split(), (_level, _right)))
_WORDS = frozenset(("and", "or", "in", "not", "when", "do", "end", "fn", "else", "rescue", "catch", "after"))
_SECTIONS = ("else", "rescue", "catch", "after")
_UNARY = {"-": 300, "+": 300, "!": 300, "^": 300, "~~~": 300, "not": 300, "&": 90, "...": 300, "..": 300}
_CLOSING = {"(": ")", "[": "]", "{": "}", "<<": ">>"}
_DEEPEST = 120


class _Parser(Cursor):
    def block(self, *ends: str) -> Node:
        """Expressions, or clauses with ->, up to one of the words or signs, which is not taken."""
        line = self.peek().line
        done: list[Node] = []  # clauses
        heads: list[tuple[tuple[Node, ...], int]] = []
        found: list[Node] = []
        while True:
            self.skip_lines()
            token = self.peek()
            if token.kind == "end" or (token.kind in ("name", "sign") and token.value in ends):
                break
            head = self.expressions(ends)
            if self.is_sign("->"):
                if heads:
                    done.append(
                        Node(
                            "clause",
                            None,
                            (_arguments(*heads.pop()), _block(found, line)),
                            found[0].line if found else line,
                        )
                    )
                elif found:
                    raise Unreadable(token.line, "an arrow after an expression")
                self.at += 1
                heads, found = [(tuple(head), token.line)], []
            elif len(head) > 1:
                found.append(Node("arguments", None, tuple(head), token.line))
            else:
                found += head
        if not heads:
            return _block(found, line)
        done.append(Node("clause", None, (_arguments(*heads.pop()), _block(found, line)), line))
        return Node("clauses", None, tuple(done), line)

    def expressions(self, ends: t.Sequence[str]) -> list[Node]:
        """One expression, or several with commas, as they stand before an arrow."""
        found: list[Node] = []
        pairs: list[Node] = []
        while not self.is_sign("->"):
            if self.peek().kind == "key":
                pairs.append(self.keyword())
            else:
                found.append(self.expression())
            if not self.is_sign(","):
                break
            self.at += 1
            self.skip_lines()
        return [*found, Node("list", None, tuple(pairs), pairs[0].line)] if pairs else found

    # Expressions.

    def expression(self, least: int = 0, blocks: bool = True) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Unreadable(self.peek().line, "it is nested too deep")
        left = self.unary(blocks)
        while True:
            start = self.at
            name = self._operator()
            if name is None or _LEVELS[name][0] < least:
                self.at = start
                self.depth -= 1
                return left
            level, right = _LEVELS[name]
            line = self.tokens[self.at - 1].line
            self.skip_lines()
            if name in ("|", "when") and self.peek().kind == "key":
                other = self.keywords()  # of a map that is updated, of types
            else:
                other = self.expression(level + (not right), blocks)
            negated = start < self.at and name == "in" and self.tokens[start].value == "not"
            left = Node("op", name, (left, other), line)
            left = Node("op", "not", (left,), line) if negated else left

    def _operator(self) -> str | None:
        """An operator that goes on with what stands before it, if need be on the next line."""
        start = self.at
        self.skip_lines()
        token = self.peek()
        if token.kind == "name" and token.value == "not" and self.tokens[self.at + 1].value == "in":
            self.at += 2
            return "in"
        if (
            token.kind not in ("sign", "name")
            or token.value not in _LEVELS
            or (token.kind == "name" and token.value not in _WORDS)
        ):
            self.at = start
            return None
        if self.at > start and token.value in ("+", "-"):
            self.at = start  # on a line of its own it is a sign of what follows
            return None
        self.at += 1
        return str(token.value)

    def unary(self, blocks: bool) -> Node:
        token = self.peek()
        if (token.kind == "sign" or token.value == "not") and token.kind in ("sign", "name") and token.value in _UNARY:
            self.at += 1
            if token.value in ("...", "..") and (
                self.peek().kind in ("line", "end") or self.is_sign(")", "]", "}", ",", "->")
            ):
                return Node("op", token.value, (), token.line)
            self.skip_lines()
            if token.value == "&" and self.peek().value in _LEVELS and self.tokens[self.at + 1].value == "/":
                named = self.take()
                self.at += 1
                return Node(
                    "op", "&", (Node("op", "/", (Node("name", named.value), self.expression(300))),), token.line
                )
            return Node("op", token.value, (self.expression(_UNARY[token.value], blocks),), token.line)
        if self.is_sign("@"):
            self.at += 1
            inner = self.postfix(self.primary(blocks), blocks)
            if inner.kind in ("name", "call") and inner.target is None:
                return Node("attribute", inner.value, inner.args, token.line)
            return Node("op", "@", (inner,), token.line)
        return self.postfix(self.primary(blocks), blocks)

    def primary(self, blocks: bool) -> Node:
        token = self.take()
        kind, value = token.kind, token.value
        if kind in ("number", "alias"):
            return Node(kind, value, (), token.line)
        if kind == "text":
            return self.text(token, value)
        if kind == "atom":
            return Node("atom", value if isinstance(value, str) else _plain(value), (), token.line)
        if kind == "sigil":
            return Node("sigil", (value[0], _plain(value[1]), value[2]), (), token.line)
        if kind == "name" and value in ("true", "false", "nil"):
            return Node("atom", value, (), token.line)
        if kind == "name" and value == "fn":
            body = self.block("end")
            self.take()
            return Node("fn", None, body.args if body.kind == "clauses" else (), token.line)
        if kind == "name" and value not in _WORDS:
            return self.call(token, None, blocks)
        if kind == "sign" and value in _CLOSING:
            return self.bracket(token, value)
        if kind == "sign" and value == "%":
            return self.struct(token)
        raise Unreadable(
            token.line,
            "%s stands where an expression begins" % (value if isinstance(value, str) and value.strip() else "the end"),
        )

    def text(self, token: Token, parts: t.Sequence[t.Any]) -> Node:
        if all(isinstance(part, str) for part in parts):
            return Node("text", "".join(parts), (), token.line)
        inner = []
        for part in parts:
            if isinstance(part, str):
                inner.append(Node("text", part, (), token.line))
            else:
                parser = _Parser(part, self.depth)
                inner.append(parser.block())
        return Node("text", None, tuple(inner), token.line)

    def bracket(self, token: Token, opening: str) -> Node:
        if opening == "(":
            body = self.block(")")
            self.expect(")")
            return body
        items = self.items(_CLOSING[opening], flat=opening == "[")
        return Node({"[": "list", "{": "tuple", "<<": "bits"}[opening], None, tuple(items), token.line)

    def struct(self, token: Token) -> Node:
        name = ""
        if not self.is_sign("{"):
            inner = self.postfix(self.take_name(), False, calls=False)
            name = str(inner.value)
        self.expect("{")
        return Node("map", name, tuple(self.items("}")), token.line)

    def take_name(self) -> Node:
        token = self.take()
        if token.kind == "sign" and token.value == "^":
            token = self.take()
        if token.kind not in ("alias", "name"):
            raise Unreadable(token.line, "a struct without a name")
        return Node(token.kind, token.value, (), token.line)

    def items(self, closing: str, flat: bool = True) -> list[Node]:
        """Up to the closing sign. Keywords are pairs; not flat, those at the end are one list, as a call takes them."""
        found: list[Node] = []
        pairs: list[Node] = []
        while True:
            self.skip_lines()
            if self.is_sign(closing):
                self.at += 1
                break
            if self.peek().kind == "key":
                (found if flat else pairs).append(self.keyword())
            else:
                value = self.expression()
                if value.kind == "op" and value.value == "=>":
                    value = pair(*value.args)
                elif (
                    value.kind == "op"
                    and value.value == "|"
                    and value.args[1].kind == "op"
                    and value.args[1].value == "=>"
                ):
                    value = Node("op", "|", (value.args[0], pair(*value.args[1].args)), value.line)
                found.append(value)
            self.skip_lines()
            if not self.is_sign(",", closing):
                raise Unreadable(self.peek().line, "%s is missing" % closing)
            self.at += self.is_sign(",")
        return [*found, Node("list", None, tuple(pairs), pairs[0].line)] if pairs else found

    def keyword(self, blocks: bool = True) -> Node:
        token = self.take()
        self.skip_lines()
        key = token.value if isinstance(token.value, str) else _plain(token.value)
        return pair(Node("atom", key, (), token.line), self.expression(0, blocks))

    def keywords(self) -> Node:
        line, found = self.peek().line, []
        while self.peek().kind == "key":
            found.append(self.keyword())
            after = self.at
            self.skip_lines()
            if not self.is_sign(","):
                self.at = after
                break
            self.at += 1
            self.skip_lines()
        return Node("list", None, tuple(found), line)

    # Calls.

    def postfix(self, left: Node, blocks: bool, calls: bool = True) -> Node:
        while True:
            start = self.at
            if self.is_sign("[") and not self.peek().spaced:
                self.at += 1
                left = Node("access", None, (left, *self.items("]")), left.line)
            elif (
                self.is_sign("(")
                and not self.peek().spaced
                and left.kind == "call"
                and left.value == "()"
                and not left.args
            ):
                left = self.call(Token("name", "()", left.line), left.target, blocks)
            elif self._dot():
                token = self.take()
                if token.kind == "alias" and left.kind in ("alias", "name"):
                    left = Node("alias", "%s.%s" % (left.value, token.value), (), left.line)
                elif token.kind == "sign" and token.value == "{":
                    left = Node("call", "{}", tuple(self.items("}")), token.line, left)
                elif token.kind == "sign" and token.value == "(":
                    self.at -= 1
                    left = self.call(Token("name", "()", token.line), left, blocks)
                elif token.kind == "key":  # `a.b: ` is no Elixir
                    raise Unreadable(token.line, "a keyword after a dot")
                elif not calls:
                    self.at = start
                    return left
                else:
                    name = (
                        token.value
                        if isinstance(token.value, str)
                        else _plain(token.value)
                        if token.kind == "text"
                        else "?"
                    )
                    left = self.call(Token("name", name, token.line, token.spaced, token.tight), left, blocks)
            else:
                return left

    def _dot(self) -> bool:
        start = self.at
        self.skip_lines()
        if self.is_sign("."):
            self.at += 1
            self.skip_lines()
            return True
        self.at = start
        return False

    def call(self, token: Token, target: Node | None, blocks: bool) -> Node:
        args: list[Node] = []
        bare = True
        if self.is_sign("(") and not self.peek().spaced:
            self.at += 1
            args, bare = self.items(")", flat=False), False
        elif self._begins_argument():
            args, bare = self.bare_arguments(), False
        sections: list[Node] = []
        if blocks and self.is_word("do"):
            sections, bare = self.do_block(), False
        if sections:
            args.append(Node("list", "do", tuple(sections), token.line))
        if bare and target is None:
            return Node("name", token.value, (), token.line)
        return Node("call", token.value, tuple(args), token.line, target)

    def _begins_argument(self) -> bool:
        token = self.peek()
        if not token.spaced:
            return False
        if token.kind in ("number", "alias", "text", "atom", "sigil", "key"):
            return True
        if token.kind == "name":
            return token.value not in _WORDS or token.value in ("fn", "not") and self.tokens[self.at + 1].value != "in"
        if token.kind == "sign":
            return token.value in ("[", "{", "(", "<<", "%", "@", "!", "^", "~~~") or (
                token.value in ("-", "+", "&", "...", "..") and token.tight
            )
        return False

    def bare_arguments(self) -> list[Node]:
        found: list[Node] = []
        pairs: list[Node] = []
        while True:
            if self.peek().kind == "key":
                pairs.append(self.keyword(blocks=False))
            else:
                found.append(self.expression(0, blocks=False))
            if not self.is_sign(","):
                break
            self.at += 1
            self.skip_lines()
        return [*found, Node("list", None, tuple(pairs), pairs[0].line)] if pairs else found

    def do_block(self) -> list[Node]:
        self.at += 1
        depth, self.depth = self.depth, self.depth + 1
        found, name = [], "do"
        while True:
            line = self.peek().line
            found.append(pair(Node("atom", name, (), line), self.block("end", *_SECTIONS)))
            token = self.take()
            if token.kind == "end":
                raise Unreadable(line, "a block that begins here does not end")
            if token.value == "end":
                self.depth = depth
                return found
            name = str(token.value)


def _arguments(head: tuple[Node, ...], line: int) -> Node:
    if len(head) == 1 and head[0].kind == "arguments":
        head = head[0].args
    return Node("arguments", None, head, line)


def _block(found: t.Sequence[Node], line: int) -> Node:
    return found[0] if len(found) == 1 else Node("block", None, tuple(found), line)


def _plain(parts: t.Sequence[t.Any]) -> str:
    return "".join(part if isinstance(part, str) else "\ufffd" for part in parts)


def parse(source: str) -> Node:
    """The expressions of a file."""
    try:
        parser = _Parser(read_tokens(source))
        tree = parser.block()
        if parser.peek().kind != "end":
            raise Unreadable(parser.peek().line, "it goes on after its end")
    except RecursionError:
        raise Unreadable(0, "it is nested too deep") from None
    return tree if tree.kind == "block" else Node("block", None, (tree,), tree.line)

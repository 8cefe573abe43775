# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Reads expressions of Elixir as they would run where no variable of the environment is set. Nothing is executed: what is not known stays open."""

from __future__ import annotations

import contextlib
import posixpath
import re
import typing as t

from . import calls, choices, environment
from .findings import GUESSED, REQUIRED, Condition, Findings, Read, said
from .modules import Library, Module, bare, clauses_for, define, read_module, with_defaults
from .syntax import Node
from .values import NOTHING, UNKNOWN, Atom, Charlist, Function, Open, Raised, Scope, names_of, opened, truth, unset

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEPS = 400_000  # expressions of one file; then it is left open what is not read yet
_DEEPEST = 40  # calls within calls
_CONDITION = 70  # letters of a condition in words


class Interpreter:
    def __init__(self, library: Library, mix_env: str = "prod", read: t.Callable[[str], str] | None = None) -> None:
        self.library, self.mix_env = library, mix_env
        self.found = Findings()
        self.conditions: list[Condition] = []
        self.file = ""
        self.steps, self.depth = 0, 0
        self.opaque: set[tuple[str, str]] = set()  # functions that read variables in a way that is not followed
        self.forks: list[
            frozenset[str]
        ] = []  # the variables of forks that this is within, and that a raise would answer to
        self.places: list[tuple[str, int]] = []  # of the calls that lead to what is read now
        self.on_config: t.Callable[[str, str], t.Any] | None = None  # what was configured when it was built
        self.on_import: t.Callable[[str, int], None] | None = None  # of a file that another one reads
        self._read = read or (lambda _file: "")
        self._lines: dict[str, list[str]] = {}

    # What is noted.

    @contextlib.contextmanager
    def condition(self, text: str, names: frozenset[str]) -> t.Iterator[None]:
        self.conditions.append(Condition(text, names))
        try:
            yield
        finally:
            self.conditions.pop()

    def note(
        self, name: str, kind: str, line: int, default: t.Any = NOTHING, others: frozenset[str] = frozenset()
    ) -> None:
        file, line = self._place(name, line)
        if not _NAME.fullmatch(name):
            self.found.say("%s:%d reads a variable that no service can be given: %r" % (file, line, name[:60]))
            return
        unless = frozenset().union(*self.forks) - others if kind == REQUIRED else frozenset()
        self.found.reads.append(Read(name, kind, file, line, default, tuple(self.conditions), others, unless))

    def _place(self, name: str, line: int) -> tuple[str, int]:
        """Where a person finds it: not within a helper, but where the helper is given the name."""
        for place in [(self.file, line), *reversed(self.places)]:
            if name in self._line(*place):
                return place
        return (self.places or [(self.file, line)])[0]

    def require(self, names: frozenset[str], line: int, either: bool = False) -> None:
        first = [read.name for read in self.found.reads if read.name in names][:1]
        for name in first if either and first else sorted(names):
            self.note(name, REQUIRED, line, others=names if either else frozenset())

    def guess(self, name: str, line: int) -> None:
        self.note(name, GUESSED, line)

    def source(self, line: int) -> str:
        """What stands in a line, as the words of a condition."""
        text = self._line(self.file, line)
        text = re.sub(r"\s*(\bdo|,|->)$", "", re.sub(r"^(\S+\s*=\s*)?(if|unless|case|cond)\b\s*", "", text))
        return text if len(text) <= _CONDITION else text[:_CONDITION] + " ..."

    def _line(self, file: str, line: int) -> str:
        if file not in self._lines:
            self._lines[file] = self._read(file).split("\n")
        lines = self._lines[file]
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    # Expressions.

    def value(self, node: Node, scope: Scope) -> t.Any:
        self.steps += 1
        if self.steps > _STEPS:
            self.found.say("%s is too long to be read to its end" % self.file)
            return UNKNOWN
        reader = getattr(self, "_" + node.kind, None)
        return reader(node, scope) if reader else UNKNOWN

    def _number(self, node: Node, _scope: Scope) -> t.Any:
        return node.value

    def _text(self, node: Node, scope: Scope) -> t.Any:
        if node.value is not None:
            return node.value
        parts = [self.value(one, scope) for one in node.args]
        names = frozenset().union(*(names_of(part) for part in parts))
        plain = [unset(part) for part in parts]
        if any(part is NOTHING or isinstance(part, (list, tuple, dict, Function)) for part in plain):
            return Open(names)
        return opened(
            "".join("" if one is None else one.name if isinstance(one, Atom) else str(one) for one in plain), names
        )

    def _atom(self, node: Node, _scope: Scope) -> t.Any:
        return {"true": True, "false": False, "nil": None}.get(str(node.value), Atom(str(node.value)))

    def _sigil(self, node: Node, _scope: Scope) -> t.Any:
        name, text, modifiers = node.value
        if name in ("w", "W"):
            return [Atom(word) if "a" in modifiers else word for word in text.split()]
        return Charlist(text) if name in ("c", "C") else text if name in ("s", "S") else UNKNOWN

    def _alias(self, node: Node, scope: Scope) -> t.Any:
        return Atom(scope.module.expand(str(node.value)) if scope.module else str(node.value))

    def _name(self, node: Node, scope: Scope) -> t.Any:
        name = str(node.value)
        if name in scope.values:
            return scope.values[name]
        if name == "__DIR__":
            return environment.REPOSITORY + posixpath.dirname(scope.file or self.file)
        if name == "__MODULE__":
            return Atom(scope.module.name) if scope.module else UNKNOWN
        return calls.call(self, Node("call", name, (), node.line), scope)

    def _list(self, node: Node, scope: Scope) -> t.Any:
        found: list[t.Any] = []
        for one in node.args:
            if one.kind == "op" and one.value == "|":
                found.append(self.value(one.args[0], scope))
                rest = unset(self.value(one.args[1], scope))
                found += rest if isinstance(rest, list) else [UNKNOWN]
            else:
                found.append(self.value(one, scope))
        return found

    def _tuple(self, node: Node, scope: Scope) -> t.Any:
        found = tuple(self.value(one, scope) for one in node.args)
        if len(found) > 1 and found[0] == Atom("system"):
            environment.system_tuple(self, found, node.line)
        return found

    def _map(self, node: Node, scope: Scope) -> t.Any:
        found: dict[t.Any, t.Any] = {}
        for one in node.args:
            if one.kind == "op" and one.value == "|":
                base = unset(self.value(one.args[0], scope))
                found.update(base if isinstance(base, dict) else {})
                one = one.args[1]
            for item in one.args if one.kind == "list" else [one]:
                if item.kind == "tuple" and len(item.args) == 2:
                    key = unset(self.value(item.args[0], scope))
                    if isinstance(key, (str, Atom, int)):
                        found[key] = self.value(item.args[1], scope)
        if str(node.value).rpartition(".")[2] in ("Env", "Dotenv", "Group"):
            environment.vapor(self, found, node.line)
        return found

    def _bits(self, node: Node, scope: Scope) -> t.Any:
        return Open(names_of([self.value(one, scope) for one in node.args if one.kind != "op"]))

    def _block(self, node: Node, scope: Scope) -> t.Any:
        last: t.Any = None
        for one in node.args:
            last = self.statement(one, scope)
        return last

    def statement(self, node: Node, scope: Scope) -> t.Any:
        try:
            return self.value(node, scope)
        except Raised:
            if self.forks:
                raise
            # No variable would help; more likely it is not read right.
            self.found.say("%s:%d is not understood: it looks as if it ended every boot" % (self.file, node.line))
            return UNKNOWN

    def _arguments(self, node: Node, scope: Scope) -> t.Any:
        return self._block(node, scope)

    def _clauses(self, _node: Node, _scope: Scope) -> t.Any:
        return UNKNOWN

    def _fn(self, node: Node, scope: Scope) -> t.Any:
        return Function(node.args, scope)

    def _attribute(self, node: Node, scope: Scope) -> t.Any:
        if node.args and scope.module:
            scope.module.attributes[str(node.value)] = node.args[0]
            return None
        found = scope.module.attributes.get(str(node.value)) if scope.module else None
        return (
            self.value(found, Scope({}, scope.module, scope.file))
            if found is not None and self.steps < _STEPS
            else UNKNOWN
        )

    def _access(self, node: Node, scope: Scope) -> t.Any:
        return environment.fetch(
            self,
            self.value(node.args[0], scope),
            self.value(node.args[1], scope) if len(node.args) > 1 else UNKNOWN,
            None,
            node.line,
        )

    def _call(self, node: Node, scope: Scope) -> t.Any:
        return calls.call(self, node, scope)

    def _op(self, node: Node, scope: Scope) -> t.Any:
        sign, args = str(node.value), node.args
        if sign == "=":
            value = self.value(args[1], scope)
            bound: dict[str, t.Any] = {}
            choices.match(self, args[0], value, scope, bound)
            scope.values.update(bound)
            return value
        if sign in ("||", "or", "&&", "and", "|||", "&&&"):
            return self._either(sign, args, scope, node.line)
        if sign == "|>":
            return calls.piped(self, args[1], self.value(args[0], scope), scope)
        if sign == "&":
            return self._capture(args[0], scope)
        return self._compute(sign, [self.value(one, scope) for one in args], node.line)

    def _either(self, sign: str, args: t.Sequence[Node], scope: Scope, line: int) -> t.Any:
        left = self.value(args[0], scope)
        names, fits = names_of(left), truth(left)
        text = " or ".join(sorted(names)) + " is not set" if sign in ("||", "or") else self.source(line)
        decided = fits is not None and fits == (sign in ("||", "or", "|||"))
        if decided:
            if names:  # the right side counts once the variable is set
                right = choices.aside(self, names, (text, lambda: self.value(args[1], scope)))
                if isinstance(unset(left), bool) and right is not Raised:
                    return opened(left, names_of(right))
            return left
        if fits is None:
            right = choices.fork(self, names, None, [(text, lambda: self.value(args[1], scope))], line)
            return Open(names | names_of(right))
        right = choices.fork(
            self,
            names,
            (text, lambda: self.value(args[1], scope)),
            [("", lambda: left)] if sign in ("||", "or") else [],
            line,
            isinstance(left, Open) and left.either,
        )
        raw = isinstance(left, Open) and left.unset is None and sign in ("||", "or")
        if raw and len(names) == 1 and not names_of(right) - names and said(unset(right)):
            self.note(next(iter(names)), "default", line, unset(right))
        # Where each of two is missing, one of them is enough: `if !a && !b, do: raise`.
        each = sign in ("&&", "and") and bool(names) and bool(names_of(right) - names) and truth(right) is True
        return opened(right, names | names_of(right), raw or each)

    def _capture(self, node: Node, scope: Scope) -> Function:
        if node.kind == "op" and node.value == "/" and node.args[1].kind == "number":
            named = node.args[0]
            if named.target is None:
                return Function(scope=scope, named=(None, str(named.value)))
            target = self.value(named.target, scope)
            return Function(scope=scope, named=(target, str(named.value)))
        return Function(scope=scope, capture=node)

    def _compute(self, sign: str, args: list[t.Any], line: int) -> t.Any:
        names = frozenset().union(*(one.names for one in args if isinstance(one, Open))) if args else frozenset()
        plain = [unset(one) for one in args]
        if sign == "++" and len(plain) == 2:
            lists = [one if isinstance(one, list) else [UNKNOWN] for one in plain]
            return opened([*lists[0], *lists[1]], names)
        if any(one is NOTHING for one in plain):
            return Open(names)
        if sign == "<>" and names and None in plain:
            self.require(names, line)
            return Open(names)
        try:
            value = _COMPUTE[sign](*plain)
        except Exception:  # not a value that is known here. pylint: disable=broad-except
            return Open(names)
        return opened(value, names)

    # Functions.

    def apply(self, function: t.Any, args: t.Sequence[t.Any], line: int) -> t.Any:
        if not isinstance(function, Function) or self.depth > _DEEPEST:
            return Open(names_of(list(args)))
        self.depth += 1
        self.places.append((self.file, line))
        try:
            scope: Scope = function.scope
            if function.capture is not None:
                inner = scope.copy(**{"&%d" % (index + 1): arg for index, arg in enumerate(args)})
                return self.value(_numbered(function.capture), inner)
            target, name = function.named
            if name:
                return calls.function(self, None if target is None else unset(target), name, list(args), scope, line)
            return choices.select(
                self,
                args,
                choices.clauses_of(Node("clauses", None, function.clauses)),
                scope.copy(),
                line,
                self.source(line),
            )
        finally:
            self.depth -= 1
            self.places.pop()

    def call_module(self, module: Module, name: str, args: t.Sequence[t.Any], line: int) -> t.Any:
        """A function of a module of the project."""
        found = clauses_for(module, name, len(args))
        if self.depth > _DEEPEST or not found:
            return Open(names_of(list(args)))
        scope = Scope({}, module, module.file)
        full = with_defaults(module, name, found[0], args, lambda node: self.value(node, scope))
        clauses = [
            (tuple(bare(one) for one in clause.patterns), clause.guard, clause.body)
            for clause in found
            if len(clause.patterns) == len(full)
        ]
        self.places.append((self.file, line))
        file, self.file, self.depth = self.file, module.file or self.file, self.depth + 1
        try:
            return choices.select(self, full, clauses, scope, line, "%s/%d" % (name, len(args)))
        finally:
            self.file, self.depth = file, self.depth - 1
            self.places.pop()

    def run(self, tree: Node, file: str, module: Module) -> Scope:
        """The expressions of a file, one after the other. One that ends it ends the reading of this file."""
        scope = Scope({}, module, file)
        before, self.file, self.steps = self.file, file, 0
        try:
            for node in tree.args:
                if not define_here(self, module, node):
                    self.statement(node, scope)
        except RecursionError:
            self.found.say("%s is nested too deep to be read to its end" % file)
        finally:
            self.file = before
        return scope


def define_here(run: Interpreter, module: Module, node: Node) -> bool:
    """A module, an alias or an import within a file of configuration."""
    if node.kind == "call" and node.value == "defmodule":
        run.library.add(read_module(node, run.file, None))
        return True
    return node.kind == "call" and node.value != "use" and define(module, node)


def _numbered(node: Node) -> Node:
    """&1 as the name that it is bound to."""
    if node.kind == "op" and node.value == "&" and node.args[0].kind == "number":
        return Node("name", "&%d" % node.args[0].value, (), node.line)
    target = _numbered(node.target) if node.target is not None else None
    return Node(node.kind, node.value, tuple(_numbered(one) for one in node.args), node.line, target)


def _equal(one: t.Any, two: t.Any) -> bool:
    return type(one) is type(two) and bool(one == two)


_COMPUTE: dict[str, t.Callable[..., t.Any]] = {
    "==": _equal,
    "===": _equal,
    "!=": lambda one, two: not _equal(one, two),
    "!==": lambda one, two: not _equal(one, two),
    "!": lambda one: one is None or one is False,
    "not": lambda one: not one,
    "+": lambda *n: n[0] + n[1] if len(n) > 1 else n[0],
    "-": lambda *n: n[0] - n[1] if len(n) > 1 else -n[0],
    "*": lambda one, two: one * two,
    "/": lambda one, two: one / two,
    "<>": lambda one, two: one + two,
    "<": lambda one, two: one < two,
    ">": lambda one, two: one > two,
    "<=": lambda one, two: one <= two,
    ">=": lambda one, two: one >= two,
    "in": lambda one, many: any(_equal(one, item) for item in many),
    "--": lambda one, two: [item for item in one if item not in two],
    "..": lambda one, two: list(range(one, min(two, one + 200) + 1)),
}

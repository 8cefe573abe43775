# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Calls: what reads the environment, what configures, what branches, functions of the project."""

from __future__ import annotations

import typing as t

from . import choices
from .environment import READERS, fetch, fetch_env, guess, read_file
from .findings import Configured
from .functions import HIGHER, PLAIN, higher_call, plain_call
from .modules import Module, body_of, clauses_for, define, read_module
from .syntax import Node
from .values import ENVIRONMENT, NOTHING, UNKNOWN, Atom, Function, Open, Raised, Scope, names_of, opened, truth, unset

if t.TYPE_CHECKING:
    from .interpreter import Interpreter

_ENDS = frozenset(
    (
        "raise",
        "reraise",
        "throw",
        "exit",
        "Mix.raise",
        "System.halt",
        "System.stop",
        ":erlang.halt",
        "Kernel.raise",
        "Kernel.exit",
    )
)


def call(run: Interpreter, node: Node, scope: Scope, first: t.Sequence[t.Any] = ()) -> t.Any:
    """first: values that were piped in."""
    name = str(node.value)
    if node.target is not None:
        target = run.value(node.target, scope)
        if name == "()":
            return run.apply(target, [*first, *_values(run, node, scope)], node.line)
        plain = unset(target)
        if not isinstance(plain, Atom):
            return (
                opened(fetch(run, target, Atom(name), None, node.line), names_of(target))
                if not node.args
                else Open(names_of(target))
            )
        return function(run, plain, name, [*first, *_values(run, node, scope)], scope, node.line)
    special = _SPECIAL.get(name)
    if special is not None and not (name == "config" and scope.module and scope.module.functions.get("config")):
        return special(run, node, scope, list(first))
    return function(run, None, name, [*first, *_values(run, node, scope)], scope, node.line)


def _values(run: Interpreter, node: Node, scope: Scope) -> list[t.Any]:
    return [run.value(one, scope) for one in node.args]


def piped(run: Interpreter, node: Node, value: t.Any, scope: Scope) -> t.Any:
    if node.kind == "name":
        return call(run, Node("call", node.value, (), node.line), scope, [value])
    if node.kind == "call":
        return call(run, node, scope, [value])
    return run.apply(run.value(node, scope), [value], node.line)


def function(run: Interpreter, target: t.Any, name: str, args: list[t.Any], scope: Scope, line: int) -> t.Any:
    """target: the module, None for one that is defined here or imported."""
    full = name if target is None else _full(target, name)
    if full in _ENDS:
        raise Raised
    found = _of_project(run, target, name, len(args), scope)
    if found is not None:
        if (found.name, name) in run.opaque:
            guess(run, full, args, line)
            return Open(names_of(args))
        before, guessed = len(run.found.reads), 0
        value = run.call_module(found, name, args, line)
        if len(run.found.reads) == before:
            guess(run, full, args, line)
            guessed = len(run.found.reads) - before
        if guessed:
            run.opaque.add((found.name, name))  # it leads where this reading can't follow; once is enough
        return value
    if full in READERS:
        return READERS[full](run, args, line)
    if full in HIGHER and args and (isinstance(args[-1], Function) or full not in PLAIN):
        return higher_call(run, full, args, line)
    if full in PLAIN:
        return plain_call(run, full, args, line)
    if full in ("Keyword.get", "Map.get", "Keyword.get_lazy", "Access.get") and len(args) > 1:
        return fetch(run, args[0], args[1], args[2] if len(args) > 2 else None, line)
    if full in ("Keyword.fetch!", "Map.fetch!") and len(args) == 2:
        return fetch(run, args[0], args[1], NOTHING, line)
    if full in ("Map.fetch", "Keyword.fetch") and len(args) == 2 and unset(args[0]) == ENVIRONMENT:
        return fetch_env(run, args[1:], line)
    guess(run, full, args, line)
    return Open(names_of(args))


def _full(target: Atom, name: str) -> str:
    return "%s.%s" % (target.name if target.name[:1].isupper() else ":" + target.name, name)


def _of_project(run: Interpreter, target: t.Any, name: str, count: int, scope: Scope) -> Module | None:
    if isinstance(target, Atom):
        module = run.library.find(target.name) if target.name[:1].isupper() else None
        return module if module is not None and clauses_for(module, name, count) else None
    places = [scope.module, *(run.library.find(one) for one in (scope.module.imports if scope.module else ()))]
    return next((one for one in places if one is not None and clauses_for(one, name, count)), None)


# What branches.


def _if(run: Interpreter, node: Node, scope: Scope, first: list[t.Any]) -> t.Any:
    condition = first[0] if first else run.value(node.args[0], scope)
    empty = Node("atom", "nil", (), node.line)
    yes, no = body_of(node) or empty, body_of(node, "else") or empty
    names = names_of(condition)
    text = (
        " or ".join(sorted(names)) + " is set"
        if names and unset(condition) in (None, False) and len(names) < 4
        else run.source(node.line)
    )
    if names and unset(condition) is False or len(names) > 3:
        text = run.source(node.line)
    if node.value == "unless":
        yes, no = no, yes
    return choices.choose(
        run,
        condition,
        (text, lambda: run.value(yes, scope.copy())),
        ("not (%s)" % text, lambda: run.value(no, scope.copy())),
        node.line,
    )


def _case(run: Interpreter, node: Node, scope: Scope, first: list[t.Any]) -> t.Any:
    subject = first[0] if first else run.value(node.args[0], scope)
    body = body_of(node)
    clauses = choices.clauses_of(body) if body is not None else []
    return choices.select(run, [subject], clauses, scope, node.line, run.source(node.line))


def _cond(run: Interpreter, node: Node, scope: Scope, _first: list[t.Any]) -> t.Any:
    body = body_of(node)
    return _cond_from(run, choices.clauses_of(body) if body is not None else [], scope)


def _cond_from(run: Interpreter, clauses: t.Sequence[tuple[t.Sequence[Node], t.Any, Node]], scope: Scope) -> t.Any:
    if not clauses:
        return None
    (patterns, _guard, body), rest = clauses[0], clauses[1:]
    condition = run.value(patterns[0], scope) if patterns else True
    text = run.source(patterns[0].line) if patterns else ""
    if truth(condition) and not names_of(condition):
        return run.value(body, scope.copy())
    return choices.choose(
        run,
        condition,
        (text, lambda: run.value(body, scope.copy())),
        ("not (%s)" % text, lambda: _cond_from(run, rest, scope)),
        body.line,
    )


def _with(run: Interpreter, node: Node, scope: Scope, _first: list[t.Any]) -> t.Any:
    inner, certain = scope.copy(), True
    names: frozenset[str] = frozenset()
    body, other = body_of(node), body_of(node, "else")
    for one in node.args:
        if one.kind == "op" and one.value == "<-":
            bound: dict[str, t.Any] = {}
            value = run.value(one.args[1], inner)
            pattern = one.args[0].args[0] if one.args[0].kind == "op" and one.args[0].value == "when" else one.args[0]
            certain = bool(choices.match(run, pattern, value, inner, bound)) and certain
            names |= names_of(value)
            inner.values.update(bound)
        elif not (one.kind == "list" and one.args and one.args[0].args[0].value in ("do", "else")):
            run.value(one, inner)
    yes = (run.source(node.line), lambda: run.value(body, inner) if body is not None else None)
    clauses = choices.clauses_of(other) if other is not None else []
    no = (
        "not " + run.source(node.line),
        lambda: (
            choices.select(run, [Open(names)], clauses, scope, node.line, run.source(node.line)) if clauses else None
        ),
    )
    return choices.fork(
        run, names, yes if certain else None, [no] if certain and names else [yes, no] if not certain else [], node.line
    )


def _for(run: Interpreter, node: Node, scope: Scope, _first: list[t.Any]) -> t.Any:
    body = body_of(node)
    generators = [one for one in node.args if one.kind == "op" and one.value == "<-"]
    if body is None or not generators:
        return UNKNOWN
    values = unset(run.value(generators[0].args[1], scope))
    values = list(values.items()) if isinstance(values, dict) else values
    found = []
    for item in values[:200] if isinstance(values, list) else [UNKNOWN]:
        inner = scope.copy()
        fits = choices.match(run, generators[0].args[0], item, inner, inner.values)
        for one in generators[1:]:
            choices.match(run, one.args[0], UNKNOWN, inner, inner.values)
        if fits is not False:
            found.append(run.value(body, inner))
    return (
        found
        if isinstance(values, list) and len(generators) == 1 and body_of(node, "into") is None
        else Open(names_of(found))
    )


def _try(run: Interpreter, node: Node, scope: Scope, _first: list[t.Any]) -> t.Any:
    body = body_of(node)
    try:
        return run.value(body, scope.copy()) if body is not None else None
    except Raised:
        return UNKNOWN


# What configures.


def _config(run: Interpreter, node: Node, scope: Scope, first: list[t.Any]) -> t.Any:
    values = [*first, *_values(run, node, scope)]
    app = unset(values[0]) if values else NOTHING
    if isinstance(app, Atom) and len(values) in (2, 3):
        key = unset(values[1]) if len(values) == 3 else ""
        if key == "" or isinstance(key, Atom):
            name = key.name if isinstance(key, Atom) else ""
            run.found.configured.append(
                Configured(app.name, name, values[-1], run.file, node.line, tuple(run.conditions))
            )
    return None


def _define(run: Interpreter, node: Node, scope: Scope, _first: list[t.Any]) -> t.Any:
    if node.value == "defmodule":
        run.library.add(read_module(node, run.file, None))
    elif scope.module is not None:
        define(scope.module, node)
    return None


def _none(_run: Interpreter, _node: Node, _scope: Scope, _first: list[t.Any]) -> t.Any:
    return None


def _import_config(run: Interpreter, node: Node, scope: Scope, _first: list[t.Any]) -> t.Any:
    return read_file(run, _values(run, node, scope), node.line)


_SPECIAL: dict[str, t.Callable[..., t.Any]] = {
    "if": _if,
    "unless": _if,
    "case": _case,
    "cond": _cond,
    "with": _with,
    "for": _for,
    "try": _try,
    "config": _config,
    "import": _define,
    "alias": _define,
    "def": _define,
    "defp": _define,
    "defmodule": _define,
    "require": _none,
    "use": _none,
    "defmacro": _none,
    "import_config": _import_config,
}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Patterns, and which way a file goes at a fork.

A file is read as it would run where no variable is set. Where that would end it, the variables that the fork depends on are required, and the
reading goes on as if they were set. The other branches are read, too: what they read counts under their condition.
"""

from __future__ import annotations

import typing as t

from .findings import said as as_text
from .syntax import Node
from .values import NOTHING, Open, Raised, Scope, names_of, opened, truth, unset

if t.TYPE_CHECKING:
    from .interpreter import Interpreter

Branch = tuple[str, t.Callable[[], t.Any]]  # the condition in words, and what is done


def match(run: Interpreter, pattern: Node, value: t.Any, scope: Scope, bound: dict[str, t.Any]) -> bool | None:
    """Whether it fits as long as no variable is set; None where that is not known. Fills bound with what the pattern names."""
    kind = pattern.kind
    if kind == "name":
        if pattern.value != "_":
            bound[str(pattern.value)] = value
        return True
    if kind == "op" and pattern.value == "=":
        return _both(match(run, pattern.args[0], value, scope, bound), match(run, pattern.args[1], value, scope, bound))
    plain = unset(value)
    names = names_of(value)
    if kind == "op" and pattern.value == "<>" and pattern.args[0].kind == "text":
        head = str(pattern.args[0].value)
        fits = isinstance(plain, str) and plain.startswith(head)
        rest = plain[len(head) :] if fits else NOTHING
        match(run, pattern.args[1], opened(Open() if rest is NOTHING else rest, names), scope, bound)
        return None if plain is NOTHING else fits
    if kind in ("tuple", "list") or (kind == "op" and pattern.value == "|"):
        return _match_items(run, pattern, value, scope, bound)
    if kind == "map":
        return _match_map(run, pattern, value, scope, bound)
    if plain is NOTHING:
        _bind_all(pattern, names, bound)
        return None
    if kind in ("call", "sigil", "bits") or (kind == "op" and pattern.value not in ("-", "^")):
        _bind_all(pattern, names, bound)
        return None
    wanted = unset(run.value(pattern if pattern.value != "^" else pattern.args[0], scope))
    return None if wanted is NOTHING else type(wanted) is type(plain) and wanted == plain


def _both(one: bool | None, two: bool | None) -> bool | None:
    return False if one is False or two is False else None if one is None or two is None else True


def _match_items(run: Interpreter, pattern: Node, value: t.Any, scope: Scope, bound: dict[str, t.Any]) -> bool | None:
    plain, names = unset(value), names_of(value) if isinstance(value, Open) else frozenset()
    kind = tuple if pattern.kind == "tuple" else list
    last = pattern.args[-1] if pattern.kind == "list" and pattern.args else None
    open_end = last is not None and last.kind == "op" and last.value == "|"
    patterns = [*pattern.args[:-1], last.args[0]] if open_end and last is not None else list(pattern.args)
    if not isinstance(plain, kind) or (len(plain) < len(patterns) if open_end else len(plain) != len(patterns)):
        _bind_all(pattern, names_of(value), bound)
        return None if plain is NOTHING else False
    result: bool | None = True
    for one, item in zip(patterns, plain):
        result = _both(result, match(run, one, opened(item, names), scope, bound))
    if open_end and last is not None:
        result = _both(result, match(run, last.args[1], opened(list(plain[len(patterns) :]), names), scope, bound))
    return result


def _match_map(run: Interpreter, pattern: Node, value: t.Any, scope: Scope, bound: dict[str, t.Any]) -> bool | None:
    plain, result = unset(value), t.cast("bool | None", True)
    if not isinstance(plain, dict):
        _bind_all(pattern, names_of(value), bound)
        return None if plain is NOTHING else False
    for one in pattern.args:
        if one.kind != "tuple" or len(one.args) != 2:
            return None
        key = unset(run.value(one.args[0], scope))
        if key not in plain:
            _bind_all(pattern, names_of(value), bound)
            return False
        result = _both(result, match(run, one.args[1], plain[key], scope, bound))
    return result


def _bind_all(pattern: Node, names: frozenset[str], bound: dict[str, t.Any]) -> None:
    if pattern.kind == "name":
        bound[str(pattern.value)] = Open(names)
    elif pattern.kind == "op" and pattern.value == "^":
        return
    for one in pattern.args:
        _bind_all(one, names, bound)


def choose(run: Interpreter, condition: t.Any, yes: Branch, no: Branch, line: int) -> t.Any:
    """`if`, and all that is like it."""
    fits = truth(condition)
    names = names_of(condition)
    if fits is None:
        return fork(run, names, None, [yes, no], line)
    main, other = (yes, no) if fits else (no, yes)
    return fork(
        run,
        names,
        main,
        [other] if names else [],
        line,
        isinstance(condition, Open) and condition.either,
        unset(condition) is None,
    )


def _noted(run: Interpreter, names: frozenset[str], value: t.Any, found: t.Sequence[t.Any], line: int) -> None:
    """`if x, do: x, else: 5` gives a default, `if x, do: 7, else: 5` none."""
    if (
        len(names) == 1
        and as_text(unset(value))
        and not isinstance(unset(value), bool)
        and any(names <= names_of(one) for one in found)
    ):
        run.note(next(iter(names)), "default", line, unset(value))


def fork(
    run: Interpreter,
    names: frozenset[str],
    main: Branch | None,
    others: t.Sequence[Branch],
    line: int,
    either: bool = False,
    raw: bool = False,
) -> t.Any:
    """main is where it goes as long as no variable is set; None where that is not known."""
    if main is None:
        found = [value for value in (aside(run, names, branch) for branch in others) if value is not Raised]
        if not found and others:
            raise Raised
        plain = unset(found[0]) if len(found) == 1 else NOTHING
        return opened(Open(names_of(found), plain), names)
    depth = len(run.forks)
    try:
        run.forks += [names] if names else []
        value = main[1]()
    except Raised:
        del run.forks[depth:]
        if not names:
            raise
        run.require(names, line, either)
        if len(others) == 1:
            return opened(Open(names_of(others[0][1]())), names)
        found = [one for one in (aside(run, names, branch) for branch in others) if one is not Raised]
        if not found:
            raise
        return Open(names | names_of(found))
    del run.forks[depth:]
    found = [aside(run, names, branch) for branch in others]
    if raw:
        _noted(run, names, value, found, line)
    return opened(value, names)


def aside(run: Interpreter, names: frozenset[str], branch: Branch) -> t.Any:
    with run.condition(branch[0], names):
        try:
            return branch[1]()
        except Raised:
            return Raised


def select(
    run: Interpreter,
    subjects: t.Sequence[t.Any],
    clauses: t.Sequence[tuple[t.Sequence[Node], Node | None, Node]],
    scope: Scope,
    line: int,
    said: str,
) -> t.Any:
    """The first clause that fits, of `case`, `fn`, a function. As (patterns, guard, body)."""
    # What no pattern and no guard looks at decides nothing.
    looked = [
        one
        for index, one in enumerate(subjects)
        if any(
            guard is not None or index >= len(patterns) or patterns[index].kind != "name"
            for patterns, guard, _body in clauses
        )
    ]
    names = frozenset().union(*(names_of(one) for one in looked)) if looked else frozenset()
    main: Branch | None = None
    others: list[Branch] = []
    certain = True
    for patterns, guard, body in clauses:
        bound: dict[str, t.Any] = {}
        fits: bool | None = len(patterns) == len(subjects)
        for pattern, value in zip(patterns, subjects):
            fits = _both(fits, match(run, pattern, value, scope, bound))
        inner = scope.copy(**bound)
        if guard is not None and fits is not False:
            fits = _both(fits, truth(run.value(guard, inner)))
        if fits is None:
            certain = False
        if fits and certain and main is None:
            main = (said, _doing(run, body, inner))
            if not names:
                break
        elif names or fits is not False:
            others.append(
                (
                    _words(names, patterns) or said,
                    _doing(run, body, scope.copy(**{name: _set(value) for name, value in bound.items()})),
                )
            )
            if fits and not names:
                break
    if main is None and certain and clauses and names:
        main = (said, _raise)
    return fork(run, names, main, others, line, raw=len(subjects) == 1 and unset(subjects[0]) is None)


def _doing(run: Interpreter, body: Node, scope: Scope) -> t.Callable[[], t.Any]:
    return lambda: run.value(body, scope)


def _words(names: frozenset[str], patterns: t.Sequence[Node]) -> str:
    """DATABASE_SSL is "true"."""
    simple = (
        len(names) == 1
        and len(patterns) == 1
        and patterns[0].kind in ("text", "number", "atom")
        and patterns[0].value is not None
    )
    return "%s is %s" % (next(iter(names)), patterns[0].value or '""') if simple else ""


def _set(value: t.Any) -> t.Any:
    """The value where its variables are set."""
    return Open(names_of(value)) if names_of(value) else value


def _raise() -> t.Any:
    raise Raised


def clauses_of(node: Node) -> list[tuple[t.Sequence[Node], Node | None, Node]]:
    """Of a block with arrows: patterns, guard and body."""
    found = []
    for one in node.args if node.kind == "clauses" else ():
        patterns: t.Sequence[Node] = one.args[0].args
        guard: Node | None = None
        if len(patterns) >= 1 and patterns[-1].kind == "op" and patterns[-1].value == "when":
            guard = patterns[-1].args[1]
            patterns = [*patterns[:-1], patterns[-1].args[0]]
        if len(patterns) == 1 and patterns[0].kind == "arguments":
            patterns = patterns[0].args
        found.append((patterns, guard, one.args[1]))
    return found

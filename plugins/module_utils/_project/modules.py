# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Modules of the project, by name: their functions, attributes, aliases and imports. A file is read when something of it is called."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .parser import parse
from .syntax import Node
from .tokens import Unreadable

_MODULE = re.compile(r"(?m)^\s*defmodule\s+([A-Z][\w.]*)")
_MOST = 4000  # files that are looked at


@dataclass(frozen=True)
class Clause:
    patterns: tuple[Node, ...]
    guard: Node | None
    body: Node


@dataclass
class Module:
    name: str
    file: str
    functions: dict[str, list[Clause]] = field(default_factory=dict)
    attributes: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    heads: dict[tuple[str, int], Clause] = field(default_factory=dict)  # that only say the defaults

    def expand(self, name: str) -> str:
        """An alias to the module's full name."""
        if name == "__MODULE__" or name.startswith("__MODULE__."):
            return self.name + name[10:]
        first, dot, rest = name.partition(".")
        return self.aliases.get(first, first) + dot + rest


def _required(clause: Clause) -> int:
    return sum(not (one.kind == "op" and one.value == "\\\\") for one in clause.patterns)


def clauses_for(module: Module, name: str, count: int) -> list[Clause]:
    """Those that take so many arguments."""
    found = []
    for clause in module.functions.get(name, ()):
        head = module.heads.get((name, len(clause.patterns)), clause)
        if _required(head) <= count <= len(clause.patterns):
            found.append(clause)
    return found


def with_defaults(
    module: Module, name: str, clause: Clause, args: t.Sequence[t.Any], default: t.Callable[[Node], t.Any]
) -> list[t.Any]:
    """The arguments with the defaults of those that are not given."""
    clause = module.heads.get((name, len(clause.patterns)), clause)
    spare, given = len(args) - _required(clause), list(args)
    found = []
    for pattern in clause.patterns:
        if pattern.kind == "op" and pattern.value == "\\\\":
            spare -= 1
            found.append(given.pop(0) if spare >= 0 else default(pattern.args[1]))
        else:
            found.append(given.pop(0))
    return found


def bare(pattern: Node) -> Node:
    return pattern.args[0] if pattern.kind == "op" and pattern.value == "\\\\" else pattern


def body_of(node: Node, key: str = "do") -> Node | None:
    """The block of a call, given by do or by do:."""
    for arg in reversed(node.args):
        if arg.kind == "list":
            for one in arg.args:
                if one.kind == "tuple" and one.args and one.args[0].value == key:
                    return one.args[1]
    return None


def read_module(node: Node, file: str, outer: Module | None = None) -> list[Module]:
    """The module that `defmodule` defines, and those within it."""
    name = str(node.args[0].value) if node.args and node.args[0].kind == "alias" else ""
    full = outer.name + "." + name if outer and outer.name else name
    module = Module(full, file)
    if outer:
        module.aliases.update(outer.aliases)
    found = [module]
    body = body_of(node)
    for one in body.args if body and body.kind == "block" else [body] if body else []:
        if one.kind == "call" and one.value == "defmodule":
            inner = read_module(one, file, module)
            module.aliases[inner[0].name.rpartition(".")[2]] = inner[0].name
            found += inner
        else:
            define(module, one)
    return found


def define(module: Module, node: Node) -> bool:
    """Records a definition; False if it is none."""
    if node.kind == "attribute" and node.args:
        module.attributes[str(node.value)] = node.args[0]
        return True
    if node.kind != "call" or node.target is not None or not node.args:
        return False
    if node.value in ("def", "defp"):
        head, guard = node.args[0], None
        if head.kind == "op" and head.value == "when":
            head, guard = head.args
        if head.kind in ("call", "name"):
            body = body_of(node)
            if body is None:
                module.heads[str(head.value), len(head.args)] = Clause(head.args, guard, node)
            else:
                module.functions.setdefault(str(head.value), []).append(Clause(head.args, guard, body))
        return True
    if node.value == "alias":
        module.aliases.update(_aliases(node, module))
        return True
    if node.value == "import" and node.args[0].kind == "alias":
        module.imports.append(module.expand(str(node.args[0].value)))
        return True
    return node.value in (
        "require",
        "use",
        "defmacro",
        "defmacrop",
        "defstruct",
        "defdelegate",
        "defguard",
        "defguardp",
    )


def _aliases(node: Node, module: Module) -> dict[str, str]:
    first = node.args[0]
    if first.kind == "call" and first.value == "{}" and first.target is not None:
        base = module.expand(str(first.target.value))
        return {
            str(one.value).rpartition(".")[2]: "%s.%s" % (base, one.value) for one in first.args if one.kind == "alias"
        }
    if first.kind != "alias":
        return {}
    full = module.expand(str(first.value))
    short = body_of(node, "as")
    return {str(short.value) if short is not None and short.kind == "alias" else full.rpartition(".")[2]: full}


class Library:
    """The modules below the directories of sources, found by their text and read when they are asked for."""

    def __init__(self, read: t.Callable[[str], str], files: t.Sequence[str]) -> None:
        self._read, self._files = read, files[:_MOST]
        self._where: dict[str, str] | None = None
        self._modules: dict[str, Module] = {}
        self._done: set[str] = set()
        self.unreadable: dict[str, Unreadable] = {}

    def texts(self) -> t.Iterator[tuple[str, str]]:
        for file in self._files:
            yield file, self._read(file)

    def add(self, modules: t.Iterable[Module]) -> None:
        self._modules.update((module.name, module) for module in modules)

    def find(self, name: str) -> Module | None:
        if name not in self._modules:
            if self._where is None:
                self._where = {found: file for file, text in self.texts() for found in _MODULE.findall(text)}
            file = self._where.get(name) or self._where.get(name.rpartition(".")[0])
            if file and file not in self._done:
                self.load(file)
        return self._modules.get(name)

    def load(self, file: str) -> list[Module]:
        self._done.add(file)
        try:
            tree = parse(self._read(file))
        except Unreadable as exc:
            self.unreadable[file] = exc
            return []
        found = [
            module
            for node in tree.args
            if node.kind == "call" and node.value == "defmodule"
            for module in read_module(node, file)
        ]
        self.add(found)
        return found

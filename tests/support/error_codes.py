# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error catalogue, read from where the errors are raised: no word of it is written twice.

    PYTHONPATH=.cache/live python tests/support/error_codes.py > docs/errors.md        (make errors)

A message is what the source says, with … for what is known at run time only. Arguments that are names are followed to what they were given: in the same
function, in a table of the module, or by who calls the function.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.main import FAILED, exit_of
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.retry import COMING, PASSING
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import BLAMING
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import ENDINGS

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = "ansible_collections.alchemist.beam."
DOTS = "…"
_FORMAT = re.compile(r"%(?:\(\w+\))?[-+# 0]*[\d*]*(?:\.\d+)?[srdixogfc]")
_CODE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_ERRORS = {"BeamError"}  # and whatever is derived from it
# What is handed on, and not raised here: the code of another error.
_PASSED_ON = None
World = t.Mapping[str, ast.expr]
Expressions = t.Sequence[t.Optional[ast.expr]]
_DEEP, _WIDE = 5, 60
Place = tuple[Path, str]  # a function or a method of a file; "" is what stands outside of all of them


@dataclass(eq=False)
class File:
    path: Path
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imported: dict[str, tuple[Path, str]] = field(default_factory=dict)
    uses: set[Path] = field(default_factory=set)
    nodes: list[ast.AST] = field(default_factory=list)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    functions: dict[ast.AST, str] = field(default_factory=dict)  # the outermost function or method that a node is in

    def function_of(self, node: ast.AST) -> ast.FunctionDef | None:
        found = self.parents.get(node)
        while found is not None and not isinstance(found, ast.FunctionDef):
            found = self.parents.get(found)
        return found


@dataclass(frozen=True, order=True)
class Message:
    what: str
    why: str
    hint: str

    @property
    def text(self) -> str:
        return ": ".join(filter(None, (self.what or DOTS, self.why)))


@dataclass
class Entry:
    code: str
    messages: list[Message] = field(default_factory=list)
    places: set[Place] = field(default_factory=set)
    again: bool = False  # raised as something that may pass by itself


def _module_path(dotted: str) -> Path | None:
    path = PLUGINS.joinpath(*dotted.split("."))
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.is_file()), None)


def _imports(file: File) -> None:
    package = file.path.relative_to(PLUGINS).parts[:-1]
    for node in file.nodes:
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        if node.level:
            module = ".".join([*package[: len(package) - node.level + 1], *([module] if module else [])])
        elif module.startswith(PACKAGE + "plugins"):
            module = module[len(PACKAGE + "plugins") :].lstrip(".")
        else:
            continue
        for alias in node.names:
            inner = _module_path(".".join(filter(None, (module, alias.name))))
            outer = _module_path(module)
            if inner or outer:
                file.uses.add(t.cast(Path, inner or outer))
                file.imported[alias.asname or alias.name] = (t.cast(Path, inner or outer), "" if inner else alias.name)


@functools.cache
def sources() -> dict[Path, File]:
    found = {}
    for path in sorted(PLUGINS.rglob("*.py")):
        file = File(path, ast.parse(path.read_text(encoding="utf-8")))
        for node in ast.walk(file.tree):
            file.nodes.append(node)
            inner = file.functions.get(node, "")
            inner = inner or (node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else "")
            for child in ast.iter_child_nodes(node):
                file.parents[child] = node
                file.functions[child] = inner
        for node in file.tree.body:
            if isinstance(node, ast.Assign):
                for target, value in _bindings(node.targets[0], node.value):
                    file.constants[target] = value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                file.constants[node.target.id] = node.value
        _imports(file)
        found[path] = file
    return found


def _bindings(target: ast.expr, value: ast.expr) -> t.Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts):
            yield from _bindings(one, other)


def place_of(node: ast.AST, file: File) -> Place:
    """The outermost function or method that a node is in."""
    return file.path, file.functions.get(node, "")


@functools.cache
def classes() -> dict[str, list[str]]:
    """Errors, and records that carry a code: the names of what they are made with, in their order."""
    found = {"BeamError": ["code", "what", "why", "hint"]}
    for file in sources().values():
        for node in file.nodes:
            if not isinstance(node, ast.ClassDef):
                continue
            if _ERRORS.intersection(base.id for base in node.bases if isinstance(base, ast.Name)):
                _ERRORS.add(node.name)
                found[node.name] = _made_with(node) or found["BeamError"]
            fields = [
                one.target.id
                for one in node.body
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            ]
            if fields[:1] == ["code"] and {"why", "hint"} & set(fields):
                found[node.name] = fields
    return found


def _made_with(node: ast.ClassDef) -> list[str]:
    """Of an error with a constructor of its own, what that takes: it is followed as a function is."""
    own = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    return [argument.arg for argument in own.args.args[1:]] if own else []


@functools.cache
def _calls() -> dict[str, list[tuple[File, ast.Call]]]:
    found: dict[str, list[tuple[File, ast.Call]]] = {}
    for file in sources().values():
        for node in file.nodes:
            if isinstance(node, ast.Call):
                name = (
                    node.func.id
                    if isinstance(node.func, ast.Name)
                    else node.func.attr
                    if isinstance(node.func, ast.Attribute)
                    else ""
                )
                found.setdefault(name, []).append((file, node))
    return found


def _arguments(call: ast.Call, names: t.Sequence[str]) -> dict[str, ast.expr]:
    given = {name: value for name, value in zip(names, call.args) if not isinstance(value, ast.Starred)}
    return {**given, **{word.arg: word.value for word in call.keywords if word.arg}}


# What an expression may be.


def texts(node: ast.expr | None, file: File, world: World, deep: int = 0) -> list[str]:
    """Every text that it can be, with … for what only the run knows."""
    found = list(dict.fromkeys(_texts(node, file, world, deep)))
    return found[:_WIDE]


def _texts(node: ast.expr | None, file: File, world: World, deep: int) -> t.Iterator[str]:
    if node is None:
        yield ""
    elif deep > _DEEP:
        yield DOTS
    elif isinstance(node, ast.Constant):
        yield node.value if isinstance(node.value, str) else DOTS
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else DOTS for part in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        right = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        put_in = [_put_in(value, file, world, deep) for value in right]
        yield from (_filled(text, put_in) for text in texts(node.left, file, world, deep))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for pair in itertools.product(texts(node.left, file, world, deep), texts(node.right, file, world, deep)):
            yield "".join(pair)
    elif isinstance(node, (ast.IfExp, ast.BoolOp)):
        either = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
        yield from (text for one in either for text in texts(one, file, world, deep))
    elif isinstance(node, ast.Name):
        yield from _named(node.id, file, world, deep)
    elif (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and file.imported.get(node.value.id, (None, "?"))[1] == ""
    ):
        yield from _named(node.attr, sources()[file.imported[node.value.id][0]], {}, deep)
    else:
        values = _table(node, file)
        yield from [text for part in values for text in texts(part, file, world, deep + 1)] or [DOTS]


def _put_in(node: ast.expr, file: File, world: World, deep: int) -> str:
    """Of a name that is given one word only, that word."""
    found = texts(node, file, world, deep + 1) if isinstance(node, (ast.Name, ast.Constant)) else []
    return found[0] if len(found) == 1 and found[0] else DOTS


def _filled(text: str, put_in: t.Sequence[str]) -> str:
    words = iter(put_in)
    return _FORMAT.sub(lambda _match: next(words, DOTS), text.replace("%%", "\0")).replace("\0", "%")


def _table(node: ast.expr, file: File) -> list[ast.expr]:
    """The values that TABLE[...] and TABLE.get(..., default) can give."""
    of: ast.expr | None = node.value if isinstance(node, ast.Subscript) else None
    more: list[ast.expr] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        of, more = node.func.value, node.args[1:]
    found = _constant(of.id, file)[0] if isinstance(of, ast.Name) else None
    return (
        [*found.values, *more]
        if isinstance(found, ast.Dict) and all(isinstance(value, ast.Constant) for value in found.values)
        else []
    )


def _named(name: str, file: File, world: World, deep: int) -> t.Iterator[str]:
    if name in world:
        rest = {key: value for key, value in world.items() if key != name}
        yield from texts(world[name], file, rest, deep + 1)
    elif name in file.constants:
        yield from texts(file.constants[name], file, {}, deep + 1)
    elif name in file.imported and file.imported[name][1] in sources()[file.imported[name][0]].constants:
        other = sources()[file.imported[name][0]]
        yield from texts(other.constants[file.imported[name][1]], other, {}, deep + 1)
    else:
        yield DOTS


def _rows(node: ast.expr, file: File, length: int) -> list[ast.Tuple]:
    """The tuples of this length in what a name is taken from: of a table, and of its default."""
    found = [one for one in ast.walk(node) if isinstance(one, ast.Tuple) and len(one.elts) == length]
    for name in {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}:
        table, _home = _constant(name, file)
        found += (
            [one for one in ast.walk(table) if isinstance(one, ast.Tuple) and len(one.elts) == length]
            if table is not None
            else []
        )
    return found


def _constant(name: str, file: File) -> tuple[ast.expr | None, File]:
    if name in file.imported and file.imported[name][1]:
        file = sources()[file.imported[name][0]]
    return file.constants.get(name), file


@functools.cache
def _local(function: ast.FunctionDef, file: File) -> list[list[World]]:
    """What the names of a function are given in it: for each statement that gives some, its alternatives."""
    found: dict[tuple[str, ...], list[World]] = {}
    for node in ast.walk(function):
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
        elif isinstance(node, (ast.For, ast.comprehension)):
            pairs = [(node.target, node.iter)]
        for target, value in pairs:
            names = tuple(one.id for one in ast.walk(target) if isinstance(one, ast.Name))
            if isinstance(target, ast.Tuple):
                plain = dict(_bindings(target, value))
                rows = [dict(zip(names, row.elts)) for row in _rows(value, file, len(names))]
                found.setdefault(names, []).extend([plain] if plain else rows)
            elif isinstance(target, ast.Name) and not isinstance(node, (ast.For, ast.comprehension)):
                found.setdefault(names, []).append({names[0]: value})
    # What a row of a table gives belongs together. What is made of it in some cases only is told by none.
    together = {name for names in found if len(names) > 1 for name in names}
    return [worlds for names, worlds in found.items() if worlds and (len(names) > 1 or names[0] not in together)]


def _worlds(call: ast.AST, file: File, deep: int = 0) -> list[tuple[World, Place | None]]:
    """The ways in which the names of a call can be given; with the caller, where one gives some. Its arguments are looked at in its own world."""
    function = file.function_of(call)
    if function is None:
        return [({}, None)]
    needed = {one.id for one in ast.walk(call) if isinstance(one, ast.Name)}
    local = _local(function, file)
    for _turn in range(2):  # a name may be made of others
        needed |= {
            one.id
            for worlds in local
            for world in worlds
            if needed & set(world)
            for value in world.values()
            for one in ast.walk(value)
            if isinstance(one, ast.Name)
        }
    choices = [worlds for worlds in local if needed & set(worlds[0])]
    parameters = [
        argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    ]
    inner = [
        dict(itertools.chain.from_iterable(world.items() for world in worlds))
        for worlds in itertools.islice(itertools.product(*choices), _WIDE)
    ]
    if deep > 1 or not needed & set(parameters):
        return [(world, None) for world in inner]
    return [
        ({**given, **world}, by) for given, by in _given(function, file, parameters, needed, deep) for world in inner
    ]


def _given(
    function: ast.FunctionDef, file: File, parameters: list[str], needed: set[str], deep: int
) -> list[tuple[World, Place | None]]:
    """What callers give; as constants, so that they mean the same here."""
    owner = file.parents.get(function)
    name = owner.name if function.name == "__init__" and isinstance(owner, ast.ClassDef) else function.name
    names = parameters[1:] if isinstance(owner, ast.ClassDef) and parameters[:1] == ["self"] else parameters
    defaults = dict(zip(reversed(names), reversed(function.args.defaults)))
    found: list[tuple[World, Place | None]] = []
    for home, call in _calls().get(name, []):
        if home is not file and not _means(call, name, home, file):
            continue
        given = {**defaults, **_arguments(call, names)}
        wanted = [one for one in given if one in needed]
        for world, _by in _worlds(call, home, deep + 1):
            ways = itertools.islice(itertools.product(*(texts(given[one], home, world) for one in wanted)), _WIDE)
            found += [
                ({one: ast.Constant(text) for one, text in zip(wanted, words)}, place_of(call, home)) for words in ways
            ]
    return found or [({}, None)]


def _means(call: ast.Call, name: str, home: File, file: File) -> bool:
    """Whether a call in another file is of this function: imported by its name, or of something that comes from there."""
    if isinstance(call.func, ast.Name):
        return home.imported.get(name) == (file.path, name)
    return file.path in home.uses


# Where errors are made.


def _made(node: ast.AST, file: File) -> tuple[dict[str, ast.expr], bool] | None:
    """code, what, why and hint of what makes an error, or a record that an error is made of; and whether it may pass by itself."""
    if isinstance(node, ast.Dict):
        keys = {str(key.value): value for key, value in zip(node.keys, node.values) if isinstance(key, ast.Constant)}
        return (
            ({**keys, "hint": keys.get("next", ast.Constant(""))}, False)
            if {"code", "what", "why"} <= set(keys)
            else None
        )
    if not isinstance(node, ast.Call):
        return None
    within = {one.id for one in ast.walk(node.func) if isinstance(one, ast.Name)}
    name = next((one for one in sorted(within) if one in classes()), "")
    if isinstance(node.func, ast.Call) and within == {"type", "error"}:
        name = "BeamError"
    if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__" and file.path.name != "_errors.py":
        owner = file.parents.get(file.function_of(node) or node)
        name = (
            "BeamError" if isinstance(owner, ast.ClassDef) and owner.name in _ERRORS else ""
        )  # it has a constructor of its own
    if not name or "code" not in classes()[name] or isinstance(node.func, ast.Attribute) and name in within:
        return None
    given = _arguments(node, classes()[name])
    retry = given.get("retry")
    again = (
        isinstance(node.func, ast.Name)
        and node.func.id == "Unavailable"
        or isinstance(retry, ast.Constant)
        and retry.value is True
    )
    return given, again


def _raises(call: ast.Call) -> bool:
    """Whether it makes an error, and no record of which one is made elsewhere."""
    return bool(_ERRORS.intersection(one.id for one in ast.walk(call.func) if isinstance(one, ast.Name))) or isinstance(
        call.func, ast.Attribute
    )


def _codes(node: ast.expr | None, file: File, world: World) -> list[str | None]:
    # Of another error, or kept in its details.
    kept = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "details"
    if kept or isinstance(node, ast.Attribute) and node.attr == "code":
        return [_PASSED_ON]
    if isinstance(node, ast.IfExp):
        return [one for part in (node.body, node.orelse) for one in _codes(part, file, world)]
    if isinstance(node, ast.Name) and isinstance(world.get(node.id), (ast.Attribute, ast.IfExp)):
        return _codes(world[node.id], file, {})
    return [*texts(node, file, world)]


@functools.cache
def catalogue() -> tuple[dict[str, Entry], list[str]]:
    """By code; and the places whose code could not be told."""
    found: dict[str, Entry] = {}
    unknown = []
    for file in sources().values():
        for node in file.nodes:
            made = _made(node, file)
            if made is None or file.path.name == "_errors.py" and isinstance(node, ast.Dict):
                continue
            given, again = made
            record = not isinstance(node, ast.Call) or not _raises(node)
            for world, by in _worlds(node, file):
                for code in _codes(given.get("code"), file, world):
                    if code is _PASSED_ON:
                        continue
                    if not _CODE.fullmatch(code) and record:
                        continue
                    if not _CODE.fullmatch(code):
                        unknown.append("%s:%d: %s" % (file.path.relative_to(ROOT), getattr(node, "lineno", 0), code))
                        continue
                    entry = found.setdefault(code, Entry(code))
                    entry.places.add(
                        by if by and not isinstance(given.get("code"), ast.Constant) else place_of(node, file)
                    )
                    entry.again = entry.again or again
                    for parts in itertools.product(
                        *(texts(given.get(key), file, world) for key in ("what", "why", "hint"))
                    ):
                        message = Message(*(" ".join(part.split()).strip(" .") for part in parts))
                        if message not in entry.messages:
                            entry.messages.append(message)
    for entry in found.values():
        told = [
            Message(_handed_on(entry), message.why, message.hint) if message.text == DOTS else message
            for message in entry.messages
        ]
        entry.messages = _worth_telling(list(dict.fromkeys(told)))
    return dict(sorted(found.items())), sorted(set(unknown))


def _handed_on(entry: Entry) -> str:
    """Of a code that is in a record, what is said where an error is made of that: by those who import it."""
    home = {path for path, _name in entry.places}
    for file in sources().values():
        if file.path not in home and not home & file.uses:
            continue
        for node in file.nodes:
            made = _made(node, file) if isinstance(node, ast.Call) else None
            if (
                made
                and isinstance(made[0].get("code"), ast.Attribute)
                and isinstance(made[0].get("hint"), ast.Attribute)
            ):
                whats = texts(made[0].get("what"), file, {})
                if re.search(r"\w{3}", whats[0]):
                    return whats[0]
    return ""


def meaning(code: str) -> str:
    """The comment above the constant that is this code, for those of which no message tells what it means."""
    for file in sources().values():
        for name, value in file.constants.items():
            if isinstance(value, ast.Constant) and value.value == code:
                found = re.search(r"^# (.+)\n%s = " % name, file.path.read_text(encoding="utf-8"), re.MULTILINE)
                return found.group(1) if found else ""
    return ""


def _worth_telling(messages: t.Sequence[Message]) -> list[Message]:
    """Without those of which a function makes up what its caller did not say. Of what many say of many things, one is told; three where it has no reason."""
    found = [message for message in messages if re.search(r"\w", message.text)]
    found = found or [message for message in messages if re.search(r"\w", message.hint)]
    whole = {(message.why, message.hint) for message in found if message.what}
    found = [message for message in found if message.what or (message.why, message.hint) not in whole]
    by_reason: dict[tuple[str, str], list[Message]] = {}
    for message in found:
        by_reason.setdefault((message.why, message.hint), []).append(message)
    told = []
    for (why, hint), same in by_reason.items():
        told += same[:3] if len(same) < 4 or not re.search(r"\w", why) else [Message(DOTS, why, hint)]
    return told


# Who says it.


@dataclass
class Mentions:
    """names, of a place: what it calls by a name, and by an attribute of a module; methods: by an attribute of anything else."""

    names: dict[Place, set[Place]] = field(default_factory=dict)
    methods: dict[Place, set[str]] = field(default_factory=dict)
    functions: dict[Place, set[Place]] = field(
        default_factory=dict
    )  # what a name of a file is: itself, or what Python calls to make one
    owners: dict[str, set[Place]] = field(default_factory=dict)  # of a method's name


@functools.cache
def mentions() -> Mentions:
    told = Mentions()
    for file in sources().values():
        for node in file.nodes:
            place = place_of(node, file)
            if isinstance(node, ast.Name):
                home, name = file.imported.get(node.id, (file.path, node.id))
                told.names.setdefault(place, set()).add((home, name))
            elif isinstance(node, ast.Attribute) and not isinstance(node.value, (ast.Constant, ast.JoinedStr)):
                home, name = (
                    file.imported.get(node.value.id, (file.path, "?"))
                    if isinstance(node.value, ast.Name)
                    else (file.path, "?")
                )
                if name:
                    told.methods.setdefault(place, set()).add(node.attr)
                else:
                    told.names.setdefault(place, set()).add((home, node.attr))
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not place[1]:
                inner = isinstance(file.parents[node], ast.ClassDef)
                (
                    told.owners.setdefault(node.name, set())
                    if inner
                    else told.functions.setdefault((file.path, node.name), set())
                ).add((file.path, node.name))
            elif isinstance(node, ast.ClassDef):
                own = {
                    (file.path, one.name)
                    for one in node.body
                    if isinstance(one, ast.FunctionDef) and one.name.startswith("__")
                }
                told.functions.setdefault((file.path, node.name), set()).update(own)
    return told


def _files(paths: t.Iterable[Path]) -> set[Path]:
    found = set(paths)
    left = list(found)
    while left:
        for used in sources()[left.pop()].uses - found:
            found.add(used)
            left.append(used)
    return found


# Names that may be a dictionary's, a text's or a set's: they are ours only where the class is imported.
_EVERYBODYS = {name for kind in (dict, str, list, set, bytes, re.Pattern, Path) for name in dir(kind)}


def reached(*roots: Path) -> frozenset[Place]:
    """What can run, as far as names tell: an attribute is taken for any method of that name in the files at hand."""
    told, files = mentions(), _files(roots)
    left: list[Place] = [place for path in roots for place in {*told.names, *told.methods} if place[0] == path]
    found = set(left)
    while left:
        place = left.pop()
        wanted = {one for name in told.names.get(place, ()) for one in told.functions.get(name, ())}
        # A table of another file names functions where it stands.
        wanted |= {
            (home, "") for home, name in told.names.get(place, ()) if name and (home, name) not in told.functions
        }
        near = {place[0], *sources()[place[0]].uses}
        wanted |= {
            one
            for name in told.methods.get(place, ())
            for one in told.owners.get(name, ())
            if one[0] in (near if name in _EVERYBODYS else files)
        }
        for one in {(place[0], ""), *wanted} - found:
            found.add(one)
            left.append(one)
    return frozenset(found)


@functools.cache
def speakers() -> dict[str, frozenset[Place]]:
    """By the name that a person knows: modules, the bootstrap's program, and filters."""
    found = {}
    for path in sorted((PLUGINS / "modules").glob("*.py")):
        action = PLUGINS / "action" / path.name
        found["`%s`" % path.stem] = reached(path, *([action] if action.is_file() else []))
    found["the bootstrap"] = reached(PLUGINS / "module_utils" / "_bootstrap" / "main.py")
    for path in sorted((PLUGINS / "filter").glob("*.py")):
        found["filter `%s`" % path.stem] = reached(path)
    return found


def said_by(entry: Entry) -> list[str]:
    found = [name for name, places in speakers().items() if entry.places & places]
    return [STORE, *(name for name in found if name not in _store())] if set(_store()) <= set(found) else found


@functools.cache
def _store() -> list[str]:
    return [
        "`%s`" % name
        for name in yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"][
            "store"
        ]
    ]


def roles() -> list[tuple[str, str, list[str]]]:
    """Of each role, the playbooks that use it and the modules that it runs."""
    found = []
    modules = {path.stem for path in (PLUGINS / "modules").glob("*.py")}
    for role in sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir()):
        text = "".join(
            path.read_text(encoding="utf-8")
            for path in sorted(role.rglob("*.yml"))
            if path.parent.name in ("tasks", "handlers")
        )
        used = [
            name for name in re.findall(r"^ *(?:- )?alchemist\.beam\.(\w+):", text, re.MULTILINE) if name in modules
        ]
        name = "name: alchemist.beam.%s\n" % role.name
        books = [
            book.stem for book in sorted((ROOT / "playbooks").glob("*.yml")) if name in book.read_text(encoding="utf-8")
        ]
        found.append((role.name, ", ".join("`%s`" % book for book in books), sorted(set(used))))
    return found


# What pages quote.

# What begins like this is typed and not read; and what others say: Ansible, AWX, nodes and the systems that they run on.
_TYPED = re.compile(
    r"(?:ansible|apt-get|aws|beam-bootstrap\.pyz|bin/shop|cap|cd|chmod|curl|docker|fleet|git|journalctl|kamal|make|mix|pip|python|shop-remote"
    r"|systemctl|tests/)\b"
)
_OTHERS = re.compile(
    r"value of \w+ must be one of|No matching host|could not fetch environment variable|environment variable X|X must be set|Configuration :server"
    r"|All targets skipped|N passed, N failed|elixir: "
)


def quoted(page: str) -> list[str]:
    """The messages in a page: in backticks, of three words and more."""
    text = re.sub(r"^ *```.*?^ *```", "", page, flags=re.DOTALL | re.MULTILINE)
    found = [
        one
        for one in re.findall(r"`([^`\n]+)`", text)
        if len(one.split()) > 2 and not re.search(r"[={}\[\]$|]|--|^[^\w…]", one)
    ]
    return [one for one in found if not _TYPED.match(one) and not _OTHERS.match(one)]


@functools.cache
def said() -> tuple[list[list[str]], str]:
    """What the product says with something put in, as the parts around that; and all that it says, as it stands."""
    found = {
        part for entry in catalogue()[0].values() for message in entry.messages for part in (message.what, message.text)
    }
    for file in sources().values():
        found |= {
            _filled(" ".join(node.value.split()), ())
            for node in file.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    for top in ("roles", "playbooks"):
        for path in sorted((ROOT / top).rglob("*.yml")):
            found |= {
                re.sub(r"{[{%].*?[%}]}", DOTS, " ".join(text.split()))
                for text in _strings(yaml.safe_load(path.read_text(encoding="utf-8")))
            }
    found |= {sentence for text in found for sentence in text.split(". ")}
    return [text.split(DOTS) for text in found if DOTS in text and len(re.findall(r"[\w']{2,}", text)) > 2], "\n".join(
        found
    )


def _fits(parts: t.Sequence[str], quote: str) -> bool:
    """Whether all parts are in a quote, one after the other."""
    at = 0
    for part in parts:
        at = quote.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def _strings(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def is_said(quote: str) -> bool:
    """Whether the product can say it. Names stand in a quote for those of the reader."""
    templates, plain = said()
    parts = [part.strip() for part in quote.split(DOTS) if part.strip()]
    return all(part in plain for part in parts) or any(_fits(template, quote) for template in templates)


# The page.

STORE = "every module of the store"
HEAD = """# Errors

Every error of this collection has a **code**. A module returns it as `error.code`, beside `what`, `why` and `next`, of which the message is made.
This page is made from the source by `make errors`. `…` stands for what only the run knows.

- **says** is what the message says. After the arrow comes the next step.
- **blames the release** means that the version becomes a [ghost](rollout.md#the-way-back-and-ghosts). With any other code the candidate is
  withdrawn, and the next run may try it again.
- **passes by itself** means that it is worth another try as it is. With any other code, take its next step first.
- **the bootstrap ends with** 2 or 3 where another try is of no use ([what a server does](bootstrap.md)). With any other code it ends with 1.
- **by** names the modules that can say it, and what else can. [Which playbook runs which module](#who-runs-what) is at the end.
"""


def _plain(text: str) -> str:
    """As Markdown shows it: no emphasis and no tags by accident."""
    return re.sub(r"([\\*<]|(?<!\w)_)", r"\\\1", text)


def facts(code: str, entry: Entry) -> list[str]:
    found = []
    if code in BLAMING:
        found.append("blames the release")
    if code in ENDINGS:
        found.append("passes by itself when the server runs as usual again")
    elif code in COMING:
        found.append("passes by itself within a minute of a new server's boot, or never")
    elif code in PASSING or entry.again:
        found.append("passes by itself")
    if "the bootstrap" in said_by(entry) and exit_of(code) != FAILED:
        found.append("the bootstrap ends with %d" % exit_of(code))
    return found


def section(code: str, entry: Entry) -> str:
    lines = ["### `%s`" % code, "", *([] if entry.messages else ["- means: %s" % _plain(meaning(code))])]
    for message in entry.messages:
        step = " → %s" % _plain(message.hint) if re.search(r"\w", message.hint) else ""
        lines.append("- says: %s%s" % (_plain(message.text), step))
    lines += ["- %s" % fact for fact in facts(code, entry)]
    return "\n".join([*lines, "- by: %s" % ", ".join(said_by(entry))])


def page() -> str:
    found, _unknown = catalogue()
    runs = [
        "| `%s` | %s | %s |" % (role, books or "", ", ".join("`%s`" % name for name in modules))
        for role, books, modules in roles()
    ]
    table = ["## Who runs what", "", "| role | playbooks | modules |", "| --- | --- | --- |", *runs]
    return (
        "\n\n".join(
            [HEAD.rstrip(), "## Codes", *(section(code, entry) for code, entry in found.items()), "\n".join(table)]
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.stdout.write(page())

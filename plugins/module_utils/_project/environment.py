# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What reads the variables of the environment: functions of Elixir, what helpers of many projects look like, and maps and lists of values."""

from __future__ import annotations

import re
import typing as t

from .functions import lookup
from .values import ENVIRONMENT, NOTHING, UNKNOWN, Atom, Open, get, is_keywords, names_of, opened, unset

if t.TYPE_CHECKING:
    from .interpreter import Interpreter

_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*_?[A-Z0-9_]*")
REPOSITORY = "/\N{ZERO WIDTH SPACE}/"  # what a path begins with that is relative to the repository's root
_READS = re.compile(r"env|config|setting|secret|getvar|get_var|fetch", re.IGNORECASE)


def guess(run: Interpreter, full: str, args: t.Sequence[t.Any], line: int) -> None:
    """A helper that can't be followed, and that is given what looks like the name of a variable."""
    if not _READS.search(full) or full.startswith(("Application.", "Path.", "Enum.", "Keyword.")):
        return
    for arg in args[:2]:
        plain = unset(arg)
        if isinstance(plain, str) and _VARIABLE.fullmatch(plain) and len(plain) > 2:
            run.guess(plain, line)
            _told(run, full, "whether its variables are required is not known (%s:%d and elsewhere)" % (run.file, line))
            return
    if (
        args
        and isinstance(args[0], Atom)
        and "env" in full.lower()
        and re.fullmatch(r"(?!(?:prod|dev|test)$)[a-z][a-z0-9_]+", args[0].name)
    ):
        run.guess(args[0].name.upper(), line)
        _told(
            run,
            full,
            "its variables are named by guess, :%s as %s (%s:%d and elsewhere)"
            % (args[0].name, args[0].name.upper(), run.file, line),
        )


def _told(run: Interpreter, full: str, what: str) -> None:
    """Once for each helper."""
    start = "%s is not followed: " % full
    if not any(said.startswith(start) for said in run.found.unfollowed):
        run.found.say(start + what)


def _name(run: Interpreter, args: t.Sequence[t.Any], line: int) -> str:
    plain = unset(args[0]) if args else NOTHING
    if isinstance(plain, str):
        return plain
    run.found.say("a variable whose name is made up when it runs is read at %s:%d" % (run.file, line))
    return ""


def _get_env(run: Interpreter, args: list[t.Any], line: int) -> t.Any:
    if not args:
        return ENVIRONMENT
    name = _name(run, args, line)
    default = args[1] if len(args) > 1 else None
    if not name:
        return Open(names_of(default))
    run.note(name, "optional" if default is None else "default", line, NOTHING if default is None else unset(default))
    return Open(frozenset((name,)) | names_of(default), unset(default), either=bool(names_of(default)))


def _fetch_env_must(run: Interpreter, args: list[t.Any], line: int) -> t.Any:
    name = _name(run, args, line)
    if not name:
        return UNKNOWN
    run.require(frozenset((name,)), line)
    return Open(frozenset((name,)))


def fetch_env(run: Interpreter, args: list[t.Any], line: int) -> t.Any:
    name = _name(run, args, line)
    if not name:
        return UNKNOWN
    run.note(name, "optional", line)
    return Open(frozenset((name,)), Atom("error"))


def _dotenvy(run: Interpreter, args: list[t.Any], line: int) -> t.Any:
    """env!("X", :integer) ends the boot where X is not there; with a third argument, that is taken."""
    if len(args) < 3:
        return _fetch_env_must(run, args, line)
    return _get_env(run, [args[0], args[2]], line)


def read_file(run: Interpreter, args: t.Sequence[t.Any], line: int) -> t.Any:
    """A file that this one reads."""
    path = unset(args[0]) if args else NOTHING
    base = unset(args[1]) if len(args) > 1 else None
    if isinstance(path, str) and isinstance(base, str):
        path = base.rstrip("/") + "/" + path
    if not isinstance(path, str):
        run.found.say("%s:%d reads files whose names are made up when it runs" % (run.file, line))
    elif run.on_import is not None:
        run.on_import(path, line)
    return UNKNOWN


def _application(run: Interpreter, args: list[t.Any], _line: int) -> t.Any:
    """What was configured when the release was built."""
    app, key = (unset(args[0]), unset(args[1])) if len(args) > 1 else (None, None)
    found = (
        run.on_config(app.name, key.name)
        if run.on_config is not None and isinstance(app, Atom) and isinstance(key, Atom)
        else None
    )
    return UNKNOWN if unset(found) in (None, NOTHING) else unset(found)


READERS: dict[str, t.Callable[..., t.Any]] = {
    "System.get_env": _get_env,
    "System.fetch_env!": _fetch_env_must,
    "System.fetch_env": fetch_env,
    ":os.getenv": _get_env,
    "env!": _dotenvy,
    "Dotenvy.env!": _dotenvy,
    "System.put_env": lambda run, args, line: None,
    "System.version": lambda run, args, line: UNKNOWN,
    "config_env": lambda run, args, line: Atom(run.mix_env),
    "Mix.env": lambda run, args, line: Atom(run.mix_env),
    "Application.compile_env": _application,
    "Application.compile_env!": _application,
    "Application.get_env": _application,
    "Application.fetch_env!": _application,
    "Code.require_file": read_file,
    "Code.eval_file": read_file,
    "Code.compile_file": read_file,
    "Config.Reader.read!": read_file,
    "config_target": lambda run, args, line: Atom("host"),
    "Mix.target": lambda run, args, line: Atom("host"),
}


def fetch(run: Interpreter, value: t.Any, key: t.Any, default: t.Any, line: int) -> t.Any:
    """Of a keyword list or map; of the whole environment, a variable. default is NOTHING where there has to be one."""
    plain, wanted = unset(value), unset(key)
    if plain == ENVIRONMENT:
        return (
            _fetch_env_must(run, [key], line)
            if default is NOTHING
            else _get_env(run, [key, *([] if default is None else [default])], line)
        )
    if plain is None:
        return opened(None, names_of(value))
    try:
        there, found = lookup(plain, wanted)
    except TypeError:
        return Open(names_of(value))
    if there:
        return opened(found, value.names if isinstance(value, Open) else frozenset())
    return opened(
        UNKNOWN if default is NOTHING else default, names_of(value) if isinstance(value, Open) else frozenset()
    )


def system_tuple(run: Interpreter, items: t.Sequence[t.Any], line: int) -> None:
    """{:system, "X"}, {:system, :integer, "X", 5}: Confex and others read these when the value is asked for."""
    rest = list(items[1:])
    if rest and isinstance(rest[0], Atom):
        rest.pop(0)
    if rest and isinstance(rest[0], str) and _VARIABLE.fullmatch(rest[0]):
        run.note(
            rest[0], "default" if len(rest) > 1 else "required", line, unset(rest[1]) if len(rest) > 1 else NOTHING
        )


def vapor(run: Interpreter, found: t.Mapping[t.Any, t.Any], line: int) -> None:
    """%Vapor.Provider.Env{bindings: [port: "PORT"]}, or with options: {:port, "PORT", default: 4000}."""
    for item in found.get(Atom("bindings")) or () if isinstance(found.get(Atom("bindings")), list) else ():
        if isinstance(item, tuple) and len(item) > 1 and isinstance(item[1], str):
            options = item[2] if len(item) > 2 else []
            default = get(options, "default") if is_keywords(options) else None
            optional = is_keywords(options) and get(options, "required") is False
            kind = "default" if default is not None else "optional" if optional else "required"
            run.note(item[1], kind, line, NOTHING if default is None else unset(default))

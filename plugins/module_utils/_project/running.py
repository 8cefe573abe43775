# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a project does when it runs: where it listens and answers, what it migrates, whether its nodes form a cluster."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .configuration import Configuration
from .findings import Configured, Setting
from .mix_exs import MixProject
from .modules import Library, body_of, clauses_for
from .parser import parse
from .repository import Files
from .syntax import Node
from .tokens import Unreadable
from .values import Open, get, names_of, truth, unset

_HEALTH = re.compile(
    r"(?:/(?:api|v\d+|internal))*/(?:_?health(?:z|[-_]?check)?|healthz?/\w+|livez|readyz|up|alive|_?ping)/?"
)
_READ_IN_CODE = re.compile(
    r'System\.(get_env|fetch_env!?)\(\s*"([A-Z][A-Z0-9_]+)"|"([A-Z][A-Z0-9_]+)"\s*\|>\s*System\.(?:get_env|fetch_env!?)\b'
)
_OF_THE_RELEASE = re.compile(
    r"RELEASE_\w+|HOME|PATH|USER|LANG|PWD|HOSTNAME|MIX_\w+|ERL_\w+|ELIXIR_ERL_OPTIONS|HEART_COMMAND|LC_ALL|SHELL|TMPDIR|CI"
)
_SERVERS = frozenset(("phoenix", "bandit", "plug_cowboy", "cowboy", "elli", "mochiweb"))
_MOST = 60


@dataclass(frozen=True)
class Endpoint:
    module: str
    place: str  # file and line
    port: int | None
    port_names: tuple[str, ...]  # variables that give the port
    host: str | None
    host_names: tuple[str, ...]
    server_names: tuple[str, ...]  # variables that let it listen
    serves: bool  # whether it listens without any
    force_ssl: str  # "", "redirects", "rewrites"


@dataclass(frozen=True)
class Running:
    phoenix: bool
    web: bool
    endpoints: tuple[Endpoint, ...]
    port: tuple[int, tuple[str, ...], str] | None  # where it listens, by which variables, and who says so
    health: tuple[str, str] | None  # path, and where it is routed
    root: bool  # whether something is routed at /
    migrate: tuple[str, str] | None  # expression, and where
    migrations: str  # a directory with migrations, "" without
    in_code: tuple[Setting, ...]  # variables that only its code reads


def read_running(
    files: Files, project: MixProject, configuration: Configuration, library: Library, packages: frozenset[str]
) -> Running:
    apps = [one.app for one in project.all if one.app]
    endpoints = sorted(
        (one for one in _endpoints(configuration, apps)),
        key=lambda one: (one.port is None, not one.port_names, len(one.module)),
    )
    routes = list(_routes(library))
    migrations = next(
        (
            path.rpartition("/")[0]
            for one in project.all
            for path in files.below(one.directory, ".exs")
            if "/migrations/" in path
        ),
        "",
    )
    known = {one.name for one in (*configuration.build, *configuration.runtime)}
    web = bool(_SERVERS & packages) or bool(endpoints)
    return Running(
        "phoenix" in packages,
        web,
        tuple(endpoints),
        _port(endpoints, configuration, apps),
        _health(routes),
        any(path == "/" for path, _place in routes),
        _migrate(library),
        migrations,
        tuple(one for one in _in_code(library) if one.name not in known)[:_MOST],
    )


def _endpoints(configuration: Configuration, apps: t.Sequence[str]) -> t.Iterator[Endpoint]:
    for app in apps:
        for key in configuration.keys(app):
            if key.rpartition(".")[2] != "Endpoint" or re.search(r"Dashboard|Metrics", key):
                continue
            entries = [one for one in configuration.configured if one.app == app and one.key == key]
            value = configuration.value(app, key)
            place = next(
                (one for one in reversed(entries) if get(one.value, "http") is not None),
                entries[-1] if entries else None,
            )
            yield _endpoint(key, value, entries, "%s:%d" % (place.file, place.line) if place else "")


def _endpoint(key: str, value: t.Any, entries: t.Sequence[Configured], place: str) -> Endpoint:
    # The later one counts; one under a condition only where nothing else says it.
    http = get(value, "http") or next(
        (get(one.value, "http") for one in reversed(entries) if get(one.value, "http") is not None), None
    )
    port, host, server = get(http, "port"), get(get(value, "url"), "host"), get(value, "server")
    switched = [one for one in entries if one.when and truth(get(one.value, "server"))]
    names = tuple(sorted(names_of(server) if isinstance(server, Open) else set()))
    names = (
        names or tuple(sorted(frozenset().union(*(condition.names for one in switched for condition in one.when))))
        if switched or names
        else ()
    )
    number, name = unset(port), unset(host)
    ssl = get(value, "force_ssl")
    if isinstance(number, str) and number.isdigit():
        number = int(number)
    return Endpoint(
        key,
        place,
        number if isinstance(number, int) and not isinstance(number, bool) else None,
        _of_port(names_of(port) or frozenset(name for name in names if "PORT" in name)),
        name if isinstance(name, str) else None,
        tuple(sorted(names_of(host))),
        names,
        truth(server) is True,
        "" if not truth(ssl) else "rewrites" if get(ssl, "rewrite_on") else "redirects",
    )


def _of_port(names: frozenset[str]) -> tuple[str, ...]:
    """If several decide, one of them is enough: the one with the plainest name."""
    return tuple(sorted(names, key=lambda name: ("PORT" not in name, name != "PORT", len(name), name))[:1])


def _port(
    endpoints: t.Sequence[Endpoint], configuration: Configuration, apps: t.Sequence[str]
) -> tuple[int, tuple[str, ...], str] | None:
    for one in endpoints:
        if one.port is not None:
            return one.port, one.port_names, "%s at %s" % (one.module, one.place)
    plain = re.compile(r"(?:(?:%s)_)?(?:HTTP_)?PORT" % "|".join(re.escape(app.upper()) for app in apps))
    for setting in configuration.runtime:
        if plain.fullmatch(setting.name) and (
            setting.default.isdigit() or (setting.kind == "required" and not endpoints)
        ):
            return int(setting.default or 4000), (setting.name,), "%s:%d" % (setting.file, setting.line)
    return next(
        ((4000, one.port_names, "%s at %s" % (one.module, one.place)) for one in endpoints if one.port_names), None
    )


# Routes.


def _routes(library: Library) -> t.Iterator[tuple[str, str]]:
    for file, text in library.texts():
        if not re.search(r"\bPhoenix\.Router\b|, :router\b|\bPlug\.Router\b", text):
            continue
        try:
            tree = parse(text)
        except Unreadable:
            continue
        yield from ((path, "%s:%d" % (file, line)) for path, line in _walk(tree, "", 0))


def _walk(node: Node, prefix: str, depth: int) -> t.Iterator[tuple[str, int]]:
    first = node.args[0] if node.args else None
    path = first.value if first is not None and first.kind == "text" and isinstance(first.value, str) else None
    if (
        node.kind == "call"
        and node.target is None
        and node.value in ("get", "live", "match")
        and path is not None
        and path.startswith("/")
    ):
        yield "/" + (prefix + path).strip("/"), node.line
        return
    if node.kind == "call" and node.target is None and node.value == "scope":
        inner = body_of(node)
        keyed = body_of(node, "path")
        path = path if path is not None else str(keyed.value) if keyed is not None and keyed.kind == "text" else ""
        if inner is not None and depth < 60 and body_of(node, "host") is None:
            yield from _walk(inner, prefix.rstrip("/") + "/" + path.strip("/"), depth + 1)
        return
    if depth < 60:
        for one in node.args:
            yield from _walk(one, prefix, depth + 1)


def _health(routes: t.Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    return min((one for one in routes if _HEALTH.fullmatch(one[0])), key=lambda one: (len(one[0]), one), default=None)


# Code.


def _migrate(library: Library) -> tuple[str, str] | None:
    found = []
    for file, text in library.texts():
        if re.search(r"\bdef migrate\b", text) and re.search(
            r"\bEcto\.Migrator\b|defmodule [\w.]*\.Release(?:Tasks)?\b", text
        ):
            modules = [module for module in library.load(file) if clauses_for(module, "migrate", 0)]
            found += [(("release" not in file.lower(), len(module.name)), module.name, file) for module in modules]
    return ("%s.migrate()" % min(found)[1], min(found)[2]) if found else None


def _in_code(library: Library) -> t.Iterator[Setting]:
    seen: set[str] = set()
    for file, text in library.texts():
        if "System." not in text or "/mix/tasks/" in file:
            continue
        for match in _READ_IN_CODE.finditer(text):
            name = match.group(2) or match.group(3)
            line = text.count("\n", 0, match.start()) + 1
            begin = text.rfind("\n", 0, match.start()) + 1
            if (
                name not in seen
                and not _OF_THE_RELEASE.fullmatch(name)
                and not text[begin : match.start()].lstrip().startswith("#")
            ):
                seen.add(name)
                yield Setting(name, "code!" if (match.group(1) or "").endswith("!") else "code", file, line)


# Files of the release.


def read_shell(text: str) -> tuple[dict[str, str], list[str]]:
    """Of env.sh.eex: what it exports of what the service decides itself, and which variables it takes from the environment."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    assigned = dict(re.findall(r"(?m)^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)$", "\n".join(lines)))
    exported = {
        name: value
        for name, value in assigned.items()
        if name.startswith("RELEASE_") or name in ("ERL_AFLAGS", "ERL_ZFLAGS", "ELIXIR_ERL_OPTIONS")
    }
    read = dict.fromkeys(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", "\n".join(lines)))
    return exported, [name for name in read if name not in assigned and not _OF_THE_RELEASE.fullmatch(name)]


def flags(text: str) -> list[str]:
    """Of vm.args.eex: flags that decide names, ports or who restarts it."""
    lines = [line.strip() for line in text.split("\n") if line.strip() and not line.lstrip().startswith(("#", "<%#"))]
    watched = (
        "-name",
        "-sname",
        "-setcookie",
        "-start_epmd",
        "-erl_epmd_port",
        "-proto_dist",
        "-heart",
        "-kernel inet_dist",
    )
    # A cookie is a secret, also one that is in a repository.
    return [re.sub(r"^(-setcookie)\s.*", r"\1 ...", line) for line in lines if line.startswith(watched)]

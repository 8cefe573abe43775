# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""mix.exs, read and not run: releases, applications, dependencies, aliases, and which Elixir it asks for."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from .._errors import BeamError
from .findings import Findings, Setting, settings
from .interpreter import Interpreter
from .modules import Library, Module
from .parser import parse
from .repository import Files, joined
from .tokens import Unreadable
from .values import NOTHING, Atom, get, is_keywords, unset


@dataclass(frozen=True)
class Dependency:
    name: str
    wanted: str = ""
    in_umbrella: bool = False
    elsewhere: str = ""  # a path or a repository, where it comes from no registry
    production: bool = True  # whether it is one in the environment that is built
    runtime: bool = True


@dataclass(frozen=True)
class MixProject:
    file: str  # its mix.exs
    directory: str
    app: str
    version: str  # "" where only the build can tell
    elixir: str
    apps_path: str  # of an umbrella
    releases: t.Mapping[str, t.Any]  # name -> its options
    default_release: str
    dependencies: tuple[Dependency, ...]
    aliases: t.Mapping[str, tuple[str, ...]]
    elixirc_paths: tuple[str, ...]
    applications: tuple[str, ...]  # extra_applications
    starts: bool  # whether it has a mod:
    config_path: str
    lockfile: str
    settings: tuple[Setting, ...] = ()  # variables that mix.exs reads
    notes: tuple[str, ...] = ()
    children: tuple[MixProject, ...] = field(default=())

    @property
    def all(self) -> tuple[MixProject, ...]:
        return (self, *self.children)


def find(files: Files, subdir: str) -> str:
    """The directory of the project in the repository."""
    if subdir:
        if joined(subdir, "mix.exs") in files:
            return subdir.strip("/")
        raise BeamError(
            "no_mix_exs",
            "%s of the repository is not a Mix project" % subdir,
            "there is no mix.exs in it",
            "Correct beam_build_subdir",
        )
    if "mix.exs" in files:
        return ""
    found = sorted(
        path[: -len("/mix.exs")]
        for path in files.sizes
        if path.endswith("/mix.exs") and path.count("/") <= 3 and "/deps/" not in "/" + path
    )
    found = [one for one in found if not any(one != other and one.startswith(other + "/") for other in found)]
    if not found:
        raise BeamError(
            "no_mix_exs",
            "the repository is no Elixir project",
            "there is no mix.exs in the commit %s" % files.commit[:12],
            "Give beam_repo (and beam_ref) of one",
        )
    if len(found) > 1:
        raise BeamError(
            "mix_exs_ambiguous",
            "the repository has several Mix projects",
            "mix.exs is in %s, and not at the root" % ", ".join(found),
            "Say which one with beam_build_subdir, such as -e beam_build_subdir=%s" % found[0],
        )
    return found[0]


def read_mix_exs(files: Files, directory: str, mix_env: str) -> MixProject:
    """Of an umbrella, with its children."""
    project = _read(files, directory, mix_env)
    if not project.apps_path:
        return project
    start = joined(directory, project.apps_path)
    found = sorted(path for path in files.below(start, "/mix.exs") if path.count("/") == start.count("/") + 2)
    children = [one for one in (_child(files, path[: -len("/mix.exs")], mix_env) for path in found) if one is not None]
    return replace(project, children=tuple(children))


def _child(files: Files, directory: str, mix_env: str) -> MixProject | None:
    try:
        return _read(files, directory, mix_env)
    except BeamError as exc:
        files.notes.append(exc.message)
        return None


def _read(files: Files, directory: str, mix_env: str) -> MixProject:
    file = joined(directory, "mix.exs")
    try:
        tree = parse(files.read(file))
    except Unreadable as exc:
        raise BeamError(
            "mix_exs_unreadable",
            "%s can't be read" % file,
            "%s, in line %d" % (exc.why, exc.line),
            "`mix help` shows whether it is Elixir; if it is, report it",
        ) from None
    run = Interpreter(Library(files.read, [file]), mix_env, files.read)
    module = _project_module(run, file)
    run.run(tree, file, Module("", file))
    run.file = file
    project = _ask(run, module, "project")
    if not is_keywords(project):
        raise BeamError(
            "mix_exs_unreadable",
            "%s can't be read" % file,
            "project/0 does not give a list that can be told without running it",
            "init reads and does not run: write the inventory by hand (README), or let project/0 be a list",
        )
    application = _ask(run, module, "application") if "application" in module.functions else []
    return _made(run, files, directory, file, project, application)


def _project_module(run: Interpreter, file: str) -> Module:
    found = [module for module in run.library.load(file) if "project" in module.functions]
    if not found:
        raise BeamError(
            "mix_exs_unreadable",
            "%s can't be read" % file,
            "it defines no module with project/0",
            "Compare it with what `mix new` writes",
        )
    return found[0]


def _ask(run: Interpreter, module: Module, name: str) -> t.Any:
    run.steps = 0
    value = unset(run.call_module(module, name, [], 0))
    return value if value is not NOTHING else None


def _made(run: Interpreter, files: Files, directory: str, file: str, project: t.Any, application: t.Any) -> MixProject:
    findings: Findings = run.found
    version = unset(get(project, "version"))
    notes = list(findings.unfollowed)
    deps = unset(get(project, "deps"))
    if not isinstance(deps, list):
        notes.append("the dependencies in %s can't be told without running it; those of mix.lock are taken" % file)
    releases = unset(get(project, "releases"))
    if releases is NOTHING or (releases and not is_keywords(releases)):
        notes.append("the releases in %s can't be told without running it: check beam_name" % file)
    paths = [one for one in _list(get(project, "elixirc_paths")) if isinstance(one, str)] or ["lib"]
    return MixProject(
        file,
        directory,
        _atom(get(project, "app")),
        version if isinstance(version, str) else "",
        _string(get(project, "elixir")),
        _string(get(project, "apps_path")),
        {key.name: value for key, value in releases} if is_keywords(releases) else {},
        _atom(get(project, "default_release")),
        tuple(_dependencies(_list(deps), run.mix_env)),
        _aliases(unset(get(project, "aliases"))),
        tuple(paths),
        tuple(_names(get(application, "extra_applications"))),
        bool(unset(get(application, "mod")) or not application),
        joined(directory, _string(get(project, "config_path")) or "config/config.exs"),
        joined(directory, _string(get(project, "lockfile")) or "mix.lock"),
        tuple(settings(findings.reads)),
        tuple(notes),
    )


def _string(value: t.Any) -> str:
    plain = unset(value)
    return plain if isinstance(plain, str) else ""


def _atom(value: t.Any) -> str:
    plain = unset(value)
    return plain.name if isinstance(plain, Atom) else ""


def _list(value: t.Any) -> list[t.Any]:
    plain = unset(value)
    return [unset(item) for item in plain] if isinstance(plain, list) else []


def _names(value: t.Any) -> list[str]:
    found = [item[0] if isinstance(item, tuple) and item else item for item in _list(value)]
    return [item.name for item in found if isinstance(item, Atom)]


def _dependencies(items: t.Sequence[t.Any], mix_env: str) -> t.Iterator[Dependency]:
    for item in items:
        if not (isinstance(item, tuple) and item and isinstance(item[0], Atom)):
            continue
        options = next((part for part in item[1:] if isinstance(part, list)), [])
        only = unset(get(options, "only"))
        only = [one.name for one in (only if isinstance(only, list) else [only]) if isinstance(one, Atom)]
        runtime = unset(get(options, "runtime"))
        elsewhere = next(
            (_string(get(options, key)) for key in ("path", "git", "github") if get(options, key) is not None), ""
        )
        yield Dependency(
            item[0].name,
            next((part for part in item[1:] if isinstance(part, str)), ""),
            unset(get(options, "in_umbrella")) is True,
            elsewhere,
            not only or mix_env in only,
            runtime is not False,
        )


def _aliases(value: t.Any) -> dict[str, tuple[str, ...]]:
    if not is_keywords(value):
        return {}
    found = {}
    for key, tasks in value:
        plain = unset(tasks)
        found[key.name] = tuple(
            unset(one) for one in (plain if isinstance(plain, list) else [plain]) if isinstance(unset(one), str)
        )
    return found


def least(requirement: str) -> str:
    """The oldest version that a requirement such as "~> 1.15 or ~> 1.16" takes; "" where that can't be told."""
    parts = []
    for one in re.split(r"\bor\b", requirement):
        found = re.search(r"(?:~>|>=|==|^)\s*(\d+\.\d+(?:\.\d+)?)", one.strip())
        if not found:
            return ""
        parts.append(found.group(1))
    return min(parts, key=lambda one: [int(number) for number in one.split(".")])

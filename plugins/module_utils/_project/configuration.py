# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The configuration of a project: what is read when it is built (config.exs and what it imports), and at each boot (runtime.exs)."""

from __future__ import annotations

import posixpath
import typing as t
from dataclasses import dataclass

from .environment import REPOSITORY
from .findings import Configured, Findings, Setting, settings
from .interpreter import Interpreter
from .mix_exs import MixProject
from .modules import Library, Module
from .parser import parse
from .repository import Files, joined
from .syntax import Node
from .tokens import Unreadable
from .values import Atom, get, is_keywords, merge, unset

_IMPORTS = 60


@dataclass(frozen=True)
class Configuration:
    """settings: variables, in the order in which they are read."""

    runtime_file: str  # "" where there is none
    build: tuple[Setting, ...]
    runtime: tuple[Setting, ...]
    configured: tuple[Configured, ...]  # in order: the later ones count
    notes: tuple[str, ...]

    def value(self, app: str, key: str) -> t.Any:
        """As it is in the end, as far as no variable is set."""
        found: t.Any = None
        for one in self.configured:
            if one.app == app and not one.when and (one.key == key or not one.key):
                new = one.value if one.key else get(one.value, key)
                found = merge(found, new) if new is not None else found
        return found

    def keys(self, app: str) -> list[str]:
        named = [one.key for one in self.configured if one.app == app and one.key]
        inner = [
            item[0].name
            for one in self.configured
            if one.app == app and not one.key and is_keywords(unset(one.value))
            for item in unset(one.value)
        ]
        return list(dict.fromkeys(named + inner))

    def apps(self) -> list[str]:
        return list(dict.fromkeys(one.app for one in self.configured))


class _Reading:
    def __init__(self, files: Files, library: Library, mix_env: str) -> None:
        self.files, self.mix_env = files, mix_env
        self.run = Interpreter(library, mix_env, files.read)
        self.run.on_import = self.on_import
        self.module = Module("", "")
        self.done: list[str] = []
        self.unreadable: dict[str, Unreadable] = {}

    def read(self, file: str) -> Findings:
        if len(self.done) < _IMPORTS and file not in self.done:
            self.done.append(file)
            tree: Node | None = None
            try:
                tree = parse(self.files.read(file))
            except Unreadable as exc:
                self.unreadable[file] = exc
                self.run.found.say(
                    "%s can't be read: %s, in line %d; its variables are not in the inventory"
                    % (file, exc.why, exc.line)
                )
            if tree is not None:
                self.run.run(tree, file, self.module)
        return self.run.found

    def on_import(self, path: str, line: int) -> None:
        here = posixpath.dirname(self.run.file)
        if path.startswith(REPOSITORY):
            path, here = path[len(REPOSITORY) :].lstrip("/"), ""
        found = next(
            (one for one in (joined(here, path), joined(posixpath.dirname(here), path)) if one in self.files), None
        )
        if found is not None:
            self.read(found)
        else:
            self.run.found.say("%s:%d reads %s, which is not in the repository" % (self.run.file, line, path))


def read_configuration(
    files: Files, project: MixProject, library: Library, mix_env: str, options: t.Any = None
) -> Configuration:
    """options: of the release, which may name another runtime.exs."""
    build = _Reading(files, library, mix_env)
    if project.config_path in files:
        build.read(project.config_path)
    start = posixpath.dirname(project.config_path)
    given = unset(get(options, "runtime_config_path")) if options is not None else None
    usual = [joined(start, "runtime.exs"), joined(start, "releases.exs")]
    wanted = [joined(project.directory, given)] if isinstance(given, str) else [] if given is False else usual
    file = next((one for one in wanted if one in files), "")
    runtime = _Reading(files, library, mix_env)
    built = Configuration("", (), (), tuple(build.run.found.configured), ())
    runtime.run.on_config = built.value
    if file:
        runtime.read(file)
    notes = [*build.run.found.unfollowed, *runtime.run.found.unfollowed]
    providers = unset(get(options, "config_providers")) if options is not None else None
    named = (
        [one[0].name for one in providers if isinstance(one, tuple) and one and isinstance(one[0], Atom)]
        if isinstance(providers, list)
        else []
    )
    notes += ["the release asks %s for its configuration at boot, which is not read" % name for name in named]
    return Configuration(
        file,
        tuple(settings(build.run.found.reads)),
        tuple(settings(runtime.run.found.reads)),
        (*build.run.found.configured, *runtime.run.found.configured),
        tuple(dict.fromkeys(notes)),
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What somebody wants built."""

from __future__ import annotations

import functools
import os
import re
import shlex
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._mask import Mask
from .._release.names import check_name, check_version
from .command import build_environment
from .project import require_project
from .toolchain import check_elixir_path

_MIX_ENV = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The module sets these itself; another value would put the build elsewhere, or build something else than it reports.
_RESERVED = ("MIX_BUILD_PATH", "MIX_BUILD_ROOT", "MIX_DEPS_PATH", "MIX_ENV", "MIX_EXS")


@dataclass(frozen=True)
class Request:
    project_dir: str  # absolute, without links: where mix.exs is
    build_dir: str
    release: str | None = None
    mix_env: str = "prod"
    version: str | None = None  # None: from mix.exs; "git": from git describe
    env: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    compile_env: t.Mapping[str, str | None] = field(default_factory=dict, repr=False)  # as found; None: not set
    deps_env: t.Mapping[str, str] = field(default_factory=dict, repr=False)  # for fetching only, not part of the fingerprint
    deps: str = "locked"
    before: tuple[tuple[str, ...], ...] = ()
    after_compile: tuple[tuple[str, ...], ...] = ()
    repo: str = ""  # the repository to check out first; "" if the user manages project_dir
    ref: str = ""  # "": the default branch
    tag: str = ""  # where ref is a tag: the version that git tells is this one's, whatever other tags name the commit
    checkout: str = ""  # where repo is checked out: project_dir, without subdir
    subdir: str = ""
    exclude: tuple[str, ...] = ()  # what will not be published; decides nothing of the build
    elixir_path: str | None = None
    timeout: int = 1800  # seconds
    force: bool = False
    allow_dirty: bool = False
    keep: int = 5
    places: tuple[tuple[str, str], ...] = ()  # as they were given, and by which options: what the build writes to

    @functools.cached_property
    def mask(self) -> Mask:
        """For all that the build's commands say: they print the environment that they were given."""
        found = {name: value for name, value in self.compile_env.items() if value is not None}
        return Mask([*found.items(), *self.env.items(), *self.deps_env.items()], least=6)

    def environment(self) -> dict[str, str]:
        """Of every step."""
        given = {name: value for name, value in self.compile_env.items() if value is not None}
        return build_environment({**given, **self.env, "MIX_ENV": self.mix_env}, self.elixir_path)


def _variables(option: str, values: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    result = {}
    for name, value in (values or {}).items():
        _check_variable(option, name)
        result[name] = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return result


def _check_variable(option: str, name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise BeamError("invalid_variable", "%s: %r is not the name of an environment variable" % (option, name), "", "Correct the name")
    if name in _RESERVED:
        raise BeamError("reserved_variable", "%s: %s can't be given" % (option, name), "the build sets it", "Use mix_env, project_dir and build_dir")


def _tasks(option: str, given: t.Sequence[str]) -> tuple[tuple[str, ...], ...]:
    tasks = []
    for text in given:
        try:
            words = tuple(shlex.split(text))
        except ValueError as exc:
            raise BeamError("invalid_task", "%s: %r can't be split into words" % (option, text), str(exc), "Correct the quotes") from exc
        if not words or words[0].startswith("-"):
            raise BeamError("invalid_task", "%s: %r is not a Mix task" % (option, text), "", "Give a task with its arguments, such as assets.deploy")
        tasks.append(words)
    return tuple(tasks)


def make_request(params: t.Mapping[str, t.Any], environ: t.Mapping[str, str]) -> Request:
    """Checks everything that can be told from the options alone."""
    if not _MIX_ENV.fullmatch(params["mix_env"]):
        raise BeamError("invalid_mix_env", "%r is not a mix_env" % params["mix_env"], "it must be lower-case letters, digits and _", "Use prod, staging, ...")
    if params.get("release") is not None:
        check_name(params["release"])
    if params.get("version") not in (None, "git"):
        check_version(params["version"])
    if params["keep"] < 1 or params["timeout"] < 1:
        raise BeamError("invalid_number", "keep and timeout must be 1 or more", "", "Correct the option")
    for name in params.get("compile_env") or ():
        _check_variable("compile_env", name)
    checkout, repo = os.path.realpath(params["project_dir"]), params.get("repo") or ""
    subdir = os.path.normpath(params.get("subdir") or ".")
    if os.path.isabs(subdir) or subdir.split("/")[0] == "..":
        raise BeamError("invalid_subdir", "subdir %s is not below project_dir" % subdir, "", "Give a path within the repository, such as apps/web")
    if params.get("ref") and not repo:
        raise BeamError("invalid_ref", "ref %s can't be checked out" % params["ref"], "there is no repo to take it from", "Give repo, or leave ref out")
    project_dir = checkout if subdir == "." else os.path.join(checkout, subdir)
    if not repo:
        require_project(project_dir)
    return Request(
        project_dir=project_dir,
        build_dir=os.path.realpath(params.get("build_dir") or os.path.join(project_dir, "_build", "alchemist")),
        release=params.get("release"),
        mix_env=params["mix_env"],
        version=params.get("version"),
        env=_variables("env", params.get("env")),
        compile_env={name: environ.get(name) for name in params.get("compile_env") or ()},
        deps_env=_variables("deps_env", params.get("deps_env")),
        deps=params["deps"],
        before=_tasks("before", params.get("before") or ()),
        after_compile=_tasks("after_compile", params.get("after_compile") or ()),
        repo=os.path.abspath(repo) if os.path.isdir(repo) else repo,
        ref=params.get("ref") or "",
        checkout=checkout,
        subdir="" if subdir == "." else subdir,
        exclude=tuple(params.get("exclude") or ()),
        elixir_path=check_elixir_path(params.get("elixir_path")),
        timeout=params["timeout"],
        force=params["force"],
        allow_dirty=params["allow_dirty"],
        keep=params["keep"],
        places=_places(params, project_dir),
    )


def _places(params: t.Mapping[str, t.Any], project_dir: str) -> tuple[tuple[str, str], ...]:
    given = params.get("build_dir") or os.path.join(project_dir, "_build", "alchemist")
    places = [(os.path.abspath(given), "build_dir, in an inventory beam_build_output")]
    if params.get("repo"):
        places.append((os.path.abspath(params["project_dir"]), "project_dir, in an inventory beam_build_dir"))
    return tuple(places)

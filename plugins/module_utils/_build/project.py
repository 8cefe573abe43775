# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a project says of itself: its releases, versions, own applications, and what else lies outside of its directory."""

from __future__ import annotations

import os
import tempfile
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._json import parse_json
from .._mask import Mask
from .._release.names import check_name, check_version
from .command import run_command
from .project_script import SCRIPT


@dataclass(frozen=True)
class Toolchain:
    elixir: str  # version
    otp_release: str
    erts: str
    elixir_root: str  # directory with lib/elixir/ebin, or ebin's grandparent
    otp_root: str


@dataclass(frozen=True)
class Project:
    app: str  # "" for an umbrella
    umbrella: bool
    releases: t.Mapping[str, str | None]  # name -> version, None where only the build can tell
    default_release: str
    version: str | None
    own_apps: t.Mapping[str, str | None]  # name -> version
    paths: tuple[str, ...]  # directories of applications that are taken by path
    fetched: bool  # whether something has to be fetched
    lockfile: str
    toolchain: Toolchain
    reads: tuple[str, ...] = ()  # what else Mix reads: the configuration, templates of the release, ...
    aliases: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name of a Mix alias -> the tasks it runs
    needs: t.Mapping[str, t.Any] = field(default_factory=dict)  # of the toolchain: see _build/needs.py


def require_project(project_dir: str) -> None:
    if not os.path.isdir(project_dir):
        raise BeamError(
            "no_project", "%s is not a directory" % project_dir, "",
            "Check the project out first, or correct project_dir (in an inventory beam_build_dir and beam_build_subdir)",
        )
    if not os.path.isfile(os.path.join(project_dir, "mix.exs")):
        raise BeamError(
            "no_mix_exs", "%s is not a Mix project" % project_dir, "there is no mix.exs in it",
            "Give the directory that holds mix.exs; for an umbrella, its root",
        )


def ask_project(project_dir: str, env: t.Mapping[str, str], elixir: str, timeout: float, mask: Mask) -> dict[str, t.Any]:
    """Evaluates mix.exs, and writes nothing below the project."""
    with tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
        script, answer = os.path.join(scratch, "project_info.exs"), os.path.join(scratch, "answer.json")
        with open(script, "w", encoding="utf-8") as stream:
            stream.write(SCRIPT)
        done = run_command([elixir, script, answer], project_dir, env, timeout)
        if done.status != 0 or not os.path.exists(answer):
            raise BeamError(
                "mix_exs_failed", "mix.exs of %s can't be evaluated" % project_dir, "it ended with %d" % done.status,
                "Correct mix.exs; `mix help` in that directory shows the same error",
                step="info", output=mask.lines(done.output.splitlines()),
            )
        with open(answer, encoding="utf-8") as stream:
            document: dict[str, t.Any] = parse_json(stream.read())
    return document


def parse_project(doc: t.Mapping[str, t.Any]) -> Project:
    return Project(
        app=doc["app"] or "", umbrella=doc["umbrella"], releases={r["name"]: r["version"] for r in doc["releases"]},
        default_release=doc["default_release"] or "", version=doc["version"], own_apps=dict(doc["own_apps"]), paths=tuple(sorted(doc["paths"])),
        fetched=doc["fetched"], lockfile=doc["lockfile"],
        toolchain=Toolchain(doc["elixir"], doc["otp_release"], doc["erts"], doc["elixir_root"], doc["otp_root"]),
        reads=tuple(sorted(doc["reads"])), aliases={name: tuple(tasks) for name, tasks in doc["aliases"].items()},
        needs=doc.get("needs") or {},
    )


@dataclass(frozen=True)
class Chosen:
    name: str
    version: str | None
    argument: tuple[str, ...]  # how `mix release` is told


def choose_release(project: Project, asked: str | None) -> Chosen:
    """As `mix release` chooses, but with every failure told before a minute of compiling."""
    known = ", ".join(sorted(project.releases))
    name = asked or project.default_release
    if not name and len(project.releases) == 1:
        name = next(iter(project.releases))
    if not name and len(project.releases) > 1:
        raise BeamError(
            "release_ambiguous", "the project has several releases", known,
            "Say which one with release (in an inventory beam_name), or set default_release in mix.exs",
        )
    if not project.releases:
        if project.umbrella:
            raise BeamError("no_release", "the umbrella project has no release", "", "Add releases: to project/0 of its mix.exs")
        if asked and asked != project.app:
            raise BeamError(
                "unknown_release", "there is no release %s" % asked, "mix.exs names none, so there is only %s" % project.app,
                "Leave release out, or add it to releases: in mix.exs",
            )
        return Chosen(check_name(project.app), _checked(project.version), ())
    if name not in project.releases:
        raise BeamError("unknown_release", "there is no release %s" % name, "mix.exs has %s" % known, "Correct release, or add it to mix.exs")
    return Chosen(check_name(name), _checked(project.releases[name]), (name,))


def _checked(version: str | None) -> str | None:
    return None if version is None else check_version(version)

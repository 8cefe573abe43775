# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A project, as it was read: everything that the inventory says about it, and what else a person has to know."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._release.names import check_name
from . import running, toolchain
from .configuration import Configuration, read_configuration
from .mix_exs import MixProject, find, read_mix_exs
from .modules import Library
from .repository import Source, joined
from .values import get, names_of, truth, unset

CHILDREN = {
    "chromic_pdf": "Chrome",
    "puppeteer_pdf": "Chrome",
    "nodejs": "Node",
    "wasmex": "WebAssembly",
    "exla": "XLA",
    "live_svelte": "Node",
    "live_vue": "Node",
    "live_react": "Node",
}


@dataclass(frozen=True)
class Reading:
    source: Source
    name: str  # of the release
    directory: str  # of the project in the repository
    project: MixProject
    configuration: Configuration
    toolchain: toolchain.Toolchain
    running: running.Running
    cluster: str  # why its nodes form one; "" where they do not
    env_sh: (
        tuple[str, t.Mapping[str, str], tuple[str, ...]] | None
    )  # file, what it sets of the service's, what it reads
    notes: tuple[str, ...]


def read_project(source: Source, release: str, subdir: str, mix_env: str) -> Reading:
    files = source.files
    directory = find(files, subdir)
    project = read_mix_exs(files, directory, mix_env)
    name, options = choose_release(project, release)
    paths = [joined(one.directory, path) for one in project.all for path in one.elixirc_paths]
    library = Library(files.read, list(dict.fromkeys(file for path in paths for file in files.below(path, ".ex"))))
    configuration = read_configuration(files, project, library, mix_env, options)
    applications = list(dict.fromkeys(app for one in project.all for app in one.applications))
    needed = toolchain.read_toolchain(files, project, applications)
    runs = running.read_running(files, project, configuration, library, needed.packages)
    templates = unset(get(options, "rel_templates_path"))
    start = joined(directory, templates if isinstance(templates, str) else "rel")
    env_sh = None
    if joined(start, "env.sh.eex") in files:
        sets, reads = running.read_shell(files.read(joined(start, "env.sh.eex")))
        env_sh = (joined(start, "env.sh.eex"), sets, tuple(reads))
    notes = [*files.notes, *(note for one in project.all for note in one.notes), *configuration.notes, *needed.notes]
    notes += _notes(source, project, configuration, needed, runs, "%s/vm.args.eex" % start)
    return Reading(
        source,
        name,
        directory,
        project,
        configuration,
        needed,
        runs,
        _cluster(configuration, needed),
        env_sh,
        tuple(dict.fromkeys(notes)),
    )


def choose_release(project: MixProject, asked: str) -> tuple[str, t.Any]:
    """As `mix release` chooses."""
    known = ", ".join(project.releases)
    if not project.releases:
        if project.apps_path:
            children = ", ".join(one.app for one in project.children)
            raise BeamError(
                "no_release",
                "the umbrella project has no release",
                "its applications are %s" % (children or "none that can be read"),
                "Add to project/0 of %s: releases: [%s: [applications: [%s: :permanent]]]"
                % (project.file, asked or "shop", project.children[0].app if project.children else "shop"),
            )
        if not project.app:
            raise BeamError(
                "no_release",
                "%s names no application" % project.file,
                "app: can't be told without running it",
                "Say beam_name",
            )
        # A release that can't be told may have any name.
        return check_name(asked or project.app), None
    name = asked or project.default_release or (next(iter(project.releases)) if len(project.releases) == 1 else "")
    if not name:
        raise BeamError(
            "release_ambiguous",
            "the project has several releases",
            known,
            "Say which one: -e beam_name=%s. Each has an inventory of its own (beam_init_dest)"
            % next(iter(project.releases)),
        )
    if name not in project.releases:
        raise BeamError(
            "unknown_release",
            "there is no release %s" % name,
            "%s has %s" % (project.file, known),
            "Correct beam_name, or add it to mix.exs",
        )
    return check_name(name), project.releases[name]


def _cluster(configuration: Configuration, needed: toolchain.Toolchain) -> str:
    if "libcluster" in needed.packages:
        return "libcluster is one of its packages: its nodes look for each other"
    return "partisan is one of its packages" if "partisan" in needed.packages else ""


def _notes(
    source: Source,
    project: MixProject,
    configuration: Configuration,
    needed: toolchain.Toolchain,
    runs: running.Running,
    vm_args: str,
) -> t.Iterator[str]:
    if source.dirty:
        yield "what is changed and not committed was not read, and is not deployed"
    if not project.starts and not project.apps_path:
        yield "application/0 of %s has no mod: the release starts no application of its own" % project.file
    if not configuration.runtime_file:
        yield "there is no config/runtime.exs: what the configuration reads from the environment is read when the release is built, and stays as it was then"
    if runs.phoenix and runs.endpoints and not any(one.serves or one.server_names for one in runs.endpoints):
        yield (
            "nothing in the configuration has %s listen in a release: add server: true, as `mix phx.new` does below PHX_SERVER"
            % runs.endpoints[0].module
        )
    if len([one for one in runs.endpoints if one.port is not None]) > 1:
        yield "there are several endpoints (%s): the health check asks one of them" % ", ".join(
            one.module for one in runs.endpoints
        )
    if runs.migrations and not runs.migrate:
        yield (
            "there are migrations (%s), and no module with migrate/0: `mix phx.gen.release` makes one; until then nothing migrates"
            % runs.migrations
        )
    directory = configuration.value("tzdata", "data_dir")
    if "tzdata" in needed.packages and directory is None and truth(configuration.value("tzdata", "autoupdate")) is None:
        yield "tzdata writes into its own directory, which a server does not permit: config :tzdata, :data_dir, or :autoupdate, :disabled"
    if names_of(directory):
        yield "tzdata writes to what %s names: a directory below /var/lib/<unit> may be written to" % " or ".join(
            sorted(names_of(directory))
        )
    flags = running.flags(source.files.read(vm_args))
    if flags:
        yield "%s has %s, which the service decides, too: see what its role says of it" % (
            vm_args,
            ", ".join("`%s`" % one for one in flags[:4]),
        )

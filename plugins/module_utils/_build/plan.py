# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Decides whether a build is needed: by a fingerprint of everything that decides its output."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
import typing as t
from dataclasses import asdict, dataclass, replace

from .._errors import BeamError
from .._release.names import check_version
from .._release.record import BuildRecord, load_record
from . import index, toolchain
from .ours import open_to_others
from .project import Chosen, Project, ask_project, choose_release, parse_project
from .request import Request
from .sources import Sources, describe, digest_of, read_sources, require_clean, require_submodules, tags_at, version_from_git

# Changes when a newer collection would build the same input into something else.
FORMAT = 2


@dataclass(frozen=True)
class BuildPlan:
    request: Request
    sources: Sources
    project: Project
    chosen: Chosen
    version: str | None  # None: only the build can tell
    fingerprint: str
    key: str | None  # under which the index remembers `document`; None where nothing may be remembered
    document: t.Mapping[str, t.Any]  # what the project said of itself
    record: BuildRecord | None  # of the tree that is there already
    seconds: float  # that asking the project took
    others: tuple[Sources, ...] = ()  # of applications that are taken by path from outside
    elsewhere: tuple[str, ...] = ()  # what else is read from outside of the sources: files and directories

    @property
    def commit(self) -> str:
        """The requested commit. If a tree was built from another commit with the same sources, git_sha is of that commit."""
        return self.sources.git.sha

    @property
    def inputs(self) -> str:
        """Empty where the sources are not what the commit says, or not that alone."""
        sources = self.sources
        links = any(content.startswith("link:") and " -> " in content for content in sources.files.values())
        if not sources.git.sha or sources.git.dirty or sources.extra or links or self.others or self.elsewhere:
            return ""
        return inputs_of(self.request, self.commit, tags_at(sources.root, self.commit))

    @property
    def name(self) -> str:
        return self.chosen.name

    @property
    def tree(self) -> str | None:
        return self.tree_of(self.version) if self.version else None

    def tree_of(self, version: str) -> str:
        return os.path.join(self.request.build_dir, "%s-%s-%s" % (self.name, version, self.fingerprint[:12]))

    @property
    def changed(self) -> bool:
        return self.record is None or self.request.force

    def diff(self) -> dict[str, t.Any]:
        text = "%s %s\nfingerprint %s\n" % (self.name, self.version or "(the build tells)", self.fingerprint)
        return {"before": "" if self.changed else text, "after": text, "before_header": "built", "after_header": "built"}


def _digest(value: t.Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _decisions(request: Request) -> dict[str, t.Any]:
    """The options that decide the output (not: where, how long, by which path)."""
    # The values may be secrets: only their digest goes on.
    environment = _digest([sorted(request.env.items()), sorted(request.compile_env.items())])
    return {
        "format": FORMAT, "release": request.release, "mix_env": request.mix_env, "environment": environment, "deps": request.deps,
        "before": request.before, "after_compile": request.after_compile,
    }


def inputs_of(request: Request, commit: str, tags: t.Iterable[str]) -> str:
    """The key of a published release: the commit, the tags that name it (a version may come from them) and the options.

    The toolchain is not in it: a version is published once, so that another Elixir could only be refused after the build.
    """
    return _digest([_decisions(request), request.version, request.version == "git" and request.tag, request.subdir, commit, sorted(tags)])


def _document(request: Request, sources: Sources) -> tuple[dict[str, t.Any], str | None, float]:
    """What the project says of itself, from the index where nothing can have changed, else from mix.exs."""
    env = request.environment()
    elixir, located = toolchain.locate(env)
    key = None
    if located is not None:
        # mix.exs may ask git for its version: HEAD and the tags count here, though not in the fingerprint.
        git = (sources.git.sha, _described(sources))
        key = _digest([_decisions(request), sources.digest, git, located, request.project_dir])
        entry = index.recall(request.build_dir, key)
        if entry is not None and toolchain.is_there(parse_project(entry).toolchain):
            return entry, key, 0.0
    started = time.monotonic()
    document = ask_project(request.project_dir, env, elixir, request.timeout, request.mask)
    return document, key, time.monotonic() - started


def _described(sources: Sources) -> str:
    try:
        return describe(sources.root)
    except BeamError:
        return ""


def _is_inside(path: str, sources: t.Iterable[Sources]) -> bool:
    return any((path + "/").startswith(one.root.rstrip("/") + "/") for one in sources)


def _outside(request: Request, project: Project, sources: Sources) -> tuple[Sources, ...]:
    """Applications that are taken by path from outside of the sources."""
    found: list[Sources] = []
    for path in sorted({os.path.realpath(path) for path in project.paths}):
        if not _is_inside(path, (sources, *found)) and os.path.isdir(path):
            found.append(read_sources(path, request.build_dir))
            require_clean(found[-1], request.allow_dirty)
    return tuple(found)


def _version(request: Request, sources: Sources, chosen: Chosen) -> str | None:
    if request.version == "git":
        return check_version(version_from_git(sources.root, chosen.version, request.tag))
    return request.version or chosen.version


def make_plan(request: Request) -> BuildPlan:
    sources = read_sources(request.project_dir, request.build_dir)
    require_clean(sources, request.allow_dirty)
    require_submodules(sources.root)
    document, key, seconds = _document(request, sources)
    project = parse_project(document)
    chosen = choose_release(project, request.release)
    version = _version(request, sources, chosen)
    others = _outside(request, project, sources)
    reads = {os.path.realpath(path) for path in project.reads if os.path.exists(path)}
    elsewhere = tuple(sorted(path for path in reads if not _is_inside(path, (sources, *others))))
    fingerprint = _digest(
        {
            **_decisions(request), "sources": sources.digest, "outside": sorted((os.path.basename(s.root), s.digest) for s in others),
            "elsewhere": sorted((os.path.basename(path), digest_of(path)) for path in elsewhere), "subdir": os.path.relpath(request.project_dir, sources.root),
            "name": chosen.name, "version": version, "own_apps": dict(project.own_apps),
            "toolchain": toolchain.identity(project.toolchain),
        }
    )
    plan = BuildPlan(
        request, sources, project, chosen, version, fingerprint, key, document, None, seconds, others=others, elsewhere=elsewhere,
    )
    return _with_record(plan)


def _with_record(plan: BuildPlan) -> BuildPlan:
    """The plan with the record of a tree that was built from the same input."""
    version = glob.escape(plan.version) if plan.version else "*"
    for path in glob.glob(glob.escape(os.path.join(plan.request.build_dir, plan.name)) + "-%s-%s" % (version, plan.fingerprint[:12])):
        try:
            record = load_record(path)
        except BeamError:
            continue  # unreadable: built again
        if record is not None and not open_to_others(path) and record.provenance.fingerprint == plan.fingerprint and plan.tree_of(record.version) == path:
            return replace(plan, record=record, version=record.version)
    return plan


def describe_result(plan: BuildPlan, record: BuildRecord | None) -> dict[str, t.Any]:
    """What the module returns; record is None in check mode for a build that would be made."""
    version = record.version if record else plan.version
    tree = plan.tree_of(version) if version else None
    return {
        "name": plan.name, "version": version, "path": tree, "record": tree and tree + ".build.json", "fingerprint": plan.fingerprint,
        "git_sha": record.provenance.git_sha if record else plan.sources.git.sha, "commit": plan.commit,
        "inputs": plan.inputs, "published": None, "mix_env": plan.request.mix_env,
        "abi": record.abi.to_dict() if record else None, "own_apps": sorted(plan.project.own_apps),
        "toolchain": {"elixir": plan.project.toolchain.elixir, "otp": toolchain.otp_version(plan.project.toolchain), "erts": plan.project.toolchain.erts},
        "provenance": asdict(record.provenance) if record else None,
    }

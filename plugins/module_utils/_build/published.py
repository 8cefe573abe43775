# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is published already is not built again; and a version that is taken is refused before a minute of compiling."""

from __future__ import annotations

import posixpath
import typing as t
from dataclasses import asdict

from .._errors import Conflict
from .._release.published import Published, PublishedBuild
from . import git
from .checkout import Wanted
from .plan import BuildPlan, inputs_of
from .request import Request
from .sources import named

# A change of these alone may leave the release as it was. Whatever else changed is taken for a change of it.
_NOT_BUILT = ("test", "docs", "doc", ".github", ".gitlab", "bench")
_NOT_BUILT_NAMES = ("LICENSE", "LICENCE", "COPYING", "Makefile", "Dockerfile", "fly.toml", ".gitignore", ".gitattributes", ".formatter.exs", ".credo.exs")
_NOT_BUILT_ENDINGS = (".md", ".yml", ".yaml")


def find(request: Request, wanted: Wanted, published: Published | None) -> dict[str, t.Any] | None:
    """The module's result if the release of this very commit and of these options is published already. Decided before anything is checked out."""
    # allow_dirty asks for uncommitted changes, and only the checkout shows whether there are any.
    if published is None or request.force or request.allow_dirty or not request.release or not wanted.commit:
        return None
    inputs = inputs_of(request, wanted.commit, wanted.tags)
    known = published.of_inputs(request.release, inputs)
    return _result(request, request.release, wanted.commit, inputs, known) if known is not None else None


def judge(plan: BuildPlan, published: Published | None) -> dict[str, t.Any] | None:
    """The same once the project was asked: for a release that was published without its inputs; and the refusal."""
    request = plan.request
    if published is None or request.force or plan.version is None:
        return None
    inputs = plan.inputs
    known = published.of_inputs(plan.name, inputs) if inputs else None
    if known is not None:
        return _result(request, plan.name, plan.commit, inputs, known)
    known = published.of_version(plan.name, plan.version)
    if known is None:
        return None
    if known.fingerprint == plan.fingerprint and not request.exclude:
        return _result(request, plan.name, plan.commit, inputs, known)
    _refuse_taken(plan, known)
    return None


def _refuse_taken(plan: BuildPlan, known: PublishedBuild) -> None:
    """Where another commit is published as this version. Of the same commit, and of one that is not here, only the build can tell."""
    if not known.git_sha or known.git_sha == plan.commit or plan.sources.git.dirty:
        return
    changed = git.ask(plan.sources.root, "diff", "--name-only", "-z", known.git_sha, plan.commit)
    paths = [path for path in changed.stdout.split("\0") if path and not _is_not_built(path)] if changed.returncode == 0 else []
    if paths:
        raise Conflict(
            "version_exists", "%s %s can't be built for publishing" % (plan.name, plan.version),
            "this version is published already, from the commit %s; the commit %s changes %s" % (known.git_sha[:12], plan.commit[:12], named(paths)),
            "Give it another version: change it in mix.exs, or let git tell it with version: git (in an inventory beam_build_version: git)",
        )


def _is_not_built(path: str) -> bool:
    name = posixpath.basename(path)
    at_top = "/" not in path
    return bool(set(path.split("/")[:-1]) & set(_NOT_BUILT)) or (at_top and (name.startswith(_NOT_BUILT_NAMES) or name.endswith(_NOT_BUILT_ENDINGS)))


def _result(request: Request, name: str, commit: str, inputs: str, known: PublishedBuild) -> dict[str, t.Any]:
    text = "%s %s\nfingerprint %s\n" % (name, known.version, known.fingerprint)
    return {
        "changed": False, "name": name, "version": known.version, "path": None, "record": None, "fingerprint": known.fingerprint, "git_sha": known.git_sha,
        "commit": commit, "inputs": inputs, "published": asdict(known), "mix_env": request.mix_env, "abi": None, "own_apps": [], "toolchain": None,
        "provenance": None, "diff": {"before": text, "after": text, "before_header": "published", "after_header": "published"},
    }

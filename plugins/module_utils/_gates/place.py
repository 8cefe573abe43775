# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Where gates run: the commit, checked out as a build does it, with its dependencies, under the same locks; and nothing is left behind in it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t
from dataclasses import dataclass, replace

from .._build import checkout, git, index, tree
from .._build.build import compiled_dir, fetch, lock_build_dir, lock_directory, needs_force, seen_path
from .._build.needs import has_hex
from .._build.ours import open_to_others
from .._build.plan import BuildPlan
from .._build.products import Products, sweep_unfinished
from .._build.project import require_project
from .._build.request import Request
from .._build.sources import top_of
from .._build.steps import Steps
from .._build.wanted import wanted
from .._errors import BeamError
from .._tree import remove_tree
from .runner import Runner


@dataclass(frozen=True)
class There:
    request: Request
    locks: tuple[int, ...] = ()
    ref: str = ""  # the request in words
    warnings: tuple[str, ...] = ()


@contextlib.contextmanager
def checked_out(request: Request, check_mode: bool) -> t.Iterator[There]:
    if not request.repo:
        with lock_directory(request, top_of(request.project_dir)[0]) as lock:
            left = [] if check_mode else sweep_unfinished(request.build_dir, own=False)
            yield There(request, (lock,), "", tuple("A build that was killed had left %s" % path for path in left))
        return
    found = checkout.resolve(request.repo, request.ref, request.timeout)
    if check_mode:
        rehearsed = checkout.rehearse(found, request.checkout, request.build_dir, request.allow_dirty, request.timeout)
        with rehearsed as (found, directory):
            project = os.path.join(directory, request.subdir) if request.subdir else directory
            require_project(project)
            yield There(replace(request, checkout=directory, project_dir=project), (), found.said)
        return
    os.makedirs(request.checkout, mode=0o755, exist_ok=True)
    with lock_directory(request, request.checkout) as lock:
        found, moved = checkout.fetch(found, request.checkout, request.build_dir, request.timeout, (lock,))
        warnings = ["The tag %s" % tag for tag in moved]
        warnings += checkout.check_out(
            found, request.checkout, request.build_dir, request.allow_dirty, request.timeout, (lock,)
        )
        require_project(request.project_dir)
        yield There(request, (lock,), found.said, tuple(warnings))


@contextlib.contextmanager
def prepared(plan: BuildPlan, locks: t.Sequence[int], retries: int) -> t.Iterator[Runner]:
    """The project with its dependencies. What the gates write beside the sources is moved away at the end, as after a build."""
    request = plan.request
    with lock_build_dir(request) as lock:
        compiled = compiled_dir(plan)
        if os.path.isdir(compiled) and open_to_others(compiled):
            remove_tree(compiled)
        os.makedirs(compiled, exist_ok=True)
        os.utime(compiled)
        tree.sweep(request.build_dir)
        steps = Steps(request, plan.name, compiled, (*locks, lock), None)
        # For a release only: without it the compiler notes where the sources are, which the coverage needs.
        for name in ("ERL_COMPILER_OPTIONS", "SOURCE_DATE_EPOCH"):
            if name not in request.env:
                del steps.env[name]
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=request.build_dir) as scratch:
            if not request.repo:
                fetch(plan, steps)
            products = Products((plan.sources, *plan.others), request.build_dir, scratch, steps.caches())
            try:
                if request.repo:
                    fetch(plan, steps)
                yield from _runner(plan, steps, products, compiled, retries)
            finally:
                products.undo()


def _runner(plan: BuildPlan, steps: Steps, products: Products, compiled: str, retries: int) -> t.Iterator[Runner]:
    request = plan.request
    for task in request.before:
        steps.mix("before", *task)
    stale = needs_force(plan, compiled)
    remove_tree(seen_path(compiled))
    looked = products.look()
    if stale:
        with contextlib.suppress(BeamError):  # the gates tell what is wrong with the code
            steps.mix("compile", "compile", "--force")
    dependencies = {name for one in wanted(plan, steps.env).projects if one["own"] for name in one["deps"]}
    yield Runner(request.project_dir, steps.env, dependencies, has_hex(plan.project, steps.env), retries, steps.locks)
    seen = {"products": products.written_since(looked), "files": plan.sources.files}
    index.write_atomically(seen_path(compiled), json.dumps(seen).encode("ascii"))


def same_files(root: str, commit: str, others: t.Iterable[str]) -> tuple[list[str], list[str]]:
    """Of other commits those with the very same files, as git says, and a warning for each of the rest."""

    def files_of(one: str) -> str:
        return git.ask(root, "rev-parse", "--verify", "--quiet", one + "^{tree}").stdout.strip()

    mine = files_of(commit)
    same = [one for one in others if one != commit and mine and files_of(one) == mine]
    rest = [one for one in others if one != commit and one not in same]
    return same, [
        "The commit %s gets no statement: it has other files than %s" % (one[:12], commit[:12]) for one in rest
    ]

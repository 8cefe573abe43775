# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Carries out a BuildPlan: everything into a fresh directory, which appears by rename when it is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
import typing as t
from dataclasses import replace

from .._errors import BeamError
from .._json import parse_json
from .._release.abi_scan import scan_tree
from .._release.manifest import Provenance
from .._release.names import check_version
from .._release.published import Published
from .._release.record import BuildRecord, dump_record, record_path
from .._tree import remove_tree
from . import checkout, git, index, needs, toolchain, tree
from . import published as existing
from .ours import closed_to_others, open_to_others, refuse_foreign
from .plan import FORMAT, BuildPlan, describe_result, make_plan
from .products import Products, sweep_unfinished
from .project import require_project
from .reproducible import normalize_manifests, refuse_build_path
from .request import Request
from .sources import commit_time, named, top_of
from .steps import Steps, fetch_dependencies, free_megabytes
from .tasks import in_order

_VSN = re.compile(r'\{vsn,\s*"([^"]*)"\}')


def run_build(request: Request, check_mode: bool = False, published: Published | None = None) -> dict[str, t.Any]:
    """published: the store that the release goes to. What is there already is not built."""
    started = time.monotonic()
    try:
        with errors_of_the_disk(request), closed_to_others(), git.without_credentials(request.repo) as repo:
            for path, option in request.places:
                refuse_foreign(path, option)
            result = _run(replace(request, repo=repo), check_mode, published)
    except BeamError as exc:
        raise request.mask.error(exc) from None
    result["seconds"] = {**result.get("seconds", {}), "total": round(time.monotonic() - started, 3)}
    return result


def _run(request: Request, check_mode: bool, published: Published | None) -> dict[str, t.Any]:
    if not request.repo:
        # For the whole repository, because another part of it may be built meanwhile.
        with lock_directory(request, top_of(request.project_dir)[0]) as lock:
            return _plan_and_build(request, check_mode, published, (lock,))
    wanted = checkout.resolve(request.repo, request.ref, request.timeout)
    request = replace(request, tag=wanted.tag)
    found = existing.find(request, wanted, published)
    if found is not None:
        return {**found, "ref": wanted.said}
    if check_mode:
        with checkout.rehearse(wanted, request.checkout, request.build_dir, request.allow_dirty, request.timeout) as (wanted, directory):
            there = replace(request, checkout=directory, project_dir=os.path.join(directory, request.subdir) if request.subdir else directory)
            require_project(there.project_dir)
            return {**_plan_and_build(there, True, published, ()), "ref": wanted.said}
    os.makedirs(request.checkout, mode=0o755, exist_ok=True)
    with lock_directory(request, request.checkout) as lock:
        wanted, moved = checkout.fetch(wanted, request.checkout, request.build_dir, request.timeout, (lock,))
        warnings = ["The tag %s" % tag for tag in moved]
        found = existing.find(request, wanted, published)
        if found is None:
            warnings += checkout.check_out(wanted, request.checkout, request.build_dir, request.allow_dirty, request.timeout, (lock,))
            require_project(request.project_dir)
            found = _plan_and_build(request, False, published, (lock,))
    return {**found, "ref": wanted.said, "moved_tags": list(moved), "warnings": [*warnings, *found.get("warnings", [])]}


def _plan_and_build(request: Request, check_mode: bool, published: Published | None, locks: t.Sequence[int]) -> dict[str, t.Any]:
    warnings = [] if check_mode or request.repo else ["A build that was killed had left %s" % left for left in sweep_unfinished(request.build_dir, own=False)]
    plan = make_plan(request)
    if plan.changed:
        found = existing.judge(plan, published)
        if found is not None:
            return {**found, "warnings": warnings}
    if plan.sources.extra:
        warnings.append("No commit has %s: git ignores it, and the release is built with it" % named(plan.sources.extra))
    seconds: dict[str, float] = {}
    record = plan.record
    if plan.changed and not check_mode:
        with lock_build_dir(request) as lock:
            record, seconds = _build(plan, (*locks, lock))
    elif plan.changed:
        needs.require(plan)
    # An empty time means that the index knew it already.
    if plan.seconds and record is not None and plan.key is not None and not check_mode:
        index.remember(request.build_dir, plan.key, plan.document)
    if plan.seconds:
        seconds = {"info": round(plan.seconds, 3), **seconds}
    return {"changed": plan.changed, **describe_result(plan, record), "diff": plan.diff(), "seconds": seconds, "warnings": warnings}


@contextlib.contextmanager
def errors_of_the_disk(request: Request) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BeamError(
                "disk_full", "the build of %s failed" % request.project_dir,
                "%s (%s has %d MB free)" % (exc.strerror, request.build_dir, free_megabytes(request.build_dir)),
                "Make room, then run it again: what was half built is removed",
            ) from exc
        raise BeamError(
            "build_dir", "%s can't be used" % (exc.filename or request.build_dir), exc.strerror or str(exc),
            "The user of the build must be able to read project_dir and to write to build_dir (in an inventory beam_build_dir and beam_build_output)",
        ) from exc


@contextlib.contextmanager
def lock_directory(request: Request, directory: str) -> t.Iterator[int]:
    """One build of a directory at a time, from the checkout to the tree. Locking a directory writes nothing, so check mode does it too."""
    with _locked(request, os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), directory) as descriptor:
        yield descriptor


@contextlib.contextmanager
def lock_build_dir(request: Request) -> t.Iterator[int]:
    """One build in a build directory at a time."""
    os.makedirs(request.build_dir, mode=0o755, exist_ok=True)
    descriptor = os.open(os.path.join(request.build_dir, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with _locked(request, descriptor, request.build_dir):
        yield descriptor


@contextlib.contextmanager
def _locked(request: Request, descriptor: int, place: str) -> t.Iterator[int]:
    """Mix and git inherit the lock: a build whose module was killed still holds it."""
    try:
        deadline = time.monotonic() + request.timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BeamError(
                        "build_locked", "another build in %s goes on" % place, "it did not end within %d s" % request.timeout,
                        "Wait for it, or look for a mix that hangs",
                    ) from None
                time.sleep(0.2)
        yield descriptor
    finally:
        os.close(descriptor)


def compiled_dir(plan: BuildPlan) -> str:
    """Compiled code of its own for each environment and toolchain: Mix does not notice when only a variable changes."""
    request = plan.request
    parts = [FORMAT, sorted(request.env.items()), sorted(request.compile_env.items()), toolchain.identity(plan.project.toolchain), request.project_dir]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return os.path.join(request.build_dir, "compiled", "%s-%s" % (request.mix_env, key))


def needs_force(plan: BuildPlan, compiled: str) -> bool:
    """Whether Mix would leave stale code of the own applications: it looks at mix.exs and at newer files only.

    Not noticed: a version that mix.exs takes from git, and a changed file with an old time stamp (rsync -a, tar) or one of
    the same second.
    """
    for app, version in plan.project.own_apps.items():
        try:
            with open(os.path.join(compiled, "lib", app, "ebin", app + ".app"), encoding="utf-8") as stream:
                match = _VSN.search(stream.read())
        except FileNotFoundError:
            continue
        if version and match and match.group(1) != version:
            return True
    noted = seen_path(compiled)
    try:
        with open(noted, encoding="ascii") as stream:
            seen = parse_json(stream.read())
        last = int(os.stat(noted).st_mtime)
        if seen["products"]:
            return True  # what the compiler wrote beside the sources was taken away again, and it writes it only when it compiles
        files = seen["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return os.path.isdir(os.path.join(compiled, "lib"))  # a build that was killed: which files it had read is unknown
    root = plan.sources.root
    return any(
        int(os.lstat(os.path.join(root, path)).st_mtime) <= last for path, content in plan.sources.files.items() if files.get(path) != content
    )


def seen_path(compiled: str) -> str:
    return os.path.join(compiled, ".alchemist-sources.json")


def _build(plan: BuildPlan, locks: t.Sequence[int]) -> tuple[BuildRecord, dict[str, float]]:
    request = plan.request
    compiled = compiled_dir(plan)
    if os.path.isdir(compiled) and open_to_others(compiled):
        remove_tree(compiled)
    os.makedirs(compiled, exist_ok=True)
    os.utime(compiled)
    tree.sweep(request.build_dir)
    epoch = commit_time(plan.sources.root) if plan.sources.git.sha else None
    steps = Steps(request, plan.name, compiled, locks, epoch)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=request.build_dir) as scratch:
        # A lock that deps: get changes is somebody's to commit; in a checkout of ours it would only be a change.
        if not request.repo:
            fetch(plan, steps)
        products = Products((plan.sources, *plan.others), request.build_dir, scratch, steps.caches())
        try:
            if request.repo:
                fetch(plan, steps)
            record = _make(plan, steps, products, compiled, scratch)
        finally:
            products.undo()
    tree.prune(request.build_dir, request.keep, plan.tree_of(record.version), compiled)
    return record, steps.seconds


def fetch(plan: BuildPlan, steps: Steps) -> None:
    needs.require(plan, steps)
    if plan.project.fetched:
        fetch_dependencies(steps, plan.project.lockfile)
    needs.require_of_fetched(plan, steps)


def _make(plan: BuildPlan, steps: Steps, products: Products, compiled: str, scratch: str) -> BuildRecord:
    request, fresh = plan.request, os.path.join(scratch, "tree")
    before, after = in_order(request.before, request.after_compile, plan.project.aliases)
    for task in before:
        steps.mix("before", *task)
    force = ["--force"] if request.force or needs_force(plan, compiled) else []
    # Until it is written again, the next build knows that this one did not end.
    remove_tree(seen_path(compiled))
    looked = products.look()
    steps.mix("compile", "compile", *force)
    left = products.written_since(looked)
    for task in after:
        steps.mix("after_compile", *task)
    wanted = ["--version", plan.version] if request.version and plan.version else []
    steps.mix("release", "release", *plan.chosen.argument, "--path", fresh, "--overwrite", "--quiet", *wanted)
    index.write_atomically(seen_path(compiled), json.dumps({"products": left, "files": plan.sources.files}).encode("ascii"))
    record = _finish(plan, fresh, scratch, steps.epoch)
    _publish(plan, fresh, record, scratch)
    return record


def _finish(plan: BuildPlan, fresh: str, scratch: str, epoch: int | None) -> BuildRecord:
    version = check_version(tree.read_version(fresh))
    if plan.version and version != plan.version:
        raise BeamError(
            "version_differs", "mix release made the version %s of %s" % (version, plan.name), "%s was expected" % plan.version,
            "Look at what mix.exs takes its version from; it must say the same each time", step="release",
        )
    tree.tidy_tree(fresh, plan.name, version)
    tree.check_tree(fresh)
    refuse_build_path(fresh, scratch, plan.request.project_dir, plan.project.reads)
    normalize_manifests(fresh, epoch)
    project, git = plan.project, plan.sources.git
    lockfile = os.path.join(plan.request.project_dir, project.lockfile)
    lock = ""
    if os.path.isfile(lockfile):
        with open(lockfile, "rb") as stream:
            lock = hashlib.sha256(stream.read()).hexdigest()
    provenance = Provenance(
        git_sha=git.sha, git_dirty=bool(git.dirty), lock_sha256=lock, fingerprint=plan.fingerprint, mix_env=plan.request.mix_env,
        elixir=project.toolchain.elixir, otp=toolchain.otp_version(project.toolchain),
    )
    return BuildRecord(plan.name, version, scan_tree(fresh), provenance, tuple(sorted(project.own_apps)))


def _publish(plan: BuildPlan, fresh: str, record: BuildRecord, scratch: str) -> None:
    """The tree, then the record: a tree with a record is whole."""
    final = plan.tree_of(record.version)
    remove_tree(record_path(final))
    if os.path.lexists(final):
        os.rename(final, os.path.join(scratch, "old"))
    os.sync()  # a record must never outlive the files that it speaks of
    os.rename(fresh, final)
    index.write_atomically(record_path(final), dump_record(record))

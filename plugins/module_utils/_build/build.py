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

from .._errors import BeamError
from .._release.abi_scan import scan_tree
from .._release.manifest import Provenance
from .._release.names import check_version
from .._release.record import BuildRecord, dump_record, record_path
from . import index, needs, toolchain, tree
from .plan import BuildPlan, describe_result, make_plan
from .request import Request
from .steps import Steps, fetch_dependencies, free_megabytes

_VSN = re.compile(r'\{vsn,\s*"([^"]*)"\}')


def run_build(request: Request, check_mode: bool = False) -> dict[str, t.Any]:
    started = time.monotonic()
    with _errors_of_the_disk(request):
        plan = make_plan(request)
        if plan.changed and not check_mode:
            with _lock(request) as lock:
                # Somebody may have built the same while this one waited for the lock.
                plan = make_plan(request)
                record, seconds = _build(plan, lock) if plan.changed else (plan.record, {})
        else:
            if plan.changed:
                needs.require(plan)
            record, seconds = plan.record, {}
        # An empty time means that the index knew it already.
        if plan.seconds and record is not None and plan.key is not None and not check_mode:
            index.remember(request.build_dir, plan.key, plan.document)
    if plan.seconds:
        seconds = {"info": round(plan.seconds, 3), **seconds}
    return {
        "changed": plan.changed, **describe_result(plan, record), "diff": plan.diff(),
        "seconds": {**seconds, "total": round(time.monotonic() - started, 3)},
    }


@contextlib.contextmanager
def _errors_of_the_disk(request: Request) -> t.Iterator[None]:
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
            "The user of the build must be able to read project_dir and to write to build_dir",
        ) from exc


@contextlib.contextmanager
def _lock(request: Request) -> t.Iterator[int]:
    """One build in a build directory at a time. Mix inherits the lock: a build whose module was killed still holds it."""
    os.makedirs(request.build_dir, mode=0o755, exist_ok=True)
    descriptor = os.open(os.path.join(request.build_dir, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + request.timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BeamError(
                        "build_locked", "another build in %s goes on" % request.build_dir, "it did not end within %d s" % request.timeout,
                        "Wait for it, or look for a mix that hangs",
                    ) from None
                time.sleep(0.2)
        yield descriptor
    finally:
        os.close(descriptor)


def _compiled_dir(plan: BuildPlan) -> str:
    """Compiled code of its own for each environment and toolchain: Mix does not notice when only a variable changes."""
    request = plan.request
    parts = [sorted(request.env.items()), sorted(request.compile_env.items()), toolchain.identity(plan.project.toolchain), request.project_dir]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return os.path.join(request.build_dir, "compiled", "%s-%s" % (request.mix_env, key))


def _needs_force(plan: BuildPlan, compiled: str) -> bool:
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
    seen_path = _seen_path(compiled)
    try:
        with open(seen_path, encoding="ascii") as stream:
            seen = json.load(stream)
        last = int(os.stat(seen_path).st_mtime)
    except (OSError, ValueError):
        return os.path.isdir(os.path.join(compiled, "lib"))  # a build that was killed: nobody knows what it had seen
    root = plan.sources.root
    return any(
        int(os.lstat(os.path.join(root, path)).st_mtime) <= last for path, content in plan.sources.files.items() if seen.get(path) != content
    )


def _seen_path(compiled: str) -> str:
    return os.path.join(compiled, ".alchemist-sources.json")


def _build(plan: BuildPlan, lock: int) -> tuple[BuildRecord, dict[str, float]]:
    request = plan.request
    compiled = _compiled_dir(plan)
    os.makedirs(compiled, exist_ok=True)
    os.utime(compiled)
    tree.sweep(request.build_dir)
    steps = Steps(request, plan.name, compiled, lock)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=request.build_dir) as scratch:
        fresh = os.path.join(scratch, "tree")
        needs.require(plan, steps)
        if plan.project.fetched:
            fetch_dependencies(steps, plan.project.lockfile)
        needs.require_of_fetched(plan, steps)
        for task in plan.request.before:
            steps.mix("before", *task)
        force = ["--force"] if request.force or _needs_force(plan, compiled) else []
        # Until it is written again, the next build knows that this one did not end.
        tree.remove(_seen_path(compiled))
        steps.mix("compile", "compile", *force)
        wanted = ["--version", plan.version] if request.version and plan.version else []
        steps.mix("release", "release", *plan.chosen.argument, "--path", fresh, "--overwrite", "--quiet", *wanted)
        index.write_atomically(_seen_path(compiled), json.dumps(plan.sources.files).encode("ascii"))
        record = _finish(plan, fresh)
        _publish(plan, fresh, record, scratch)
    tree.prune(request.build_dir, request.keep, plan.tree_of(record.version), compiled)
    return record, steps.seconds


def _finish(plan: BuildPlan, fresh: str) -> BuildRecord:
    version = check_version(tree.read_version(fresh))
    if plan.version and version != plan.version:
        raise BeamError(
            "version_differs", "mix release made the version %s of %s" % (version, plan.name), "%s was expected" % plan.version,
            "Look at what mix.exs takes its version from; it must say the same each time", step="release",
        )
    tree.tidy_tree(fresh, plan.name, version)
    tree.check_tree(fresh)
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
    tree.remove(record_path(final))
    if os.path.lexists(final):
        os.rename(final, os.path.join(scratch, "old"))
    os.sync()  # a record must never outlive the files that it speaks of
    os.rename(fresh, final)
    index.write_atomically(record_path(final), dump_record(record))

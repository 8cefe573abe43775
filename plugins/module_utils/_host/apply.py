# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Carry out a plan. Whoever calls holds the lock.

Everything new is made in <base>/tmp, brought to the disk by one sync, and then appears by renames. The order is the
guarantee: layers, release, `current`, state; only then is anything removed. A run that dies leaves `current` as it was
or as it will be, and the next one finds what is complete and makes the rest again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import time
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._release.manifest import Manifest
from .._store.base import Store
from .._tree import remove_tree
from .assemble import assemble, repair
from .fetch import Brought, bring_layers
from .files import (
    named_errors,
    open_directory,
    owner_may_write,
    prepare_file,
    prepare_symlink,
    sync_directory,
    sync_file_system,
    write_atomically,
)
from .layout import Layout
from .live import live_versions, mounted_versions
from .plan import Plan
from .present import is_noted


@dataclass
class Applied:
    brought: Brought = field(default_factory=Brought)
    copied: int = 0  # files that could not be linked
    removed: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, step: str) -> t.Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - begun


def apply(
    plan: Plan,
    store: t.Callable[[], Store],
    prove: t.Callable[[Manifest, str], None] = lambda manifest, tree: None,
    apart: bool = False,
) -> Applied:
    """prove: refuses a tree that can't run here, before it appears. apart: see assemble."""
    layout, applied = plan.layout, Applied()
    empty_tmp(layout)
    try:
        if plan.brings:
            _bring_in(plan, t.cast(Manifest, plan.manifest), store, applied, prove, apart)
        verb = "activated" if plan.activate else "deactivated" if plan.deactivate else "noted"
        with named_errors("%s can't be %s" % (plan.version, verb)), applied.timed("switch"):
            _commit(plan)
        if plan.clears:
            with named_errors("what is not needed any more can't be removed"), applied.timed("prune"):
                applied.removed = _clear(plan)
    finally:
        # Its failure must not hide another one; the next run empties it first.
        with contextlib.suppress(BeamError):
            empty_tmp(layout)
    return applied


def empty_tmp(layout: Layout) -> None:
    """What an earlier run left behind is of no use: only whole things were renamed out of here."""
    with named_errors("%s can't be emptied" % layout.tmp):
        for name in os.listdir(layout.tmp):
            remove_tree(posixpath.join(layout.tmp, name))


def _bring_in(
    plan: Plan,
    manifest: Manifest,
    store: t.Callable[[], Store],
    applied: Applied,
    prove: t.Callable[[Manifest, str], None],
    apart: bool,
) -> None:
    layout = plan.layout
    staged = posixpath.join(layout.tmp, "release")
    if plan.fetch:
        with applied.timed("layers"):
            applied.brought = bring_layers(store(), manifest.name, plan.fetch, layout.tmp)
    applied.seconds["fetch"] = applied.brought.fetch_seconds
    applied.seconds["unpack"] = applied.brought.unpack_seconds
    with named_errors("%s can't be staged" % plan.version):
        sources = {layer.sha256: layout.layer(layer.sha256) for layer in manifest.layers}
        sources.update((layer.sha256, posixpath.join(layout.tmp, layer.sha256)) for layer in plan.fetch)
        with applied.timed("assemble"):
            if plan.stage:
                applied.copied = assemble(manifest, sources, staged, apart)
                prove(manifest, staged)
            # Before the layer itself is replaced: a run that dies here leaves a layer that the next one finds rotten, and goes on.
            mends = [(manifest, plan.damaged)] if plan.damaged else []
            for mended, paths in (*mends, *((mend.manifest, mend.paths) for mend in plan.rot.mends)):
                _sync(layout.tmp)  # what is put into a tree that may be running is on the disk before
                repair(mended, paths, sources, layout.release(mended.version), layout.tmp, apart)
        with applied.timed("sync"):
            _sync(layout.tmp)
        with applied.timed("appear"):
            # The manifest first: a release without it would be a stranger to the next run.
            write_atomically(layout.manifest(plan.digest), manifest.to_bytes(), layout.tmp)
            for layer in plan.fetch:
                _replace(posixpath.join(layout.tmp, layer.sha256), layout.layer(layer.sha256), layout.tmp)
            sync_directory(layout.layers)
            if plan.stage:
                os.rename(staged, layout.release(plan.version))
                sync_directory(layout.releases)


def _sync(path: str) -> None:
    handle = open_directory(path)
    try:
        sync_file_system(handle)
    finally:
        os.close(handle)


def _replace(new: str, path: str, tmp: str) -> None:
    """Rename a directory to a place where a damaged one may lie."""
    try:
        os.rename(new, path)
    except OSError as exc:
        if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        owner_may_write(path)
        os.rename(path, posixpath.join(tmp, "damaged-" + posixpath.basename(path)))
        os.rename(new, path)


def _commit(plan: Plan) -> None:
    """Both are ready before the first is renamed, so that a full disk can't come between the switch and its note."""
    layout, after = plan.layout, plan.after_switch
    state = None if is_noted(layout, after) else prepare_file(layout.state, after.to_bytes(), layout.tmp)
    if plan.activate:
        os.rename(prepare_symlink(layout.link, posixpath.join("releases", plan.version), layout.tmp), layout.link)
    elif plan.deactivate:
        os.unlink(layout.link)
    if state is not None:
        os.rename(state, layout.state)
    if state is not None or plan.activate or plan.deactivate:
        sync_directory(layout.base)


def _clear(plan: Plan) -> tuple[str, ...]:
    """Remove versions and layers; what came into use since the plan was made stays."""
    layout = plan.layout
    used = live_versions(layout) | mounted_versions(layout) if plan.remove else frozenset()
    removed = tuple(version for version in plan.remove if version not in used)
    for version in removed:
        _take_away(layout.release(version), posixpath.join(layout.tmp, "gone-" + version))
    after = plan.after_switch.without(removed)
    if plan.orphans:
        _remove_manifests(layout, set(plan.orphans) - {release.digest for release in after.installed.values()})
    named = {sha256 for release in after.installed.values() for sha256 in release.layers}
    for sha256 in plan.garbage:
        if sha256 not in named:
            _take_away(posixpath.join(layout.layers, sha256), posixpath.join(layout.tmp, "gone-" + sha256))
    if after != plan.after_switch:
        write_atomically(layout.state, after.to_bytes(), layout.tmp)
    return removed


def _remove_manifests(layout: Layout, digests: t.Iterable[str]) -> None:
    for digest in digests:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(layout.manifest(digest))


def _take_away(path: str, aside: str) -> None:
    """Renamed away at once, then removed: nobody ever sees a part of it."""
    try:
        owner_may_write(path)
        os.rename(path, aside)
    except FileNotFoundError:
        return
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        # An overlay can't rename a directory of its lower layer.
        remove_tree(path)
        return
    remove_tree(aside)

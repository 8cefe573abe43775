# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What an installation will do, worked out before anything is touched. Check mode shows it; apply carries it out."""

from __future__ import annotations

import os
import posixpath
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._release.manifest import Layer, Manifest, parents_of
from .assemble import is_own
from .layout import Layout
from .live import live_versions, mounted_versions
from .present import layers_on_disk, read_current, read_pointers, versions_on_disk
from .resolve import Resolved, manifests_on_disk
from .rot import Rot, find_rot
from .state import Installed, State
from .verify import Reading, damaged_files

_BLOCK = 4096  # a file or directory takes at least this much
MIB = 1024 * 1024


@dataclass(frozen=True)
class Space:
    need_bytes: int = 0
    need_inodes: int = 0
    free_bytes: int = 0
    free_inodes: int | None = None  # None: the file system does not count them


@dataclass(frozen=True)
class Plan:
    layout: Layout
    version: str
    digest: str
    current: str | None  # what the pointer points at now
    before: State
    after_switch: State  # what is noted together with the switch: what will be removed is still there
    manifest: Manifest | None = None  # None where nothing is installed
    stage: bool = False  # the tree is not there yet
    damaged: tuple[str, ...] = ()  # files of a staged release that are put right
    fetch: tuple[Layer, ...] = ()
    reuse: tuple[Layer, ...] = ()
    rot: Rot = Rot()  # its layers are among those that are fetched
    activate: bool = False
    remove: tuple[str, ...] = ()  # versions
    garbage: tuple[str, ...] = ()  # layers that no release refers to any more
    orphans: tuple[str, ...] = ()  # digests of manifests without a release
    space: Space = Space()
    layers_here: int = 0
    deactivate: bool = False  # the pointer goes away
    pointers: t.Mapping[str, str] = field(default_factory=dict)  # all of them, as they are now

    @property
    def changed(self) -> bool:
        return bool(self.brings or self.activate or self.deactivate or self.clears)

    @property
    def clears(self) -> bool:
        return bool(self.remove or self.garbage or self.orphans)

    @property
    def brings(self) -> bool:
        return bool(self.stage or self.damaged or self.rot.layers)

    @property
    def after(self) -> State:
        return self.after_switch.without(self.remove)

    @property
    def fetch_bytes(self) -> int:
        return sum(layer.size for layer in self.fetch)

    @property
    def current_after(self) -> str | None:
        return None if self.deactivate else self.version if self.activate else self.current

    @property
    def pointers_after(self) -> dict[str, str]:
        after = {**self.pointers, self.layout.pointer: self.current_after}
        return {name: version for name, version in after.items() if version is not None}

    def diff(self) -> dict[str, t.Any]:
        def side(current: str | None, state: State, layers: int) -> dict[str, t.Any]:
            return {
                self.layout.pointer: current,
                "previous": state.previous,
                "releases": sorted(state.installed),
                "layers": layers,
            }

        added = len(self.fetch) - len(self.rot.layers) if self.stage else 0
        after = side(self.current_after, self.after, self.layers_here + added - len(self.garbage))
        if self.fetch:
            after["fetch"] = "%d layers, %d bytes" % (len(self.fetch), self.fetch_bytes)
        if self.brings:
            after["disk"] = "%d MiB needed, %d MiB free" % (
                -(-self.space.need_bytes // MIB),
                self.space.free_bytes // MIB,
            )
        if self.damaged:
            after["repaired"] = list(self.damaged)
        if self.rot.layers:
            after["rotten"] = list(self.rot.files)
        return {
            "before": side(self.current, self.before, self.layers_here),
            "after": after,
            "before_header": self.layout.base,
            "after_header": self.layout.base,
        }


def plan_install(
    layout: Layout,
    state: State,
    resolved: Resolved,
    channel: str | None,
    now: str,
    activate: bool = False,
    keep: int = 5,
    min_free_mb: int = 0,
    verify: bool = False,
    apart: bool = False,
    reading: Reading | None = None,
) -> Plan:
    """reading: what this run has read already."""
    reading = reading or Reading()
    manifest, version, digest = resolved.manifest, resolved.manifest.version, resolved.digest
    current, pointers = read_current(layout), read_pointers(layout)
    layers = _distinct(manifest)
    installed = state.installed.get(version)
    _refuse_other(layout, version, digest, installed)
    switch = activate and current != version
    damaged: tuple[str, ...] = ()
    looked_at, wanted = layers, layers  # read, and needed for what is made
    if installed is not None:
        # Whatever is about to serve is read once more, however long ago it was staged.
        damaged = damaged_files(manifest, layout.release(version), verify or switch, reading)
        wanted = _layers_of(manifest, damaged, layers)
        looked_at = layers if verify or switch else wanted
    rot = find_rot(layout, state, looked_at, version, reading)
    lacking = {layer.sha256 for layer in wanted} - layers_on_disk(layout) | {layer.sha256 for layer in rot.layers}
    fetch = tuple(layer for layer in layers if layer.sha256 in lacking)
    after = state
    if installed is None:
        after = after.with_release(version, Installed(digest, now, tuple(layer.sha256 for layer in layers)))
    if activate and layout.pointer == "current":
        after = after.activated(version, current)
    if channel is not None and resolved.seen is not None:
        after = after.saw(channel, resolved.seen)
    remove = _to_prune(
        layout, after, keep, version, {current, version if switch else current, after.previous, *pointers.values()}
    )
    space = _space(layout, manifest if installed is None else None, fetch, apart)
    if installed is None or damaged or rot.layers:
        _refuse_full(layout, version, space, min_free_mb)
    return Plan(
        layout,
        version,
        digest,
        current,
        state,
        after,
        manifest,
        installed is None,
        damaged,
        fetch,
        tuple(layer for layer in layers if layer.sha256 not in lacking) if installed is None else (),
        rot,
        switch,
        remove,
        _garbage(layout, after.without(remove)),
        _orphans(layout, after.without(remove)),
        space,
        len(layers_on_disk(layout)),
        pointers=pointers,
    )


def plan_deactivation(layout: Layout, state: State) -> Plan:
    """Point at nothing, as before the first activation. The releases stay."""
    current = read_current(layout)
    after = state.deactivated() if layout.pointer == "current" else state
    return Plan(
        layout,
        current or "",
        "",
        current,
        state,
        after,
        pointers=read_pointers(layout),
        deactivate=os.path.lexists(layout.link),
        layers_here=len(layers_on_disk(layout)),
    )


def plan_removal(layout: Layout, state: State, version: str | None, digest: str | None) -> Plan:
    """Remove one version. A version that is not there is no error."""
    if version is None:
        version = next((v for v, release in state.installed.items() if release.digest == digest), "")
    current, pointers = read_current(layout), read_pointers(layout)
    if version not in versions_on_disk(layout):  # a removal that was killed may have left what only it needed
        return Plan(
            layout,
            version,
            digest or "",
            current,
            state,
            state,
            pointers=pointers,
            garbage=_garbage(layout, state),
            orphans=_orphans(layout, state),
            layers_here=len(layers_on_disk(layout)),
        )
    label = "%s %s is not removed" % (state.name, version)
    pointing = sorted(name for name, pointed in pointers.items() if pointed == version)
    if pointing:
        why = "%s points at it" % posixpath.join(layout.base, pointing[0])
        raise BeamError(
            "release_current",
            label,
            why,
            "Activate another version first, or take the pointer away (alchemist.beam.release_install with state: inactive)",
        )
    if version in live_versions(layout):
        raise BeamError(
            "release_in_use",
            label,
            "a running process still uses it",
            "Restart what runs with the version that is current",
        )
    if version in mounted_versions(layout):
        raise BeamError("mount_below", label, "a file system is mounted in it", "Unmount it first")
    known = state.installed.get(version)
    return Plan(
        layout,
        version,
        known.digest if known else "",
        current,
        state,
        state,
        remove=(version,),
        pointers=pointers,
        garbage=_garbage(layout, state.without([version])),
        orphans=_orphans(layout, state.without([version])),
        layers_here=len(layers_on_disk(layout)),
    )


def _distinct(manifest: Manifest) -> tuple[Layer, ...]:
    """Each archive once. The same bytes can't hold different files."""
    found: dict[str, Layer] = {}
    for layer in manifest.layers:
        known = found.setdefault(layer.sha256, layer)
        if (known.size, known.files) != (layer.size, layer.files):
            raise BeamError(
                "manifest_invalid",
                "the manifest of %s %s can't be used" % (manifest.name, manifest.version),
                "it says two things about the layer %s" % layer.sha256[:12],
                "Publish the release again",
            )
    return tuple(found.values())


def _refuse_other(layout: Layout, version: str, digest: str, installed: Installed | None) -> None:
    path = layout.release(version)
    if installed is not None:
        if installed.digest != digest:
            raise BeamError(
                "version_differs",
                "%s can't be installed" % version,
                "another release of the same version is in %s (digest %s, not %s)"
                % (path, installed.digest[:12], digest[:12]),
                "A version never changes: publish under a new one, or remove this one first (alchemist.beam.release_install with state: absent)",
                installed=installed.digest,
                wanted=digest,
            )
    elif os.path.lexists(path):
        raise BeamError(
            "release_unknown",
            "%s can't be installed" % version,
            "%s exists, and was not put there by release_install" % path,
            "Move it away, or remove it (alchemist.beam.release_install with state: absent)",
        )


def _layers_of(manifest: Manifest, damaged: t.Collection[str], layers: t.Iterable[Layer]) -> tuple[Layer, ...]:
    """Those that hold damaged files. Links share their content with the layer: what was written to in the tree is damaged in the layer, too."""
    bad = set(damaged)
    touched = {
        layer.sha256
        for layer in manifest.layers
        if any((layer.prefix + "/" if layer.prefix else "") + file.path in bad for file in layer.files)
    }
    return tuple(layer for layer in layers if layer.sha256 in touched)


def _to_prune(
    layout: Layout, state: State, keep: int, version: str, roots: t.Collection[str | None]
) -> tuple[str, ...]:
    newest = sorted(state.installed, key=lambda v: (v == version, state.installed[v].at, v), reverse=True)
    kept = set(newest[: max(keep, 1)]) | {root for root in roots if root}
    candidates = [v for v in newest if v not in kept]
    if not candidates:
        return ()
    # Only now, because looking at every process is the dearest part.
    used = live_versions(layout) | mounted_versions(layout)
    return tuple(sorted(v for v in candidates if v not in used))


def _garbage(layout: Layout, after: State) -> tuple[str, ...]:
    """Layers on the disk that no remaining release names."""
    named = {sha256 for release in after.installed.values() for sha256 in release.layers}
    return tuple(sorted(layers_on_disk(layout) - named))


def _orphans(layout: Layout, after: State) -> tuple[str, ...]:
    """Digests of the manifests on the disk that no remaining release has."""
    return tuple(sorted(manifests_on_disk(layout) - {release.digest for release in after.installed.values()}))


def _space(layout: Layout, manifest: Manifest | None, fetch: t.Collection[Layer], apart: bool) -> Space:
    files = [file for layer in fetch for file in layer.files]
    if apart and manifest is not None:
        files += [file for path, file in manifest.files().items() if is_own(path)]  # which are copied
    need = sum(file.size + -file.size % _BLOCK for file in files)
    directories = 2 * sum(len(parents_of(file.path for file in layer.files)) for layer in fetch) + len(fetch)
    if manifest is not None:
        directories += len(manifest.parents()) + len(manifest.directories) + 8
    path = layout.base
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    info = os.statvfs(path)
    if info.f_flag & os.ST_RDONLY:
        raise BeamError(
            "disk_read_only",
            "%s can't be used" % layout.base,
            "its file system is read-only",
            "Mount it read-write, or choose another base",
        )
    if info.f_flag & os.ST_NOEXEC:
        raise BeamError(
            "disk_noexec",
            "%s can't be used" % layout.base,
            "its file system is mounted noexec, so no release could start from it",
            "Mount it without noexec, or choose another base",
        )
    return Space(
        need + directories * _BLOCK,
        len(files) + directories,
        info.f_bavail * info.f_frsize,
        info.f_favail if info.f_files else None,
    )


def _refuse_full(layout: Layout, version: str, space: Space, min_free_mb: int) -> None:
    label = "%s is not installed in %s" % (version, layout.base)
    hint = "Free some space, keep fewer releases, or lower min_free_mb (in an inventory beam_min_free_mb)"
    if space.need_bytes + min_free_mb * MIB > space.free_bytes:
        raise BeamError(
            "disk_too_small",
            label,
            "it needs %d MiB, %d MiB shall stay free, and %d MiB are free"
            % (-(-space.need_bytes // MIB), min_free_mb, space.free_bytes // MIB),
            hint,
            need=space.need_bytes,
            free=space.free_bytes,
        )
    if space.free_inodes is not None and space.need_inodes > space.free_inodes:
        raise BeamError(
            "disk_too_small",
            label,
            "it needs %d inodes, and %d are free" % (space.need_inodes, space.free_inodes),
            hint,
            need_inodes=space.need_inodes,
            free_inodes=space.free_inodes,
        )

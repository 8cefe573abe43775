# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Publishing a tree: what has to be sent (a plan, which only reads), and sending it."""

from __future__ import annotations

import io
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from .._errors import BeamError, Conflict, NotFound
from .._release.abi import Abi
from .._release.layers import Group, content_key, cut_layers, layer_content_key
from .._release.manifest import Layer, Manifest, Provenance
from .._release.names import check_name, check_version
from .._release.pack import pack
from .._release.tree import Tree
from .base import Stat, Store
from .check import prove_conditions
from .documents import Version, pack_manifest, read_manifest, read_version
from .keys import layer_key, manifest_key, prefix, version_key
from .parallel import parallel
from .refusal import refuse_other_content

# How many of the newest manifests are searched for layers to use again.
MANIFESTS_SEARCHED = 2
# An unreferenced layer that is older than this may be collected at any moment: it is written again, so that it is young.
STALE_SECONDS = 12 * 3600
FILES_SHOWN = 50  # of those in a diff


@dataclass(frozen=True)
class PublishPlan:
    name: str
    version: str
    tree: Tree
    abi: Abi
    provenance: Provenance
    published: Version | None = None  # the same content is there already
    manifest: Manifest | None = None  # of what is there already
    groups: tuple[Group, ...] = ()
    reused: t.Mapping[int, Layer] = field(default_factory=dict)  # index of a group -> layer of the same content in the store
    stored: t.Mapping[str, Stat] = field(default_factory=dict)  # sha256 -> layer in the store
    compared_with: str = ""  # the version whose layers are used again
    fresh: tuple[str, ...] = ()  # files with a content that none of the newest releases has

    @property
    def changed(self) -> bool:
        return self.published is None

    @property
    def missing(self) -> list[int]:
        return [index for index in range(len(self.groups)) if index not in self.reused]

    def describe(self) -> str:
        """For people: the after side of a diff."""
        raw = sum(f.size for index in self.missing for f in self.groups[index].files)
        lines = [
            "release: %s %s" % (self.name, self.version), "files: %d" % len(self.tree.files), "bytes: %d" % self.tree.size,
            "layers: %d" % len(self.groups), "layers to send: %d (%d bytes before packing)" % (len(self.missing), raw),
            "files with new content: %d" % len(self.fresh),
        ]
        if self.compared_with:
            lines.append("layers shared with: %s" % self.compared_with)
        lines += ["  %s" % path for path in self.fresh[:FILES_SHOWN]]
        if len(self.fresh) > FILES_SHOWN:
            lines.append("  ... %d files in all" % len(self.fresh))
        lines += ["left out: %s" % path for path in self.tree.left_out]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Published:
    version: Version
    manifest: Manifest
    layers_sent: int = 0
    bytes_sent: int = 0
    changed: bool = True


def plan_publish(
    store: Store, name: str, version: str, scan: t.Callable[[], Tree], abi: Abi, provenance: Provenance, own_apps: t.Container[str],
) -> PublishPlan:
    """scan reads the tree; it runs while the store is asked."""
    check_name(name)
    check_version(version)
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(_ask, store, name, version)
        tree = scan()
        published, manifests, stored = asked.result()
    if published is not None:
        refuse_other_content(store, tree, provenance, manifests[0])
        return PublishPlan(name, version, tree, abi, provenance, published, manifests[0])
    groups = tuple(cut_layers(tree.files, own_apps))
    known = {layer_content_key(layer): layer for manifest in reversed(manifests) for layer in manifest.layers if _is_stored(layer, stored)}
    reused = {}
    for index, group in enumerate(groups):
        layer = known.get(content_key(group.files))
        if layer is not None:
            reused[index] = replace(layer, prefix=group.prefix)
    seen = {f.sha256 for manifest in manifests for layer in manifest.layers for f in layer.files}
    return PublishPlan(
        name, version, tree, abi, provenance, groups=groups, reused=reused, stored=stored,
        compared_with=manifests[0].version if manifests and reused else "", fresh=tuple(f.path for f in tree.files if f.sha256 not in seen),
    )


def _is_stored(layer: Layer, stored: t.Mapping[str, Stat]) -> bool:
    return layer.sha256 in stored and stored[layer.sha256].size == layer.size


def _ask(store: Store, name: str, version: str) -> tuple[Version | None, list[Manifest], dict[str, Stat]]:
    """What is published as this version with its manifest; or else the newest manifests, and all layers."""
    published = read_version(store, name, version)
    if published is not None:
        return published, [read_manifest(store, name, published.digest)], {}
    stored, rows = parallel(lambda kind: list(store.list(prefix(name, kind))), ("layers", "manifests"))
    newest = sorted((s for s in rows if s.key.endswith(".json.gz")), key=lambda s: s.modified, reverse=True)[:MANIFESTS_SEARCHED]

    def read(row: Stat) -> Manifest | None:
        try:
            return read_manifest(store, name, row.key.rsplit("/", 1)[1][: -len(".json.gz")])
        except NotFound:  # removed meanwhile
            return None

    return None, [m for m in parallel(read, newest) if m is not None], _by_sha256(stored)


def _by_sha256(rows: t.Iterable[Stat]) -> dict[str, Stat]:
    return {row.key.rsplit("/", 1)[1][: -len(".tar.gz")]: row for row in rows if row.key.endswith(".tar.gz")}


def apply_publish(store: Store, plan: PublishPlan) -> Published:
    """The order is the guarantee: layers, manifest, version. Dying anywhere leaves nothing that a reader could see."""
    if plan.published is not None and plan.manifest is not None:
        return Published(plan.published, plan.manifest, changed=False)
    prove_conditions(store)
    sender = _Sender(store, plan)
    layers = dict(plan.reused)
    layers.update(zip(plan.missing, parallel(sender.send, plan.missing)))
    if plan.reused:
        # What another publish or a removal did meanwhile: a layer that we count on may be gone.
        there = _by_sha256(store.list(prefix(plan.name, "layers")))
        gone = [index for index, layer in layers.items() if layer.sha256 not in there]
        layers.update(zip(gone, parallel(sender.send_again, gone)))
    manifest = Manifest(
        plan.name, plan.version, plan.abi, plan.provenance, tuple(layers[index] for index in range(len(plan.groups))), plan.tree.directories,
    )
    version = Version(plan.name, plan.version, manifest.digest)
    data = pack_manifest(manifest.to_bytes())
    if store.put_if_absent(manifest_key(plan.name, version.digest), data, len(data)):
        sender.bytes_sent += len(data)
    else:
        read_manifest(store, plan.name, version.digest)  # what is there has to be it
    pointer = version.to_bytes()
    if store.put_if_absent(version_key(plan.name, plan.version), pointer, len(pointer)):
        return Published(version, manifest, sender.count, sender.bytes_sent + len(pointer))
    return _lost_race(store, plan, version, manifest, sender)


def _lost_race(store: Store, plan: PublishPlan, mine: Version, manifest: Manifest, sender: _Sender) -> Published:
    """Somebody published the version while we did: with the same content all is well, with another it is refused."""
    winner = read_version(store, plan.name, plan.version)
    if winner is None:
        raise Conflict(
            "version_removed", "%s %s can't be published" % (plan.name, plan.version), "it was published and removed by somebody else meanwhile",
            "Run the task again",
        )
    if winner.digest != mine.digest:
        manifest = read_manifest(store, plan.name, winner.digest)
        refuse_other_content(store, plan.tree, plan.provenance, manifest)
    return Published(winner, manifest, sender.count, sender.bytes_sent, changed=sender.count > 0)


class _Sender:
    def __init__(self, store: Store, plan: PublishPlan) -> None:
        self.store = store
        self.plan = plan
        self.count = 0
        self.bytes_sent = 0
        self.lock = threading.Lock()

    def send_again(self, index: int) -> Layer:
        return self.send(index, {})

    def send(self, index: int, stored_layers: t.Mapping[str, Stat] | None = None) -> Layer:
        """Pack the group, and write the layer where the store lacks it."""
        group = self.plan.groups[index]
        packed = pack(self.plan.tree.root, group.prefix, group.files)
        with packed.data:
            key = layer_key(self.plan.name, packed.layer.sha256)
            stored = (self.plan.stored if stored_layers is None else stored_layers).get(packed.layer.sha256)
            if stored is not None and stored.size != packed.layer.size:
                raise BeamError(
                    "layer_corrupt", "the layer %s in the store %s can't be used" % (packed.layer.sha256[:12], self.store.location),
                    "it has %d bytes, and not %d" % (stored.size, packed.layer.size), "Find out who changed the store; remove that object",
                )
            if stored is None:
                written = self.store.put_if_absent(key, packed.data, packed.layer.size)
            elif time.time() - stored.modified > STALE_SECONDS:
                written = self._renew(key, packed.data, packed.layer.size)
            else:
                written = False
        if written:
            with self.lock:
                self.count += 1
                self.bytes_sent += packed.layer.size
        return packed.layer

    def _renew(self, key: str, data: t.BinaryIO, size: int) -> bool:
        stat = self.store.stat(key)
        content = data.read()
        try:
            self.store.replace(key, content, stat.etag if stat else None)
        except Conflict:  # collected, or renewed by somebody else, just now
            return self.store.put_if_absent(key, io.BytesIO(content), size)
        return True

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Publishing a tree: what has to be sent (a plan, which only reads), and sending it."""

from __future__ import annotations

import hashlib
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from .._deadline import carry
from .._errors import BeamError, Conflict, NotFound
from .._release.abi import Abi
from .._release.layers import Group, content_key, cut_layers, layer_content_key
from .._release.manifest import Layer, Manifest, Provenance, parse_manifest
from .._release.names import check_name, check_version
from .._release.tree import Tree
from .base import Stat, Store
from .check import prove_conditions
from .documents import UNREADABLE, Version, pack_manifest, read_manifest, read_version
from .intact import confirm, damaged_layers
from .keys import digests_in, manifest_key, prefix, version_key
from .parallel import parallel
from .refusal import refuse_other_content
from .send import Sender

# How many of the newest manifests are searched for layers to use again.
MANIFESTS_SEARCHED = 2
# Of those that can't be read, which are passed over: no more than so many.
MANIFESTS_TRIED = 8
# What is wrong with a manifest whose right bytes may be written again.
_RESTORABLE = ("release_missing", "manifest_corrupt", "store_object_too_large")
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
    reused: t.Mapping[int, Layer] = field(
        default_factory=dict
    )  # index of a group -> layer of the same content in the store
    stored: t.Mapping[str, Stat] = field(default_factory=dict)  # sha256 -> layer in the store
    compared_with: str = ""  # the version whose layers are used again
    fresh: tuple[str, ...] = ()  # files with a content that none of the newest releases has
    damaged: t.Mapping[str, str] = field(
        default_factory=dict
    )  # sha256 -> what is wrong with a layer that could have been used as it is
    restores: Version | None = None  # it is published, but its manifest is not there, or is not what was written
    thorough: bool = False
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.published is None or bool(self.damaged)

    @property
    def missing(self) -> list[int]:
        return [index for index in range(len(self.groups)) if index not in self.reused]

    def describe(self) -> str:
        """For people: the after side of a diff."""
        raw = sum(f.size for index in self.missing for f in self.groups[index].files)
        lines = [
            "release: %s %s" % (self.name, self.version),
            "files: %d" % len(self.tree.files),
            "bytes: %d" % self.tree.size,
            "layers: %d" % len(self.groups),
            "layers to send: %d (%d bytes before packing)" % (len(self.missing), raw),
            "files with new content: %d" % len(self.fresh),
        ]
        lines += [
            "damaged in the store: the layer %s: %s" % (sha256[:12], why)
            for sha256, why in sorted(self.damaged.items())
        ]
        if self.restores:
            lines.append("damaged in the store: the manifest %s" % self.restores.digest[:12])
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
    repaired: int = 0  # objects that were wrong in the store, and are right now
    notes: tuple[str, ...] = ()  # objects that were wrong in the store, and how they were repaired


def plan_publish(
    store: Store,
    name: str,
    version: str,
    scan: t.Callable[[], Tree],
    abi: Abi,
    provenance: Provenance,
    own_apps: t.Container[str],
    thorough: bool = False,
) -> PublishPlan:
    """scan reads the tree; it runs while the store is asked. thorough: every existing byte is read, whatever the store has recorded about it."""
    check_name(name)
    check_version(version)
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(carry(_ask), store, name, version, thorough)
        tree = scan()
        there = asked.result()
    manifests = there.manifests
    if there.published is not None and there.restores is None:
        refuse_other_content(store, tree, provenance, manifests[0])
        return PublishPlan(
            name,
            version,
            tree,
            abi,
            provenance,
            there.published,
            manifests[0],
            damaged=there.damaged,
            thorough=thorough,
        )
    groups = tuple(cut_layers(tree.files, own_apps))
    known = {
        layer_content_key(layer): layer
        for manifest in reversed(manifests)
        for layer in manifest.layers
        if layer.sha256 in there.stored
    }
    keys = [content_key(group.files) for group in groups]
    damaged = damaged_layers(store, name, [known[key] for key in keys if key in known], thorough)
    reused = {
        index: replace(known[key], prefix=groups[index].prefix)
        for index, key in enumerate(keys)
        if key in known and known[key].sha256 not in damaged
    }
    seen = {f.sha256 for manifest in manifests for layer in manifest.layers for f in layer.files}
    return PublishPlan(
        name,
        version,
        tree,
        abi,
        provenance,
        groups=groups,
        reused=reused,
        stored=there.stored,
        damaged=damaged,
        restores=there.restores,
        thorough=thorough,
        notes=there.notes,
        compared_with=manifests[0].version if manifests and reused else "",
        fresh=tuple(f.path for f in tree.files if f.sha256 not in seen),
    )


@dataclass(frozen=True)
class _There:
    """What the store has: this version, its manifest and what is wrong with its layers; or else the newest manifests, and all layers."""

    published: Version | None = None
    manifests: t.Sequence[Manifest] = ()
    stored: t.Mapping[str, Stat] = field(default_factory=dict)
    damaged: t.Mapping[str, str] = field(default_factory=dict)
    restores: Version | None = None
    notes: tuple[str, ...] = ()


def _ask(store: Store, name: str, version: str, thorough: bool) -> _There:
    published = read_version(store, name, version)
    if published is not None:
        try:
            manifest = read_manifest(store, name, published.digest)
            return _There(published, [manifest], damaged=damaged_layers(store, name, manifest.layers, thorough))
        except BeamError as exc:
            if exc.code not in _RESTORABLE:
                raise
    stored, rows = parallel(lambda kind: list(store.list(prefix(name, kind))), ("layers", "manifests"))
    manifests, notes = _newest(store, name, rows)
    return _There(published, manifests, _by_sha256(stored), restores=published, notes=notes)


def _newest(store: Store, name: str, rows: t.Iterable[Stat]) -> tuple[list[Manifest], tuple[str, ...]]:
    """The newest manifests that can be read. Anything else that lies there is passed over, and named."""
    digests, junk = digests_in(rows)
    notes = ["%s of the store %s is no manifest: passed over" % (key, store.location) for key in junk[:MANIFESTS_TRIED]]
    found: list[Manifest] = []
    for digest in digests[:MANIFESTS_TRIED]:
        if len(found) == MANIFESTS_SEARCHED:
            break
        try:
            found.append(read_manifest(store, name, digest))
        except NotFound:  # removed meanwhile
            continue
        except BeamError as exc:
            if exc.code not in UNREADABLE:
                raise
            notes.append("%s: passed over" % exc.message)
    return found, tuple(notes)


def _by_sha256(rows: t.Iterable[Stat]) -> dict[str, Stat]:
    return {row.key.rsplit("/", 1)[1][: -len(".tar.gz")]: row for row in rows if row.key.endswith(".tar.gz")}


def _repair(store: Store, plan: PublishPlan, version: Version, manifest: Manifest) -> Published:
    """The release is published; some of its layers are not what was published."""
    prove_conditions(store)
    sender = Sender(store, plan.name, plan.tree, {}, plan.thorough)
    layers = {layer.sha256: layer for layer in manifest.layers if layer.sha256 in plan.damaged}
    parallel(lambda layer: sender.repair(layer, plan.damaged[layer.sha256]), layers.values())
    return Published(
        version,
        manifest,
        sender.count,
        sender.bytes_sent,
        repaired=len(sender.repaired),
        notes=_notes(store, plan, sender),
    )


def _notes(store: Store, plan: PublishPlan, sender: Sender) -> tuple[str, ...]:
    repaired = [
        "%s of the store %s was written again: %s" % (what, store.location, why)
        for what, why in sorted(sender.repaired.items())
    ]
    left = [
        "the layer %s of the store %s is not used, and other releases may need it: %s. Publish those again"
        % (sha256[:12], store.location, why)
        for sha256, why in sorted(plan.damaged.items())
        if "the layer " + sha256[:12] not in sender.repaired and why != "it is missing"
    ]
    return (*plan.notes, *repaired, *left)


def apply_publish(store: Store, plan: PublishPlan) -> Published:
    """The order is the guarantee: layers, manifest, version. Dying anywhere leaves nothing that a reader could see."""
    if plan.published is not None and plan.manifest is not None:
        if plan.damaged:
            return _repair(store, plan, plan.published, plan.manifest)
        return Published(plan.published, plan.manifest, changed=False)
    prove_conditions(store)
    sender = Sender(store, plan.name, plan.tree, plan.stored, plan.thorough)
    layers = dict(plan.reused)
    layers.update(zip(plan.missing, parallel(lambda index: sender.send(plan.groups[index]), plan.missing)))
    if plan.reused:
        # What another publish or a removal did meanwhile: a layer that we count on may be gone.
        there = _by_sha256(store.list(prefix(plan.name, "layers")))
        gone = [index for index, layer in layers.items() if layer.sha256 not in there]
        layers.update(zip(gone, parallel(lambda index: sender.send_again(plan.groups[index]), gone)))
    sent = sender.count
    manifest = Manifest(
        plan.name,
        plan.version,
        plan.abi,
        plan.provenance,
        tuple(layers[index] for index in range(len(plan.groups))),
        plan.tree.directories,
    )
    version = Version(plan.name, plan.version, manifest.digest)
    _refuse_other_digest(store, plan, version)
    _write_manifest(store, plan, version, manifest, sender)
    key, pointer = version_key(plan.name, plan.version), version.to_bytes()
    if not store.put_if_absent(key, pointer, len(pointer)):
        done = _lost_race(store, plan, version, manifest, sender, sent)
        return replace(done, repaired=len(sender.repaired), notes=_notes(store, plan, sender))
    confirm(store, key, len(pointer), hashlib.sha256(pointer).hexdigest())
    return Published(
        version,
        manifest,
        sent,
        sender.bytes_sent + len(pointer),
        True,
        len(sender.repaired),
        _notes(store, plan, sender),
    )


def _refuse_other_digest(store: Store, plan: PublishPlan, version: Version) -> None:
    if plan.restores is None or plan.restores.digest == version.digest:
        return
    raise BeamError(
        "manifest_corrupt",
        "%s %s can't be published" % (plan.name, plan.version),
        "the store %s has that version, but its manifest %s is missing or is not what was written, and this tree makes another one (%s)"
        % (store.location, plan.restores.digest[:12], version.digest[:12]),
        "Publish the very tree that was published as that version, which repairs it, or bump the version; find out who changed the store",
    )


def _write_manifest(store: Store, plan: PublishPlan, version: Version, manifest: Manifest, sender: Sender) -> None:
    plain = manifest.to_bytes()
    parse_manifest(plain, version.digest)  # what no reader would take is not written
    key, data = manifest_key(plan.name, version.digest), pack_manifest(plain)
    if store.put_if_absent(key, data, len(data)):
        confirm(store, key, len(data), hashlib.sha256(data).hexdigest())
        sender.bytes_sent += len(data)
        if plan.restores is not None:
            sender.repaired["the manifest " + version.digest[:12]] = "it is missing"
        return
    try:
        read_manifest(store, plan.name, version.digest)  # what is there has to be it
    except BeamError as exc:
        if exc.code not in _RESTORABLE:
            raise
        sender.document(key, data)
        sender.repaired["the manifest " + version.digest[:12]] = exc.why


def _lost_race(
    store: Store, plan: PublishPlan, mine: Version, manifest: Manifest, sender: Sender, sent: int
) -> Published:
    """Somebody published the version while we did: with the same content all is well, with another it is refused."""
    winner = read_version(store, plan.name, plan.version)
    if winner is None:
        raise Conflict(
            "version_removed",
            "%s %s can't be published" % (plan.name, plan.version),
            "it was published and removed by somebody else meanwhile",
            "Run the task again",
        )
    if winner.digest != mine.digest:
        manifest = read_manifest(store, plan.name, winner.digest)
        refuse_other_content(store, plan.tree, plan.provenance, manifest)
    return Published(winner, manifest, sent, sender.bytes_sent, changed=sender.bytes_sent > 0)

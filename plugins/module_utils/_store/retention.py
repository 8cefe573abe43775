# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Removing releases: one by name, or all but the newest. What a channel points to, a rollout that has not ended needs or a pin
protects is never removed.

A layer is collected when no manifest names it and it has not been written for min_layer_age: a publish writes its layers
before its manifest, so a young layer without one may belong to a publish in flight.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, Conflict, NotFound
from .._release.names import check_channel, check_digest, check_version
from .base import Stat, Store
from .builds import list_builds, pointless
from .channels import list_channels
from .documents import UNREADABLE, Version, read_manifest, read_version
from .keys import digests_in, manifest_key, names_in, prefix, version_key
from .parallel import parallel
from .rollouts import versions_in_rollouts

DAY = 86400
NOTES = 20


@dataclass(frozen=True)
class RemovalPlan:
    name: str
    remove: tuple[Version, ...]
    manifests: tuple[str, ...]  # keys: of those versions, and of publishes that died
    layers: tuple[Stat, ...]  # to be collected
    kept: t.Mapping[str, str]  # version -> why it stays, of those that count or age would have removed
    min_layer_age: float
    builds: tuple[str, ...] = ()  # keys: entries of those versions, and entries that point to nothing
    unreadable: frozenset[str] = frozenset()  # digests of manifests that no version points to and nobody can read
    notes: tuple[str, ...] = ()  # what does not belong where it lies

    @property
    def changed(self) -> bool:
        return bool(self.remove or self.manifests or self.layers or self.builds)

    @property
    def bytes(self) -> int:
        return sum(s.size for s in self.layers)

    def describe(self) -> str:
        lines = ["removed: %s %s" % (self.name, v.version) for v in self.remove]
        lines += ["kept: %s %s (%s)" % (self.name, version, why) for version, why in sorted(self.kept.items())]
        lines.append("layers collected: %d of %d bytes" % (len(self.layers), self.bytes))
        if self.builds:
            lines.append("build entries removed: %d" % len(self.builds))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Listed:
    version: str
    published: float  # seconds since the epoch, by the store's clock


def list_versions(store: Store, name: str) -> list[Listed]:
    """The newest first."""
    good, names, _junk = names_in(store.list(prefix(name, "versions")), ".json", check_version)
    rows = [Listed(version, row.modified) for row, version in zip(good, names)]
    return sorted(rows, key=lambda row: (-row.published, row.version))


def list_pins(store: Store, name: str) -> set[str]:
    return set(names_in(store.list(prefix(name, "pins")), ".json", check_version)[1])


def junk_in(store: Store, name: str) -> list[str]:
    """The keys of objects that don't belong where they are. They are ignored everywhere and never removed, because nobody knows what they are."""
    kinds: dict[str, tuple[str, t.Callable[[str], t.Any]]] = {
        "versions": (".json", check_version),
        "pins": (".json", check_version),
        "channels": (".json", check_channel),
        "locks": (".json", check_channel),
        "journal": (".json", check_channel),
        "layers": (".tar.gz", check_digest),
    }
    found = parallel(lambda kind: names_in(store.list(prefix(name, kind)), *kinds[kind])[2], kinds)
    return [key for junk in (*found, digests_in(store.list(prefix(name, "manifests")))[1]) for key in junk]


def roots(store: Store, name: str) -> dict[str, str]:
    """version -> what protects it."""
    result: dict[str, str] = dict.fromkeys(list_pins(store, name), "it is pinned")
    result.update(versions_in_rollouts(store, name))
    for channel in list_channels(store, name):
        for role in ("candidate", "previous", "stable"):
            target = getattr(channel, role)
            if target:
                result[target.version] = "it is %s on the channel %s" % (role, channel.channel)
    return result


def plan_remove(store: Store, name: str, version: str, min_layer_age: float) -> RemovalPlan:
    found = read_version(store, name, version)
    if found is None:  # a removal that was killed may have left what only it needed
        return _plan(store, name, [], {}, min_layer_age)
    _refuse_root(name, version, roots(store, name))
    return _plan(store, name, [found], {}, min_layer_age)


def _refuse_root(name: str, version: str, protected: t.Mapping[str, str]) -> None:
    if version in protected:
        raise BeamError(
            "release_in_use",
            "%s %s can't be removed" % (name, version),
            protected[version],
            _way_out(protected[version]),
        )


def _way_out(why: str) -> str:
    if "pinned" in why:
        return "Unpin it (release_artifact with pinned: false)"
    return (
        "Run that rollout again, so that it ends"
        if why.startswith(("the rollout", "hosts of"))
        else "Promote another version, twice where it is previous"
    )


def plan_prune(
    store: Store, name: str, keep: int, keep_days: float, min_layer_age: float, now: float | None = None
) -> RemovalPlan:
    """Keeps the `keep` newest versions, those younger than keep_days, and the roots."""
    now = time.time() if now is None else now
    candidates = [row.version for row in list_versions(store, name)[keep:] if now - row.published > keep_days * DAY]
    protected = roots(store, name) if candidates else {}
    kept = {version: protected[version] for version in candidates if version in protected}
    found = parallel(lambda version: read_version(store, name, version), [v for v in candidates if v not in protected])
    return _plan(store, name, [v for v in found if v is not None], kept, min_layer_age)


def _plan(
    store: Store, name: str, remove: list[Version], kept: t.Mapping[str, str], min_layer_age: float
) -> RemovalPlan:
    builds = list_builds(store, name)
    # Layers are listed before manifests: a layer that is written later is not in the list, whoever names it.
    oldest = time.time() - min_layer_age
    layers = [
        s for s in names_in(store.list(prefix(name, "layers")), ".tar.gz", check_digest)[0] if s.modified <= oldest
    ]
    doomed = {v.digest for v in remove}
    manifests = _manifests(store, name)
    there = [
        v
        for v in parallel(lambda row: read_version(store, name, row.version), list_versions(store, name))
        if v is not None
    ]
    pointed = {v.digest for v in there}
    died = {digest for digest, s in manifests.items() if digest not in pointed and s.modified <= oldest}
    referenced, unreadable, notes = _referenced(store, name, set(manifests) - doomed - died, pointed)
    notes += [
        "%s of the store %s does not belong there, and is passed over" % (key, store.location)
        for key in junk_in(store, name)
    ]
    return RemovalPlan(
        name,
        tuple(remove),
        tuple(sorted(manifest_key(name, digest) for digest in (doomed | died) & set(manifests))),
        tuple(s for s in layers if _digest(s.key) not in referenced),
        dict(kept),
        min_layer_age,
        tuple(pointless(builds, {v.version: v.digest for v in there if v not in remove})),
        unreadable,
        tuple(notes[:NOTES]),
    )


def _manifests(store: Store, name: str) -> dict[str, Stat]:
    good, digests, _junk = names_in(store.list(prefix(name, "manifests")), ".json.gz", check_digest)
    return dict(zip(digests, good))


def _digest(key: str) -> str:
    return key.rsplit("/", 1)[1].split(".", 1)[0]


def _referenced(
    store: Store,
    name: str,
    digests: t.Iterable[str],
    pointed: t.Container[str],
) -> tuple[set[str], frozenset[str], list[str]]:
    """All layers of these manifests; those that can't be read, and that no version points to; and notes of them.

    One that a version points to and that can't be read ends it: what it names must not be collected.
    """

    def layers(digest: str) -> set[str] | str:
        try:
            return {layer.sha256 for layer in read_manifest(store, name, digest).layers}
        except NotFound:
            return set()
        except BeamError as exc:
            if exc.code not in UNREADABLE or digest in pointed:
                raise
            return "%s: passed over, as no version points to it" % exc.what

    wanted = sorted(digests)
    found = dict(zip(wanted, parallel(layers, wanted)))
    named: set[str] = set().union(*(row for row in found.values() if isinstance(row, set)))
    notes = {digest: row for digest, row in found.items() if isinstance(row, str)}
    return named, frozenset(notes), list(notes.values())


def apply_remove(store: Store, plan: RemovalPlan) -> None:
    """Backwards: the version first, so that nobody finds the release, then what points to it, then its manifest, then layers."""
    # Also where there is nothing to remove: a writer that was killed long ago is no publish in flight.
    store.sweep(plan.name + "/", DAY)
    if not plan.changed:
        return
    for version in plan.remove:
        key = version_key(plan.name, version.version)
        store.delete(key)
        # A promotion that looked just before us may have written its channel by now; one that comes later finds nothing.
        protected = roots(store, plan.name)
        if version.version in protected:
            data = version.to_bytes()
            store.put_if_absent(key, data, len(data))
            raise Conflict(
                "release_in_use",
                "%s %s was not removed" % (plan.name, version.version),
                "meanwhile " + protected[version.version],
                "Look whether that is right",
            )
    parallel(store.delete, plan.builds)
    manifests = list(plan.manifests)
    for key in plan.manifests:  # with its signature
        manifests += [s.key for s in store.list(key[: -len(".gz")]) if s.key not in manifests]
    parallel(store.delete, manifests)
    _collect(store, plan)


def _collect(store: Store, plan: RemovalPlan) -> None:
    known = {_digest(key) for key in plan.manifests}
    now = set(_manifests(store, plan.name)) - known - plan.unreadable
    referenced = _referenced(store, plan.name, now, now)[0]
    oldest = time.time() - plan.min_layer_age

    def collect(row: Stat) -> None:
        stat = store.stat(row.key)
        if stat is not None and stat.modified <= oldest:  # not renewed by a publish since
            store.delete(row.key)

    parallel(collect, [row for row in plan.layers if _digest(row.key) not in referenced])

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which release is meant: from a channel, a version or a digest to a manifest that can be trusted."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, NotFound
from .._release.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from .._release.names import check_digest, check_version, is_digest
from .._store.base import Store
from .._store.documents import need_version, read_channel, read_manifest
from .layout import Layout
from .state import Seen, State


@dataclass(frozen=True)
class Wanted:
    """Exactly one of channel, version and digest is given."""

    name: str
    channel: str | None = None
    version: str | None = None
    digest: str | None = None
    allow_ghost: bool = False
    allow_older_serial: bool = False


@dataclass(frozen=True)
class Resolved:
    manifest: Manifest
    digest: str
    seen: Seen | None = None  # of the channel, where one was asked


def resolve(wanted: Wanted, store: t.Callable[[], Store], layout: Layout, state: State) -> Resolved:
    """The store is asked only for what is not known on this server: nothing, for a version that is staged."""
    seen = None
    version = wanted.version
    if wanted.channel is not None:
        channel, _etag = read_channel(store(), wanted.name, wanted.channel)
        target = channel.stable
        if target is None:
            raise NotFound(
                "channel_empty",
                "%s can't be installed from the channel %s" % (wanted.name, wanted.channel),
                "nothing was ever promoted on it in %s" % store().location,
                "Promote a version: deploy one (playbook alchemist.beam.deploy or rollout), or say release_channel",
            )
        version, digest = target.version, target.digest
        seen = Seen(channel.serial, digest)
        refuse_replay(wanted, state, seen)
        ghost = channel.ghost(digest)
        if ghost and not wanted.allow_ghost:
            raise BeamError(
                "ghost",
                "%s %s is not installed" % (wanted.name, version),
                "it is a ghost on the channel %s since %s: %s"
                % (wanted.channel, ghost.at, ghost.reason or "no reason given"),
                "Promote another version, or say allow_ghost: true (of a playbook -e beam_force=true) to install it all the same",
                version=version,
                digest=digest,
            )
    elif version is not None:
        known = state.installed.get(check_version(version))
        digest = known.digest if known else need_version(store(), wanted.name, version).digest
    else:
        digest = check_digest(str(wanted.digest))
    manifest = cached(layout, digest)
    if manifest is None:
        manifest = read_manifest(store(), wanted.name, digest)
    if manifest.name != wanted.name or (version is not None and manifest.version != version):
        raise BeamError(
            "manifest_swapped",
            "%s %s can't be installed" % (wanted.name, version or digest[:12]),
            "its digest is that of %s %s" % (manifest.name, manifest.version),
            "Find out who changed the store",
            digest=digest,
        )
    return Resolved(manifest, digest, seen)


def refuse_replay(wanted: Wanted, state: State, seen: Seen) -> None:
    """A channel's serial only grows: an older one is a stale copy or an attack. Going back is a new serial."""
    newest = state.seen.get(str(wanted.channel))
    if newest is None or wanted.allow_older_serial:
        return
    label = "%s can't be installed from the channel %s" % (wanted.name, wanted.channel)
    hint = "Find out why the store shows another past; where the channel was made anew: alchemist.beam.release_install, once, with allow_older_serial: true"
    if seen.serial < newest.serial:
        raise BeamError(
            "channel_replayed",
            label,
            "its serial is %d, but this server has seen %d" % (seen.serial, newest.serial),
            hint,
            serial=seen.serial,
            newest=newest.serial,
        )
    if seen.serial == newest.serial and seen.digest != newest.digest:
        raise BeamError(
            "channel_forked",
            label,
            "its serial %d meant another release when this server saw it" % seen.serial,
            hint,
            serial=seen.serial,
            newest=newest.serial,
        )


def cached(layout: Layout, digest: str) -> Manifest | None:
    """The manifest as it is kept on this server."""
    try:
        with open(layout.manifest(digest), "rb") as stream:
            return parse_manifest(stream.read(MAX_MANIFEST_BYTES + 1), digest)
    except FileNotFoundError:
        return None
    except BeamError:
        return None  # bit rot: the store has it, and the copy is written again


def known_manifests(layout: Layout, without: t.Collection[str] = ()) -> t.Iterator[tuple[str, Manifest]]:
    """The manifests that are kept on this server, by digest."""
    for digest in sorted(manifests_on_disk(layout).difference(without)):
        manifest = cached(layout, digest)
        if manifest is not None:
            yield digest, manifest


def manifests_on_disk(layout: Layout) -> frozenset[str]:
    """The digests in their names."""
    try:
        names = [name.partition(".") for name in os.listdir(layout.manifests)]
    except FileNotFoundError:
        return frozenset()
    return frozenset(digest for digest, _dot, ending in names if ending == "json" and is_digest(digest))

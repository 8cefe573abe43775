# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The small documents of a store as bytes, and the way to read a release: pointer, version, manifest.

The parsers are pure, for whoever gets the bytes in another way.
"""

from __future__ import annotations

import gzip
import json
import typing as t
import zlib
from dataclasses import dataclass

from .._errors import BeamError, NotFound
from .._json import parse_json
from .._release.channel import MAX_CHANNEL_BYTES, Channel, parse_channel
from .._release.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from .._release.names import check_digest, check_name, check_version
from .base import Store, named
from .keys import channel_key, manifest_key, pin_key, version_key

SCHEMA = 1
MAX_POINTER_BYTES = 64 * 1024
# For an object in the place of a manifest that is no manifest.
UNREADABLE = ("manifest_corrupt", "manifest_invalid", "manifest_swapped", "store_object_too_large")


@dataclass(frozen=True)
class Version:
    """version -> digest, write-once."""

    name: str
    version: str
    digest: str

    def to_bytes(self) -> bytes:
        document = {"schema": SCHEMA, "name": self.name, "version": self.version, "digest": self.digest}
        return (json.dumps(document, sort_keys=True, indent=1) + "\n").encode("ascii")


@dataclass(frozen=True)
class Pin:
    """Protects a version from pruning and from being removed."""

    version: str
    digest: str
    by: str
    at: str

    def to_bytes(self) -> bytes:
        return (json.dumps({"schema": SCHEMA, **vars(self)}, sort_keys=True, indent=1) + "\n").encode("ascii")


def parse_version(data: bytes, name: str, version: str) -> Version:
    try:
        doc = parse_json(data)
        if doc["schema"] != SCHEMA:
            raise ValueError("its schema is %r, this collection reads %d" % (doc["schema"], SCHEMA))
        found = Version(check_name(doc["name"]), check_version(doc["version"]), check_digest(doc["digest"]))
        if (found.name, found.version) != (name, version):
            raise ValueError("it is of %s %s" % (found.name, found.version))
        return found
    except (ValueError, KeyError, TypeError, BeamError) as exc:
        raise BeamError(
            "version_invalid",
            "the version document of %s %s can't be read" % (name, version),
            str(exc) or type(exc).__name__,
            "Find out who changed the store; publish the release under a new version",
        ) from exc


def pack_manifest(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def unpack_manifest(data: bytes, digest: str) -> Manifest:
    """The manifest in the object of a store: gzip of JSON whose sha256 is the digest."""
    try:
        inflate = zlib.decompressobj(wbits=31)
        plain = inflate.decompress(data, MAX_MANIFEST_BYTES + 1)
        if len(plain) > MAX_MANIFEST_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_MANIFEST_BYTES)
        if not inflate.eof or inflate.unused_data:
            raise ValueError("it is not one whole gzip stream")
    except (ValueError, zlib.error) as exc:
        raise BeamError(
            "manifest_corrupt",
            "the manifest %s can't be read" % digest[:12],
            str(exc),
            "Publish the same tree again (playbook alchemist.beam.deploy with -e beam_build_force=true), which repairs it, and find out who changed the store",
        ) from exc
    return parse_manifest(plain, digest)


def read_version(store: Store, name: str, version: str) -> Version | None:
    key = version_key(name, version)
    try:
        found = store.get(key, MAX_POINTER_BYTES)
    except NotFound:
        return None
    with named(store.location, key):
        return parse_version(found.data, name, version)


def need_version(store: Store, name: str, version: str) -> Version:
    found = read_version(store, name, version)
    if found is None:
        raise NotFound(
            "release_missing",
            "%s %s is not in the store %s" % (name, version, store.location),
            "it was never published there, or it was removed",
            "Publish it (playbook alchemist.beam.deploy, or distribute after a build; module release_artifact); release_artifact_info lists what is there",
        )
    return found


def read_manifest(store: Store, name: str, digest: str) -> Manifest:
    key = manifest_key(name, digest)
    try:
        found = store.get(key, MAX_MANIFEST_BYTES)
    except NotFound as exc:
        raise NotFound(
            "release_missing",
            "%s with the digest %s is not in the store %s" % (name, digest[:12], store.location),
            "it was never published there, or it was removed",
            "Publish it (playbook alchemist.beam.deploy); release_artifact_info lists what is there",
        ) from exc
    with named(store.location, key):
        manifest = unpack_manifest(found.data, digest)
        if manifest.name != name:
            raise BeamError(
                "manifest_swapped",
                "the manifest %s can't be used for %s" % (digest[:12], name),
                "it is of %s" % manifest.name,
                "Find out who copied it there",
            )
    return manifest


def read_channel(store: Store, name: str, channel: str) -> tuple[Channel, str | None]:
    """The channel and its etag; a channel with serial 0 and None where it does not exist yet."""
    key = channel_key(name, channel)
    try:
        found = store.get(key, MAX_CHANNEL_BYTES)
    except NotFound:
        return Channel(name, channel), None
    with named(store.location, key):
        value = parse_channel(found.data)
        if (value.name, value.channel) != (name, channel):
            raise BeamError(
                "channel_invalid",
                "the channel %s of %s can't be used" % (channel, name),
                "its document is of %s %s" % (value.name, value.channel),
                "Find out who copied it there",
            )
    return value, found.etag


def read_channel_anyhow(store: Store, name: str, channel: str) -> tuple[Channel | None, str | None, str]:
    """Also one whose counters nobody could have written, which are 0 then; None where it says nothing at all. Its etag; and what is wrong with it."""
    try:
        return (*read_channel(store, name, channel), "")
    except BeamError as exc:
        if exc.code not in ("channel_invalid", "store_object_too_large"):
            raise
        why = exc.message
    stat = store.stat(channel_key(name, channel))
    etag = stat.etag if stat else None
    try:
        found = store.get(channel_key(name, channel), MAX_CHANNEL_BYTES)
        value = parse_channel(found.data, counters=False)
    except BeamError:
        return None, etag, why
    return (value if (value.name, value.channel) == (name, channel) else None), found.etag, why


def read_pin(store: Store, name: str, version: str) -> Pin | None:
    key = pin_key(name, version)
    try:
        found = store.get(key, MAX_POINTER_BYTES)
    except NotFound:
        return None
    with named(store.location, key):
        return parse_pin(found.data, name, version)


def parse_pin(data: bytes, name: str, version: str) -> Pin:
    try:
        doc: t.Any = parse_json(data)
        pin = Pin(check_version(doc["version"]), check_digest(doc["digest"]), str(doc["by"]), str(doc["at"]))
        if pin.version != version:
            raise ValueError("it is of %s" % pin.version)
        return pin
    except (ValueError, KeyError, TypeError, BeamError) as exc:
        raise BeamError(
            "pin_invalid",
            "the pin of %s %s can't be read" % (name, version),
            str(exc) or type(exc).__name__,
            "Unpin it (alchemist.beam.release_artifact with pinned: false), then pin it again",
        ) from exc


def resolve(
    store: Store, name: str, channel: str | None = None, version: str | None = None, digest: str | None = None
) -> Version:
    """The release that one of a channel (its stable), a version or a digest names."""
    if channel is not None:
        value, _etag = read_channel(store, name, channel)
        if value.stable is None:
            raise NotFound(
                "channel_empty",
                "the channel %s of %s points to nothing" % (channel, name),
                "nothing was ever promoted on it in %s" % store.location,
                "Promote a version: deploy one (playbook alchemist.beam.deploy or rollout), or say release_channel",
            )
        return Version(name, value.stable.version, value.stable.digest)
    if digest is not None:
        return Version(name, read_manifest(store, name, digest).version, digest)
    return need_version(store, name, check_version(version or ""))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which published version was built from which inputs: small write-once documents beside the versions, so that a commit that is published is not built again.

An entry is written after its version, and says nothing that the version does not confirm: one that is wrong costs a build, and never a release.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, NotFound
from .._json import parse_json
from .._release.names import check_digest, check_name, check_version, is_digest
from .._release.published import PublishedBuild
from .base import Store, named
from .check import prove_conditions
from .documents import MAX_POINTER_BYTES, SCHEMA, Version, read_manifest, read_version
from .keys import build_key, prefix
from .parallel import parallel

# What the store holds is wrong, other than that it could not be asked.
_WRONG = (
    "build_invalid",
    "version_invalid",
    "manifest_corrupt",
    "manifest_invalid",
    "manifest_swapped",
    "store_object_too_large",
)


@dataclass(frozen=True)
class BuildEntry:
    """inputs -> version and digest, write-once."""

    name: str
    inputs: str  # as inputs_of makes it
    version: str
    digest: str

    def to_bytes(self) -> bytes:
        return (json.dumps({"schema": SCHEMA, **vars(self)}, sort_keys=True, indent=1) + "\n").encode("ascii")


def inputs_of(inputs: str, exclude: t.Iterable[str] = ()) -> str:
    """The name of an entry: the inputs of the build, and the files that are left out when it is published."""
    if not is_digest(inputs):
        raise BeamError(
            "invalid_inputs",
            "inputs: %r can't be used" % inputs,
            "it must be the 64 lower-case hexadecimal digits of a sha256",
            "Give what mix_release returns under inputs, or leave it out",
        )
    patterns = sorted(set(exclude))
    return hashlib.sha256(json.dumps([inputs, patterns]).encode("ascii")).hexdigest() if patterns else inputs


def parse_build(data: bytes, name: str, inputs: str) -> BuildEntry:
    try:
        doc = parse_json(data)
        if doc["schema"] != SCHEMA:
            raise ValueError("its schema is %r, this collection reads %d" % (doc["schema"], SCHEMA))
        found = BuildEntry(
            check_name(doc["name"]),
            check_digest(doc["inputs"]),
            check_version(doc["version"]),
            check_digest(doc["digest"]),
        )
        if (found.name, found.inputs) != (name, inputs):
            raise ValueError("it is of %s %s" % (found.name, found.inputs[:12]))
        return found
    except (ValueError, KeyError, TypeError, BeamError) as exc:
        raise BeamError(
            "build_invalid",
            "the build entry %s of %s can't be read" % (inputs[:12], name),
            str(exc) or type(exc).__name__,
            "release_artifact with state: pruned removes it",
        ) from exc


def read_build(store: Store, name: str, inputs: str) -> BuildEntry:
    key = build_key(name, inputs)
    with named(store.location, key):
        return parse_build(store.get(key, MAX_POINTER_BYTES).data, name, inputs)


def _or_none(read: t.Callable[[], t.Any]) -> t.Any:
    """None for what is missing or wrong in the store; a store that can't be asked stays an error."""
    try:
        return read()
    except NotFound:
        return None
    except BeamError as exc:
        if exc.code not in _WRONG:
            raise
        return None


class StoreBuilds:
    """What a build wants to know of a store (the protocol Published). exclude: as release_artifact will be told, since it decides what is published."""

    def __init__(self, store: Store, exclude: t.Iterable[str] = ()) -> None:
        self.store = store
        self.exclude = tuple(exclude)

    def of_inputs(self, name: str, inputs: str) -> PublishedBuild | None:
        """The commit that it tells may be another one: a commit that changes no file of the release is published already."""
        entry: BuildEntry | None = _or_none(lambda: read_build(self.store, name, inputs_of(inputs, self.exclude)))
        if entry is None:
            return None
        found = self.of_version(name, entry.version)
        return found if found is not None and found.digest == entry.digest else None

    def of_version(self, name: str, version: str) -> PublishedBuild | None:
        found: Version | None = _or_none(lambda: read_version(self.store, name, version))
        manifest = _or_none(lambda: read_manifest(self.store, name, found.digest)) if found is not None else None
        if found is None or manifest is None:
            return None
        origin = manifest.provenance
        # A tree with changes that were not committed is of no commit.
        return PublishedBuild(
            found.version, found.digest, "" if origin.git_dirty else origin.git_sha, origin.fingerprint
        )


def note_build(store: Store, version: Version, inputs: str) -> str:
    """Write the entry of a version that is published. "", or a warning: the release is there whatever becomes of its entry."""
    mine = BuildEntry(version.name, inputs, version.version, version.digest)
    label = "%s %s is published, but a later run will build it again" % (version.name, version.version)
    try:
        theirs = _noted(store, mine)
    except BeamError as exc:
        return "%s, since what it was built from could not be noted in the store. %s" % (label, exc.message)
    if theirs == mine:
        return ""
    found = _or_none(lambda: read_version(store, version.name, theirs.version))
    if found is None or found.digest != theirs.digest:
        return (
            "%s: the store names %s for these inputs, which is gone. release_artifact with state: pruned removes that entry."
            % (label, theirs.version)
        )
    return (
        "%s %s is published, but a later run of the same commit and options takes %s, which was built from them before."
        % (version.name, version.version, theirs.version)
    )


def _noted(store: Store, mine: BuildEntry) -> BuildEntry:
    """The entry of these inputs in the store. It is read first, because an existing entry needs no right to write."""
    try:
        return read_build(store, mine.name, mine.inputs)
    except NotFound:
        prove_conditions(store)
    data = mine.to_bytes()
    if store.put_if_absent(build_key(mine.name, mine.inputs), data, len(data)):
        return mine
    return read_build(store, mine.name, mine.inputs)


def list_builds(store: Store, name: str) -> dict[str, BuildEntry | None]:
    """key -> entry; None for one that can't be read."""
    keys = [s.key for s in store.list(prefix(name, "builds"))]

    def read(key: str) -> BuildEntry | None:
        found: BuildEntry | None = _or_none(
            lambda: parse_build(store.get(key, MAX_POINTER_BYTES).data, name, key.rpartition("/")[2][: -len(".json")])
        )
        return found

    return dict(zip(keys, parallel(read, keys)))


def pointless(builds: t.Mapping[str, BuildEntry | None], versions: t.Mapping[str, str]) -> list[str]:
    """Keys of entries that point to nothing. versions: version -> digest, read after the entries, as an entry is written after its version."""
    return sorted(key for key, entry in builds.items() if entry is None or versions.get(entry.version) != entry.digest)

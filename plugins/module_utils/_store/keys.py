# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Where things are in a store. The order of writes is the guarantee: layers, manifest, version, then the channel."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._release.gates import check_commit, check_gate
from .._release.names import (
    check_channel,
    check_digest,
    check_instance,
    check_name,
    check_rollout,
    check_version,
    is_digest,
)
from .base import Stat

# All places in a store, below the name of the release. docs/trust.md says of each who writes and who believes it.
KINDS = (
    "layers",
    "manifests",
    "versions",
    "builds",
    "channels",
    "locks",
    "journal",
    "history",
    "pins",
    "bootstrap",
    "boots",
    "gates",
    "images",
)


def layer_key(name: str, sha256: str) -> str:
    return "%s/layers/%s.tar.gz" % (check_name(name), check_digest(sha256))


def manifest_key(name: str, digest: str) -> str:
    """The object is gzip of the manifest's canonical JSON; the digest is of the JSON, not of the gzip."""
    return "%s/manifests/%s.json.gz" % (check_name(name), check_digest(digest))


def version_key(name: str, version: str) -> str:
    return "%s/versions/%s.json" % (check_name(name), check_version(version))


def build_key(name: str, inputs: str) -> str:
    """Which version was built from these inputs."""
    return "%s/builds/%s.json" % (check_name(name), check_digest(inputs))


def channel_key(name: str, channel: str) -> str:
    return "%s/channels/%s.json" % (check_name(name), check_channel(channel))


def prefix(name: str, kind: str) -> str:
    """kind: one of KINDS."""
    if kind not in KINDS:
        raise ValueError(kind)
    return "%s/%s/" % (check_name(name), kind)


def lock_key(name: str, channel: str) -> str:
    """Never deleted, so that its serial only grows."""
    return "%s/locks/%s.json" % (check_name(name), check_channel(channel))


def journal_key(name: str, channel: str) -> str:
    return "%s/journal/%s.json" % (check_name(name), check_channel(channel))


def history_prefix(name: str, channel: str) -> str:
    return "%s/history/%s/" % (check_name(name), check_channel(channel))


def history_key(name: str, channel: str, serial: int, rollout: str) -> str:
    """Without its ending. The order of the keys is the order of the rollouts, as a lock's serial only grows."""
    return "%s%012d-%s" % (history_prefix(name, channel), serial, check_rollout(rollout))


def pin_key(name: str, version: str) -> str:
    return "%s/pins/%s.json" % (check_name(name), check_version(version))


def boots_prefix(name: str, channel: str) -> str:
    return "%s/boots/%s/" % (check_name(name), check_channel(channel))


def boot_key(name: str, channel: str, at: str, of: str, instance: str) -> str:
    """One record of each boot that failed. The order of the keys is the order of the times that the servers' clocks told.

    of: what failed, so that records can be counted without being read.
    """
    return "%s%s_%s-%s.json" % (boots_prefix(name, channel), at, of, check_instance(instance))


def bundle_key(name: str, sha256: str) -> str:
    """What a bare server takes first. Write-once, and named by its content: user data that names it can't get another one."""
    return "%s/bootstrap/%s.zip" % (check_name(name), check_digest(sha256))


def gates_prefix(name: str, commit: str) -> str:
    return "%s/gates/%s/" % (check_name(name), check_commit(commit))


def gate_key(name: str, commit: str, gate: str, statement: str, ending: str = "json") -> str:
    """Write-once. statement: the sha256 of the statement, which its reports share. The order of the keys says nothing."""
    return "%s%s-%s.%s" % (gates_prefix(name, commit), check_gate(gate), check_digest(statement), ending)


def image_layer_key(name: str, key: str) -> str:
    """What a layer of an image was packed to, once: key is of what is in it."""
    return "%s/images/%s.json" % (check_name(name), check_digest(key))


def image_blob_key(name: str, sha256: str) -> str:
    return "%s/images/%s.tar.gz" % (check_name(name), check_digest(sha256))


def names_in(
    rows: t.Iterable[Stat], ending: str, check: t.Callable[[str], t.Any]
) -> tuple[list[Stat], list[str], list[str]]:
    """Of a listing of one place: the objects that belong there, what each is called, and the keys of all that does not."""
    good: list[Stat] = []
    names: list[str] = []
    junk: list[str] = []
    for row in rows:
        name = row.key.split("/", 2)[2]
        try:
            if "/" in name or not name.endswith(ending):
                raise ValueError(name)
            check(name[: -len(ending)])
        except (ValueError, BeamError):
            junk.append(row.key)
            continue
        good.append(row)
        names.append(name[: -len(ending)])
    return good, names, junk


def digests_in(rows: t.Iterable[Stat]) -> tuple[list[str], list[str]]:
    """The digests of a listing of manifests, the newest first, and the keys of what is no manifest. A signature lies beside its manifest."""
    good, digests, junk = names_in(rows, ".json.gz", check_digest)
    newest = sorted(zip(good, digests), key=lambda pair: pair[0].modified, reverse=True)
    return [digest for _row, digest in newest], [
        key for key in junk if not is_digest(key.split("/", 2)[2].split(".", 1)[0])
    ]

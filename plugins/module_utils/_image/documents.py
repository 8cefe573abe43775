# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The documents of an image, read and written: index, manifest, configuration. Pure.

What is written depends on the release, the base and the options, and on nothing else: no clock, no host, no name of a registry.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._json import parse_json
from .._release.manifest import Manifest
from .archive import Blob
from .places import ROOT

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEXES = (OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = (OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
# What a layer of a base is called in an OCI manifest.
_LAYERS = {
    OCI_LAYER: OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_LAYER,
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
# uname -m -> the architecture and variant of an image.
ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm": ("arm", "v7"),
    "i686": ("386", ""),
    "ppc64": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
}
MOST_LAYERS = 127  # podman and CRI-O pull more, and can't run them
EPOCH = "1970-01-01T00:00:00Z"
LABEL = "alchemist.beam."
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Descriptor:
    media_type: str
    digest: str  # with sha256:
    size: int

    def to_dict(self) -> dict[str, t.Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class ImageManifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """An image of one architecture in an index."""

    digest: str
    size: int
    architecture: str
    os: str
    variant: str = ""
    media_type: str = OCI_MANIFEST


def canonical(document: t.Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _broken(image: str, why: str) -> BeamError:
    return BeamError(
        "image_unreadable",
        "the image %s can't be used" % image,
        why,
        "Use an image with an OCI manifest, or a Docker manifest of version 2",
    )


def _document(image: str, data: bytes) -> dict[str, t.Any]:
    try:
        doc = parse_json(data)
    except ValueError as exc:
        raise _broken(image, "its manifest is no JSON: %s" % exc) from None
    if not isinstance(doc, dict) or doc.get("schemaVersion") != 2:
        raise _broken(image, "its manifest is not of schema version 2")
    return doc


def _descriptor(image: str, doc: t.Any) -> Descriptor:
    if not isinstance(doc, dict):
        raise _broken(image, "its manifest names something that is no object")
    media, digest, size = doc.get("mediaType"), doc.get("digest"), doc.get("size")
    if not isinstance(media, str) or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise _broken(image, "its manifest names something without type or sha256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _broken(image, "its manifest names something without a size")
    return Descriptor(media, digest, size)


def _texts(value: t.Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def is_index(image: str, data: bytes) -> bool:
    doc = _document(image, data)
    return doc.get("mediaType") in _INDEXES or ("manifests" in doc and "layers" not in doc)


def parse_index(image: str, data: bytes) -> list[Member]:
    rows = _document(image, data).get("manifests")
    if not isinstance(rows, list):
        raise _broken(image, "its index has no list of manifests")
    found = []
    for row in rows:
        one = _descriptor(image, row)
        platform = _texts(row.get("platform"))
        found.append(
            Member(
                one.digest,
                one.size,
                platform.get("architecture", ""),
                platform.get("os", ""),
                platform.get("variant", ""),
                one.media_type,
            )
        )
    return found


def parse_manifest(image: str, data: bytes) -> ImageManifest:
    doc = _document(image, data)
    media = doc.get("mediaType", OCI_MANIFEST)
    if media not in _MANIFESTS or not isinstance(doc.get("layers"), list):
        raise _broken(image, "its manifest is of the type %.80r" % (media,))
    return ImageManifest(
        _descriptor(image, doc.get("config")),
        tuple(_descriptor(image, row) for row in doc["layers"]),
        _texts(doc.get("annotations")),
    )


def parse_config(image: str, data: bytes) -> dict[str, t.Any]:
    try:
        doc = parse_json(data)
    except ValueError as exc:
        raise _broken(image, "its configuration is no JSON: %s" % exc) from None
    rootfs = doc.get("rootfs") if isinstance(doc, dict) else None
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in ids):
        raise _broken(image, "its configuration has no list of diff_ids")
    if not isinstance(doc.get("config") or {}, dict):
        raise _broken(image, "its configuration has no config")
    return t.cast("dict[str, t.Any]", doc)


def layers_of_base(image: str, manifest: ImageManifest, config: t.Mapping[str, t.Any]) -> tuple[Descriptor, ...]:
    """As an OCI manifest names them. Their bytes stay what they are."""
    found = []
    for layer in manifest.layers:
        if layer.media_type not in _LAYERS:
            raise _broken(
                image, "a layer of it is of the type %.80r, which a registry may not pass on" % layer.media_type
            )
        found.append(Descriptor(_LAYERS[layer.media_type], layer.digest, layer.size))
    if len(found) != len(config["rootfs"]["diff_ids"]):
        raise _broken(
            image, "its manifest has %d layers, its configuration %d" % (len(found), len(config["rootfs"]["diff_ids"]))
        )
    return tuple(found)


@dataclass(frozen=True)
class Settings:
    """What a user may decide of an image."""

    user: str = "65532:65532"
    ports: tuple[int, ...] = ()
    env: t.Mapping[str, str] = field(default_factory=dict)
    labels: t.Mapping[str, str] = field(default_factory=dict)
    distribution_port: int = 9100  # 0: as the release has it, with epmd


def environment(base: t.Sequence[str], settings: Settings) -> list[str]:
    """The base's, ours, the user's: the last one counts.

    Erlang listens on one port and needs no epmd. Only the node itself listens (its flags are in the entrypoint): with the same flags, a second VM in the
    container, such as that of `bin/NAME rpc`, would fail because the port is taken.
    """
    named = dict(text.partition("=")[::2] for text in base if isinstance(text, str) and "=" in text)
    named.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    named.update({"LANG": "C.UTF-8", "HOME": "/tmp", "RELEASE_TMP": "/tmp", "ERL_MAX_PORTS": "65536"})
    named.update(settings.env)
    if settings.distribution_port:
        named["ERL_AFLAGS"] = (_flags(settings) + " -dist_listen false " + settings.env.get("ERL_AFLAGS", "")).strip()
    return ["%s=%s" % pair for pair in sorted(named.items())]


def _flags(settings: Settings) -> str:
    return "-start_epmd false -erl_epmd_port %d" % settings.distribution_port


def entrypoint(name: str, settings: Settings) -> list[str]:
    start = ["/%s/bin/%s" % (ROOT, name), "start"]
    if not settings.distribution_port:
        return start
    flags = (_flags(settings) + " " + settings.env.get("ERL_AFLAGS", "")).strip()
    return ["/usr/bin/env", "ERL_AFLAGS=" + flags, *start]


def labels(manifest: Manifest, digest: str, base_digest: str) -> dict[str, str]:
    found = {
        "org.opencontainers.image.title": manifest.name,
        "org.opencontainers.image.version": manifest.version,
        "org.opencontainers.image.base.digest": base_digest,
        LABEL + "name": manifest.name,
        LABEL + "version": manifest.version,
        LABEL + "digest": digest,
    }
    if manifest.provenance.git_sha:
        found["org.opencontainers.image.revision"] = manifest.provenance.git_sha
    return found


def make_config(
    base: t.Mapping[str, t.Any],
    manifest: Manifest,
    layers: t.Sequence[tuple[str, Blob]],
    settings: Settings,
    named: t.Mapping[str, str],
) -> bytes:
    """layers: ours, with a title."""
    before = base.get("config") or {}
    diff_ids = list(base["rootfs"]["diff_ids"])
    history = [row for row in base.get("history") or [] if isinstance(row, dict)]
    if sum(1 for row in history if not row.get("empty_layer")) != len(
        diff_ids
    ):  # buildah builds on no image whose history is another
        history = [{"created": EPOCH, "created_by": "base"} for _one in diff_ids]
    ours = {key: text for key, text in named.items() if key.startswith(LABEL)}
    ports: dict[str, t.Any] = {"%d/tcp" % port: {} for port in settings.ports}
    document = {
        "architecture": base.get("architecture", ""),
        "os": base.get("os", "linux"),
        **({"variant": base["variant"]} if base.get("variant") else {}),
        "created": EPOCH,
        "config": {
            "User": settings.user,
            "Env": environment(before.get("Env") or [], settings),
            "Entrypoint": entrypoint(manifest.name, settings),
            "WorkingDir": "/" + ROOT,
            "StopSignal": "SIGTERM",
            # What says which release it is, nobody overrides.
            "Labels": {**_texts(before.get("Labels")), **named, **settings.labels, **ours},
            **({"ExposedPorts": ports} if ports else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [*diff_ids, *("sha256:" + blob.diff_id for _title, blob in layers)]},
        "history": [
            *history,
            *({"created": EPOCH, "created_by": "alchemist.beam: " + title} for title, _blob in layers),
        ],
    }
    return canonical(document)


def make_manifest(config: bytes, layers: t.Sequence[Descriptor], annotations: t.Mapping[str, str]) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(OCI_CONFIG, digest_of(config), len(config)).to_dict(),
        "layers": [layer.to_dict() for layer in layers],
        "annotations": dict(annotations),
    }
    return canonical(document)


def make_index(members: t.Iterable[Member], annotations: t.Mapping[str, str]) -> bytes:
    """One name for the images of several architectures. The order in which they were given does not matter."""
    rows = []
    for member in sorted(members, key=lambda one: (one.os, one.architecture, one.variant, one.digest)):
        platform = {"architecture": member.architecture, "os": member.os}
        if member.variant:
            platform["variant"] = member.variant
        rows.append({**Descriptor(member.media_type, member.digest, member.size).to_dict(), "platform": platform})
    return canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows, "annotations": dict(annotations)})

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A base image: named by its digest, read once, kept by it. A digest never means something else later."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._json import parse_json
from .._tree import remove_tree
from .documents import (
    Descriptor,
    ImageManifest,
    digest_of,
    is_index,
    layers_of_base,
    parse_config,
    parse_index,
    parse_manifest,
)
from .preflight import TO_ASK, TO_START
from .reference import Reference
from .skopeo import Skopeo, explain
from .tree import Tree


@dataclass(frozen=True)
class Base:
    image: Reference  # by the digest of its architecture's manifest
    config: t.Mapping[str, t.Any]
    layers: tuple[Descriptor, ...]
    root: str  # of its libraries, on this host
    programs: t.Mapping[str, bool]


def pinned(skopeo: Skopeo, base: Reference) -> Reference:
    """The base, which has to have a digest; one that has a tag is told which digest it has now."""
    if base.digest:
        return base
    found = skopeo.need(str(base))
    raise BeamError(
        "image_base_not_pinned",
        "the base %s can't be used" % base,
        "a tag can be another image tomorrow, and an image is to be the same for the same release and base",
        "Name it by its digest, which is now %s" % Reference(base.repository, "", digest_of(found)),
    )


def of_architecture(skopeo: Skopeo, base: Reference, architecture: str, variant: str) -> tuple[Reference, bytes]:
    """The image of this architecture, and its manifest."""
    data = skopeo.need(str(base), base.digest)
    if not is_index(str(base), data):
        return base, data
    members = [one for one in parse_index(str(base), data) if one.os == "linux" and one.architecture == architecture]
    fitting = [one for one in members if one.variant == variant] or members
    if not fitting:
        there = sorted({one.architecture for one in parse_index(str(base), data) if one.os == "linux"})
        raise BeamError(
            "image_base_architecture",
            "the base %s can't be used" % base,
            "it has no image for %s (it has %s)" % (architecture, ", ".join(there) or "none for linux"),
            "Use a base for %s, or build the release for an architecture that it has" % architecture,
        )
    image = base.at(fitting[0].digest)
    data = skopeo.need(str(image), image.digest)
    return image, data


def read_base(skopeo: Skopeo, base: Reference, architecture: str, variant: str, cache: str, look: bool) -> Base:
    """cache: a directory of this user, where what was read of a base is kept. look: whether its files are read, or only its documents."""
    kept = os.path.join(
        cache, "bases", "-".join([base.digest.rpartition(":")[2], architecture + variant, *(["unseen"] * (not look))])
    )
    if not os.path.exists(os.path.join(kept, "done")):
        _read(skopeo, base, architecture, variant, kept, look)
    return _kept(base, architecture, kept)


def _kept(base: Reference, architecture: str, kept: str) -> Base:
    def data(name: str) -> bytes:
        with open(os.path.join(kept, name), "rb") as stream:
            return stream.read()

    manifest_bytes, config_bytes = data("manifest.json"), data("config.json")
    image = base.at(digest_of(manifest_bytes))
    manifest, config = parse_manifest(str(image), manifest_bytes), parse_config(str(image), config_bytes)
    found, system = config.get("architecture", ""), config.get("os", "linux")
    if (found, system) != (architecture, "linux"):
        raise BeamError(
            "image_base_architecture",
            "the base %s can't be used" % base,
            "it is for %s/%s, the release for linux/%s" % (system, found, architecture),
            "Use a base for %s, or build the release for the architecture of the base" % architecture,
        )
    return Base(
        image,
        config,
        layers_of_base(str(image), manifest, config),
        os.path.join(kept, "root"),
        parse_json(data("programs.json")),
    )


def _read(skopeo: Skopeo, base: Reference, architecture: str, variant: str, kept: str, look: bool) -> None:
    image, manifest_bytes = of_architecture(skopeo, base, architecture, variant)
    manifest = parse_manifest(str(image), manifest_bytes)
    scratch = tempfile.mkdtemp(prefix=".reading-", dir=os.path.dirname(kept))
    try:
        made = os.path.join(scratch, "made")
        os.makedirs(os.path.join(made, "root"))
        documents = {"manifest.json": manifest_bytes}
        if look:
            tree, documents["config.json"] = _look(skopeo, image, manifest, scratch)
            tree.write(os.path.join(made, "root"))
            programs = {name: tree.program(name) for name in (*TO_START, *TO_ASK)}
        else:
            documents["config.json"] = skopeo.config(str(image), manifest.config.digest)
            programs = {}
        documents["programs.json"] = json.dumps(programs).encode("ascii")
        for name, data in {**documents, "done": b""}.items():
            with open(os.path.join(made, name), "wb") as stream:
                stream.write(data)
        if os.path.lexists(kept):  # of a run that was killed
            remove_tree(kept)
        try:
            os.rename(made, kept)
        except OSError:  # another run has read the same base meanwhile
            if not os.path.exists(os.path.join(kept, "done")):
                raise
    finally:
        remove_tree(scratch)


def _look(skopeo: Skopeo, image: Reference, manifest: ImageManifest, scratch: str) -> tuple[Tree, bytes]:
    """The files of the image, and its configuration."""
    blobs = os.path.join(scratch, "blobs")
    skopeo.copy("docker://" + str(image), "dir:" + blobs)
    tree = Tree(os.path.join(scratch, "content"))
    os.makedirs(tree.scratch)
    for layer in manifest.layers:
        if layer.media_type.endswith("zstd"):
            raise _unreadable(image, "its layers are packed with zstd")
        try:
            tree.add_layer(os.path.join(blobs, layer.digest.rpartition(":")[2]))
        except (ValueError, OSError) as exc:
            raise _unreadable(image, "its layer %s: %s" % (layer.digest, exc)) from exc
    return tree, _blob(blobs, manifest.config, image)


def _blob(blobs: str, wanted: Descriptor, image: Reference) -> bytes:
    with open(os.path.join(blobs, wanted.digest.rpartition(":")[2]), "rb") as stream:
        data = stream.read()
    if digest_of(data) != wanted.digest:
        raise explain("the image %s can't be used" % image, "digest did not match")
    return data


def _unreadable(image: Reference, why: str) -> BeamError:
    return BeamError(
        "image_base_unreadable",
        "the base %s can't be looked at" % image,
        why,
        "Use a base whose layers are gzip or plain tar, or preflight=false (of the role oci_preflight) to push without a look at its libraries",
    )

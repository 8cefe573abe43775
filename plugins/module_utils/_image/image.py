# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What release_image does: a published release and a base image become an image in a registry."""

from __future__ import annotations

import os
import tempfile
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._release.manifest import Manifest
from .._release.names import check_channel, check_digest, check_name
from .._store.base import Store
from .._store.documents import Version, read_channel_anyhow, read_manifest, resolve
from .._store.keys import names_in, prefix
from .._store.location import open_store
from .._store.retention import list_versions
from .._tree import remove_tree
from .base import Base, pinned, read_base
from .derive import Derived
from .documents import (
    MOST_LAYERS,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
    is_index,
    labels,
    make_config,
    make_manifest,
    parse_manifest,
)
from .grouping import group
from .join import run_join
from .layout import Layout
from .options import Params, cache_of, settings_of, skopeo_of
from .places import placed
from .preflight import architecture, machine_of, preflight
from .reference import Reference, check_tag, parse_reference, tag_of
from .skopeo import Lacking, Skopeo

# Earlier images of the repository, whose blobs are known to be there: by the tags of the newest versions, else by those that there are.
GUESSES, LOOKED_AT = 2, 3
Result = dict[str, t.Any]


@dataclass(frozen=True)
class Image:
    manifest: bytes
    config: bytes
    base: Base
    layers: tuple[Descriptor, ...]  # ours

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def documents(self) -> int:
        return len(self.manifest) + len(self.config)


def run_image(params: Params, check_mode: bool) -> Result:
    begun = time.monotonic()
    skopeo = skopeo_of(params)
    repository = parse_reference("image", params["image"])
    if repository.tag or repository.digest:
        raise BeamError(
            "image_reference",
            "image: %s can't be used" % repository,
            "it names a tag or a digest",
            "Name the repository alone, such as registry.example.com/shop; the tag is tag, and by default the version",
        )
    work = run_join if params["state"] == "joined" else _present
    try:
        result = work(params, skopeo, repository, check_mode)
    except OSError as exc:
        raise BeamError(
            "image_disk",
            "the image can't be made on this host",
            "%s: %s" % (exc.filename or tempfile.gettempdir(), exc.strerror or exc),
            "Make room there and give the rights; TMPDIR and cache name other directories",
        ) from exc
    return {**result, "seconds": round(time.monotonic() - begun, 3)}


def _present(params: Params, skopeo: Skopeo, repository: Reference, check_mode: bool) -> Result:
    store = open_store(params)
    settings = settings_of(params)
    version = _version(store, params)
    release = "%s %s" % (version.name, version.version)
    manifest = read_manifest(store, version.name, version.digest)
    machine, variant = architecture(manifest.abi, release)
    target = repository.tagged(check_tag(params.get("tag") or tag_of(version.version)))
    named = pinned(skopeo, parse_reference("base", params["base"]))
    look = params.get("preflight") is not False
    base = read_base(skopeo, named, machine, variant, cache_of(params), look)
    warnings = _ghosts(store, version)
    if look:
        ignore = params.get("abi_ignore") or ()
        warnings += preflight(
            manifest.abi, base.root, base.programs, machine_of(base.config["architecture"]), str(named), release, ignore
        )
    scratch = tempfile.mkdtemp(prefix="beam-image-")
    try:
        where = placed(manifest, version.digest)
        derived = Derived(store, manifest, where, group(manifest, where, params["layers"]), scratch)
        _require_room(base, len(derived.groups))
        derived.derive(write=not check_mode)
        image = _image(manifest, version, base, derived, settings)
        found = skopeo.raw(str(target))
        there = "" if found is None else digest_of(found)
        changed = there != image.digest
        _require_tag(params, target, there, image)
        known = _known(skopeo, target, store, version.name, found) if changed else set()
        missing = [layer for layer in (*base.layers, *image.layers) if changed and layer.digest not in known]
        if changed and not check_mode:
            _push(skopeo, image, derived, target, known, scratch)
    finally:
        remove_tree(scratch)
    return {
        **_result(version, repository, target, image, derived, named),
        "changed": changed,
        "bytes": {
            "image": sum(layer.size for layer in (*base.layers, *image.layers)) + image.documents,
            "release": sum(layer.size for layer in image.layers),
            "missing": sum(layer.size for layer in missing) + (image.documents if changed else 0),
        },
        "writes": store.writes,
        **({"warnings": warnings} if warnings else {}),
        "diff": _diff(target, there, image.digest),
    }


def _version(store: Store, params: Params) -> Version:
    name = check_name(params["name"])
    if params.get("digest"):
        check_digest(params["digest"])
    return resolve(store, name, params.get("channel"), params.get("version"), params.get("digest"))


def _ghosts(store: Store, version: Version) -> list[str]:
    """To be told, and no reason to refuse: an image is no rollout. A channel that can't be read is the business of who uses it."""
    found = []
    for name in names_in(store.list(prefix(version.name, "channels")), ".json", check_channel)[1]:
        channel = read_channel_anyhow(store, version.name, name)[0]
        if channel is not None and channel.ghost(version.digest) is not None:
            found.append(
                "%s %s is a ghost on the channel %s: no rollout picks it" % (version.name, version.version, name)
            )
    return found


def _require_room(base: Base, own: int) -> None:
    if len(base.layers) + own > MOST_LAYERS:
        raise BeamError(
            "image_too_many_layers",
            "the image can't be made on the base %s" % base.image,
            "it has %d layers, ours would be %d, and podman and CRI-O run no image of more than %d"
            % (len(base.layers), own, MOST_LAYERS),
            "Use a base of fewer layers, or give a lower number as layers",
        )


def _image(manifest: Manifest, version: Version, base: Base, derived: Derived, settings: t.Any) -> Image:
    names = labels(manifest, version.digest, base.image.digest)
    own = [(group.title, blob) for group, blob in zip(derived.groups, derived.blobs)]
    config = make_config(base.config, manifest, own, settings, names)
    layers = tuple(Descriptor(OCI_LAYER, "sha256:" + blob.digest, blob.size) for blob in derived.blobs)
    return Image(make_manifest(config, (*base.layers, *layers), names), config, base, layers)


def _require_tag(params: Params, target: Reference, there: str, image: Image) -> None:
    if there and there != image.digest and not params.get("replace_tag"):
        raise BeamError(
            "image_tag_taken",
            "%s can't be pushed" % target,
            "this tag names another image already (%s, and this one is %s): of another base, other options or another release"
            % (there, image.digest),
            "Give another tag (of the role oci_tag), or say replace_tag=true (oci_replace_tag). Nothing that names a digest is affected",
            there=there,
            digest=image.digest,
        )


def _known(skopeo: Skopeo, target: Reference, store: Store, name: str, there: bytes | None) -> set[str]:
    """Blobs that the repository has for certain, as an image of it names them: of the newest version that is there, whose tag can mostly be guessed."""
    documents = [there] if there is not None else []
    newest = [tag for tag in (tag_of(row.version) for row in list_versions(store, name)) if tag != target.tag]
    for tag in newest[:GUESSES]:
        data = skopeo.raw(str(target.tagged(tag)))
        if data is not None:
            documents.append(data)
            break
    else:
        tags = sorted(set(skopeo.tags(target.repository)) - set(newest[:GUESSES]), reverse=True)
        found = [
            skopeo.raw(str(target.tagged(tag))) for tag in [*(one for one in newest if one in tags), *tags][:LOOKED_AT]
        ]
        documents += [data for data in found if data is not None]
    return {
        layer.digest
        for data in documents
        if not is_index(target.repository, data)
        for layer in parse_manifest(target.repository, data).layers
    }


def _push(skopeo: Skopeo, image: Image, derived: Derived, target: Reference, known: set[str], scratch: str) -> None:
    """What the registry is thought to lack; and if it lacks more, everything."""
    if any(layer.digest not in known for layer in image.base.layers):
        _copy_base(skopeo, image.base, target)
    for wanted in ([layer for layer in image.layers if layer.digest not in known], list(image.layers)):
        layout = Layout(os.path.join(scratch, "layout"))
        layout.add(image.config)
        layout.name(image.manifest, OCI_MANIFEST)
        names = {layer.digest.rpartition(":")[2] for layer in wanted}
        derived.bring(names)
        for blob in derived.blobs:
            if blob.digest in names and not layout.has(blob.digest):
                os.link(derived.path(blob), layout.path(blob.digest))
        try:
            skopeo.copy(layout.source, "docker://" + str(target))
            return
        except Lacking:
            _copy_base(skopeo, image.base, target)
    raise BeamError(
        "registry_failed",
        "the image can't be pushed to %s" % target,
        "the registry asks for layers of the base, although they were copied to it",
        "Push the base there by hand (skopeo copy), and run again",
    )


def _copy_base(skopeo: Skopeo, base: Base, target: Reference) -> None:
    """Under its digest, into the repository that needs its layers."""
    if base.image.repository != target.repository:
        skopeo.copy("docker://" + str(base.image), "docker://" + str(target.at(base.image.digest)))


def _result(
    version: Version, repository: Reference, target: Reference, image: Image, derived: Derived, base: Reference
) -> Result:
    return {
        "name": version.name,
        "version": version.version,
        "release_digest": version.digest,
        "image": str(repository.at(image.digest)),
        "tag": target.tag,
        "digest": image.digest,
        "config_digest": digest_of(image.config),
        "base": str(base),
        "base_digest": image.base.image.digest,
        "architecture": image.base.config["architecture"],
        "layers": {
            "base": len(image.base.layers),
            "release": len(image.layers),
            "packed": derived.fresh,
        },
    }


def _diff(target: Reference, before: str, after: str) -> dict[str, str]:
    return {
        "before_header": str(target),
        "after_header": str(target),
        "before": before + "\n" if before else "",
        "after": after + "\n",
    }

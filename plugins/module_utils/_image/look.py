# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What release_image_info does: from the name of an image to the release that is in it."""

from __future__ import annotations

import typing as t

from .documents import LABEL, digest_of, is_index, parse_config, parse_index, parse_manifest
from .options import Params, skopeo_of
from .reference import Reference, parse_reference
from .skopeo import Skopeo

BASE = "org.opencontainers.image.base.digest"


def run_image_info(params: Params) -> dict[str, t.Any]:
    skopeo = skopeo_of(params)
    image = parse_reference("image", params["image"])
    if not image.tag and not image.digest:
        image = image.tagged("latest")
    by = image.at(image.digest) if image.digest else image
    data = skopeo.raw(str(by))
    if data is None:
        return {"changed": False, "exists": False, "images": []}
    if image.digest:
        data = skopeo.need(str(by), image.digest)
    found: dict[str, t.Any] = {"changed": False, "exists": True, "digest": digest_of(data)}
    if is_index(str(image), data):
        members = [one for one in parse_index(str(image), data) if one.architecture not in ("", "unknown")]
        return {**found, "index": True, "images": [_describe(skopeo, image.at(one.digest)) for one in members]}
    return {**found, "index": False, "images": [_describe(skopeo, image.at(found["digest"]))]}


def _describe(skopeo: Skopeo, image: Reference) -> dict[str, t.Any]:
    manifest = parse_manifest(str(image), skopeo.need(str(image), image.digest))
    config = parse_config(str(image), skopeo.config(str(image), manifest.config.digest))
    inside = config.get("config") or {}
    labels = {key: text for key, text in (inside.get("Labels") or {}).items() if isinstance(text, str)}
    # What the image is made of counts, not what somebody wrote beside it: the labels are under the digest of the configuration.
    return {
        "name": labels.get(LABEL + "name", ""),
        "version": labels.get(LABEL + "version", ""),
        "release_digest": labels.get(LABEL + "digest", ""),
        "base_digest": labels.get(BASE, ""),
        "image": str(image),
        "digest": image.digest,
        "config_digest": manifest.config.digest,
        "architecture": config.get("architecture", ""),
        "os": config.get("os", ""),
        "user": inside.get("User", ""),
        "entrypoint": inside.get("Entrypoint") or [],
        "labels": labels,
        "layers": [{"digest": layer.digest, "size": layer.size} for layer in manifest.layers],
        "size": sum(layer.size for layer in manifest.layers),
    }

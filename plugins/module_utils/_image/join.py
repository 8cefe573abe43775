# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""One name for the images of several architectures: an index of what was pushed for each of them. Nothing is built and nothing is emulated."""

from __future__ import annotations

import os
import tempfile
import typing as t

from .._errors import BeamError
from .._tree import remove_tree
from .documents import (
    LABEL,
    OCI_INDEX,
    OCI_MANIFEST,
    Member,
    digest_of,
    is_index,
    make_index,
    parse_config,
    parse_manifest,
)
from .layout import Layout
from .options import Params
from .reference import Reference, check_tag, parse_reference, tag_of
from .skopeo import Skopeo

SAME = (LABEL + "name", LABEL + "version")


def run_join(params: Params, skopeo: Skopeo, repository: Reference, check_mode: bool) -> dict[str, t.Any]:
    members: list[Member] = []
    documents: list[bytes] = []
    named: dict[str, str] = {}
    for text in params.get("members") or ():
        image = _member(text, repository)
        data = skopeo.need(str(image), image.digest)
        if is_index(str(image), data):
            raise _refuse(image, "it is an index itself", "Name the images of one architecture each")
        manifest = parse_manifest(str(image), data)
        config = parse_config(str(image), skopeo.config(str(image), manifest.config.digest))
        same = {key: manifest.annotations.get(key, "") for key in SAME}
        if not all(same.values()):
            raise _refuse(image, "release_image did not make it", "Push the releases with release_image first")
        if named and same != named:
            raise _refuse(
                image,
                "it is of %s %s, the first one of %s %s" % (*same.values(), *named.values()),
                "Join images of one version",
            )
        named = same
        member = Member(
            image.digest,
            len(data),
            config.get("architecture", ""),
            config.get("os", ""),
            config.get("variant", ""),
            OCI_MANIFEST,
        )
        if (member.architecture, member.variant) in {(one.architecture, one.variant) for one in members}:
            raise _refuse(
                image, "another one is for %s, too" % member.architecture, "Name one image for each architecture"
            )
        members.append(member)
        documents.append(data)
    if not members:
        raise BeamError(
            "option_missing", "members is missing", "state=joined needs it", "Give the images, by their digests"
        )
    name, version = named.values()
    index = make_index(
        members, {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version, **named}
    )
    target = repository.tagged(check_tag(params.get("tag") or tag_of(version)))
    found = skopeo.raw(str(target))
    there = "" if found is None else digest_of(found)
    digest = digest_of(index)
    changed = there != digest
    if there and changed and not params.get("replace_tag") and there not in {member.digest for member in members}:
        raise BeamError(
            "image_tag_taken",
            "%s can't be pushed" % target,
            "this tag names another image already (%s, and this one is %s)" % (there, digest),
            "Give another tag (of the role oci_tag), or say replace_tag=true (oci_replace_tag). Nothing that names a digest is affected",
            there=there,
            digest=digest,
        )
    if changed and not check_mode:
        _push(skopeo, index, documents, target)
    return {
        "changed": changed,
        "name": name,
        "version": version,
        "image": str(repository.at(digest)),
        "tag": target.tag,
        "digest": digest,
        "members": {member.architecture + member.variant: member.digest for member in members},
        "diff": {
            "before_header": str(target),
            "after_header": str(target),
            "before": there + "\n" if there else "",
            "after": digest + "\n",
        },
    }


def _member(text: str, repository: Reference) -> Reference:
    image = repository.at(text) if text.startswith("sha256:") else parse_reference("members", text)
    image = parse_reference("members", str(image))
    if not image.digest or image.repository != repository.repository:
        raise _refuse(
            image,
            "it is not an image of %s by its digest" % repository.repository,
            "Give what release_image returned as image",
        )
    return Reference(image.repository, "", image.digest)


def _refuse(image: Reference, why: str, hint: str) -> BeamError:
    return BeamError("image_member", "%s can't be part of an index" % image, why, hint)


def _push(skopeo: Skopeo, index: bytes, documents: t.Sequence[bytes], target: Reference) -> None:
    scratch = tempfile.mkdtemp(prefix="beam-image-")
    try:
        layout = Layout(os.path.join(scratch, "layout"))
        for data in documents:
            layout.add(data)
            # skopeo reads each configuration, and takes the layers from the registry, where they are.
            config = parse_manifest(str(target), data).config
            if not layout.has(config.digest):
                layout.add(skopeo.config(str(target.at(digest_of(data))), config.digest))
        layout.name(index, OCI_INDEX)
        skopeo.copy(layout.source, "docker://" + str(target), everything=True)
    finally:
        remove_tree(scratch)

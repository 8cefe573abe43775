# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""An OCI layout on the disk: what skopeo copies from. It may lack blobs that the registry has, such as those of the base."""

from __future__ import annotations

import os
import typing as t

from .documents import OCI_INDEX, canonical, digest_of

NAME = "image"  # of the one image in a layout


class Layout:
    def __init__(self, root: str) -> None:
        self.root = root
        self.blobs = os.path.join(root, "blobs", "sha256")
        os.makedirs(self.blobs, exist_ok=True)
        self._write(os.path.join(root, "oci-layout"), canonical({"imageLayoutVersion": "1.0.0"}))

    @staticmethod
    def _write(path: str, data: bytes) -> None:
        with open(path, "wb") as stream:
            stream.write(data)

    def path(self, digest: str) -> str:
        return os.path.join(self.blobs, digest.rpartition(":")[2])

    def has(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def add(self, data: bytes) -> str:
        digest = digest_of(data)
        self._write(self.path(digest), data)
        return digest

    def name(self, data: bytes, media_type: str) -> str:
        """This document is the image."""
        digest = self.add(data)
        row: dict[str, t.Any] = {
            "mediaType": media_type,
            "digest": digest,
            "size": len(data),
            "annotations": {"org.opencontainers.image.ref.name": NAME},
        }
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row]}
        self._write(os.path.join(self.root, "index.json"), canonical(index))
        return digest

    @property
    def source(self) -> str:
        """For skopeo."""
        return "oci:%s:%s" % (self.root, NAME)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""From a release in the store to the layers of an image: those that are remembered as they are, the others packed now."""

from __future__ import annotations

import os
import typing as t

from .._release.manifest import File, Layer, Manifest
from .._release.pack import CHUNK
from .._store.base import Store
from .._store.export import whole_layer
from .._store.parallel import parallel
from .archive import Blob, write_blob
from .grouping import Group
from .places import Entry, Placed
from .remember import bring, packed_otherwise, recall, remember

PACKERS = 8


class Derived:
    """The layers of the image of one release. Bytes are at hand only where they were packed now, or brought since."""

    def __init__(
        self, store: Store, manifest: Manifest, placed: Placed, groups: t.Sequence[Group], scratch: str
    ) -> None:
        self.store = store
        self.manifest = manifest
        self.note = placed.note
        self.groups = groups
        self.files = os.path.join(scratch, "files")
        self.packed = os.path.join(scratch, "packed")
        for path in (self.files, self.packed):
            os.makedirs(path, exist_ok=True)
        self.blobs: list[Blob] = []
        self.fresh = 0  # layers that were packed now

    def derive(self, write: bool) -> None:
        """write: whether what is packed now is remembered."""
        name = self.manifest.name
        known = parallel(lambda group: recall(self.store, name, group), self.groups)
        unknown = [group for group, blob in zip(self.groups, known) if blob is None]
        self._unpack(unknown)
        self.fresh = len(unknown)

        def work(index: int, group: Group) -> Blob:
            made = self._pack(index, group)
            return remember(self.store, name, group, made, self.path(made)) if write else made

        # zlib works outside of the interpreter's lock, and the largest takes longest.
        order = sorted(range(len(unknown)), key=lambda index: -unknown[index].size)
        packed = parallel(lambda index: work(index, unknown[index]), order, min(PACKERS, os.cpu_count() or 1))
        made = dict(zip((unknown[index].key for index in order), packed))
        self.blobs = [blob or made[group.key] for group, blob in zip(self.groups, known)]

    def path(self, blob: Blob) -> str:
        return os.path.join(self.packed, blob.digest)

    def bring(self, wanted: t.Collection[str]) -> None:
        """Have the bytes of the layers with these digests (without sha256:) at path()."""
        lost = []
        for group, blob in zip(self.groups, self.blobs):
            if blob.digest in wanted and not os.path.exists(self.path(blob)):
                if not bring(self.store, self.manifest.name, group, blob, self.path(blob)):
                    lost.append((group, blob))
        self._unpack([group for group, _blob in lost])
        for index, (group, blob) in enumerate(lost):
            made = self._pack(index, group)
            if made != blob:
                raise packed_otherwise(self.manifest.name, group, blob, made)
            remember(self.store, self.manifest.name, group, blob, self.path(blob))

    def _pack(self, index: int, group: Group) -> Blob:
        path = os.path.join(self.packed, "new-%d" % index)
        with open(path, "wb") as out:
            blob = write_blob(out, group.entries, self._open)
        os.replace(path, self.path(blob))
        return blob

    def _open(self, entry: Entry) -> t.BinaryIO:
        return open(os.path.join(self.files, entry.sha256), "rb")

    def _unpack(self, groups: t.Sequence[Group]) -> None:
        """The files of these layers, from the layers of the store that hold them."""
        wanted = {entry.sha256 for group in groups for entry in group.entries if entry.sha256}
        if not wanted:
            return
        for group in groups:
            if group.title == "links":
                note = next(entry for entry in group.entries if entry.sha256)
                with open(os.path.join(self.files, note.sha256), "wb") as target:
                    target.write(self.note)
                wanted.discard(note.sha256)
        wanted -= set(os.listdir(self.files))
        for layer in _covering(self.manifest.layers, wanted):
            with whole_layer(self.store, self.manifest.name, layer, "made an image") as files:
                for file, stream in files:
                    self._keep(file, stream, wanted)

    def _keep(self, file: File, stream: t.BinaryIO, wanted: set[str]) -> None:
        if file.sha256 not in wanted:
            while stream.read(CHUNK):
                pass
            return
        wanted.discard(file.sha256)
        with open(os.path.join(self.files, file.sha256), "wb") as target:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                target.write(chunk)


def _covering(layers: t.Sequence[Layer], wanted: t.AbstractSet[str]) -> list[Layer]:
    """Layers that hold all of these files, none of them for a file that an earlier one has."""
    left = set(wanted)
    found = []
    for layer in layers:
        here = {file.sha256 for file in layer.files}
        if here & left:
            found.append(layer)
            left -= here
    return found

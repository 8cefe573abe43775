# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Packing layers of a tree, and writing them where the store lacks them or has them wrong."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import typing as t

from .._errors import BeamError, Conflict
from .._release.layers import Group
from .._release.manifest import Layer
from .._release.pack import Packed, pack
from .._release.tree import Tree
from .base import Stat, Store
from .intact import confirm, damage_of
from .keys import layer_key

# An unreferenced layer that is older than this may be collected at any moment: it is written again, so that it is young.
STALE_SECONDS = 12 * 3600


class Sender:
    def __init__(
        self, store: Store, name: str, tree: Tree, stored: t.Mapping[str, Stat], thorough: bool = False
    ) -> None:
        self.store = store
        self.name = name
        self.tree = tree
        self.stored = stored
        self.thorough = thorough
        self.count = 0
        self.bytes_sent = 0
        self.repaired: dict[str, str] = {}  # object -> what was wrong with it
        self.lock = threading.Lock()

    def send(self, group: Group) -> Layer:
        """Pack the group, and write the layer where the store lacks it or has it wrong."""
        with self._packed(group) as packed:
            layer = packed.layer
            stored = self.stored.get(layer.sha256)
            if stored is None:
                self._create(packed)
            else:
                why = damage_of(self.store, layer_key(self.name, layer.sha256), layer.size, layer.sha256, self.thorough)
                if why or time.time() - stored.modified > STALE_SECONDS:
                    self._renew(packed, why)
        return layer

    def send_again(self, group: Group) -> Layer:
        """Of a layer that was in the store, and is gone."""
        with self._packed(group) as packed:
            self._create(packed)
        return packed.layer

    def repair(self, layer: Layer, why: str) -> None:
        """The very bytes of this layer, made again from the tree."""
        with self._packed(Group(layer.prefix, layer.files)) as packed:
            if packed.layer.sha256 != layer.sha256:
                raise BeamError(
                    "layer_corrupt",
                    "the layer %s in the store %s can't be repaired" % (layer.sha256[:12], self.store.location),
                    "%s, and the zlib of this machine packs the same files into other bytes" % why,
                    "Publish it from the machine that published it first, or bump the version and publish that",
                )
            self._renew(packed, why)

    def document(self, key: str, data: bytes) -> None:
        """A document that is named by its content, over one that is wrong or missing."""
        stat = self.store.stat(key)
        self.store.replace(key, data, stat.etag if stat else None)
        self._sent(key, len(data), hashlib.sha256(data).hexdigest())

    def _packed(self, group: Group) -> _Open:
        return _Open(pack(self.tree.root, group.prefix, group.files))

    def _create(self, packed: Packed) -> None:
        key = layer_key(self.name, packed.layer.sha256)
        if self.store.put_if_absent(key, packed.data, packed.layer.size):
            self._sent(key, packed.layer.size, packed.layer.sha256)

    def _renew(self, packed: Packed, why: str) -> None:
        key = layer_key(self.name, packed.layer.sha256)
        stat = self.store.stat(key)
        content = packed.data.read()
        try:
            self.store.replace(key, content, stat.etag if stat else None)
        except Conflict:  # collected, or renewed by somebody else, just now
            if not self.store.put_if_absent(key, io.BytesIO(content), len(content)):
                return
        self._sent(key, packed.layer.size, packed.layer.sha256)
        if why:
            with self.lock:
                self.repaired["the layer " + packed.layer.sha256[:12]] = why

    def _sent(self, key: str, size: int, sha256: str) -> None:
        confirm(self.store, key, size, sha256)
        with self.lock:
            self.count += 1
            self.bytes_sent += size


class _Open:
    """A packed layer whose data is closed at the end."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed

    def __enter__(self) -> Packed:
        return self.packed

    def __exit__(self, *_exc: object) -> None:
        self.packed.data.close()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether an object of a store has the bytes that its name or its writer says. Checked before it is reused, and after it was written.

A store that noted the sha256 of what it was sent (S3 does, and a directory is read) is asked for that; from any other one the bytes are read.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._errors import BeamError, NotFound
from .._release.manifest import Layer
from .base import Store
from .keys import layer_key
from .parallel import parallel

CHUNK = 1024 * 1024


def damage_of(store: Store, key: str, size: int, sha256: str, read: bool = False) -> str:
    """What is wrong with the object; "" where nothing is. read: its bytes as they are now, whatever the store noted."""
    noted = store.noted(key)
    if noted is None:
        return "it is missing"
    if noted.size != size:
        return "it has %d bytes, and not %d" % (noted.size, size)
    found = noted.sha256
    if read or not found:
        try:
            found = _read(store, key, size)
        except NotFound:
            return "it is missing"
    return "" if found == sha256 else "its bytes do not have the sha256 %s" % sha256[:12]


def _read(store: Store, key: str, size: int) -> str:
    digest = hashlib.sha256()
    left = size + 1
    with store.open(key) as stream:
        while left > 0:
            chunk = stream.read(min(CHUNK, left))
            if not chunk:
                break
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest() if left == 1 else ""


def damaged_layers(store: Store, name: str, layers: t.Iterable[Layer], read: bool = False) -> dict[str, str]:
    """sha256 -> what is wrong with that layer in the store."""
    sizes = {layer.sha256: layer.size for layer in layers}
    found = parallel(lambda sha256: damage_of(store, layer_key(name, sha256), sizes[sha256], sha256, read), sizes)
    return {sha256: why for sha256, why in zip(sizes, found) if why}


def confirm(store: Store, key: str, size: int, sha256: str) -> None:
    """What was just written is there. A directory was written and synced by ourselves; a server has only said that it did."""
    if not store.needs_proof:
        return
    noted = store.noted(key)
    if noted is None:
        raise lost_write(store, key, "it is not there")
    if noted.size != size:
        raise lost_write(store, key, "it has %d bytes, and not the %d that were sent" % (noted.size, size))
    if noted.sha256 not in ("", sha256):
        raise lost_write(store, key, "it has another sha256 than what was sent")


def lost_write(store: Store, key: str, found: str) -> BeamError:
    return BeamError(
        "store_lost_write",
        "%s was not stored in the store %s" % (key, store.location),
        "the server said that it stored it, and now %s" % found,
        "Run it again; where that does not help, look at the server's disk and log, and run alchemist.beam.store_check",
    )

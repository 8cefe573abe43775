# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What was packed once is remembered in the store, so that every later image of the same files has the same bytes, whatever zlib made them.

Two objects for each layer of an image, both written once: its bytes under their sha256, and before nobody finds them a record under the key of its
content. If two machines pack the same layer at once, the first record counts for both.
"""

from __future__ import annotations

import contextlib
import json
import os

from .._errors import BeamError, NotFound
from .._json import parse_json
from .._release.names import check_digest, is_whole
from .._release.pack import CHUNK
from .._store.base import Store, named
from .._store.keys import image_blob_key, image_layer_key
from .archive import Blob, check_blob, sha256_of
from .grouping import Group

SCHEMA = 1
MAX_RECORD = 4096
_KEYS = {"schema", "digest", "size", "diff_id"}


def _record(blob: Blob) -> bytes:
    return (json.dumps({"schema": SCHEMA, **vars(blob)}, sort_keys=True) + "\n").encode("ascii")


def parse_record(data: bytes) -> Blob:
    try:
        doc = parse_json(data)
        if not isinstance(doc, dict) or set(doc) != _KEYS or doc["schema"] != SCHEMA:
            raise ValueError("it has other keys than %s, or another schema" % ", ".join(sorted(_KEYS)))
        if not is_whole(doc["size"]) or doc["size"] < 0:
            raise ValueError("its size is no number")
        return Blob(check_digest(doc["digest"]), doc["size"], check_digest(doc["diff_id"]))
    except (ValueError, TypeError, BeamError) as exc:
        raise BeamError(
            "image_record_invalid",
            "what an image's layer was packed to can't be read",
            str(exc),
            "Find out who changed the store; remove this object and run again, which may give the image another digest",
        ) from exc


def recall(store: Store, name: str, group: Group) -> Blob | None:
    key = image_layer_key(name, group.key)
    try:
        found = store.get(key, MAX_RECORD)
    except NotFound:
        return None
    with named(store.location, key):
        return parse_record(found.data)


def remember(store: Store, name: str, group: Group, blob: Blob, path: str) -> Blob:
    """What counts from now on: this blob, or the one that another machine remembered first."""
    with open(path, "rb") as stream:
        store.put_if_absent(image_blob_key(name, blob.digest), stream, blob.size)
    data = _record(blob)
    if store.put_if_absent(image_layer_key(name, group.key), data, len(data)):
        return blob
    return recall(store, name, group) or blob


def bring(store: Store, name: str, group: Group, blob: Blob, path: str) -> bool:
    """The remembered bytes to path, compared with the release file by file. False where the store has lost them."""
    try:
        with store.open(image_blob_key(name, blob.digest)) as source, open(path, "wb") as target:
            left = blob.size
            for chunk in iter(lambda: source.read(CHUNK), b""):
                left -= len(chunk)
                if left < 0:
                    break
                target.write(chunk)
    except NotFound:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return False
    if sha256_of(path) != (blob.digest, blob.size):
        raise _wrong(store, name, blob, "its bytes do not have the sha256 and size that it is named by")
    try:
        check_blob(path, group.entries)
    except ValueError as exc:
        raise _wrong(store, name, blob, str(exc)) from None
    return True


def _wrong(store: Store, name: str, blob: Blob, why: str) -> BeamError:
    return BeamError(
        "image_layer_wrong",
        "%s of the store %s can't be used" % (image_blob_key(name, blob.digest), store.location),
        why,
        "Find out who changed the store; remove this object and run again, which makes it anew from the release",
    )


def packed_otherwise(name: str, group: Group, wanted: Blob, made: Blob) -> BeamError:
    """The remembered bytes are lost, and this machine makes others."""
    text = "zlib here packs it to other bytes" if made.diff_id == wanted.diff_id else "its content is another"
    return BeamError(
        "image_layer_lost",
        "the image of %s can't be made with the digest that it had" % name,
        "the layer %s is remembered as %s, its bytes are gone from the store, and %s"
        % (group.title, wanted.digest[:12], text),
        "Run this where it was packed first, or remove the record images/%s.json from the store: the image then has another digest"
        % group.key,
    )

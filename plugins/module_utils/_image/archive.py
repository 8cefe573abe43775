# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Layers of an image as bytes, the same for the same entries.

The tar is the one of the store's layers (_release.pack), with symbolic links and empty directories beside the files. The gzip frame is written here:
Python's own says other things in its header from version to version. The compressed bytes depend on zlib. That is why they are remembered in the
store, once for each layer (remember.py).
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tarfile
import typing as t
import zlib
from dataclasses import dataclass

from .._release.pack import CHUNK
from .places import Entry

# Deflate, no name, no time, no word about level or system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL = 6
Contents = t.Callable[[Entry], t.ContextManager[t.BinaryIO]]


@dataclass(frozen=True)
class Blob:
    """A layer of an image, by its three names."""

    digest: str  # sha256 of the bytes that a registry keeps
    size: int
    diff_id: str  # sha256 of the tar in it


class _Zipped(io.RawIOBase):
    def __init__(self, out: t.BinaryIO) -> None:
        super().__init__()
        self.out = out
        self.plain, self.packed = hashlib.sha256(), hashlib.sha256()
        self.size, self.length, self.crc = 0, 0, 0
        self.deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._put(_HEADER)

    def _put(self, data: bytes) -> None:
        self.packed.update(data)
        self.size += len(data)
        self.out.write(data)

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.length

    def write(self, data: t.Any) -> int:
        self.plain.update(data)
        self.crc = zlib.crc32(data, self.crc)
        self.length += len(data)
        self._put(self.deflate.compress(data))
        return len(data)

    def finish(self) -> Blob:
        self._put(self.deflate.flush() + struct.pack("<II", self.crc, self.length & 0xFFFFFFFF))
        return Blob(self.packed.hexdigest(), self.size, self.plain.hexdigest())


def _member(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    info.size = entry.size
    if entry.target:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
    elif not entry.sha256:
        info.type = tarfile.DIRTYPE
    return info


def write_blob(out: t.BinaryIO, entries: t.Sequence[Entry], contents: Contents) -> Blob:
    """The layer into out. contents opens the bytes of a file; they have been compared with its sha256 before."""
    zipped = _Zipped(out)
    with tarfile.open(fileobj=t.cast(t.BinaryIO, zipped), mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            if entry.sha256:
                with contents(entry) as stream:
                    tar.addfile(_member(entry), stream)
            else:
                tar.addfile(_member(entry))
    return zipped.finish()


def check_blob(path: str, entries: t.Sequence[Entry]) -> None:
    """ValueError where the layer at path is not exactly these entries."""
    try:
        with tarfile.open(path, "r|gz", bufsize=tarfile.RECORDSIZE) as tar:
            for entry in entries:
                info = tar.next()
                wanted = _member(entry)
                if info is None or any(
                    getattr(info, name) != getattr(wanted, name)
                    for name in ("name", "mode", "size", "type", "linkname")
                ):
                    raise ValueError("it holds %r where the release has %s" % (info and info.name, entry.path))
                if entry.sha256 and _sha256(t.cast(t.BinaryIO, tar.extractfile(info))) != entry.sha256:
                    raise ValueError("%s has other content than the release has" % entry.path)
            extra = tar.next()
            if extra is not None:
                raise ValueError("it holds %r, which the release does not know" % extra.name)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as exc:
        raise ValueError("it is not a whole archive: %s" % exc) from exc


def _sha256(stream: t.BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def sha256_of(path: str) -> tuple[str, int]:
    with open(path, "rb") as stream:
        return _sha256(stream), os.fstat(stream.fileno()).st_size

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Layers as deterministic archives.

The format, all of it: one gzip stream (no name, mtime 0) of a POSIX tar that holds regular files only, in the order of
Layer.files (sorted by path), with paths relative to Layer.prefix and without a leading `./`; mode 0644 or 0755, mtime 0,
uid and gid 0, no user or group name. A member is a plain ustar header; where its path has more than 100 characters or is
not ASCII, a pax extended header (type `x`) with the single record `path` comes before it, and nothing else ever does
(no GNU long names, no directories, no links). Two or more zero blocks close the archive, filled up to 10,240 bytes.

The same files packed by another zlib may have other bytes, and so another name. Whoever publishes therefore looks for a
layer of the same content first (layers.content_key) and packs only what the store lacks.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import typing as t
import zlib

from .._errors import BeamError
from .manifest import File, Layer

CHUNK = 1024 * 1024
# Layers up to this size stay in memory while they wait for their upload.
SPOOL = 4 * 1024 * 1024
_BROKEN = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error)


class Packed(t.NamedTuple):
    layer: Layer
    data: t.BinaryIO  # at its start; the caller closes it


class _Hashed(io.RawIOBase):
    """Passes what is written on to out, and knows its sha256 and size."""

    def __init__(self, out: t.BinaryIO) -> None:
        super().__init__()
        self.out = out
        self.sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: t.Any) -> int:
        self.out.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)


class _Source(io.RawIOBase):
    """Knows the sha256 of what was read from stream."""

    def __init__(self, stream: t.BinaryIO) -> None:
        super().__init__()
        self.stream = stream
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data = self.stream.read(size)
        except _BROKEN as exc:
            raise ValueError("it is not a whole archive: %s" % exc) from exc
        self.sha256.update(data)
        return data


def member(path: str, mode: int, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode = mode
    info.size = size
    return info


def open_tar(out: t.BinaryIO, level: int = 6) -> tuple[gzip.GzipFile, tarfile.TarFile]:
    """A tar of our format that is written into out; close it first, then the gzip stream."""
    stream = gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=out, mtime=0)
    return stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)


def _changed(path: str) -> BeamError:
    return BeamError(
        "tree_changed",
        "the release can't be published",
        "%s changed while it was read" % path,
        "Let nothing write to the tree, and publish again",
    )


def pack(root: str, prefix: str, files: t.Sequence[File]) -> Packed:
    """The files (paths relative to prefix, sorted) of the tree at root as a layer."""
    out = t.cast(t.BinaryIO, tempfile.SpooledTemporaryFile(max_size=SPOOL))
    try:
        hashed = _Hashed(out)
        zipped, tar = open_tar(t.cast(t.BinaryIO, hashed))
        with zipped, tar:
            for file in files:
                path = os.path.join(root, prefix, file.path)
                try:
                    with open(path, "rb") as stream:
                        source = _Source(stream)
                        tar.addfile(member(file.path, file.mode, file.size), t.cast(t.IO[bytes], source))
                        if stream.read(1):
                            raise _changed(path)
                except FileNotFoundError:
                    raise _changed(path) from None
                except OSError as exc:
                    if exc.errno is None:  # tarfile: unexpected end of data
                        raise _changed(path) from None
                    raise
                if source.sha256.hexdigest() != file.sha256:
                    raise _changed(path)
        out.seek(0)
        return Packed(Layer(hashed.sha256.hexdigest(), hashed.size, prefix, tuple(files)), out)
    except BaseException:
        out.close()
        raise


class _Capped(io.RawIOBase):
    """Gives no more than limit bytes: an archive that holds more than its manifest says is not read on."""

    def __init__(self, stream: t.BinaryIO, limit: int) -> None:
        super().__init__()
        self.stream = stream
        self.left = limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(min(CHUNK, self.left + 1) if size < 0 else min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it holds more than its manifest says")
        return data


def read_members(archive: t.BinaryIO, layer: Layer) -> t.Iterator[tuple[File, t.BinaryIO]]:
    """The layer's files with their content, in order, each checked against the manifest as soon as it is read.

    ValueError where the archive is not exactly what the manifest says. The caller reads each stream to its end.
    """
    limit = layer.unpacked_size + len(layer.files) * 8 * 512 + 4 * tarfile.RECORDSIZE
    try:
        with gzip.GzipFile(fileobj=archive, mode="rb") as unzipped:
            capped = t.cast(t.BinaryIO, _Capped(t.cast(t.BinaryIO, unzipped), limit))
            with tarfile.open(fileobj=capped, mode="r|", bufsize=tarfile.RECORDSIZE) as tar:
                for file in layer.files:
                    info = tar.next()
                    if info is None:
                        raise ValueError("%s is missing" % file.path)
                    if (
                        not info.isreg()
                        or info.issparse()
                        or (info.name, info.mode, info.size) != (file.path, file.mode, file.size)
                    ):
                        raise ValueError("it holds %r where the manifest has %s" % (info.name, file.path))
                    source = _Source(t.cast(t.BinaryIO, tar.extractfile(info)))
                    yield file, t.cast(t.BinaryIO, source)
                    if source.sha256.hexdigest() != file.sha256:
                        raise ValueError("%s has other content than the manifest says" % file.path)
                extra = tar.next()
                if extra is not None:
                    raise ValueError("it holds %r, which the manifest does not know" % extra.name)
    except _BROKEN as exc:
        raise ValueError("it is not a whole archive: %s" % exc) from exc

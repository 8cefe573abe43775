# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A strict reader of layer archives.

It knows nothing but what the manifest allows: regular files that the layer names, each once, with exactly that size,
mode and content. Everything else an archive can hold is refused, with its own reason, and nothing that an archive says
ever becomes a path: paths come from the manifest. So no general tar reader is needed, and a bomb ends at the first
header whose size is not the manifest's.
"""

from __future__ import annotations

import hashlib
import os
import typing as t
import zlib

from .._errors import BeamError
from .manifest import MAX_PATH, File, Layer

BLOCK = 512
# GNU tar and Python pad the end of an archive with zeros up to a whole record of this size.
RECORD = 20 * BLOCK
# Bytes handled at once. A file up to this size is one hash, one open, one write.
CHUNK = 1024 * 1024
# "NNNN path=...\n" in UTF-8, with room for the longest path.
MAX_PAX = 4 * MAX_PATH + 64

_ZEROS = bytes(BLOCK)
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "directory",
    b"6": "fifo",
    b"7": "contiguous",
    b"g": "global_header",
    b"S": "sparse",
    b"L": "gnu_name",
    b"K": "gnu_name",
    b"V": "gnu_label",
}

Buffer = t.Union[bytes, bytearray, memoryview]


class ArchiveRefused(BeamError):
    """code is `archive_` and the reason in a word, such as `archive_symlink`."""

    def __init__(self, layer: Layer, reason: str, why: str) -> None:
        super().__init__(
            "archive_" + reason,
            "the layer %s is refused" % layer.sha256[:12],
            why,
            "Publish the same tree again (playbook alchemist.beam.deploy with -e beam_build_force=true -e beam_verify=true), which repairs the store, "
            "and find out who wrote this layer into it",
            layer=layer.sha256,
            prefix=layer.prefix,
        )


def unpack_layer(layer: Layer, archive: Buffer, directory: int) -> None:
    """Write the files of layer below the file descriptor of an empty directory that nobody else writes to.

    archive is checked against the layer's sha256 before a byte of it is decompressed.
    """
    check_archive(layer, archive)
    expected = {file.path: file for file in layer.files}
    _make_directories(expected, directory)
    reader = _Reader(layer, archive)
    while True:
        header = reader.take(BLOCK)
        if header == _ZEROS:
            break
        path = _path_of(layer, reader, header)
        if path is not None:
            header = reader.take(BLOCK)
        file = _allowed(layer, expected, bytes(header), path)
        del expected[file.path]
        _write(layer, reader, file, directory)
    reader.expect_end()
    if expected:
        raise ArchiveRefused(
            layer, "missing", "%d of its files are missing, such as %r" % (len(expected), min(expected))
        )


def check_archive(layer: Layer, archive: Buffer) -> None:
    if len(archive) != layer.size:
        raise ArchiveRefused(
            layer,
            "truncated" if len(archive) < layer.size else "too_long",
            "it has %d bytes, the manifest says %d" % (len(archive), layer.size),
        )
    if hashlib.sha256(archive).hexdigest() != layer.sha256:
        raise ArchiveRefused(layer, "corrupt", "its bytes do not have the sha256 that the manifest names")


def directories_of(paths: t.Iterable[str]) -> list[str]:
    """All directories above the paths, parents before children."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return sorted(found)


def _make_directories(paths: t.Iterable[str], directory: int) -> None:
    for path in directories_of(paths):
        os.mkdir(path, 0o755, dir_fd=directory)


class _Reader:
    """The decompressed bytes of one gzip member, a few at a time."""

    def __init__(self, layer: Layer, archive: Buffer) -> None:
        self._layer = layer
        self._archive = memoryview(archive)
        self._next = 0  # position in the archive
        self._zlib = zlib.decompressobj(wbits=31)
        self._data = b""
        self._at = 0  # position in _data

    def _more(self, limit: int) -> bytes:
        """Between 1 and limit further bytes; b"" at the end of the member."""
        while not self._zlib.eof:
            feed: Buffer = self._zlib.unconsumed_tail
            if not feed:
                feed = self._archive[self._next : self._next + CHUNK // 4]
                self._next += len(feed)
            try:
                data = self._zlib.decompress(feed, limit)
            except zlib.error as exc:
                raise ArchiveRefused(self._layer, "not_gzip", "it can't be decompressed (%s)" % exc) from exc
            if data:
                return data
            if not feed:
                raise ArchiveRefused(self._layer, "cut", "its compressed data ends too early")
        return b""

    def take(self, size: int) -> memoryview:
        """Exactly size bytes (CHUNK + BLOCK at most), valid until the next call."""
        if len(self._data) - self._at < size:
            parts = [self._data[self._at :]]
            have = len(parts[0])
            while have < size:
                data = self._more(CHUNK)
                if not data:
                    raise ArchiveRefused(self._layer, "cut", "it ends inside a file or header")
                parts.append(data)
                have += len(data)
            self._data = b"".join(parts)
            self._at = 0
        start = self._at
        self._at += size
        return memoryview(self._data)[start : self._at]

    def expect_end(self) -> None:
        """One block of zeros was read: one more, then padding of zeros, then nothing."""
        if self.take(BLOCK) != _ZEROS:
            raise ArchiveRefused(self._layer, "trailing", "data follow the end of the archive")
        rest = bytes(self._data[self._at :])
        while len(rest) <= RECORD:
            data = self._more(RECORD + 1 - len(rest))
            if not data:
                break
            rest += data
        if len(rest) > RECORD or rest.strip(b"\0"):
            raise ArchiveRefused(self._layer, "trailing", "data follow the end of the archive")
        if self._zlib.unused_data or self._next < len(self._archive):
            raise ArchiveRefused(self._layer, "second_member", "a second gzip member or garbage follows the first one")


def _path_of(layer: Layer, reader: _Reader, header: memoryview) -> str | None:
    """The path in a pax header, where header is one; None where it is a file's own."""
    if bytes(header[156:157]) != b"x":
        return None
    _check_sum(layer, bytes(header))
    size = _number(layer, bytes(header[124:136]), "size")
    if not 0 < size <= MAX_PAX:
        raise ArchiveRefused(layer, "pax", "an extended header has %d bytes" % size)
    record = bytes(reader.take(size + -size % BLOCK))
    if record[size:].strip(b"\0"):
        raise ArchiveRefused(layer, "pax", "an extended header is followed by garbage")
    record = record[:size]
    length, _blank, rest = record.partition(b" ")
    if not length.isdigit() or length.startswith(b"0") or len(length) > 5 or int(length) != size:
        raise ArchiveRefused(layer, "pax", "an extended header is not a single record")
    if not rest.startswith(b"path=") or not rest.endswith(b"\n"):
        raise ArchiveRefused(layer, "pax", "an extended header says something else than a path")
    return _text(layer, rest[5:-1])


def _allowed(layer: Layer, expected: t.Mapping[str, File], header: bytes, path: str | None) -> File:
    """The file of the manifest that this header belongs to, or the reason why there is none."""
    _check_sum(layer, header)
    if header[257:265] != b"ustar\x0000":
        raise ArchiveRefused(layer, "format", "a header is not POSIX ustar")
    kind = header[156:157]
    if kind != b"0":
        name = _KINDS.get(kind, "extended" if kind == b"x" else "kind")
        raise ArchiveRefused(
            layer, name, "it holds something that is no regular file (type %r)" % kind.decode("latin-1")
        )
    if header[157:257].strip(b"\0"):
        raise ArchiveRefused(layer, "linkname", "a regular file names a link target")
    if path is None:
        path = _text(layer, _field(layer, header[:100]))
        prefix = _field(layer, header[345:500])
        if prefix:
            path = _text(layer, prefix) + "/" + path
    file = expected.get(path)
    if file is None:
        raise _refused_path(layer, path)
    mode = _number(layer, header[100:108], "mode")
    if mode != file.mode:
        raise ArchiveRefused(layer, "mode", "%r has the mode %o, the manifest says %o" % (path, mode, file.mode))
    if _number(layer, header[108:116], "uid") or _number(layer, header[116:124], "gid"):
        raise ArchiveRefused(layer, "owner", "%r has an owner other than 0" % path)
    size = _number(layer, header[124:136], "size")
    if size != file.size:
        raise ArchiveRefused(layer, "size", "%r has %d bytes, the manifest says %d" % (path, size, file.size))
    return file


def _refused_path(layer: Layer, path: str) -> ArchiveRefused:
    if any(file.path == path for file in layer.files):
        return ArchiveRefused(layer, "duplicate", "it holds %r twice" % path)
    if path.startswith("/"):
        return ArchiveRefused(layer, "absolute_path", "%r is an absolute path" % path)
    if ".." in path.split("/"):
        return ArchiveRefused(layer, "parent_path", "%r leaves the release" % path)
    return ArchiveRefused(layer, "unexpected", "it holds %r, which the manifest does not name" % path)


def _write(layer: Layer, reader: _Reader, file: File, directory: int) -> None:
    left = file.size
    digest = hashlib.sha256()
    handle = os.open(file.path, _FILE_FLAGS, file.mode, dir_fd=directory)
    try:
        while left:
            size = min(left, CHUNK)
            left -= size
            block = reader.take(size if left else size + -size % BLOCK)
            data = block[:size]
            digest.update(data)
            while data:
                data = data[os.write(handle, data) :]
            if len(block) > size and bytes(block[size:]).strip(b"\0"):
                raise ArchiveRefused(layer, "padding", "%r is followed by hidden data" % file.path)
    finally:
        os.close(handle)
    if digest.hexdigest() != file.sha256:
        raise ArchiveRefused(layer, "content", "%r does not have the sha256 that the manifest names" % file.path)


def _check_sum(layer: Layer, header: bytes) -> None:
    if sum(header) - sum(header[148:156]) + 8 * 32 != _number(layer, header[148:156], "checksum"):
        raise ArchiveRefused(layer, "checksum", "a header's checksum is wrong")


def _field(layer: Layer, raw: bytes) -> bytes:
    """A NUL-terminated field; nothing may hide behind the NUL."""
    value, _nul, rest = raw.partition(b"\0")
    if rest.strip(b"\0"):
        raise ArchiveRefused(layer, "hidden_name", "a name goes on behind its end")
    return value


def _text(layer: Layer, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ArchiveRefused(layer, "encoding", "the name %r is not UTF-8" % raw[:100]) from exc
    if "\0" in text:
        raise ArchiveRefused(layer, "hidden_name", "the name %r has a NUL" % text[:100])
    return text


def _number(layer: Layer, raw: bytes, what: str) -> int:
    """An octal number. int() alone would take signs, underscores and blanks inside."""
    digits = raw.rstrip(b" \0").lstrip(b" ")
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise ArchiveRefused(layer, "number", "a header's %s is not an octal number" % what)
    return int(digits, 8)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that remembers in which order it was written and flushed, so that a power cut at any moment can be made afterwards.

    unshare --mount --propagation private python recording_disk.py DIRECTORY IMAGE LOG

serves IMAGE as the one file `disk` of a FUSE file system on DIRECTORY; a loop device makes a block device of it. Whatever is written goes to the copy in memory
and, with each flush, to LOG. IMAGE is left as it is. It ends when DIRECTORY is unmounted. Only what a loop device asks for is implemented.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
import typing as t
from dataclasses import dataclass

ROOT_NODE, DISK_NODE = 1, 2
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 1, 2, 3, 4, 14, 15, 16, 17, 18, 20
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 25, 26, 27, 28, 29, 34, 36, 38, 42
MAX_WRITE = 128 * 1024
DIRECT_IO = 1  # every write comes here at once, and in the order in which it was made
BIG_WRITES, MAX_PAGES = 1 << 5, 1 << 22
_ROW = struct.Struct("<cQI")


@dataclass(frozen=True)
class Write:
    offset: int
    data: bytes


FLUSHED = None
Entry = t.Optional[Write]  # FLUSHED: what came before is on the disk, whatever happens


def read_log(data: bytes) -> list[Entry]:
    found: list[Entry] = []
    at = 0
    while at + _ROW.size <= len(data):
        kind, offset, size = _ROW.unpack_from(data, at)
        at += _ROW.size
        found.append(Write(offset, data[at : at + size]) if kind == b"w" else FLUSHED)
        at += size if kind == b"w" else 0
    return found


class Disk:
    def __init__(self, image: str, log: str) -> None:
        with open(image, "rb") as stream:
            self.content = bytearray(stream.read())
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def attributes(self, node: int) -> bytes:
        mode, size = (0o40755, 4096) if node == ROOT_NODE else (0o100600, len(self.content))
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def answer(self, operation: int, node: int, body: bytes) -> bytes | int | None:
        """The answer; an errno; None where none is wanted."""
        if operation == INIT:
            _major, _minor, ahead, flags = struct.unpack_from("<4I", body)
            return struct.pack(
                "<4I2H2I2H8I",
                7,
                31,
                ahead,
                flags & (BIG_WRITES | MAX_PAGES),
                16,
                12,
                MAX_WRITE,
                1,
                MAX_WRITE // 4096,
                0,
                *(0,) * 8,
            )
        if operation == LOOKUP:
            if body.rstrip(b"\0") != b"disk":
                return errno.ENOENT
            return struct.pack("<4Q2I", DISK_NODE, 0, 3600, 3600, 0, 0) + self.attributes(DISK_NODE)
        if operation in (GETATTR, SETATTR):
            return struct.pack("<Q2I", 3600, 0, 0) + self.attributes(node)
        if operation in (OPEN, OPENDIR):
            return struct.pack("<Q2I", 0, DIRECT_IO if operation == OPEN else 0, 0)
        if operation == READ:
            _handle, offset, size = struct.unpack_from("<2QI", body)
            return bytes(self.content[offset : offset + size])
        if operation == WRITE:
            _handle, offset, size = struct.unpack_from("<2QI", body)
            data = body[40 : 40 + size]
            self.content[offset : offset + size] = data
            os.write(self.log, _ROW.pack(b"w", offset, size) + data)
            return struct.pack("<2I", size, 0)
        if operation in (FSYNC, FLUSH, RELEASE, RELEASEDIR, ACCESS, DESTROY, READDIR):
            if operation == FSYNC:
                os.write(self.log, _ROW.pack(b"f", 0, 0))
            return b""
        if operation == STATFS:
            return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *(0,) * 6)
        return None if operation in (FORGET, BATCH_FORGET, INTERRUPT) else errno.ENOSYS


def mount_fuse(handle: int, directory: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % handle
    if libc.mount(b"recording_disk", directory.encode(), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)


def serve(directory: str, image: str, log: str) -> None:
    disk = Disk(image, log)
    handle = os.open("/dev/fuse", os.O_RDWR)
    mount_fuse(handle, directory)
    while True:
        try:
            request = os.read(handle, MAX_WRITE + 65536)
        except OSError as exc:
            if exc.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                continue
            return  # ENODEV: unmounted
        _length, operation, unique, node = struct.unpack_from("<2I2Q", request)
        answer = disk.answer(operation, node, request[40:])
        if answer is not None:
            body, error = (b"", -answer) if isinstance(answer, int) else (answer, 0)
            try:
                os.write(handle, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except OSError as exc:
                if exc.errno != errno.ENOENT:  # nobody waits for it any more
                    raise


if __name__ == "__main__":
    serve(*sys.argv[1:])

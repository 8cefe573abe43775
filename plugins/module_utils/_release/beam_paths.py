# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a compiled module tells of the place where it was built. Pure."""

from __future__ import annotations

import re
import typing as t
import zlib

MAX_UNPACKED = 16 * 1024 * 1024
# Of a file: a name alone, such as /tmp, is found in too many strings.
_PATH = re.compile(rb"/(?:[A-Za-z0-9_.@+~-]+/)+[A-Za-z0-9_.@+~-]+")


def contents(data: bytes) -> bytes:
    """The module as it is, and beside it what is packed in it (whole, or its literals)."""
    if data[:2] == b"\x1f\x8b":
        data = _inflate(data, 31) or data
    literals = _chunk(data, b"LitT")
    # Four bytes of length, then zlib; 0 says that they are not packed.
    return data + _inflate(literals[4:], 15) if literals[:4] != b"\0\0\0\0" else data


def absolute_paths(data: bytes) -> set[str]:
    return {found.decode("ascii") for found in _PATH.findall(contents(data))}


def _inflate(data: bytes, wbits: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=wbits).decompress(data, MAX_UNPACKED)
    except zlib.error:
        return b""


def _chunk(data: bytes, wanted: bytes) -> bytes:
    """Of an IFF: FOR1, size, BEAM, then each chunk with its name and size, padded to four bytes."""
    if data[:4] != b"FOR1" or data[8:12] != b"BEAM":
        return b""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == wanted:
            return data[at + 8 : at + 8 + size]
        at += 8 + (size + 3) // 4 * 4
    return b""


def places(mine: t.Iterable[str], theirs: t.Iterable[str]) -> tuple[str, str] | None:
    """The two directories that the same files were built in, told by paths that end alike and begin otherwise; None where there are none."""
    only_mine, only_theirs = sorted(set(mine) - set(theirs)), sorted(set(theirs) - set(mine))
    best: tuple[int, str, str] | None = None
    for one in only_mine[:50]:
        for other in only_theirs[:50]:
            left, right = one.split("/"), other.split("/")
            same = 0
            while same < min(len(left), len(right)) - 2 and left[-1 - same] == right[-1 - same]:
                same += 1
            first, second = "/".join(left[: len(left) - same]), "/".join(right[: len(right) - same])
            if same and (best is None or same > best[0]):
                best = (same, first, second)
    return best[1:] if best else None

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Erlang's external term format, as much as a client of the distribution protocol needs. Reads what it knows, within limits.

Erlang                       Python
atom                         Atom (a str); true, false become bool, undefined and nil stay atoms
integer, float               int, float
binary                       bytes
list, string                 list (a string is a list of small integers: text() makes a str of it)
tuple, map                   tuple, dict
pid, port, reference, fun    Opaque
"""

from __future__ import annotations

import struct
import typing as t
from dataclasses import dataclass

MAX_DEPTH = 64
MAX_ITEMS = 1_000_000


class EtfError(ValueError):
    """Bytes that are no term, or a term beyond the limits."""


class Atom(str):
    """An Erlang atom. Equal to the str of the same characters, so that callers can compare plainly."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Atom(%s)" % str.__repr__(self)


@dataclass(frozen=True)
class Opaque:
    """A term that we only carry or ignore: pid, port, reference, fun."""

    kind: str
    node: str = ""


@dataclass(frozen=True)
class Pid:
    """Our own pid, to be answered to."""

    node: str
    number: int
    serial: int
    creation: int


def text(term: t.Any) -> str:
    """The str in a binary, an atom or a list of code points."""
    if isinstance(term, bytes):
        return term.decode("utf-8", "replace")
    if isinstance(term, str):
        return str(term)
    if isinstance(term, list):
        try:
            return "".join(chr(c) for c in term)
        except (TypeError, ValueError, OverflowError):
            pass
    raise EtfError("a string was expected")


def encode(term: t.Any) -> bytes:
    return b"\x83" + _encode(term)


def _encode(term: t.Any) -> bytes:
    if isinstance(term, bool):
        return _encode(Atom("true" if term else "false"))
    if isinstance(term, Atom):
        raw = term.encode("utf-8")
        return (b"w" + bytes([len(raw)]) if len(raw) < 256 else b"v" + struct.pack(">H", len(raw))) + raw
    if isinstance(term, int):
        if 0 <= term < 256:
            return b"a" + bytes([term])
        if -(1 << 31) <= term < (1 << 31):
            return b"b" + struct.pack(">i", term)
        raw = abs(term).to_bytes((abs(term).bit_length() + 7) // 8, "little")
        if len(raw) > 255:
            raise EtfError("integer too large")
        return b"n" + bytes([len(raw), term < 0]) + raw
    if isinstance(term, float):
        return b"F" + struct.pack(">d", term)
    if isinstance(term, bytes):
        return b"m" + struct.pack(">I", len(term)) + term
    if isinstance(term, tuple):
        head = b"h" + bytes([len(term)]) if len(term) < 256 else b"i" + struct.pack(">I", len(term))
        return head + b"".join(map(_encode, term))
    if isinstance(term, list):
        return b"j" if not term else b"l" + struct.pack(">I", len(term)) + b"".join(map(_encode, term)) + b"j"
    if isinstance(term, dict):
        return b"t" + struct.pack(">I", len(term)) + b"".join(_encode(k) + _encode(v) for k, v in term.items())
    if isinstance(term, Pid):
        return b"X" + _encode(Atom(term.node)) + struct.pack(">III", term.number, term.serial, term.creation)
    raise EtfError("cannot encode a %s" % type(term).__name__)


def decode(data: bytes) -> t.Any:
    """The one term in data, which begins with the version byte 131 and ends with the term."""
    term, rest = decode_prefix(data)
    if rest:
        raise EtfError("%d bytes follow the term" % len(rest))
    return term


def decode_prefix(data: bytes) -> tuple[t.Any, bytes]:
    if data[:1] != b"\x83":
        raise EtfError("not an external term")
    reader = _Reader(data)
    reader.pos = 1
    term = reader.term(0)
    return term, data[reader.pos :]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.items = 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.pos : self.pos + count]
        if len(piece) != count:
            raise EtfError("the term is cut short")
        self.pos += count
        return piece

    def unsigned(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def many(self, count: int, depth: int) -> list[t.Any]:
        # Every item takes at least a byte, so a count beyond what is left is a lie: refuse before allocating.
        if count > len(self.data) - self.pos:
            raise EtfError("the term is cut short")
        return [self.term(depth + 1) for _unused in range(count)]

    def term(self, depth: int) -> t.Any:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            raise EtfError("the term is too deep or too large")
        tag = self.take(1)
        if tag == b"a":
            return self.unsigned(1)
        if tag == b"b":
            return struct.unpack(">i", self.take(4))[0]
        if tag in (b"n", b"o"):
            size = self.unsigned(1 if tag == b"n" else 4)
            negative = self.unsigned(1)
            value = int.from_bytes(self.take(size), "little")
            return -value if negative else value
        if tag == b"F":
            return struct.unpack(">d", self.take(8))[0]
        if tag in (b"d", b"s", b"v", b"w"):
            raw = self.take(self.unsigned(2 if tag in (b"d", b"v") else 1))
            name = raw.decode("utf-8" if tag in (b"v", b"w") else "latin-1", "replace")
            return {"true": True, "false": False}.get(name, Atom(name))
        if tag == b"m":
            return self.take(self.unsigned(4))
        if tag == b"k":
            return list(self.take(self.unsigned(2)))
        if tag == b"j":
            return []
        if tag == b"l":
            items = self.many(self.unsigned(4), depth)
            tail = self.term(depth + 1)
            return items if tail == [] else [*items, tail]
        if tag in (b"h", b"i"):
            return tuple(self.many(self.unsigned(1 if tag == b"h" else 4), depth))
        if tag == b"t":
            flat = self.many(2 * self.unsigned(4), depth)
            return {_key(flat[i]): flat[i + 1] for i in range(0, len(flat), 2)}
        return self.opaque(tag, depth)

    def opaque(self, tag: bytes, depth: int) -> Opaque:
        # kind, and the bytes that follow the node's name
        fixed = {b"X": ("pid", 12), b"g": ("pid", 9), b"Y": ("port", 8), b"f": ("port", 5), b"x": ("port", 12)}
        if tag in fixed:
            kind, size = fixed[tag]
            node = self.term(depth + 1)
            self.take(size)
            return Opaque(kind, str(node))
        if tag in (b"Z", b"r"):
            words = self.unsigned(2)
            node = self.term(depth + 1)
            self.take((4 if tag == b"Z" else 1) + 4 * words)
            return Opaque("reference", str(node))
        if tag == b"p":
            self.take(self.unsigned(4) - 4)
            return Opaque("fun")
        if tag == b"q":
            self.many(3, depth)
            return Opaque("fun")
        if tag == b"M":
            size = self.unsigned(4)
            self.take(1 + size)
            return Opaque("bitstring")
        raise EtfError("unknown tag %d" % tag[0])


def _key(term: t.Any) -> t.Any:
    """Lists are no dict keys in Python; what we read has none, but what a node sends is its own business."""
    if isinstance(term, list):
        return tuple(map(_key, term))
    if isinstance(term, dict):
        return tuple((_key(k), _key(v)) for k, v in term.items())
    if isinstance(term, tuple):
        return tuple(map(_key, term))
    return term

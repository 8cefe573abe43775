# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node import etf
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import (
    Atom,
    EtfError,
    Opaque,
    decode,
    encode,
    text,
)

TERMS: list[t.Any] = [
    0,
    255,
    256,
    -1,
    2**31 - 1,
    -(2**31),
    2**31,
    -(2**80),
    1.5,
    -0.0,
    b"",
    b"bytes",
    Atom("ok"),
    Atom("ö" * 200),
    True,
    False,
    (),
    (1, (2,)),
    [],
    [1, [2, []]],
    {},
    {Atom("a"): [b"x"], b"k": {1: 2}},
    tuple(range(300)),
    list(range(3000)),
]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: repr(term)[:20])
def test_what_is_encoded_is_decoded(term: t.Any) -> None:
    assert decode(encode(term)) == term


# Read back by binary_to_term/1 of OTP 25 as the same terms.
WRITTEN_BY_ERLANG = [
    ("836b000568656c6c6f", [104, 101, 108, 108, 111]),
    ("8368027702686961ff", (Atom("hi"), 255)),
    ("836400026f6b", Atom("ok")),
    ("83770474727565", True),
    ("83740000000177016b61 01".replace(" ", ""), {Atom("k"): 1}),
    ("836c0000000161016102", [1, 2]),
    ("8358770d6e6f6e6f6465406e6f686f7374000000540000000000000000", Opaque("pid", "nonode@nohost")),
    ("8359770d6e6f6e6f6465406e6f686f73740000000100000000", Opaque("port", "nonode@nohost")),
    ("835a0003770d6e6f6e6f6465406e6f686f737400000000000000010000000200000003", Opaque("reference", "nonode@nohost")),
    ("83717706 65726c616e67 7704 73656c66 6100".replace(" ", ""), Opaque("fun")),
    ("834d000000010380", Opaque("bitstring")),
    ("836e0800ffffffffffffffff", 2**64 - 1),
]


@pytest.mark.parametrize(("data", "term"), WRITTEN_BY_ERLANG)
def test_what_a_node_writes(data: str, term: t.Any) -> None:
    assert decode(bytes.fromhex(data)) == term


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an external term"),
        (b"\x82a\x01", "not an external term"),
        (b"\x83", "cut short"),
        (b"\x83m\x00\x00\x00\x09short", "cut short"),
        (b"\x83l\xff\xff\xff\xffa\x01", "cut short"),
        (b"\x83i\xff\xff\xff\xff", "cut short"),
        (b"\x83a\x01a\x01", "2 bytes follow"),
        (b"\x83P\x00\x00\x00\x05", "unknown tag"),
        (b"\x83" + b"h\x01" * 100 + b"a\x01", "too deep"),
    ],
)
def test_bytes_that_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(EtfError, match=words):
        decode(data)


def test_no_prefix_of_a_term_is_a_term() -> None:
    whole = encode({Atom("a"): [b"x", (1, 2.0)], b"k": "".join(["é"] * 3).encode()})
    for length in range(len(whole)):
        with pytest.raises(EtfError):
            decode(whole[:length])


def test_too_many_items_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etf, "MAX_ITEMS", 10)
    with pytest.raises(EtfError, match="too large"):
        decode(encode(list(range(20))))


def test_text() -> None:
    assert (text(b"a\xc3\xa9"), text([104, 233]), text(Atom("x")), text([])) == ("aé", "hé", "x", "")
    for wrong in (1, [b"x"], [-1], (1,)):
        with pytest.raises(EtfError):
            text(wrong)


def test_map_keys_that_python_cannot_have() -> None:
    assert decode(b"\x83t\x00\x00\x00\x01k\x00\x01ha\x01") == {(104,): 1}
    with pytest.raises(EtfError, match="cannot encode"):
        encode({1, 2})

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A manifest's schema is closed, and its caps hold before anything is made of it. tests/bench/bad_days_bombs.py measures what bombs take."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release import manifest as module
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import (
    Manifest,
    parents_of,
    parse_manifest,
)

SHA = "ab" * 32
Document = dict[str, t.Any]


def document(**changes: t.Any) -> Document:
    return {
        "schema": 1,
        "name": "shop",
        "version": "1.0.0",
        "abi": {
            "arch": "",
            "libc": "",
            "libc_version": "",
            "openssl": "",
            "erts": "",
            "needs": {},
            "interpreter": "",
            "runpath": [],
        },
        "provenance": {
            "git_sha": "",
            "git_dirty": False,
            "lock_sha256": "",
            "fingerprint": "",
            "mix_env": "",
            "elixir": "",
            "otp": "",
        },
        "directories": [],
        "layers": [
            {"sha256": SHA, "size": 1, "prefix": "lib", "files": [["a/b", "644", 1, SHA], ["a/c", "755", 1, SHA]]}
        ],
        **changes,
    }


def canonical(doc: t.Any) -> bytes:
    return json.dumps(doc, sort_keys=True, separators=(",", ":")).encode("ascii")


def abi(**changes: t.Any) -> Document:
    return document(abi={**document()["abi"], **changes})


def provenance(**changes: t.Any) -> Document:
    return document(provenance={**document()["provenance"], **changes})


def layer(**changes: t.Any) -> Document:
    return document(layers=[{**document()["layers"][0], **changes}])


def why(data: bytes) -> str:
    with pytest.raises(BeamError) as caught:
        parse_manifest(data)
    assert caught.value.code == "manifest_invalid"
    return caught.value.why


def test_what_is_right_is_taken() -> None:
    assert sorted(parse_manifest(canonical(document(directories=["x/y", "z"]))).parents()) == ["lib", "lib/a", "x"]
    assert parse_manifest(
        canonical(abi(arch="x86_64", interpreter="/lib64/ld.so", optional={"libwx.so": "lib/wx"}))
    ).abi.optional


@pytest.mark.parametrize(
    ("doc", "named"),
    [
        (document(more=1), "more"),
        ({key: value for key, value in document().items() if key != "abi"}, "abi"),
        ([], "schema"),
        (document(schema=2), "schema"),
        (document(directories=["d", "d"]), "named twice"),
        (document(directories={"d": 1}), "directories"),
        (document(directories="abc"), "directories"),
        (document(directories=["lib/a/b"]), "file and a directory"),
        (document(directories=["lib/a/b/c"]), "file and a directory"),
        (document(layers={}), "layers"),
        (document(layers=[1]), ""),
        (layer(files={}), "files"),
        (layer(more=1), "more"),
        (layer(size=True), "size"),
        (provenance(more=""), "more"),
        (provenance(git_dirty="no"), "git_dirty"),
        (provenance(git_dirty=0), "git_dirty"),
        (provenance(git_sha=None), "git_sha"),
        (provenance(elixir=["1"]), "elixir"),
        (provenance(otp="x" * 5000), "otp"),
        (document(provenance=[]), "provenance"),
        (document(provenance="x"), "provenance"),
        (abi(interpreter="/tmp/evil"), "interpreter"),
        (abi(more=""), "abi"),
        (abi(arch=1), "abi"),
        (abi(needs=[]), "needs"),
        (abi(needs={"x": "abc"}), "needs"),
        (abi(needs={"l%d" % i: [] for i in range(2001)}), "needs"),
        (abi(needs={"x": ["V%d" % i for i in range(2001)]}), "needs"),
        (abi(needs={"x%d" % i: ["V%d" % j for j in range(50)] for i in range(41)}), "needs"),
        (abi(runpath=["/r"] * 2001), "runpath"),
        (abi(runpath="/r"), "runpath"),
        (abi(optional={"x": 1}), "abi"),
        (abi(optional=[]), "optional"),
        (abi(arch="x" * 2000), "abi"),
        (document(abi=[]), "abi"),
        (document(directories=["/".join("d" * 65)]), "deep"),
        (layer(prefix="/".join("d" * 65)), "deep"),
    ],
    ids=str,
)
def test_the_schema_is_closed(doc: t.Any, named: str) -> None:
    assert named in why(canonical(doc))


@pytest.mark.parametrize("key", ["schema", "directories", "layers", "sha256", "otp", "arch"])
def test_a_key_that_is_there_twice(key: str) -> None:
    data = canonical(document())
    start = data.index(b'"%s":' % key.encode())
    assert "%r appears twice" % key in why(data[:start] + b'"%s":[],' % key.encode() + data[start:])


def test_other_characters_and_other_forms() -> None:
    for data in (
        canonical(document()) + b" ",
        canonical(document()).replace(b"lib", "l\u00efb".encode()),
        json.dumps(document()).encode(),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"",
        b"1" * 10_000,
    ):
        assert why(data)


@pytest.mark.parametrize(
    ("cap", "doc"),
    [
        ("MAX_DIRECTORIES", document(directories=["a", "b", "c"])),
        ("MAX_LAYERS", document(layers=[{**document()["layers"][0], "files": []}] * 3)),
        ("MAX_FILES", layer(files=[["a%d" % i, "644", 1, SHA] for i in range(3)])),
        ("MAX_PARENTS", document(directories=["a/b/c/d"])),
    ],
)
def test_caps_hold_before_anything_is_made(cap: str, doc: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, cap, 2)
    made: list[str] = []
    real = module.safe_path
    monkeypatch.setattr(module, "safe_path", lambda path, empty_ok=False: made.append(path) or real(path, empty_ok))  # type: ignore[func-returns-value]
    assert "2" in why(canonical(doc))
    assert cap == "MAX_PARENTS" or len(made) <= 3


def test_values_are_counted_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VALUES", 1_000)
    monkeypatch.setattr(module.json, "loads", lambda *_args, **_options: pytest.fail("it was parsed"))
    assert "1000 are allowed" in why(canonical(document(directories=["d%d" % i for i in range(1_000)])))


def test_parents_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many steps as there are directories, and not as many as there are parts of all paths."""
    deep = "/".join("d%d" % i for i in range(60))
    assert len(parents_of("%s/f%d" % (deep, i) for i in range(10_000))) == 60
    monkeypatch.setattr(module, "MAX_PARENTS", 100)
    with pytest.raises(ValueError, match="more than 100"):
        parents_of("%d/%s" % (i, deep) for i in range(10_000))


def test_what_the_writer_makes_the_reader_takes() -> None:
    made = Manifest("shop", "1.0.0", Abi(), module.Provenance(), (), ("d",))
    assert parse_manifest(made.to_bytes(), made.digest) == made

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A version that is published and comes again with other content: the cause is told, and the way out."""

from __future__ import annotations

import gzip
import pathlib
import typing as t
import zlib

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.beam_paths import absolute_paths, contents, places
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Provenance
from ansible_collections.alchemist.beam.plugins.module_utils._release.record import (
    BuildRecord,
    dump_record,
    record_path,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store

Artifact = t.Callable[..., dict[str, t.Any]]
SHA = "a" * 40
BASE = {"git_sha": SHA, "fingerprint": "f" * 64, "elixir": "1.17.3", "otp": "26.2.5", "mix_env": "prod"}
MANIFEST = "lib/shop-1.0.0/priv/static/cache_manifest.json"


def beam(literals: bytes = b"", line: bytes = b"", packed: bool = True) -> bytes:
    """A module with the two chunks that hold paths."""
    chunks = b""
    literal = len(literals).to_bytes(4, "big") + zlib.compress(literals) if packed else bytes(4) + literals
    for name, data in ((b"Line", line), (b"LitT", literal)):
        chunks += name + len(data).to_bytes(4, "big") + data + bytes(-len(data) % 4)
    return b"FOR1" + (len(chunks) + 4).to_bytes(4, "big") + b"BEAM" + chunks


@pytest.mark.parametrize(
    "data",
    [
        beam(b"x/srv/b/deps/cowlib/src/cow.erly\0"),
        beam(b"\0/srv/b/deps/cowlib/src/cow.erl\0", packed=False),
        beam(line=b"\2/srv/b/deps/cowlib/src/cow.erl\0"),
        gzip.compress(beam(line=b"\2/srv/b/deps/cowlib/src/cow.erl\0")),
    ],
    ids=["packed literals", "plain literals", "lines", "gzip"],
)
def test_a_module_tells_where_it_was_built(data: bytes) -> None:
    assert [path for path in absolute_paths(data) if path.startswith("/srv/b/deps/cowlib/src/cow.erl")]


@pytest.mark.parametrize(
    "data",
    [b"", b"FOR1", beam()[:-3], b"FOR1\0\0\0\0BEAMLitT\xff\xff\xff\xff", b"\x1f\x8bbroken", beam(b"lib/shop.ex /tmp")],
)
def test_what_holds_no_path(data: bytes) -> None:
    assert absolute_paths(data) == set() and contents(data).startswith(data)


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [
        (["/a/b/deps/x/y.erl", "/usr/lib/otp/z.erl"], ["/c/deps/x/y.erl", "/usr/lib/otp/z.erl"], ("/a/b", "/c")),
        (["/a/x.erl"], ["/a/x.erl"], None),
        (["/a/one.erl"], ["/b/two.erl"], None),
        (["/a/b/c"], [], None),
        (["/b/x.erl"], ["/a/b/x.erl"], ("/b", "/a/b")),
    ],
)
def test_two_places(mine: list[str], theirs: list[str], found: t.Any) -> None:
    assert places(mine, theirs) == found


class Line:
    """Publishes trees of one version, one after the other."""

    def __init__(self, artifact: Artifact, trees: t.Any, place: pathlib.Path) -> None:
        self.artifact, self.trees, self.place, self.made = artifact, trees, place, 0

    def publish(self, files: t.Mapping[str, bytes | None], check: bool = False, **origin: t.Any) -> dict[str, t.Any]:
        self.made += 1
        root = self.trees.make_tree(self.place / str(self.made), modules=3, dependencies=1)
        for path, data in files.items():
            if data is None:
                (root / path).unlink()
            else:
                self.trees.write(root, path, data)
        record = BuildRecord("shop", "1.0.0", Abi(), Provenance(**{**BASE, **origin}), ("shop",))
        pathlib.Path(record_path(str(root))).write_bytes(dump_record(record))
        return self.artifact(check=check, path=str(root))

    def refused(self, files: t.Mapping[str, bytes | None], **origin: t.Any) -> Conflict:
        with pytest.raises(Conflict) as caught:
            self.publish(files, **origin)
        assert (
            caught.value.code == "version_exists"
            and caught.value.details["published_from"] == BASE["git_sha"]
            or origin.get("git_dirty") is not None
        )
        assert len(caught.value.message) < 1500
        return caught.value


@pytest.fixture
def line(artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path) -> Line:
    return Line(artifact, trees, tmp_path)


@pytest.mark.parametrize("check", [False, True])
def test_another_commit(check: bool, line: Line) -> None:
    line.publish({})
    with pytest.raises(Conflict) as caught:
        line.publish({"bin/new": b"1"}, check=check, git_sha="b" * 40)
    assert caught.value.message == (
        "shop 1.0.0 can't be published: that version was published from the commit aaaaaaaaaaaa, and this tree was built from bbbbbbbbbbbb. "
        "Bump the version in mix.exs, or let git name it: version: git (in an inventory beam_build_version: git)."
    )
    assert caught.value.details["differing"] == ["+ bin/new"] and caught.value.details["published_from"] == SHA


def test_changes_that_were_not_committed(line: Line) -> None:
    line.publish({}, git_dirty=True)
    theirs = line.refused({"bin/new": b"1"}, git_dirty=False)
    assert "that version was published from changes that were not committed" in theirs.why and theirs.hint.startswith(
        "Bump"
    )
    mine = line.refused({"bin/new": b"1"}, git_dirty=True)
    assert "this tree was built from changes that were not committed" in mine.why and mine.hint.startswith(
        "Commit them"
    )


def test_nobody_knows_the_commit(line: Line) -> None:
    line.publish({})
    error = line.refused({"bin/new": b"1", "bin/other": b"2"}, git_sha="")
    assert "2 files differ, such as bin/new" in error.why and "beam_build_version" in error.hint


def test_this_commit_built_with_something_else(line: Line) -> None:
    line.publish({})
    error = line.refused({"bin/new": b"1"}, fingerprint="e" * 64, elixir="1.18.1")
    assert (
        "from this very commit, aaaaaaaaaaaa, built with other options, another environment or another toolchain (Elixir 1.17.3, now 1.18.1)"
        in error.why
    )
    assert "Erlang" not in error.why and "beam_version: 1.0.0" in error.hint
    assert "toolchain. 1 file differs" in line.refused({"bin/new": b"1"}, fingerprint="e" * 64).why


def test_the_time_in_a_known_manifest(line: Line) -> None:
    line.publish({MANIFEST: b'{"mtime":1}'})
    error = line.refused({MANIFEST: b'{"mtime":2}'})
    assert error.details["causes"] == {"time": [MANIFEST]}
    assert error.message == (
        "shop 1.0.0 can't be published: that version was published from this very commit, aaaaaaaaaaaa, with the same options, and was built into something "
        "else now. 1 file holds the time of the build (%s). What is published is that commit already: deploy it (beam_build_force: false), or give another "
        "version (version, in an inventory beam_build_version)." % MANIFEST
    )


def test_the_path_of_the_build(line: Line) -> None:
    def modules(base: bytes) -> dict[str, bytes]:
        return {
            "lib/cowlib-1/ebin/a.beam": beam(line=base + b"/deps/cowlib/src/a.erl"),
            "lib/cowlib-1/ebin/b.beam": beam(
                b"\0" + base + b"/deps/cowlib/include/b.hrl\0/usr/lib/erlang/lib/stdlib/src/x.erl"
            ),
            "lib/cowlib-1/ebin/same.beam": beam(line=b"/usr/lib/erlang/lib/stdlib/src/x.erl"),
        }

    line.publish({**modules(b"/opt/ci/shop"), "lib/cowlib-1/ebin/c.beam": beam(b"1")})
    error = line.refused({**modules(b"/var/lib/alchemist/shop"), "lib/cowlib-1/ebin/c.beam": beam(b"2")})
    assert error.details["causes"] == {
        "path": ["lib/cowlib-1/ebin/a.beam", "lib/cowlib-1/ebin/b.beam"],
        "other": ["lib/cowlib-1/ebin/c.beam"],
    }
    assert "2 modules hold the path that they were built at (such as lib/cowlib-1/ebin/a.beam): " in error.why
    assert "/var/lib/alchemist here, /opt/ci in the published one" in error.why
    assert (
        "1 file is not reproducible: it reads the time, the environment or random data when it is built (lib/cowlib-1/ebin/c.beam)"
        in error.why
    )


def test_a_path_that_is_the_same_is_no_cause(line: Line) -> None:
    path = "lib/cowlib-1/ebin/a.beam"
    line.publish({path: beam(b"1", b"/usr/lib/erlang/lib/stdlib/src/x.erl")})
    assert line.refused({path: beam(b"2", b"/usr/lib/erlang/lib/stdlib/src/x.erl")}).details["causes"] == {
        "other": [path]
    }


def test_the_published_module_can_not_be_read(line: Line, store: Store) -> None:
    """The refusal is what has to be told."""
    path = "lib/cowlib-1/ebin/a.beam"
    line.publish({path: beam(line=b"/opt/ci/shop/deps/cowlib/src/a.erl")})
    for row in list(store.list("shop/layers/")):
        store.delete(row.key)
    error = line.refused({path: beam(line=b"/srv/shop/deps/cowlib/src/a.erl")})
    assert error.details["causes"] == {"path": [path]} and "may have been built at another" in error.why


def test_all_other_kinds(line: Line) -> None:
    line.publish({"priv/old-1.css": b"1", "priv/seed": b"1"})
    (line.place / "2" / "lib" / "empty").mkdir(parents=True)
    error = line.refused(
        {"priv/new-1.css": b"1", "priv/new-2.css": b"1", "priv/seed": b"2", "bin/shop": b"#!/bin/sh\nexit 0\n"}
    )
    assert error.details["causes"] == {
        "only_here": ["priv/new-1.css", "priv/new-2.css"],
        "only_published": ["priv/old-1.css"],
        "directory": ["lib/empty/ (empty directory)"],
        "mode": ["bin/shop"],
        "other": ["priv/seed"],
    }
    assert "2 files are in this tree alone" in error.why and "1 file is in the published one alone" in error.why
    assert "1 empty directory is" in error.why and "1 file has other permissions" in error.why

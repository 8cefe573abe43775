# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers as bytes: the same for the same files, and readable by anyone."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import File, Layer
from ansible_collections.alchemist.beam.plugins.module_utils._release.pack import pack, read_members
from ansible_collections.alchemist.beam.plugins.module_utils._release.unpack import unpack_layer

LONG = "d" * 120 + "/" + "n" * 200
CONTENT = {
    "a": b"alpha",
    "b/c": b"",
    "b/d": b"x" * 5000,
    "b/ü": b"umlaut",
    LONG: b"long",
    "e" * 99: b"99",
    "f/" + "g" * 99: b"101",
}


@pytest.fixture
def files(tmp_path: pathlib.Path) -> list[File]:
    for path, data in CONTENT.items():
        (tmp_path / "p" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / path).write_bytes(data)
    return [
        File(path, 0o755 if path == "b/d" else 0o644, len(CONTENT[path]), hashlib.sha256(CONTENT[path]).hexdigest())
        for path in sorted(CONTENT)
    ]


def packed(root: pathlib.Path, files: list[File], prefix: str = "p") -> tuple[Layer, bytes]:
    result = pack(str(root), prefix, files)
    with result.data:
        data = result.data.read()
    return result.layer, data


def test_the_layer_names_its_bytes(tmp_path: pathlib.Path, files: list[File]) -> None:
    layer, data = packed(tmp_path, files)
    assert (layer.sha256, layer.size, layer.prefix) == (hashlib.sha256(data).hexdigest(), len(data), "p")
    assert layer.files == tuple(files)


def test_time_owner_and_place_do_not_matter(tmp_path: pathlib.Path, files: list[File]) -> None:
    first, _data = packed(tmp_path, files)
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o777)
    (tmp_path / "p").rename(tmp_path / "q")
    second, _data = packed(tmp_path, files, "q")
    assert first.sha256 == second.sha256


def test_only_plain_members_as_documented(tmp_path: pathlib.Path, files: list[File]) -> None:
    _layer, data = packed(tmp_path, files)
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00" + data[8:9] + b"\xff"
    raw = gzip.decompress(data)
    offset, kinds = 0, []
    while raw[offset : offset + 512].strip(b"\0"):
        header = raw[offset : offset + 512]
        kinds.append(header[156:157])
        assert header[257:265] == b"ustar\x0000"
        size = int(header[124:135], 8)
        if header[156:157] == b"x":
            record = raw[offset + 512 : offset + 512 + size]
            assert record.split(b" ", 1)[1].startswith(b"path=") and record.count(b"\n") == 1
        offset += 512 + (size + 511) // 512 * 512
    assert len(raw) % 10240 == 0 and not raw[offset:].strip(b"\0")
    assert kinds.count(b"0") == len(files) and kinds.count(b"x") == 3 and set(kinds) == {b"0", b"x"}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        found = tar.getmembers()
    assert [m.name for m in found] == [f.path for f in files]
    assert all((m.uid, m.gid, m.mtime, m.uname, m.gname) == (0, 0, 0, "", "") for m in found)


def test_the_servers_reader_takes_it(tmp_path: pathlib.Path, files: list[File]) -> None:
    layer, data = packed(tmp_path, files)
    target = tmp_path / "out"
    target.mkdir()
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpack_layer(layer, data, fd)
    finally:
        os.close(fd)
    assert {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()} == CONTENT


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "gone"])
def test_a_file_that_changes_is_noticed(change: str, tmp_path: pathlib.Path, files: list[File]) -> None:
    path = tmp_path / "p" / "b" / "d"
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes({"longer": b"x" * 5001, "shorter": b"x" * 4999, "other": b"y" * 5000}[change])
    with pytest.raises(BeamError) as caught:
        pack(str(tmp_path), "p", files)
    assert caught.value.code == "tree_changed" and str(path) in caught.value.message


def read_all(data: bytes, layer: Layer) -> list[bytes]:
    return [stream.read() for _file, stream in read_members(io.BytesIO(data), layer)]


def test_it_is_read_back(tmp_path: pathlib.Path, files: list[File]) -> None:
    layer, data = packed(tmp_path, files)
    assert read_all(data, layer) == [CONTENT[f.path] for f in files]


def test_what_is_not_exactly_the_layer_is_refused(tmp_path: pathlib.Path, files: list[File]) -> None:
    layer, data = packed(tmp_path, files)
    plain = gzip.decompress(data)

    def with_files(change: t.Callable[[list[File]], list[File]]) -> Layer:
        return Layer(layer.sha256, layer.size, layer.prefix, tuple(change(list(files))))

    bomb = gzip.compress(plain.rstrip(b"\0") + b"\0" * 50_000_000)
    for archive, wanted, words in (
        (data, with_files(lambda f: f[:-1]), "does not know"),
        (data, with_files(lambda f: [*f, File("z", 0o644, 1, "0" * 64)]), "is missing"),
        (data, with_files(lambda f: f[::-1]), "where the manifest has"),
        (
            data,
            with_files(lambda f: [File(f[0].path, 0o755, f[0].size, f[0].sha256), *f[1:]]),
            "where the manifest has",
        ),
        (
            data,
            with_files(lambda f: [File(f[0].path, f[0].mode, f[0].size + 1, f[0].sha256), *f[1:]]),
            "where the manifest has",
        ),
        (data, with_files(lambda f: [File(f[0].path, f[0].mode, f[0].size, "0" * 64), *f[1:]]), "other content"),
        (data[: len(data) // 2], layer, "whole archive"),
        (b"no archive", layer, "whole archive"),
        (gzip.compress(b"no tar" * 1000), layer, "missing|whole archive"),
        (bomb, with_files(lambda f: f[:1]), "does not know|more than"),
    ):
        with pytest.raises(ValueError, match=words):
            read_all(archive, wanted)

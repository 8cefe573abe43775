# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A layer that went bad on the server is never linked into another version, and what links it already is put right."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import apply, verify
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Manifest

from .conftest import Shelf, check_whole, listing

FILE = "ebin/kernel.beam"  # of the layer that all versions share
IN_TREE = "lib/kernel-8.5/" + FILE


def flip(path: Path) -> None:
    """As a disk does: no size and no time tells."""
    info = path.stat()
    with open(path, "r+b") as stream:
        stream.seek(7)
        stream.write(bytes([path.read_bytes()[7] ^ 1]))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def cut(path: Path) -> None:
    info = path.stat()
    os.truncate(path, info.st_size - 1)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def is_a_link(path: Path) -> None:
    path.rename(path.parents[4] / "elsewhere")
    path.symlink_to(path.parents[4] / "elsewhere")


def is_in_a_linked_directory(path: Path) -> None:
    shutil.copytree(path.parent, path.parents[4] / "ebin")
    shutil.rmtree(path.parent)
    path.parent.symlink_to(path.parents[4] / "ebin")


def is_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o444)


@pytest.fixture(name="ready")
def _ready(shelf: Shelf) -> tuple[Shelf, list[Manifest], Path]:
    """0.9.0 is staged and 1.0.0 active, 1.1.0 is in the store; and a file of the layer that they share."""
    manifests = [shelf.publish(version) for version in ("0.9.0", "1.0.0", "1.1.0")]
    shelf.install(version="0.9.0")
    shelf.install(version="1.0.0", state="active")
    return shelf, manifests, Path(shelf.base, "layers", manifests[0].layers[1].sha256, FILE)


def all_whole(shelf: Shelf, manifests: t.Iterable[Manifest]) -> None:
    for manifest in manifests:
        check_whole(shelf.base, manifest)
        for layer in manifest.layers:
            root = os.path.join(shelf.base, "layers", layer.sha256)
            files = {file.path: file for file in layer.files}
            assert verify.Reading().damaged(root, files) == []
    assert os.listdir(shelf.base + "/tmp") == []


@pytest.mark.parametrize(
    "harm", [flip, cut, lambda path: path.chmod(0o666), lambda path: path.unlink()], ids=["flip", "cut", "mode", "gone"]
)
def test_it_is_fetched_again_and_every_version_is_mended(
    harm: t.Callable[[Path], None], ready: tuple[Shelf, list[Manifest], Path]
) -> None:
    shelf, manifests, path = ready
    harm(path)
    linked = os.path.exists(path)  # what the trees hold is the same file then
    before = listing(shelf.base)
    rehearsed = shelf.install(True, version="1.1.0", state="active")
    assert listing(shelf.base) == before
    result = shelf.install(version="1.1.0", state="active")
    for said in (rehearsed, result):
        assert said["rotten"] == [IN_TREE] and manifests[0].layers[1].sha256 in said["lacks"]
        assert said["mended"] == ({"0.9.0": [IN_TREE], "1.0.0": [IN_TREE]} if linked else {})
        assert said["layers"] == {"fetched": 2, "reused": 1}
        assert (
            IN_TREE in said["warnings"][-1]
            and "kernel's log" in said["warnings"][-1]
            and ("0.9.0, 1.0.0" in said["warnings"][-1]) is linked
        )
    all_whole(shelf, manifests)
    again = shelf.install(version="1.1.0", state="active", verify=True)
    assert not again["changed"] and again["rotten"] == [] and "warnings" not in again


@pytest.mark.parametrize("harm", [is_a_link, is_in_a_linked_directory, is_a_fifo])
def test_what_is_no_file_of_the_layer_is_not_linked(
    harm: t.Callable[[Path], None], ready: tuple[Shelf, list[Manifest], Path]
) -> None:
    shelf, manifests, path = ready
    harm(path)
    assert shelf.install(version="1.1.0", state="active")["layers"]["fetched"] == 2
    all_whole(shelf, manifests)


@pytest.mark.parametrize("asked", ["0.9.0", "1.0.0"])
def test_verify_mends_all_that_share_it(asked: str, ready: tuple[Shelf, list[Manifest], Path]) -> None:
    shelf, manifests, path = ready
    flip(path)
    result = shelf.install(version=asked, verify=True)
    other = {"0.9.0": "1.0.0", "1.0.0": "0.9.0"}[asked]
    assert result["changed"] and result["damaged"] == [IN_TREE] and result["mended"] == {other: [IN_TREE]}
    all_whole(shelf, manifests[:2])
    assert not shelf.install(version=other, verify=True)["changed"]


def test_what_is_about_to_serve_is_read(ready: tuple[Shelf, list[Manifest], Path]) -> None:
    """A way back, perhaps: it was staged long ago."""
    shelf, manifests, path = ready
    flip(path)
    result = shelf.install(version="0.9.0", state="active")
    assert result["damaged"] == [IN_TREE] and result["mended"] == {"1.0.0": [IN_TREE]} and result["current"] == "0.9.0"
    all_whole(shelf, manifests[:2])


def test_nothing_is_switched_where_the_store_is_away(ready: tuple[Shelf, list[Manifest], Path]) -> None:
    shelf, _manifests, path = ready
    flip(path)
    shelf.away()
    with pytest.raises(BeamError) as error:
        shelf.install(version="0.9.0", state="active")
    assert error.value.code.startswith("store_"), error.value.message
    assert os.readlink(shelf.base + "/current") == "releases/1.0.0"
    shelf.back()
    assert shelf.install(version="0.9.0", state="active")["damaged"]


def test_a_file_of_one_tree_is_put_right_from_its_layer(ready: tuple[Shelf, list[Manifest], Path]) -> None:
    """The tree has a file of its own there: the layer is whole, and no store is asked."""
    shelf, manifests, _path = ready
    place = Path(shelf.base, "releases/0.9.0", IN_TREE)
    data = place.read_bytes()
    place.unlink()
    place.write_bytes(b"K" + data[1:])
    place.chmod(0o444)
    shelf.away()
    result = shelf.install(version="0.9.0", state="active")
    assert result["damaged"] == [IN_TREE] and result["rotten"] == [] and result["mended"] == {}
    shelf.back()
    all_whole(shelf, manifests[:2])


def test_a_run_that_dies_while_it_mends_leaves_it_to_the_next(
    ready: tuple[Shelf, list[Manifest], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, manifests, path = ready
    flip(path)
    real, done = apply.repair, []

    def repair(manifest: Manifest, *args: t.Any) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(manifest.version)
        real(manifest, *args)

    monkeypatch.setattr(apply, "repair", repair)
    with pytest.raises(KeyboardInterrupt):
        shelf.install(version="1.1.0")
    monkeypatch.setattr(apply, "repair", real)
    assert done == ["0.9.0"] and shelf.install(version="1.1.0")["mended"] == {"1.0.0": [IN_TREE]}
    all_whole(shelf, manifests)


def test_a_version_without_a_manifest_is_named(ready: tuple[Shelf, list[Manifest], Path]) -> None:
    shelf, manifests, path = ready
    flip(path)
    Path(shelf.base, "manifests", manifests[0].digest + ".json").write_text("rotten, too")
    result = shelf.install(version="1.1.0")
    assert result["mended"] == {"1.0.0": [IN_TREE]} and "0.9.0" in result["warnings"][-1]
    all_whole(shelf, manifests[1:])
    assert shelf.install(version="0.9.0", verify=True)["damaged"] == [IN_TREE]


def test_a_file_is_read_once_in_a_run(
    ready: tuple[Shelf, list[Manifest], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is planned twice, before and under the lock; and a file that all versions link is one."""
    shelf, manifests, _path = ready
    read: list[int] = []
    real = verify._hash
    monkeypatch.setattr(verify, "_hash", lambda handle, size: (read.append(size), real(handle, size))[1])
    shelf.install(version="1.1.0")
    shared = sorted(file.size for layer in manifests[2].layers[:2] for file in layer.files)
    assert sorted(read) == shared
    shelf.install(version="1.0.0", verify=True)
    copied = os.geteuid() == 0  # the file of priv is no link then (see assemble)
    assert len(read) == len(shared) + len(manifests[1].files()) + copied

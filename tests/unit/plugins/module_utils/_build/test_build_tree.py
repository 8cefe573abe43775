# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build import index
from ansible_collections.alchemist.beam.plugins.module_utils._build.tree import check_tree, prune, read_version, sweep, tidy_tree
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "releases").mkdir(parents=True)
    (tree / "releases/start_erl.data").write_text("13.1.5 0.1.0")
    (tree / "bin").mkdir()
    (tree / "bin/demo").write_text("x")
    (tree / "lib").symlink_to("bin")
    return tree


def test_version(tree: Path) -> None:
    assert read_version(str(tree)) == "0.1.0"
    for text in ("13.1.5", None):
        (tree / "releases/start_erl.data").write_text(text) if text else (tree / "releases/start_erl.data").unlink()
        with pytest.raises(BeamError) as caught:
            read_version(str(tree))
        assert caught.value.code == "not_assembled"


def test_tidy(tree: Path) -> None:
    (tree / "demo-0.1.0.tar.gz").write_text("x")
    (tree / "releases/COOKIE").write_text("x")
    os.chmod(tree / "releases/COOKIE", 0o644)
    tidy_tree(str(tree), "demo", "0.1.0")
    assert not (tree / "demo-0.1.0.tar.gz").exists() and (tree / "releases/COOKIE").stat().st_mode & 0o777 == 0o600
    check_tree(str(tree))


def test_unsafe(tree: Path) -> None:
    (tree / "absolute").symlink_to("/etc/passwd")
    (tree / "out").symlink_to("../elsewhere")
    (tree / "dangling").symlink_to("nothing")
    os.mkfifo(tree / "pipe")
    (tree / "root").write_text("x")
    os.chmod(tree / "root", 0o4755)
    with pytest.raises(BeamError) as caught:
        check_tree(str(tree))
    assert caught.value.code == "unsafe_tree"
    assert caught.value.details["files"] == [
        "absolute is a link that leaves the release", "dangling is a dangling link", "out is a link that leaves the release",
        "pipe is not a regular file", "root is setuid or setgid",
    ]


def test_prune(tmp_path: Path) -> None:
    trees = []
    for number in range(5):
        tree = tmp_path / ("demo-1.0.%d-abc" % number)
        tree.mkdir()
        record = Path(str(tree) + ".build.json")
        record.write_text("{}")
        os.utime(record, (1000 + number, 1000 + number))
        trees.append(tree)
    other = tmp_path / "demo_two-1.0.0-abc"
    other.mkdir()
    Path(str(other) + ".build.json").write_text("{}")
    compiled = [tmp_path / "compiled" / ("prod-%012x" % number) for number in range(5)]
    for number, path in enumerate(compiled):
        path.mkdir(parents=True)
        os.utime(path, (1000 + number, 1000 + number))
    # esbuild installs itself there, older than all of them.
    esbuild = tmp_path / "compiled" / "esbuild-linux-x64"
    esbuild.write_text("a program")
    os.utime(esbuild, (1, 1))
    # The current one stays, however old it is.
    assert prune(str(tmp_path), 2, str(trees[0]), str(compiled[0])) == ["demo-1.0.2-abc", "demo-1.0.1-abc"]
    assert [tree.exists() for tree in trees] == [True, False, False, True, True] and other.exists()
    assert [path.exists() for path in compiled] == [True, False, True, True, True] and esbuild.exists()


def test_sweep(tmp_path: Path) -> None:
    (tmp_path / ".tmp-abc/tree").mkdir(parents=True)
    (tmp_path / ".tmp-file").write_text("x")
    (tmp_path / "demo-1.0.0-abc").mkdir()
    sweep(str(tmp_path))
    assert os.listdir(tmp_path) == ["demo-1.0.0-abc"]


def test_index(tmp_path: Path) -> None:
    directory = str(tmp_path)
    assert index.recall(directory, "a") is None
    for number in range(60):
        index.remember(directory, str(number), {"n": number})
    assert index.recall(directory, "59") == {"n": 59} and index.recall(directory, "9") is None
    (tmp_path / "index.json").write_text("not JSON")
    assert index.recall(directory, "59") is None
    index.remember(directory, "a", {"n": 1})
    assert index.recall(directory, "a") == {"n": 1} and os.listdir(tmp_path) == ["index.json"]

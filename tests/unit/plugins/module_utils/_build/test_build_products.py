# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.products import Products, sweep_unfinished, unfinished
from ansible_collections.alchemist.beam.plugins.module_utils._build.sources import read_sources


def git(root: Path, *arguments: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    argv = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(argv, check=True, env=env, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def ceiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def write(root: Path, path: str, text: str = "x") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for path in ("mix.exs", "priv/static/robots.txt", "package-lock.json"):
        write(root, path, "of the commit")
    write(root, ".gitignore", "/_build/\n/deps/\n/priv/static/assets/\n*.secret.exs\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    (root / "_build" / "out" / "scratch").mkdir(parents=True)
    return root


def begin(root: Path) -> Products:
    build_dir = root / "_build" / "out"
    return Products([read_sources(str(root), str(build_dir))], str(build_dir), str(build_dir / "scratch"), [str(root / "tools")])


def tree(root: Path) -> dict[str, str]:
    skipped = {".git", "_build"}
    return {str(p.relative_to(root)): p.read_text() if p.is_file() else "" for p in root.rglob("*") if not skipped & set(p.relative_to(root).parts)}


def test_the_directory_is_as_it_was(root: Path) -> None:
    """What `mix assets.deploy` and `npm install` write beside the sources, caches, and changes of somebody."""
    write(root, "lib/somebodys.ex", "not committed")
    write(root, "config/prod.secret.exs", "ignored, and read")
    before = tree(root)
    products = begin(root)
    assert not products.written_since(products.before)
    for path in ("priv/static/robots-0123.txt", "priv/static/robots.txt.gz", "priv/static/assets/app.js", "priv/native/nif.so", "package-lock.json",
                 "lib/somebodys.ex", "config/prod.secret.exs"):
        write(root, path, "made by the build")
    (root / "priv/static/robots.txt").unlink()
    for path in ("deps/jason/mix.exs", "assets/node_modules/x.js", "tools/archives/hex.ez"):
        write(root, path, "cache")
    assert products.written_since(products.before)
    told = products.undo()
    caches = {path for path in tree(root) if path.startswith(("deps", "assets", "tools"))}
    assert {path: text for path, text in tree(root).items() if path not in caches} == before and "tools/archives/hex.ez" in caches
    assert "priv/static/robots-0123.txt" in told and "lib/somebodys.ex" in told
    kept = root / "_build" / "out" / "products"
    assert (kept / "lib/somebodys.ex").read_text() == "made by the build"  # it may have been somebody who worked meanwhile
    assert git(root, "status", "--porcelain", "--", "lib", "priv", "package-lock.json") == "?? lib/" and unfinished(str(root / "_build" / "out")) == {}


def test_without_git(root: Path) -> None:
    subprocess.run(["rm", "-r", str(root / ".git")], check=True)
    before = tree(root)
    products = begin(root)
    write(root, "mix.exs", "changed")
    write(root, "priv/new/file")
    products.undo()
    assert tree(root) == before


def test_modes_and_links_come_back(root: Path) -> None:
    (root / "link").symlink_to("mix.exs")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "link")
    products = begin(root)
    (root / "link").unlink()
    write(root, "link", "a file now")
    (root / "package-lock.json").chmod(0o755)
    products.undo()
    assert os.readlink(root / "link") == "mix.exs" and git(root, "status", "--porcelain") == ""


@pytest.mark.parametrize("own", [True, False])
def test_a_build_that_was_killed(root: Path, own: bool) -> None:
    write(root, "config/prod.secret.exs", "was there")
    begin(root)
    build_dir = str(root / "_build" / "out")
    write(root, "priv/static/assets/app.js", "left")
    write(root, "lib/new.ex", "somebody's, or generated")
    left = sweep_unfinished(build_dir, own)
    assert len(left) == 1 and "priv/static/assets/app.js" in left[0] and "set-aside-" in left[0]
    assert not (root / "priv/static/assets/app.js").exists() and (root / "config/prod.secret.exs").exists()
    assert (root / "lib/new.ex").exists() is not own
    assert sweep_unfinished(build_dir, own) == []

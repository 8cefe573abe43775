# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.sources import (
    Sources,
    commit_time,
    describe,
    read_sources,
    require_clean,
    require_submodules,
    version_from_git,
)
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


def git(root: Path, *arguments: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    argv = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(argv, check=True, env=env, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def ceiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "demo"
    (root / "lib").mkdir(parents=True)
    (root / "config").mkdir()
    (root / "mix.exs").write_text("mix")
    (root / "lib/a.ex").write_text("a")
    (root / ".gitignore").write_text("/_build/\n/priv/\n*.secret.exs\nmix.lock\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def read(root: Path) -> Sources:
    return read_sources(str(root), str(root / "_build/alchemist"))


def test_clean(root: Path) -> None:
    sources = read(root)
    require_clean(sources, False)
    assert set(sources.files) == {"mix.exs", "lib/a.ex", ".gitignore"} and sources.git.sha == git(root, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("path", "text"),
    [("lib/a.ex", "other"), ("lib/new.ex", ""), ("config/prod.secret.exs", "x"), ("rel/env.secret.exs", "x"), ("mix.lock", "%{}"),
     ("priv2/x", "x"), ("priv/static/app.js", "x")],
)
def test_what_counts(root: Path, path: str, text: str) -> None:
    before = read(root).digest
    (root / path).parent.mkdir(exist_ok=True, parents=True)
    (root / path).write_text(text)
    assert read(root).digest != before


@pytest.mark.parametrize("path", ["_build/prod/x", "deps/jason/mix.exs", "node_modules/x/y.js", "assets/node_modules/x/y.js", "tmp/x", "_build/alchemist/x"])
def test_what_does_not_count(root: Path, path: str) -> None:
    (root / ".gitignore").write_text("/tmp/\n")
    git(root, "commit", "--quiet", "--all", "--message", "second")
    before = read(root)
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text("x")
    after = read(root)
    assert after.digest == before.digest and after.git.dirty == ()


def test_kind_and_mode_count(root: Path) -> None:
    digests = {read(root).digest}
    (root / "lib/a.ex").chmod(0o755)
    digests.add(read(root).digest)
    (root / "lib/a.ex").unlink()
    digests.add(read(root).digest)
    (root / "lib/a.ex").symlink_to("../mix.exs")
    digests.add(read(root).digest)
    assert len(digests) == 4


def test_same_content_same_digest_at_another_place(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(root), str(copy)], check=True)
    assert read(copy).digest == read(root).digest
    subprocess.run(["rm", "-r", str(copy / ".git")], check=True)
    assert read(copy).digest == read(root).digest


def test_a_project_that_is_part_of_a_repository(root: Path) -> None:
    """A child of an umbrella reads what is beside it: all of the repository counts."""
    (root / "apps/inner").mkdir(parents=True)
    (root / "apps/inner/mix.exs").write_text("inner")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "inner")
    inner = read(root / "apps/inner")
    assert inner.digest == read(root).digest and inner.root == str(root)
    (root / "lib/a.ex").write_text("changed, beside the inner project")
    again = read(root / "apps/inner")
    assert again.digest != inner.digest and again.git.dirty == ("lib/a.ex",)
    git(root, "checkout", "--quiet", ".")
    (root / "apps/inner/new.ex").write_text("")
    assert read(root / "apps/inner").git.dirty == ("apps/inner/new.ex",)


def test_what_a_link_leads_to(root: Path, tmp_path: Path) -> None:
    """A link within the repository leads to what counts anyway; another one is followed."""
    (tmp_path / "shared" / "deep").mkdir(parents=True)
    (tmp_path / "shared" / "deep" / "x.json").write_text("1")
    (root / "lib/shared").symlink_to("../../shared")
    (root / "lib/file.json").symlink_to(tmp_path / "shared" / "deep" / "x.json")
    (root / "lib/gone").symlink_to("nowhere")
    (root / "lib/inside.ex").symlink_to("a.ex")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "links")
    before = read(root)
    (tmp_path / "shared" / "deep" / "x.json").write_text("2")
    after = read(root)
    assert {path for path in before.files if before.files[path] != after.files[path]} == {"lib/shared", "lib/file.json"} and after.git.dirty == ()


def test_what_no_commit_has_is_named(root: Path) -> None:
    (root / "config/prod.secret.exs").write_text("x")
    (root / "_build").mkdir()
    (root / "_build" / "mix.lock").write_text("x")
    assert read(root).extra == ("config/prod.secret.exs",)


def test_a_submodule_that_is_not_checked_out(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.ex").write_text("x")
    git(other, "init", "--quiet")
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message", "x")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendor/other")
    require_submodules(str(root))
    git(root, "submodule", "--quiet", "deinit", "--force", "vendor/other")
    with pytest.raises(BeamError, match="the submodule vendor/other is not checked out.*submodule update --init") as caught:
        require_submodules(str(root))
    assert caught.value.code == "git_submodule"


def test_dirty_is_refused_by_name(root: Path) -> None:
    for number in range(7):
        (root / ("lib/new%d.ex" % number)).write_text("")
    (root / "mix.exs").write_text("changed")
    sources = read(root)
    with pytest.raises(BeamError, match=r"lib/new0.ex.* and 3 more") as caught:
        require_clean(sources, False)
    assert caught.value.code == "git_dirty" and len(caught.value.details["files"]) == 8
    require_clean(sources, True)


def test_without_git(root: Path) -> None:
    subprocess.run(["rm", "-r", str(root / ".git")], check=True)
    sources = read(root)
    assert set(sources.files) == {"mix.exs", "lib/a.ex", ".gitignore"}
    with pytest.raises(BeamError, match="not a git repository") as caught:
        require_clean(sources, False)
    assert caught.value.code == "git_unknown"


def test_without_the_program_git(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BeamError, match="git is not installed"):
        require_clean(read(root), False)


def test_repository_of_another_user(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    wrapper = root.parent / "bin" / "git"
    wrapper.parent.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], check=True, capture_output=True, text=True).stdout.strip()
    # What git does itself when the owner of the directory is not who asks.
    wrapper.write_text("#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec %s \"$@\"\n" % real)
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (wrapper.parent, os.environ["PATH"]))
    with pytest.raises(BeamError, match="dubious ownership.*become_user"):
        require_clean(read(root), False)


def test_directory_that_the_repository_around_it_ignores(root: Path) -> None:
    """git lists nothing there: a change would never be seen."""
    inner = root / "_build" / "inner"
    inner.mkdir(parents=True)
    (inner / "mix.exs").write_text("x")
    sources = read_sources(str(inner), str(inner / "out"))
    assert set(sources.files) == {"mix.exs"} and "does not belong" in sources.git.problem


def test_environment_of_a_git_hook_does_not_mislead(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = read(root).git.sha
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert read(root).git.sha == sha


def test_submodule_counts_as_it_is_checked_out(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.ex").write_text("x")
    git(other, "init", "--quiet")
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message", "x")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendor/other")
    git(root, "commit", "--quiet", "--message", "submodule")
    clean = read(root)
    assert "vendor/other/x.ex" in clean.files and clean.git.dirty == ()
    (root / "vendor/other/x.ex").write_text("y")
    changed = read(root)
    assert changed.digest != clean.digest and changed.git.dirty == ("vendor/other",)


def test_status_writes_nothing(root: Path) -> None:
    os.utime(root / "mix.exs", (1, 1))  # makes git want to refresh its index
    before = {p: p.stat().st_mtime_ns for p in (root / ".git").rglob("*")}
    read(root)
    assert {p: p.stat().st_mtime_ns for p in (root / ".git").rglob("*")} == before


def test_describe(root: Path) -> None:
    with pytest.raises(BeamError, match="Tag a commit") as caught:
        describe(str(root))
    assert caught.value.code == "git_describe"
    git(root, "tag", "v1.2.3")
    assert describe(str(root)) == "1.2.3"
    (root / "mix.exs").write_text("x")
    assert describe(str(root)) == "1.2.3-dirty"
    git(root, "commit", "--quiet", "--all", "--message", "second")
    assert describe(str(root)).startswith("1.2.3-1-g")
    git(root, "tag", "very-new")
    assert describe(str(root)) == "very-new"


def test_a_version_without_a_tag(root: Path, tmp_path: Path) -> None:
    commit = git(root, "rev-parse", "HEAD")[:8]
    assert version_from_git(str(root), "0.1.0") == "0.1.0+g%s" % commit
    assert version_from_git(str(root), "0.1.0+a") == "0.1.0+a.g%s" % commit
    (root / "mix.exs").write_text("x")
    assert version_from_git(str(root), "0.1.0") == "0.1.0+g%s.dirty" % commit
    git(root, "commit", "--quiet", "--all", "--message", "second")
    with pytest.raises(BeamError, match="Tag a commit"):
        version_from_git(str(root), None)
    git(root, "tag", "v1.2.3")
    assert version_from_git(str(root), "0.1.0") == "1.2.3"
    git(root, "tag", "--delete", "v1.2.3")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", "file://%s" % root, str(shallow))
    with pytest.raises(BeamError, match="the clone is shallow.*--unshallow") as caught:
        version_from_git(str(shallow), "0.1.0")
    assert caught.value.code == "git_shallow"


def test_the_time_of_the_commit(root: Path, tmp_path: Path) -> None:
    assert commit_time(str(root)) == int(git(root, "log", "-1", "--format=%ct"))
    assert commit_time(str(tmp_path)) is None


def test_a_version_of_several_tags(root: Path) -> None:
    for tag in ("latest", "v1", "v1.0", "v1.0.0", "1.0.0"):
        git(root, "tag", tag)
    assert version_from_git(str(root), "0.1.0") == "1.0.0"
    git(root, "tag", "v1.0.1")
    with pytest.raises(BeamError, match="v1.0.0 and v1.0.1.*beam_ref") as caught:
        version_from_git(str(root), "0.1.0")
    assert caught.value.code == "git_ambiguous"
    assert version_from_git(str(root), "0.1.0", "v1.0.1") == "1.0.1" and version_from_git(str(root), "0.1.0", "v1.0.0") == "1.0.0"
    git(root, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(root, "tag", "--force", "latest")
    assert version_from_git(str(root), "0.1.0").startswith("1")
    git(root, "tag", "--delete", "v1.0.0", "v1.0.1", "1.0.0", "v1", "v1.0")
    assert version_from_git(str(root), "0.1.0") == "latest"

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small Mix project in a git repository, for the tests to change and build."""

from __future__ import annotations

import hashlib
import os
import subprocess
import textwrap
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._build.build import run_build
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import make_request

MIX_EXS = """
defmodule Demo.MixProject do
  use Mix.Project

  def project do
    [app: :demo, version: "0.1.0", elixir: "~> 1.14", deps: []]
  end

  def application, do: []
end
"""
DEMO = """
defmodule Demo do
  def answer, do: "first"
end
"""
DEFAULTS: dict[str, t.Any] = {
    "mix_env": "prod",
    "deps": "locked",
    "timeout": 300,
    "keep": 5,
    "force": False,
    "allow_dirty": False,
}


def git(directory: Path, *arguments: str) -> str:
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",  # the same content at another place is the same commit
    }
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], check=True, env=env, capture_output=True, text=True
    ).stdout.strip()


class MixProject:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.write("mix.exs", MIX_EXS)
        self.write("lib/demo.ex", DEMO)
        self.write(".gitignore", "/_build/\n/deps/\n")
        git(root, "init", "--quiet", "--initial-branch=main")
        self.commit()

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def commit(self) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", "change", "--allow-empty")
        return git(self.root, "rev-parse", "HEAD")

    def options(self, **options: t.Any) -> dict[str, t.Any]:
        return {**DEFAULTS, "project_dir": str(self.root), **options}

    def build(self, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        return run_build(make_request(self.options(**options), os.environ), check_mode)


def ask(result: t.Mapping[str, t.Any], expression: str) -> str:
    """The value of an Elixir expression in the release that was built."""
    launcher = Path(result["path"]) / "bin" / result["name"]
    env = {**os.environ, "RELEASE_TMP": str(Path(result["path"]).parent / "run"), "RELEASE_DISTRIBUTION": "none"}
    done = subprocess.run(
        [str(launcher), "eval", "IO.puts(%s)" % expression],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hashes(tree: str | Path) -> dict[str, str]:
    """path -> content of every file, but for the cookie, which is random."""
    found = {}
    for path in sorted(Path(tree).rglob("*")):
        name = str(path.relative_to(tree))
        if path.is_file() and name != "releases/COOKIE":
            found[name] = "%o %s" % (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in directory.rglob("*")}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mix_release with real Elixir, when something is wrong: which step, why, and that nothing half-made is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from mix_project import MIX_EXS, MixProject, ask, git, hashes

BUILD = "import json, sys; from mix_project import *; print(json.dumps(run_build(make_request(json.loads(sys.argv[1]), os.environ))))"


@pytest.fixture
def project(tmp_path: Path) -> MixProject:
    return MixProject(tmp_path / "demo")


def refused(project: MixProject, **options: t.Any) -> BeamError:
    with pytest.raises(BeamError) as caught:
        project.build(**options)
    build_dir = project.root / "_build" / "alchemist"
    assert not build_dir.exists() or not [p for p in build_dir.iterdir() if p.name.startswith((".tmp-", "demo-"))]
    return caught.value


def test_compiler_says_where(project: MixProject) -> None:
    project.write("lib/demo.ex", "defmodule Demo do\n  def answer, do: %{a: 1\nend\n")
    project.commit()
    error = refused(project, env={"API_TOKEN": "canary-5f2d"})
    assert error.code == "build_failed" and error.details["step"] == "compile"
    assert "step compile: mix compile" in error.message and "Error) lib/demo.ex:" in error.message


def test_secrets_are_not_repeated(project: MixProject) -> None:
    project.write("lib/demo.ex", 'raise "the token is " <> System.fetch_env!("API_TOKEN")\n')
    project.commit()
    error = refused(project, env={"API_TOKEN": "canary-5f2d"})
    assert "the token is ********" in error.message
    assert "canary-5f2d" not in error.message + json.dumps(error.details)


@pytest.mark.parametrize(
    ("mix_exs", "options", "code", "text"),
    [
        ("releases: [one: [], two: []]", {}, "release_ambiguous", "one, two"),
        ("releases: [one: [], two: []]", {"release": "three"}, "unknown_release", "mix.exs has one, two"),
        ("releases: []", {"release": "three"}, "unknown_release", "there is only demo"),
        ('compilers: raise("broken")', {}, "mix_exs_failed", "broken"),
        ("releases: []", {"before": ["no.such.task"]}, "build_failed", "step before: mix no.such.task"),
        ("releases: []", {"elixir_path": "/nonexistent"}, "no_elixir", "elixir_path /nonexistent has no elixir"),
        ('version: "../../x"', {}, "invalid_version", "'../../x' is not a version"),
    ],
)
def test_bad_projects(project: MixProject, mix_exs: str, options: dict[str, t.Any], code: str, text: str) -> None:
    line = mix_exs + ", deps: []"
    project.write(
        "mix.exs",
        MIX_EXS.replace('version: "0.1.0", ', "").replace("deps: []", line)
        if "version" in mix_exs
        else MIX_EXS.replace("deps: []", line),
    )
    project.commit()
    error = refused(project, **options)
    assert error.code == code and text in error.message


def test_umbrella_without_releases(project: MixProject) -> None:
    project.write("mix.exs", MIX_EXS.replace('app: :demo, version: "0.1.0",', 'apps_path: "apps",'))
    project.write("apps/.keep", "")
    project.commit()
    assert refused(project).code == "no_release"


def test_git_state(tmp_path: Path, project: MixProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("lib/more.ex", "defmodule More do\nend\n")
    error = refused(project)
    assert error.code == "git_dirty" and "lib/more.ex" in error.message
    made = project.build(allow_dirty=True)
    assert made["provenance"]["git_dirty"] and made["git_sha"]
    assert project.build(allow_dirty=True)["changed"] is False
    # The same content as a commit is the same build.
    project.commit()
    assert project.build()["changed"] is False

    subprocess.run(["rm", "-r", str(project.root / ".git")], check=True)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(BeamError, match="not a git repository"):
        project.build()
    again = project.build(allow_dirty=True)
    assert not again["changed"] and again["git_sha"] == made["git_sha"]


def test_overlay_that_leaves_the_release(project: MixProject) -> None:
    overlay = project.root / "rel" / "overlays" / "extra"
    overlay.mkdir(parents=True)
    os.symlink("/etc/passwd", overlay / "passwd")
    project.commit()
    error = refused(project)
    assert error.code == "unsafe_tree" and "extra/passwd is a link that leaves the release" in error.message


def test_dependencies(tmp_path: Path, project: MixProject) -> None:
    other = MixProject(tmp_path / "other")
    other.write("mix.exs", MIX_EXS.replace("Demo", "Other").replace(":demo", ":other"))
    other.write("lib/demo.ex", 'defmodule Other do\n  def answer, do: "fetched"\nend\n')
    other.commit()
    project.write("mix.exs", MIX_EXS.replace("deps: []", 'deps: [{:other, git: "file://%s"}]' % other.root))
    project.commit()
    missing = refused(project, deps="offline")
    assert missing.code == "deps_missing" and missing.details["step"] == "compile"
    unlocked = refused(project)
    assert unlocked.code == "lock_changed" and not (project.root / "mix.lock").exists()
    assert git(project.root, "status", "--porcelain") == ""
    fetched = project.build(deps="get")
    assert ask(fetched, "Other.answer()") == "fetched"
    project.commit()
    locked = project.build()
    assert locked["provenance"]["lock_sha256"] and "deps" in locked["seconds"]
    assert "deps" not in project.build(deps="offline", force=True)["seconds"]


def test_hex_dependency_without_hex(project: MixProject, tmp_path: Path) -> None:
    project.write("mix.exs", MIX_EXS.replace("deps: []", 'deps: [{:no_such_package, "~> 1.0"}]'))
    project.commit()
    error = refused(project, env={"MIX_HOME": str(tmp_path / "mix")})
    assert error.code == "no_hex" and "mix local.hex" in error.hint


def test_time_limit_ends_everything(project: MixProject, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = project.write("child.sh", '#!/bin/sh\necho $$ > "%s"\nexec sleep 300\n' % mark)
    script.chmod(0o755)
    project.write(
        "lib/wait.ex",
        'defmodule Mix.Tasks.Wait do\n  use Mix.Task\n  def run(_), do: System.cmd(Path.expand("child.sh"), [])\nend\n',
    )
    project.commit()
    started = time.monotonic()
    error = refused(project, before=["wait"], timeout=12)
    assert error.code == "build_timeout" and error.details["step"] == "before" and time.monotonic() - started < 40
    deadline = time.monotonic() + 10
    while os.path.exists("/proc/%s" % mark.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists("/proc/%s" % mark.read_text().strip())


def background(project: MixProject, **options: t.Any) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BUILD, json.dumps(project.options(**options))]
    return subprocess.Popen(argv, cwd=Path(__file__).parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_at_once(project: MixProject) -> None:
    both = [background(project), background(project)]
    results = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    assert sorted(r["changed"] for r in results) == [False, True]
    assert results[0]["path"] == results[1]["path"] and ask(results[0], "Demo.answer()") == "first"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_killed_build_is_made_again(project: MixProject, tmp_path: Path, sent: signal.Signals) -> None:
    """Killed while Mix compiles. What it had begun ends before the next build begins, and nothing of it stays."""
    marker = tmp_path / "compiling"
    slow = 'unless File.exists?("%s") do\n  File.write!("%s", System.pid())\n  Process.sleep(2500)\nend\n' % (
        marker,
        marker,
    )
    project.write("lib/slow.ex", slow)
    project.commit()
    first = background(project)
    deadline = time.monotonic() + 60
    # A file is there before what is written to it.
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.05)
    first.send_signal(sent)
    first.communicate(timeout=30)
    assert first.returncode != 0
    mix = marker.read_text()
    if sent == signal.SIGTERM:
        assert not os.path.exists("/proc/" + mix)
    made = project.build()
    assert not os.path.exists("/proc/" + mix)
    build_dir = Path(made["path"]).parent
    assert made["changed"] and not [p.name for p in build_dir.iterdir() if p.name.startswith(".tmp-")]
    fresh = MixProject(tmp_path / "again" / "demo")
    fresh.write("lib/slow.ex", slow)
    fresh.commit()
    assert hashes(fresh.build()["path"]) == hashes(made["path"])


def test_full_disk(project: MixProject, tmp_path: Path) -> None:
    """A small tmpfs, in a mount namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    options = json.dumps(project.options(build_dir=str(small)))
    inner = 'mount -t tmpfs -o size=5m tmpfs "$1" && "$2" -c "$3" "$4"; echo ===; ls -A "$1"'
    wrapped = (
        "from mix_project import *\nfrom ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError\nimport json, sys\n"
        "try:\n    run_build(make_request(json.loads(sys.argv[1]), os.environ))\nexcept BeamError as e:\n    print(e.code, e.message)\n"
    )
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            inner,
            "sh",
            str(small),
            sys.executable,
            wrapped,
            options,
        ],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.startswith("disk_full "), done.stdout + done.stderr
    message, left = done.stdout.split("===\n")
    assert "%s has " % small in message and "MB free" in message
    assert set(left.split()) <= {".lock", "compiled", "index.json"}

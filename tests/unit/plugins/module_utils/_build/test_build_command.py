# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.command import build_environment, run_command
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


def sh(script: str, cwd: Path, timeout: float = 20) -> tuple[int, str]:
    done = run_command(["/bin/sh", "-c", script], str(cwd), {"PATH": os.defpath}, timeout)
    return done.status, done.output


def test_status_and_output_of_both_streams(tmp_path: Path) -> None:
    assert sh("echo out; echo err >&2; pwd; exit 3", tmp_path) == (3, "out\nerr\n%s" % tmp_path.resolve())
    assert sh("kill -9 $$", tmp_path)[0] == -9


def test_questions_read_end_of_file(tmp_path: Path) -> None:
    assert sh("read answer || echo nobody", tmp_path) == (0, "nobody")


def test_only_the_end_of_much_output_is_kept(tmp_path: Path) -> None:
    _status, output = sh("i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done", tmp_path)
    lines = output.splitlines()
    assert lines[-1] == "line 8999" and len(lines) == 40


def test_time_limit_ends_children_in_sessions_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(BeamError) as caught:
        stubborn = "setsid sh -c 'trap \"\" TERM; echo $$ > stubborn; sleep 61' &"
        sh("echo before; setsid sleep 60 & echo $! > pid; trap '' TERM; %s wait" % stubborn, tmp_path, timeout=1)
    assert caught.value.code == "build_timeout" and caught.value.details["output"] == ["before"]
    deadline = time.monotonic() + 5
    for name in ("pid", "stubborn"):
        pid = (tmp_path / name).read_text().strip()
        while os.path.exists("/proc/" + pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not os.path.exists("/proc/" + pid), name


def test_a_daemon_that_keeps_the_pipe_does_not_hold_us_up(tmp_path: Path) -> None:
    started = time.monotonic()
    assert sh("echo said; setsid sleep 20 & echo $! > pid", tmp_path) == (0, "said")
    assert time.monotonic() - started < 10
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(BeamError, match="can't be run.*elixir_path") as caught:
        run_command([str(tmp_path / "none")], str(tmp_path), {}, 5)
    assert caught.value.code == "command_missing"


def test_environment_is_that_of_the_build_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MIX_TARGET": "rpi", "ERL_FLAGS": "+S 1", "ERL_COMPILER_OPTIONS": "x", "SECRET": "s", "PATH": "/bin", "HTTPS_PROXY": "p"}.items():
        monkeypatch.setenv(name, value)
    env = build_environment({"GIVEN": "1", "PATH": "/own"}, "/opt/elixir/bin")
    assert env["GIVEN"] == "1" and env["HTTPS_PROXY"] == "p" and env["PATH"] == "/opt/elixir/bin:/own" and env["LC_ALL"] == "C.UTF-8"
    assert not {"MIX_TARGET", "ERL_FLAGS", "ERL_COMPILER_OPTIONS", "SECRET"} & set(env)
    monkeypatch.delenv("HOME")
    assert build_environment({})["HOME"].startswith("/")

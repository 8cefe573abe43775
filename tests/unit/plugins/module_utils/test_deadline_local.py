# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is waited for on this machine ends in time: commands that hang, what they leave behind, locks that somebody holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import main
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.report import Report
from ansible_collections.alchemist.beam.plugins.module_utils._build import git
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import setup as host_setup
from ansible_collections.alchemist.beam.plugins.module_utils._node import vm_settings
from ansible_collections.alchemist.beam.plugins.module_utils._node.systemd import Systemctl
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target
from ansible_collections.alchemist.beam.plugins.module_utils._project import repository
from ansible_collections.alchemist.beam.plugins.module_utils._store import promises

ESCAPED = "setsid sleep 3 & sleep 3"  # it holds the outputs of its parent, and is in no group that could be killed


@contextlib.contextmanager
def soon() -> t.Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 2.5


def test_a_child_of_systemctl_that_outlives_it() -> None:
    with soon():
        assert Systemctl().run("sh", "-c", ESCAPED, timeout=0.2) == (124, "sh did not answer within 0.2 s")


def test_a_child_of_env_sh_that_outlives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm_settings, "SCRIPT_SECONDS", 0.2)
    (tmp_path / "releases" / "1.0.0").mkdir(parents=True)
    (tmp_path / "releases" / "1.0.0" / "env.sh").write_text(ESCAPED)
    env = {"PATH": os.environ["PATH"], "A": "b"}
    with soon():
        assert vm_settings.after_script(Target("shop", str(tmp_path), "1.0.0"), env, "/", {}) == env


def test_a_command_of_the_setup_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_setup, "COMMAND_SECONDS", 0.2)
    with soon(), pytest.raises(BeamError, match=r"sh -c failed: it did not end within 0.2 s. Run it by hand") as error:
        host_setup._command(["sh", "-c", ESCAPED])
    assert error.value.code == "setup_failed"


def test_a_bootstrap_that_holds_the_lock_of_another_one(tmp_path: Path) -> None:
    config: t.Any = SimpleNamespace(base=str(tmp_path), name="shop", deadline=0.2)
    with main._alone(config, Report("shop")):
        named = r"\.bootstrap\.lock is locked for longer than .* process %d " % os.getpid()
        with soon(), pytest.raises(BeamError, match=named) as error, main._alone(config, Report("shop")):
            pass
        assert error.value.code == "bootstrap_locked"
    with (
        main._alone(config, Report("shop")),
        open(tmp_path / ".bootstrap.lock", "rb") as handle,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_git_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\n" + ESCAPED)
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))
    monkeypatch.setattr(git, "ASK_SECONDS", 0.2)
    with soon():
        assert git.first_line(git.ask(str(tmp_path), "status")) == "git status did not answer within 0.2 s"
    files = repository.Files(str(tmp_path), "a" * 40, {"mix.exs": 3})
    with soon(), pytest.raises(BeamError, match=r"mix.exs can't be read: git did not give it within 0.2 s"):
        files.read("mix.exs")


def test_a_race_without_room_for_all_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    real, started = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if len(started) == promises.RACERS - 1:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        promises._race(lambda _index: True)
    monkeypatch.undo()
    for thread in started:
        thread.join(1)
    assert not any(thread.is_alive() for thread in started)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of a base: only who may install can hold it, and who holds it is what the kernel says."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import main
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.lock import exclusive, settled

from .conftest import Shelf

ROOT = os.geteuid() == 0
NOBODY = 65534
HOLD = """
import fcntl, os, sys
if int(sys.argv[2]) != os.geteuid():
    os.setuid(int(sys.argv[2]))
fcntl.flock(int(sys.argv[1]), fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@contextlib.contextmanager
def held(path: str, user: int = os.geteuid()) -> t.Iterator[subprocess.Popen[bytes]]:
    """By a process that opened it before it was closed to readers."""
    handle = os.open(path, os.O_RDONLY)
    words = [sys.executable, "-c", HOLD, str(handle), str(user)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(handle,)) as process:
        os.close(handle)
        try:
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(name="lock")
def _lock(shelf: Shelf) -> str:
    """As a former version left it: everybody may read it, and it names the process that installed last."""
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    path = shelf.base + "/.lock"
    Path(path).write_text("4711\n")
    os.chmod(path, 0o644)
    return path


def busy(work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as error:
        work()
    assert error.value.code == "install_locked" and "4711" not in error.value.message, error.value.message
    return error.value


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_can_open_it(umask: int, shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    before = os.umask(umask)
    try:
        shelf.install(version="1.0.0")
    finally:
        os.umask(before)
    assert mode(shelf.base + "/.lock") == 0o600


def test_one_of_a_former_version_is_closed(lock: str, shelf: Shelf) -> None:
    shelf.install(version="1.1.0")
    assert mode(lock) == 0o600


@pytest.mark.skipif(not ROOT, reason="NOT TESTED: only root can start somebody else's process")
def test_a_reader_from_before_is_named_and_can_t_come_back(lock: str, shelf: Shelf) -> None:
    with held(lock, NOBODY) as reader:
        error = busy(lambda: shelf.install(version="1.1.0", lock_timeout=0.2))
        assert "process %d (" % reader.pid in error.why and "of the user nobody" in error.why
        assert "kill %d" % reader.pid in error.hint and error.details["holders"] == [reader.pid]
        assert mode(lock) == 0o600
    assert shelf.install(version="1.1.0")["changed"]


def test_a_process_that_is_stopped_is_named(lock: str, shelf: Shelf) -> None:
    with held(lock) as other:
        assert "Wait for it" in busy(lambda: shelf.install(version="1.1.0", lock_timeout=0.2)).hint
        other.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
        error = busy(lambda: shelf.install(version="1.1.0", lock_timeout=0.2))
        assert "process %d (" % other.pid in error.why and "kill -CONT" in error.hint


def test_who_may_not_install_does_not_wait(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: t.Any) -> int:
        raise PermissionError

    with exclusive(lock, 1), monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with settled(lock, 0.2):
            pass


def test_the_lock_of_the_bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "link").symlink_to("base")
    config, path = (
        t.cast(t.Any, type("Config", (), {"base": str(tmp_path / "link"), "deadline": 5})),
        tmp_path / "base" / ".bootstrap.lock",
    )
    path.touch(0o644)
    said: list[str] = []
    report = t.cast(t.Any, type("Report", (), {"say": staticmethod(said.append)}))
    with main._alone(config, report):
        assert mode(str(path)) == 0o600
    with held(str(path)) as other:
        monkeypatch.setattr(report, "say", staticmethod(lambda text: (said.append(text), other.kill())))
        with main._alone(config, report):
            pass
        assert len(said) == 1 and "process %d (" % other.pid in said[0]

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import process as subject
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import (
    OsProcess,
    descendants,
    describe,
    find,
    identify,
    os_process,
)

HOST = os.uname().nodename.split(".")[0]
ENVIRON = {
    "RELEASE_ROOT": "/srv/a/releases/1.0",
    "RELEASE_VSN": "1.0",
    "RELEASE_NODE": "a",
    "RELEASE_COOKIE": "env",
    "RELEASE_TMP": "/t",
}
ARGV = ["/srv/a/releases/1.0/erts-13/bin/beam.smp", "--", "-home", "/home/a", "--", "-setcookie", "argv"]


@pytest.mark.parametrize(
    ("environ", "argv", "wanted"),
    [
        ({}, ["-sname", "a"], {"node": "a@" + HOST, "distribution": "sname", "port": None, "epmd": 4369}),
        (
            {"RELEASE_DISTRIBUTION": "name"},
            ["-name", "a@10.0.0.1", "-erl_epmd_port", "4370"],
            {"node": "a@10.0.0.1", "port": 4370},
        ),
        ({"RELEASE_DISTRIBUTION": "none"}, [], {"distribution": "none", "node": "a"}),
        # The launcher was told to, and the VM has no name: it cannot be asked, whatever the environment says.
        ({"RELEASE_DISTRIBUTION": "sname"}, [], {"distribution": "none"}),
        ({"ERL_EPMD_PORT": "4999"}, ["-sname", "a"], {"epmd": 4999}),
        ({"ERL_EPMD_PORT": "x"}, ["-sname", "a", "-erl_epmd_port", "y"], {"epmd": 4369, "port": None}),
        ({}, ["-sname", "a"], {"argv_cookie": "argv", "cookie_file": ""}),
        ({}, ["-sname", "a", "-setcookie", "unused"], {"argv_cookie": "", "cookie_file": "/home/a/.erlang.cookie"}),
    ],
)
def test_what_an_environment_and_an_argument_list_say(
    environ: dict[str, str], argv: list[str], wanted: dict[str, t.Any]
) -> None:
    process = describe(1, 2, 0, {**ENVIRON, **environ}, ARGV + argv)
    assert (process.root, process.version, process.tmp) == ("/srv/a/releases/1.0", "1.0", "/t")
    assert {key: getattr(process, key) for key in wanted} == wanted
    assert "argv'" not in repr(process).replace("argv_cookie", "") and "cookie" not in process.facts()


def test_a_shell_on_its_way_to_the_vm_is_of_unknown_root() -> None:
    process = describe(1, 2, 0, {"PATH": "/bin"}, ["/bin/sh", "/srv/a/current/bin/a", "start"])
    assert (process.root, process.version, process.facts()["root"]) == ("", "", None)


def test_this_process() -> None:
    me = os_process(os.getpid())
    assert me is not None and me.alive()
    assert abs(me.started - time.time()) < 3600 * 24 and me.started <= time.time()
    mine = identify(os.getpid())
    assert mine is not None and (mine.pid, mine.ticks) == (me.pid, me.ticks)
    assert identify(2**22 + 1) is None and os_process(2**22 + 1) is None


def test_a_pid_that_was_used_again_is_not_touched() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        real = os_process(child.pid)
        assert real is not None
        stranger = OsProcess(child.pid, real.ticks - 1)
        assert not stranger.alive() and stranger.wait(0) and not stranger.signal(signal.SIGKILL)
        assert child.poll() is None and real.alive() and not real.wait(0.05)
        assert real.signal(signal.SIGKILL) and real.wait(5)
        assert not real.alive()  # a zombie does not live
        assert child.wait() == -signal.SIGKILL and not real.signal(signal.SIGTERM)


def test_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    with subprocess.Popen(["sleep", "60"]) as child:
        real = os_process(child.pid)
        assert real is not None and not real.wait(0.05)
        assert not OsProcess(child.pid, real.ticks - 1).signal(signal.SIGKILL)
        assert real.signal(signal.SIGKILL) and real.wait(5)
        child.wait()


def test_a_command_with_blanks_and_parentheses(tmp_path: Path) -> None:
    script = tmp_path / "a ) b ("
    script.write_text("#!/bin/sh\nsleep 60\n")
    script.chmod(0o700)
    with subprocess.Popen([str(script)]) as child:
        time.sleep(0.2)
        found = os_process(child.pid)
        assert found is not None and found.alive()
        [(below, command)] = descendants(child.pid)
        assert command == "sleep"
        child.kill()
        below.signal(signal.SIGKILL)


def beam(tmp_path: Path, version: str, **environ: str) -> subprocess.Popen[bytes]:
    """Something called beam.smp, below a base, with the environment of a node."""
    root = tmp_path / "releases" / version
    root.mkdir(parents=True, exist_ok=True)
    executable = root / "beam.smp"
    if not executable.exists():
        executable.symlink_to("/bin/sleep")
    env = {
        "RELEASE_ROOT": str(root),
        "RELEASE_NAME": "a",
        "RELEASE_COMMAND": "start",
        "RELEASE_VSN": version,
        **environ,
    }
    child = subprocess.Popen([str(executable), "60"], env=env)
    deadline = time.monotonic() + 5
    # Popen returns, and the name is there, before the kernel has laid out the arguments and the environment.
    while not Path("/proc/%d/environ" % child.pid).read_bytes() and time.monotonic() < deadline:
        time.sleep(0.005)
    return child


def test_find(tmp_path: Path) -> None:
    assert find(str(tmp_path), "a") is None
    (tmp_path / "link").symlink_to(tmp_path)
    node = beam(tmp_path, "1.0")
    others = [
        beam(tmp_path, "1.0", RELEASE_COMMAND="eval"),
        beam(tmp_path, "1.0", RELEASE_COMMAND="rpc"),
        beam(tmp_path, "1.0", RELEASE_NAME="other"),
    ]
    try:
        for base in (tmp_path, tmp_path / "link"):
            found = find(str(base), "a")
            assert found is not None and found.pid == node.pid and found.version == "1.0"
        assert find(str(tmp_path / "releases"), "a") is None
        second = beam(tmp_path, "2.0")
        others.append(second)
        with pytest.raises(BeamError, match="2 processes run a"):
            find(str(tmp_path), "a")
    finally:
        for child in [node, *others]:
            child.kill()
            child.wait()


def test_another_users_process_is_an_error_and_not_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = beam(tmp_path, "1.0")
    real = subject._read

    def denied(pid: int, name: str) -> list[str]:
        if pid == node.pid and name == "environ":
            raise PermissionError(13, "Permission denied")
        return real(pid, name)

    monkeypatch.setattr(subject, "_read", denied)
    try:
        for look in (lambda: find(str(tmp_path), "a"), lambda: identify(node.pid)):
            with pytest.raises(BeamError) as caught:
                look()
            assert caught.value.code == "node_denied" and str(node.pid) in caught.value.message
    finally:
        node.kill()
        node.wait()


def test_a_vm_that_the_node_started_is_not_a_second_node(tmp_path: Path) -> None:
    root = tmp_path / "releases" / "1.0"
    root.mkdir(parents=True)
    (root / "beam.smp").symlink_to(sys.executable)
    env = {"RELEASE_ROOT": str(root), "RELEASE_NAME": "a", "RELEASE_COMMAND": "start", "RELEASE_VSN": "1.0"}
    nest = (
        "import os, subprocess, time; subprocess.Popen([%r, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
        % str(root / "beam.smp")
    )
    node = subprocess.Popen([str(root / "beam.smp"), "-c", nest], env=env)
    try:
        deadline = time.monotonic() + 10
        while (
            not [child for child, command in descendants(node.pid) if command == "beam.smp"]
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        found = find(str(tmp_path), "a")
        assert found is not None and found.pid == node.pid
    finally:
        below = descendants(node.pid)
        node.kill()
        node.wait()
        for child, _command in below:
            child.signal(signal.SIGKILL)


def test_cookie_of_a_file(tmp_path: Path) -> None:
    argv = ["beam.smp", "-home", str(tmp_path), "-setcookie", "x", "-sname", "a", "-setcookie", "x"]
    process = describe(1, 2, 0, ENVIRON, argv)
    with pytest.raises(BeamError, match="Cannot read the cookie"):
        process.cookie()
    (tmp_path / ".erlang.cookie").write_text("secret\n")
    assert process.cookie() == "secret" and "secret" not in repr(process)

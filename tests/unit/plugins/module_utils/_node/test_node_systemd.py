# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemd whose answers are written down: what each of its states becomes."""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import systemd
from ansible_collections.alchemist.beam.plugins.module_utils._node.explain import why_down
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import settle
from ansible_collections.alchemist.beam.plugins.module_utils._node.preflight import preflight
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess, os_process
from ansible_collections.alchemist.beam.plugins.module_utils._node.systemd import (
    Systemctl,
    Systemd,
    environment,
    environment_files,
    parse_show,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target

TARGET = Target("a", "/srv/a/releases/1.0", "1.0")
LOADED = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Type": "notify",
    "MainPID": "0",
    "NRestarts": "0",
    "Result": "success",
}


class Fake(Systemctl):
    """Answers `systemctl show` with properties, and runs `sh -c` for what is spawned."""

    def __init__(
        self, shown: t.Mapping[str, str], job: str = "true", answers: t.Optional[t.Mapping[str, tuple[int, str]]] = None
    ) -> None:
        self.shown = dict(shown)
        self.job = job
        self.answers = dict(answers or {})
        self.commands: list[str] = []

    def run(self, *argv: str, timeout: float = 30) -> tuple[int, str]:
        self.commands.append(" ".join(argv))
        if argv[1] == "show":
            return self.answers.get("show", (0, "".join("%s=%s\n" % item for item in self.shown.items())))
        return self.answers.get(argv[1], (0, ""))

    def spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        self.commands.append(" ".join(argv))
        return subprocess.Popen(
            ["sh", "-c", self.job], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )


def unit(job: str = "true", **changes: str) -> tuple[Systemd, Fake]:
    fake = Fake({**LOADED, **changes}, job)
    return Systemd("a", fake, cgroups="/nonexistent"), fake


def test_parse_show() -> None:
    shown = parse_show(
        "A=1\nEnvironmentFiles=/etc/a b (ignore_errors=no)\nEnvironmentFiles=/etc/c (ignore_errors=yes)\nnoise\nE=x=y\n"
    )
    assert shown["A"] == "1" and shown["E"] == "x=y"
    assert (
        environment_files(shown["EnvironmentFiles"]) == [("/etc/a b", False), ("/etc/c", True)]
        and environment_files("") == []
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("HOME=/var/lib/a LANG=C.UTF-8", {"HOME": "/var/lib/a", "LANG": "C.UTF-8"}),
        (
            '"ERL_ZFLAGS=-setcookie unused -eval \'x(\\"Y\\")\'" A=b',
            {"ERL_ZFLAGS": "-setcookie unused -eval 'x(\"Y\")'", "A": "b"},
        ),
        ('A="unfinished', {}),
    ],
)
def test_environment(text: str, values: dict[str, str]) -> None:
    assert environment({"Environment": text}) == values


def test_status_of_a_unit_that_does_not_run(tmp_path: Path) -> None:
    file = tmp_path / "a.service"
    file.touch()
    env = tmp_path / "env"
    env.touch()
    os.utime(file, (1000, 1000))
    os.utime(env, (2000, 2000))
    manager, _fake = unit(
        ActiveState="failed", NRestarts="3", FragmentPath=str(file), EnvironmentFiles="%s (ignore_errors=no)" % env
    )
    status = manager.status()
    assert (status.process, status.state, status.restarts, status.configured) == (None, "failed", 3, 2000.0)
    (tmp_path / ".erlang.cookie").touch()
    os.utime(tmp_path / ".erlang.cookie", (3000, 3000))
    manager, _fake = unit(FragmentPath=str(file), Environment="HOME=%s" % tmp_path)
    assert manager.status().configured == 3000.0


def test_files_of_the_future_are_settled_before_a_start(tmp_path: Path) -> None:
    """Or each node that is started on them would look older than they are, and be restarted for ever."""
    past, future = tmp_path / "past", tmp_path / "future"
    for path, stamp in ((past, 2000), (future, time.time() + 3600)):
        path.touch()
        os.utime(path, (stamp, stamp))
    assert settle([str(past), str(future), str(tmp_path / "missing")]) and not settle([str(past), str(future)])
    assert past.stat().st_mtime == 2000 and time.time() - 5 < future.stat().st_mtime <= time.time()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"LoadState": "masked"}, "unit_masked", "systemctl unmask a.service"),
        ({"LoadState": "not-found"}, "unit_missing", "no such unit"),
        ({"LoadState": "bad-setting"}, "unit_invalid", "bad-setting"),
        ({"Type": "exec"}, "unit_type", "Type=exec"),
        ({"EnvironmentFiles": "/nonexistent/env (ignore_errors=no)"}, "env_file_missing", "/nonexistent/env"),
        ({}, "cookie_missing", "no RELEASE_COOKIE"),
        (
            {"Environment": '"ERL_ZFLAGS=-setcookie unused" HOME=/nonexistent RELEASE_COOKIE=unused'},
            "cookie_missing",
            "/nonexistent/.erlang.cookie",
        ),
    ],
)
def test_preflight(changes: dict[str, str], code: str, words: str) -> None:
    manager, fake = unit(**changes)
    with pytest.raises(BeamError) as caught:
        manager.preflight(TARGET)
    assert caught.value.code == code and words in caught.value.message
    assert [command.split()[1] for command in fake.commands] == ["show"]  # nothing was touched


def test_preflight_passes(tmp_path: Path) -> None:
    unit(Environment="RELEASE_COOKIE=x")[0].preflight(TARGET)
    (tmp_path / ".erlang.cookie").touch()
    unit(Environment='"ERL_ZFLAGS=-setcookie unused" HOME=%s RELEASE_COOKIE=unused' % tmp_path)[0].preflight(TARGET)
    # All of it is known from one answer while a node runs: what is in force is not asked for again.
    manager, fake = unit(Environment="RELEASE_COOKIE=x RELEASE_DISTRIBUTION=none")
    found = os_process(os.getpid())
    assert found is not None
    preflight(manager, TARGET, NodeProcess(found.pid, found.ticks))
    assert [command.split()[1] for command in fake.commands] == ["show"]


def test_systemd_that_does_not_answer() -> None:
    manager = Systemd("a", Fake({}, answers={"show": (1, "Failed to connect to bus: Host is down")}))
    with pytest.raises(BeamError, match="Host is down"):
        manager.status()


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("start-limit-hit", "started too often"),
        ("timeout", "not ready within its TimeoutStartSec"),
        ("protocol", "ended without having been ready"),
        ("exit-code", "exit status 1"),
    ],
)
def test_a_start_that_fails(result: str, words: str) -> None:
    manager, fake = unit(
        "echo Job failed; exit 1", ActiveState="failed", SubState="failed", Result=result, ExecMainStatus="1"
    )
    with pytest.raises(BeamError) as caught:
        manager.start(TARGET, 5)
    assert (
        caught.value.code == "node_died"
        and words in caught.value.message
        and caught.value.details["systemctl"] == "Job failed"
    )
    assert [command for command in fake.commands if command.startswith("systemctl")][
        0
    ] == "systemctl reset-failed a.service"


def test_a_start_that_never_ends() -> None:
    manager, _fake = unit("exec sleep 60", ActiveState="activating", SubState="start")
    begin = time.monotonic()
    with pytest.raises(BeamError, match="within 0.3 s: it is activating") as caught:
        manager.start(TARGET, 0.3)
    assert caught.value.code == "boot_timeout" and time.monotonic() - begin < 3


def test_a_start_that_succeeds_and_a_process_that_is_gone() -> None:
    manager, _fake = unit(MainPID=str(os.getpid()))
    assert manager.start(TARGET, 5).process.pid == os.getpid()
    manager, _fake = unit(MainPID="0", ActiveState="inactive")
    with pytest.raises(BeamError, match="has ended since"):
        manager.start(TARGET, 5)


@pytest.mark.parametrize(("state", "verb"), [("failed", "start"), ("inactive", "start"), ("activating", "restart")])
def test_a_unit_between_two_starts_of_a_crash_loop_does_not_wait(state: str, verb: str) -> None:
    manager, fake = unit(ActiveState=state, MainPID=str(os.getpid()))
    manager.status()
    manager.start(TARGET, 5)
    assert "systemctl %s a.service" % verb in fake.commands


def test_a_changed_unit_is_read_again_before_it_is_started() -> None:
    manager, fake = unit(NeedDaemonReload="yes", MainPID=str(os.getpid()))
    manager.status()
    manager.start(TARGET, 5)
    assert "systemctl daemon-reload" in fake.commands


def deaf() -> tuple[subprocess.Popen[bytes], NodeProcess]:
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    found = os_process(child.pid)
    assert found is not None
    return child, NodeProcess(found.pid, found.ticks)


def test_a_process_that_does_not_end_is_killed_at_the_deadline() -> None:
    child, process = deaf()
    manager, fake = unit(ActiveState="inactive")
    stopped = manager.stop(process, 1)
    child.communicate()
    assert stopped.escalated == "kill" and 1 <= stopped.seconds < 3
    assert "systemctl stop a.service" in fake.commands and "systemctl kill --signal=SIGKILL a.service" in fake.commands


def test_a_stop_without_a_process_still_stops_the_unit() -> None:
    manager, fake = unit(ActiveState="activating")
    assert manager.stop(None, 1).seconds == 0.0 and "systemctl stop a.service" in fake.commands
    manager, fake = unit("echo no; exit 1")
    with pytest.raises(BeamError, match="could not stop a.service: no"):
        manager.stop(None, 1)


def test_a_stopped_unit_with_processes_left(tmp_path: Path) -> None:
    group = tmp_path / "unified" / "system.slice" / "a.service"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("")
    manager = Systemd("a", Fake({**LOADED, "ControlGroup": "/system.slice/a.service"}), str(tmp_path))
    manager.stop(None, 1)
    (group / "cgroup.procs").write_text("41\n42\n")
    with pytest.raises(BeamError, match="pids 41 42"):
        manager.stop(None, 1)


def entries(*of: tuple[str, str, str]) -> str:
    """What `journalctl --output json` says: the field that has the id of a start, the id, and the message."""
    return "".join(
        json.dumps({"__CURSOR": "s=1", "MESSAGE": message, field: start}) + "\n" for field, start, message in of
    )


UNIT, OF_UNIT = "_SYSTEMD_INVOCATION_ID", "INVOCATION_ID"


def test_log_and_secrets(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("A_TOKEN=swordfish\n")
    said = entries((UNIT, "old", "a request"), (UNIT, "new", "one"), (UNIT, "new", "two")) + "no JSON\n"
    fake = Fake(
        {**LOADED, "InvocationID": "new", "EnvironmentFiles": "%s (ignore_errors=no)" % env},
        answers={"--unit": (0, said)},
    )
    manager = Systemd("a@1.service", fake)
    manager.status()
    assert (
        manager.mask().values == ["swordfish"]
        and manager.log(5) == ["one", "two"]
        and manager.log(1) == ["two"]
        and manager.log(0) == []
    )
    assert any(command.startswith("journalctl --unit a@1.service --lines 5000") for command in fake.commands)


def test_the_log_of_a_start_has_nothing_of_the_process_before() -> None:
    said = entries(
        (OF_UNIT, "old", "Stopping a.service"),
        (UNIT, "old", "last words"),
        (OF_UNIT, "first", "Starting a.service"),
        (UNIT, "first", "** (A) b"),
        (UNIT, "second", "** (C) d"),
    )
    fake = Fake(
        {**LOADED, "InvocationID": "old"},
        "exit 1",
        answers={"--unit": (0, said), "--lines": (0, '{"__CURSOR": "s=7;i=1"}\n')},
    )
    manager = Systemd("a", fake)
    manager.status()
    with pytest.raises(BeamError):
        manager.start(TARGET, 5)
    assert manager.log(50) == ["Starting a.service", "** (A) b", "** (C) d"]
    assert any("--after-cursor s=7;i=1" in command for command in fake.commands)


def test_the_log_where_the_journal_is_empty() -> None:
    manager, fake = unit("exit 1")
    manager.status()
    with pytest.raises(BeamError):
        manager.start(TARGET, 5)
    assert manager.log(50) == [] and any("--since @" in command for command in fake.commands)


@pytest.mark.parametrize(
    ("state", "said"), [("failed", ["** (A) b"]), ("activating", ["** (A) b"]), ("inactive", []), ("active", [])]
)
def test_the_last_start_of_a_unit_that_ought_to_run(state: str, said: list[str]) -> None:
    log = [
        (OF_UNIT, "one", "x"),
        (UNIT, "one", "y"),
        (OF_UNIT, "one", "z"),
        (OF_UNIT, "two", "Starting"),
        (UNIT, "two", "** (A) b"),
    ]
    log += [(OF_UNIT, "two", "Failed"), (OF_UNIT, "three", "Starting")]
    fake = Fake({**LOADED, "ActiveState": state}, answers={"--unit": (0, entries(*log))})
    manager = Systemd("a", fake)
    manager.status()
    assert [line for lines in manager.last_boots() for line in lines if "**" in line] == said
    found = why_down(manager, manager.status())
    assert (found.text if found else "") == "".join(said)


@pytest.mark.parametrize(
    ("state", "restarts", "said"), [("activating", "2", "** (A) b"), ("activating", "0", ""), ("active", "2", "")]
)
def test_a_unit_that_boots_once_more_tells_why_the_boot_before_failed(state: str, restarts: str, said: str) -> None:
    log = [(UNIT, "one", "** (A) b"), (OF_UNIT, "two", "Starting")]
    manager = Systemd(
        "a", Fake({**LOADED, "ActiveState": state, "NRestarts": restarts}, answers={"--unit": (0, entries(*log))})
    )
    found = why_down(manager, replace(manager.status(), process=NodeProcess(os.getpid(), 1)))
    assert (found.text if found else "") == said


def test_a_unit_that_was_given_up_and_said_nothing() -> None:
    manager, _fake = unit(ActiveState="failed", Result="oom-kill", ExecMainStatus="9")
    found = why_down(manager, manager.status())
    assert found is not None and "OOM" in found.text


def test_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BeamError, match="not installed"):
        systemd.Systemctl().run("systemctl", "show")


def test_a_command_that_hangs_is_given_up() -> None:
    assert Systemctl().run("sleep", "60", timeout=0.2) == (124, "sleep did not answer within 0.2 s")

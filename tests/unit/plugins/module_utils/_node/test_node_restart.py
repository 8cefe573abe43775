# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import Mask
from ansible_collections.alchemist.beam.plugins.module_utils._node import ending, probes, restart
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import Health, NodeCheck, TcpCheck, Verdict
from ansible_collections.alchemist.beam.plugins.module_utils._node.info import digest
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import Started, Status, Stopped, terminate
from ansible_collections.alchemist.beam.plugins.module_utils._node.probes import judge_node
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import (
    NodeProcess,
    OsProcess,
    descendants,
    os_process,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.restart import apply, foresee, plan
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target, rehearse, resolve

ROOT = "/srv/a/releases/2.0"
TARGET = Target("a", ROOT, "2.0")


def node(pid: int = 10, root: str = ROOT, version: str = "2.0") -> NodeProcess:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return NodeProcess(
        pid, int(now * os.sysconf("SC_CLK_TCK")), True, root, version, "a@h", "sname", argv_cookie="monster-cookie"
    )


RUNS = Status(node(), "active", 0, 0.0)


@pytest.mark.parametrize(
    ("state", "status", "force", "action", "reason"),
    [
        ("restarted", Status(None, "stopped"), False, "start", "does not run"),
        ("restarted", RUNS, False, "none", "2.0 runs already"),
        ("restarted", RUNS, True, "restart", "forced"),
        (
            "restarted",
            Status(node(root="/srv/a/releases/1.0", version="1.0"), "active"),
            False,
            "restart",
            "not /srv/a/releases/2.0",
        ),
        ("restarted", Status(node(version="1.0"), "active"), False, "restart", "version 1.0, not 2.0"),
        ("restarted", Status(node(root="", version=""), "activating"), False, "restart", "an unknown place"),
        ("restarted", Status(node(), "activating"), False, "restart", "its unit is activating"),
        ("restarted", Status(node(), "active", 0, time.time() + 60), False, "restart", "its configuration changed"),
        ("started", Status(None, "failed"), False, "start", "does not run"),
        ("started", Status(node(version="1.0"), "active"), False, "none", "it runs"),
        ("started", RUNS, True, "none", "it runs"),
        ("stopped", Status(None, "inactive"), True, "none", "does not run"),
        ("stopped", RUNS, False, "stop", "it runs"),
        # Between two starts of a crash loop there is no process, and yet it is not stopped.
        ("stopped", Status(None, "activating"), False, "stop", "it is activating"),
    ],
)
def test_plan(state: str, status: Status, force: bool, action: str, reason: str) -> None:
    what = plan(state, status, None if state == "stopped" else TARGET, force)
    assert what.action == action and reason in what.reason and what.changed is (action != "none")
    diff = what.diff()
    assert (diff["before"] == diff["after"]) is (
        action == "none" or (action == "restart" and "2.0 from %s" % ROOT in diff["before"])
    )


@pytest.mark.parametrize(("version", "action"), [("2.0", "none"), ("3.0", "restart")])
def test_what_a_restart_would_do_is_told_before_anything_is_installed(version: str, action: str) -> None:
    assert foresee("/srv/a", "a", version, RUNS)["action"] == action
    assert foresee("/srv/a", "a", version, Status(None, "failed")) == {"action": "start", "reason": "it does not run"}


class Fake:
    """A manager whose node is what the test says, after each call."""

    name = "fake"

    def __init__(self, after: t.Optional[NodeProcess], statuses: t.Sequence[Status] = ()) -> None:
        self.after = after
        self.statuses = list(statuses)
        self.calls: list[str] = []

    def status(self) -> Status:
        if self.statuses:
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Status(self.after, "active")

    def preflight(self, target: Target) -> None:
        self.calls.append("preflight")

    def stop(self, process: t.Optional[NodeProcess], timeout: float) -> Stopped:
        self.calls.append("stop")
        return Stopped(1.0, "none", time.monotonic())

    def start(self, target: Target, timeout: float) -> Started:
        self.calls.append("start")
        assert self.after is not None
        return Started(self.after, 0.5)

    def restart(
        self, process: NodeProcess, target: Target, stop_timeout: float, boot_timeout: float
    ) -> tuple[Stopped, Started]:
        return self.stop(process, stop_timeout), self.start(target, boot_timeout)

    def ended(self) -> str:
        return "exit status 7"

    def log(self, lines: int) -> list[str]:
        return ["the word is swordfish", "cookie monster-cookie"][:lines]

    def last_boots(self) -> list[list[str]]:
        return [self.log(9)]

    def fate(self) -> tuple[str, str]:
        return "", ""

    def crash_dump(self) -> str:
        return ""

    def mask(self) -> Mask:
        return Mask({"A_WORD": "swordfish"})


@pytest.fixture(autouse=True)
def passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "probe_tcp", lambda check: Verdict(True, "yes"))


HEALTH = Health(tcp=TcpCheck(1), passes=2, interval=0.01, within=0.2)
OLD = node(5, "/srv/a/releases/1.0", "1.0")
BEFORE = plan("restarted", Status(OLD, "active"), TARGET)


def test_apply() -> None:
    fake = Fake(node(11))
    result = apply(BEFORE, fake, HEALTH, 1, 1)
    assert fake.calls == ["preflight", "stop", "start"]
    facts = result.facts()
    assert facts["before"]["version"] == "1.0" and facts["after"]["version"] == "2.0" and facts["health"]["passed"]
    assert (
        facts["seconds"]["stop"] == 1.0 and facts["seconds"]["boot"] == 0.5 and facts["seconds"]["outage"] is not None
    )
    assert "monster" not in repr(facts)


@pytest.mark.parametrize(
    ("manager", "code", "words"),
    [
        (Fake(OLD), "old_process", "process 5 is the one from before"),
        (Fake(node(11, "/srv/a/releases/1.0", "1.0")), "wrong_release", "from /srv/a/releases/1.0"),
        (Fake(node(11, version="1.0")), "wrong_release", "version 1.0"),
        (Fake(node(11), [Status(None, "failed")]), "unhealthy", "process 11 ended: exit status 7"),
        (Fake(node(11), [Status(node(12), "active", 1)]), "unhealthy", "process 12 took its place"),
    ],
)
def test_proofs_that_fail(manager: Fake, code: str, words: str) -> None:
    with pytest.raises(BeamError) as caught:
        apply(BEFORE, manager, HEALTH, 1, 1)
    assert caught.value.code == code and words in caught.value.message
    assert (
        caught.value.details["log"] == ["the word is ********", "cookie ********"]
        and caught.value.details["changed"] is True
    )
    assert caught.value.as_result()["error"]["code"] == code


@pytest.mark.parametrize(
    "manager", [Fake(node(11), [Status(None, "failed")]), Fake(node(11), [Status(node(12), "active", 1)])]
)
def test_what_the_end_of_the_server_does_to_a_node_is_no_verdict(
    manager: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ends(base: str, _systemctl: t.Any = None) -> ending.Ending:
        asked.append(base)
        return ending.Ending(ending.STOPPING, "this server is shutting down")

    monkeypatch.setattr(ending, "ending", ends)
    with pytest.raises(BeamError, match="this server is shutting down; meanwhile: process 11 ended") as caught:
        apply(BEFORE, manager, HEALTH, 1, 1)
    assert (caught.value.code, asked) == ("host_stopping", ["/srv/a"])
    assert caught.value.details["log"] == ["the word is ********", "cookie ********"] and caught.value.details[
        "boot_id"
    ] == (ending.boot_id() or None)


def test_a_setting_at_fault_is_told_by_its_reason_and_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        '{"init terminating",{#{message=><<115,119,111,114,100,102,105,115,104>>}}}',
        "** (RuntimeError) environment variable A_URL is missing: swordfish",
    ]
    fake = Fake(node(11), [Status(None, "failed")])
    monkeypatch.setattr(fake, "log", lambda lines: said[-lines:])
    with pytest.raises(BeamError) as caught:
        apply(BEFORE, fake, HEALTH, 1, 1, lines=2)
    assert caught.value.code == "misconfigured" and caught.value.details["cause"] == "setting_missing"
    assert (
        caught.value.why == "** (RuntimeError) environment variable A_URL is missing: ********"
        and "beam_env" in caught.value.hint
    )
    assert (
        "swordfish" not in repr(caught.value.details)
        and caught.value.details["log"][0] == '{"init terminating",{#{message=>"********"}}}'
    )


def test_an_endpoint_that_does_not_listen_is_noted_where_nothing_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(node(11))
    monkeypatch.setattr(
        fake,
        "log",
        lambda lines: ["Configuration :server was not enabled for A.Endpoint, http/https services won't start"],
    )
    monkeypatch.setattr(restart, "probes_for", lambda *_given: {})
    assert apply(BEFORE, fake, HEALTH, 1, 1).notes == []
    noted = apply(BEFORE, fake, Health(passes=1, interval=0.01), 1, 1).facts()["notes"]
    assert len(noted) == 1 and noted[0].startswith("A.Endpoint does not listen") and "PHX_SERVER" in noted[0]


def test_a_restart_by_the_manager_meanwhile() -> None:
    fresh = node(11)
    fake = Fake(fresh, [Status(fresh, "active", 0), Status(fresh, "active", 1)])
    with pytest.raises(BeamError, match="restarted it 1 times"):
        apply(BEFORE, fake, HEALTH, 1, 1)


def test_stopped_and_started_again_by_somebody() -> None:
    fake = Fake(None, [Status(node(12), "active")])
    with pytest.raises(BeamError, match="process 12 was started while we stopped it"):
        apply(plan("stopped", RUNS, None), fake, HEALTH, 1, 1)


def test_nothing_to_do_still_proves_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "probe_tcp", lambda check: Verdict(False, "refused"))
    with pytest.raises(BeamError, match="does not become healthy: refused") as caught:
        apply(plan("restarted", RUNS, TARGET), Fake(RUNS.process), HEALTH, 1, 1)
    assert caught.value.details["changed"] is False


STATUS = (Atom("started"), Atom("started"))
APPS = [(Atom("kernel"), [100], [49]), (Atom("a"), [97], [49])]


@pytest.mark.parametrize(
    ("check", "pid", "status", "ok", "words"),
    [
        (NodeCheck(("a",)), [49, 48], STATUS, True, "2 applications"),
        (NodeCheck(("a", "b", "c")), [49, 48], STATUS, False, "b, c"),
        (NodeCheck(), [49, 49], STATUS, False, "another process (11)"),
        (NodeCheck(), [49, 48], (Atom("starting"), Atom("x")), False, "starting"),
        (NodeCheck(), b"10", Atom("odd"), False, "not started"),
    ],
)
def test_judge_node(check: NodeCheck, pid: t.Any, status: t.Any, ok: bool, words: str) -> None:
    verdict = judge_node(check, 10, pid, status, APPS)
    assert verdict.ok is ok and words in verdict.reason


def test_without_distribution_the_node_check_says_so() -> None:
    verdict = probes.probe_node(NodeCheck(), NodeProcess(1, 1))
    assert not verdict.ok and "without distribution" in verdict.reason
    assert probes.probes_for(Health(), NodeProcess(1, 1)) == {} and set(probes.probes_for(Health(), node())) == {"node"}


def test_digest() -> None:
    answers = [APPS, [(Atom("total"), 5)], 0, 1, 2, 3, 4, 5, 6, [Atom("b@h"), Atom("a@h")], [50, 53], 2, STATUS]
    facts = digest(answers)
    assert (
        facts["applications"] == {"a": "1", "kernel": "1"}
        and facts["nodes"] == ["a@h", "b@h"]
        and facts["otp_release"] == "25"
    )
    assert facts["memory"] == {"total": 5} and facts["atoms"] == {"count": 5, "limit": 6} and facts["booted"] is True


def sleeper(script: str) -> tuple[subprocess.Popen[bytes], OsProcess]:
    child = subprocess.Popen(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    found = os_process(child.pid)
    assert found is not None
    return child, found


@pytest.mark.parametrize(
    ("script", "timeout", "escalated", "least", "most"),
    [
        ("echo; exec sleep 60", 5, "none", 0.0, 2.0),
        # Deaf to the first: a VM in its early boot.
        ("trap 'trap - TERM' TERM; echo; while :; do sleep 0.05; done", 10, "term", 1.5, 6.0),
        ("trap '' TERM; echo; while :; do sleep 0.05; done", 1, "kill", 1.0, 4.0),
    ],
)
def test_terminate(script: str, timeout: float, escalated: str, least: float, most: float) -> None:
    child, found = sleeper(script)
    stopped = terminate(found, timeout)
    child.communicate()
    assert stopped.escalated == escalated and least <= stopped.seconds <= most and not found.alive()


def test_children_do_not_outlive_their_node() -> None:
    child, found = sleeper("sleep 60 & sleep 61 & echo; wait")
    below = descendants(child.pid)
    assert len(below) == 2
    terminate(found, 5)
    child.communicate()
    assert not any(process.alive() for process, _command in below)


def release(base: Path, version: str = "1.0", data: str = "13.1 1.0") -> None:
    root = base / "releases" / version
    (root / "bin").mkdir(parents=True)
    (root / "releases").mkdir()
    (root / "releases" / "start_erl.data").write_text(data)
    (root / "bin" / "a").write_text("#!/bin/sh\n")
    (root / "bin" / "a").chmod(0o755)


def test_resolve(tmp_path: Path) -> None:
    release(tmp_path)
    (tmp_path / "current").symlink_to("releases/1.0")
    target = resolve(str(tmp_path), "a")
    assert (target.version, target.root, target.own_cookie(), target.sets_cookie()) == (
        "1.0",
        str(tmp_path / "releases" / "1.0"),
        "",
        False,
    )
    assert resolve(str(tmp_path), "a", "1.0") == target
    with pytest.raises(BeamError, match="is version 1.0, not 1.1"):
        resolve(str(tmp_path), "a", "1.1")
    with pytest.raises(BeamError, match="no executable file"):
        resolve(str(tmp_path), "b")
    with pytest.raises(BeamError, match="is not a name"):
        resolve(str(tmp_path), "../a")
    (tmp_path / "releases" / "1.0" / "releases" / "COOKIE").write_text("c\n")
    env = tmp_path / "releases" / "1.0" / "releases" / "1.0" / "env.sh"
    env.parent.mkdir()
    env.write_text("# export RELEASE_COOKIE=x\n")
    assert target.own_cookie() == "c" and not target.sets_cookie()
    env.write_text("export RELEASE_COOKIE=x\n")
    assert target.sets_cookie()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda base: None, "current_missing"),
        (lambda base: (base / "current").mkdir(), "current_not_a_link"),
        (lambda base: (base / "current").symlink_to("releases/9"), "current_dangling"),
        (lambda base: (base / "current").symlink_to("/tmp"), "current_outside"),
        (lambda base: (base / "current").symlink_to("current"), "current_outside"),
        (lambda base: (base / "current").symlink_to("releases/1.0/bin"), "current_outside"),
        (lambda base: (base / "current").symlink_to("releases"), "current_outside"),
        (
            lambda base: (release(base, "2.0", "garbage"), (base / "current").symlink_to("releases/2.0")),
            "release_broken",
        ),
        (
            lambda base: (release(base, "3.0", "13 ../x"), (base / "current").symlink_to("releases/3.0")),
            "invalid_version",
        ),
    ],
)
def test_resolve_refuses(tmp_path: Path, make: t.Callable[[Path], t.Any], code: str) -> None:
    release(tmp_path)
    make(tmp_path)
    with pytest.raises(BeamError) as caught:
        resolve(str(tmp_path), "a")
    assert caught.value.code == code


def test_a_rehearsal_aims_at_a_release_that_is_not_there_yet(tmp_path: Path) -> None:
    target = rehearse(str(tmp_path), "a", "2.0")
    assert target == Target("a", str(tmp_path / "releases" / "2.0"), "2.0")
    assert plan("restarted", Status(node(), "active"), target).action == "restart"
    with pytest.raises(BeamError, match="is not a version"):
        rehearse(str(tmp_path), "a", "../2.0")

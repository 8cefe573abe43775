# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock and the journal as values: what their transitions promise, and what a damaged document is called."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import signal
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import (
    Channel,
    Stamp,
    Target,
    parse_channel,
    promote,
    propose,
    raise_fence,
    roll_back,
    withdraw,
)
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import (
    EVENTS_PER_HOST,
    Journal,
    Opening,
    Step,
    close,
    open_journal,
    parse_journal,
    record,
)
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import raise_fence as raise_journal
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock import (
    Holder,
    Lock,
    beat,
    break_lock,
    free,
    looks_alive,
    parse_lock,
    release,
    take,
)
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.process import (
    Process,
    _runs_plays,
    controller,
    identify,
)

OLD, NEW = Target("1.0.0", "a" * 64), Target("1.1.0", "b" * 64)
AT = "2026-03-01T12:00:00Z"
ME = identify(os.getpid())
assert ME is not None
HOLDER = Holder("anna@here", "rollout of 1.1.0", AT, 30, ME, ME, renewed=AT)
LOCK = take(Lock("shop", "production"), HOLDER, "t1")


def stamp(fence: int | None = None, token: str = "x") -> Stamp:
    return Stamp("anna@here", AT, token, fence)


def opening(rollout: str = "1", target: Target = NEW, **hosts: str | None) -> Opening:
    return Opening(
        "20260301T120000Z-%08d" % int(rollout), "rollout", target.version, target.digest, OLD, "rolling", hosts
    )


RUNNING = open_journal(Journal("shop", "production"), opening(a="1.0.0", b="1.0.0", c=None), stamp(3))


# The lock.


def test_the_serial_grows_with_every_acquisition_and_every_break() -> None:
    assert LOCK.serial == 1 and take(release(LOCK), HOLDER, "t2").serial == 2
    assert break_lock(LOCK, "t2").serial == 2 and break_lock(LOCK, "t2").holder is None
    assert release(LOCK).serial == beat(LOCK, AT).serial == 1
    assert take(Lock("shop", "production"), HOLDER, "t", above=41).serial == 42


def test_a_beat_changes_the_mark_and_nothing_else_of_note() -> None:
    again = beat(LOCK, "2026-03-01T12:00:10Z")
    assert (
        again.mark != LOCK.mark
        and again.token == LOCK.token
        and again.holder is not None
        and again.holder.renewed.endswith("10Z")
    )


def test_a_lock_survives_its_document() -> None:
    for lock in (
        LOCK,
        release(LOCK),
        beat(LOCK, AT, gone=True),
        dataclasses.replace(LOCK, holder=dataclasses.replace(HOLDER, process=None, keeper=None)),
    ):
        assert parse_lock(lock.to_bytes(), "shop", "production") == lock


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("serial", 0),
        ("serial", "1"),
        ("serial", True),
        ("token", None),
        ("holder", []),
        ("holder", {}),
        ("name", "other"),
        ("channel", "x"),
        ("holder.ttl", 0),
        ("holder.ttl", "30"),
        ("holder.ttl", 1e9),
        ("holder.renewed", "yesterday"),
        ("holder.beat", "1"),
        ("holder.process", {"pid": 1}),
        ("holder.keeper", "me"),
        ("holder.process.pid", -1),
        ("holder.process.started", "now"),
        ("holder.gone", None),
        ("holder.more", 1),
        ("more", 1),
        ("holder.renewed", "2026-03-01T12:00:00"),
    ],
)
def test_a_damaged_lock_is_called_so_and_how_to_mend_it(field: str, value: t.Any) -> None:
    doc = json.loads(LOCK.to_bytes())
    *path, last = field.split(".")
    place = doc
    for part in path:
        place = place[part]
    place[last] = value
    with pytest.raises(BeamError) as caught:
        parse_lock(json.dumps(doc).encode(), "shop", "production")
    assert caught.value.code == "lock_invalid" and "state=broken" in caught.value.message


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b" " * 70_000])
def test_what_is_no_document_at_all(data: bytes) -> None:
    for parse, code in ((parse_lock, "lock_invalid"), (parse_journal, "journal_invalid")):
        with pytest.raises(BeamError) as caught:
            parse(data, "shop", "production")
        assert caught.value.code == code and caught.value.hint


@pytest.mark.parametrize(("minutes", "alive"), [(0, True), (0.4, True), (1, False), (60, False), (-60, False)])
def test_a_clock_that_is_off_by_an_hour_makes_no_lock_look_alive(minutes: float, alive: bool) -> None:
    now = datetime.datetime.fromisoformat(AT.replace("Z", "+00:00")) + datetime.timedelta(minutes=minutes)
    assert looks_alive(HOLDER, now) is alive


# Processes.


def held_by(process: Process) -> Lock:
    return take(Lock("shop", "production"), dataclasses.replace(HOLDER, process=process), "t")


def test_only_the_dead_of_this_machine_are_proven_dead() -> None:
    child = subprocess.Popen(["sleep", "60"])
    process = identify(child.pid)
    assert process is not None and not free(held_by(process))
    for elsewhere in ("machine", "boot", "space"):
        assert not free(held_by(dataclasses.replace(process, **{elsewhere: "another"})))
    assert free(held_by(dataclasses.replace(process, started=process.started + 1))), "the pid is another process's now"
    os.kill(child.pid, signal.SIGSTOP)
    while not process.stopped:
        pass
    assert not process.dead
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.dead, "nobody has waited for it yet, and it runs no more"
    child.wait()
    assert process.dead and not process.stopped and free(held_by(process))
    for field in ("machine", "boot", "space"):
        assert not free(held_by(dataclasses.replace(process, **{field: ""}))), "what is not known is no proof"
        assert not dataclasses.replace(process, **{field: "another"}).dead


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["/usr/bin/python3", "/usr/bin/ansible-playbook", "x.yml"], True),
        (["ansible-playbook", "x.yml"], True),
        (["python", "-m", "ansible", "playbook"], True),
        (["python", "-I", "/opt/ansible-runner", "run"], True),
        (["vim", "ansible-playbook"], False),
        (["python", "tool.py", "ansible"], False),
        (["/bin/sh", "-c", "ansible-playbook x.yml"], False),
        (["python", "-m", "pytest", "ansible"], False),
        ([], False),
    ],
)
def test_the_command_lines_of_controllers(words: list[str], runs: bool) -> None:
    assert _runs_plays(words) is runs


def test_the_controller_is_what_was_started_and_not_its_fork(tmp_path: t.Any) -> None:
    """As in a play: the program forks a worker, which runs a shell, which runs the module."""
    module = "from ansible_collections.alchemist.beam.plugins.module_utils._rollout.process import controller; print(controller().pid)"
    program = tmp_path / "ansible-playbook"
    program.write_text(
        "import os, subprocess, sys\nprint(os.getpid(), flush=True)\nif os.fork() == 0:\n"
        "    subprocess.run(['/bin/sh', '-c', '\"$0\" -c \"$1\"; true', sys.executable, %r])\n    os._exit(0)\nos.wait()\n"
        % module
    )
    done = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, text=True, timeout=30)
    assert len(set(done.stdout.split())) == 1 and len(done.stdout.split()) == 2, done.stdout + done.stderr
    assert controller(os.getpid()) == ME and controller(2**22 + 1) is None


# The channel's fence.


def test_a_channel_refuses_an_older_fence_and_knows_no_fence_of_old() -> None:
    channel = propose(Channel("shop", "production"), NEW, stamp(5))
    assert channel.fence == 5
    for transition in (
        lambda s: propose(channel, OLD, s),
        lambda s: promote(channel, NEW, s),
        lambda s: withdraw(channel, s),
        lambda s: propose(channel, NEW, s),
    ):
        with pytest.raises(Conflict) as caught:
            transition(stamp(4))
        assert caught.value.code == "lock_lost"
        assert transition(stamp(6)) is channel or transition(stamp(6)).fence == 6
        assert transition(stamp()) is channel or transition(stamp()).fence == 5, "a person's write keeps it"
    with pytest.raises(Conflict):
        roll_back(promote(promote(channel, OLD, stamp()), NEW, stamp()), stamp(4))
    raised = raise_fence(channel, stamp(7))
    assert (raised.fence, raised.serial, raised.candidate) == (7, 2, NEW) and raise_fence(raised, stamp(7)) is raised
    doc = json.loads(channel.to_bytes())
    del doc["fence"]
    assert parse_channel(json.dumps(doc).encode()).fence == 0
    for bad in (-1, "5", True, None, 2**60):
        with pytest.raises(BeamError):
            parse_channel(json.dumps({**doc, "fence": bad}).encode())


# The journal.


def test_a_journal_survives_its_document() -> None:
    journal = record(
        RUNNING,
        {"a": Step("leaving", out=True), "b": Step("failed", seconds=1.5, error="no"), "ü": Step("joined", "0.9.0")},
        True,
        stamp(3),
    )
    assert parse_journal(journal.to_bytes(), "shop", "production") == journal
    assert journal.document()["hosts"]["a"] == {"step": "leaving", "from": "1.0.0", "out": True, "at": AT, "error": ""}
    assert journal.document()["events"][1] == {"at": AT, "host": "b", "step": "failed", "seconds": 1.5, "error": "no"}
    assert (
        journal.state == "reverting"
        and record(journal, {"a": Step("joined", out=False)}, False, stamp(3)).state == "reverting"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("fence", -1),
        ("fence", "3"),
        ("state", "lost"),
        ("kind", ""),
        ("id", "../x"),
        ("version", "../x"),
        ("digest", "no"),
        ("hosts", []),
        ("hosts", {"a": {}}),
        ("hosts", {"a": {"step": "flying", "from": None, "out": False, "at": "", "error": ""}}),
        ("hosts", {"": {}}),
        ("stable", "1.0.0"),
        ("hosts", {"a": {"step": "moved", "from": "../x", "out": False, "at": "", "error": ""}}),
        ("events", [{"host": "a"}]),
        ("events", [1]),
        ("token", 1),
        ("hosts", {"a": {"step": "moved", "from": None, "out": "yes", "at": "", "error": ""}}),
        ("name", "other"),
        ("more", 1),
    ],
)
def test_a_damaged_journal_is_called_so_and_what_to_do(field: str, value: t.Any) -> None:
    doc = {**RUNNING.document(), field: value}
    with pytest.raises(BeamError) as caught:
        parse_journal(json.dumps(doc).encode(), "shop", "production")
    assert caught.value.code == "journal_invalid" and "alchemist.beam.status" in caught.value.message


def test_an_older_fence_writes_nothing_into_a_journal() -> None:
    raised = raise_journal(RUNNING, stamp(4))
    assert raised.fence == 4 and raised.hosts == RUNNING.hosts and raise_journal(raised, stamp(4)) is raised
    for transition in (
        lambda s: record(raised, {"a": Step("moving")}, False, s),
        lambda s: close(raised, "moved", s),
        lambda s: open_journal(raised, opening("2"), s),
        lambda s: record(raised, {}, False, s),
    ):
        for fence in (3, None):
            with pytest.raises(Conflict) as caught:
                transition(stamp(fence))
            assert caught.value.code == "lock_lost"


def test_the_same_step_again_changes_nothing() -> None:
    once = record(RUNNING, {"a": Step("leaving", out=True)}, False, stamp(3))
    assert record(once, {"a": Step("leaving", out=True)}, False, stamp(3, "y")) is once
    closed = close(once, "moved", stamp(3))
    assert close(closed, "moved", stamp(3, "y")) is closed
    assert open_journal(RUNNING, opening(a="1.0.0"), stamp(3, "y")) is RUNNING
    for finished in (closed, Journal("shop", "production")):
        with pytest.raises(BeamError) as caught:
            record(finished, {"a": Step("moved")}, False, stamp(3))
        assert caught.value.code == "journal_closed"


def test_events_are_capped_per_host() -> None:
    journal = RUNNING
    for turn in range(EVENTS_PER_HOST + 5):
        journal = record(journal, {"a": Step("moving" if turn % 2 else "returning", seconds=turn)}, False, stamp(3))
    journal = record(journal, {"b": Step("leaving")}, False, stamp(3))
    assert [e.seconds for e in journal.events if e.host == "a"] == [float(n) for n in range(5, EVENTS_PER_HOST + 5)]
    assert [e.host for e in journal.events][-1] == "b"


def test_what_an_interrupted_rollout_left_behind_is_not_forgotten() -> None:
    left = record(
        RUNNING,
        {"a": Step("moving", out=True), "b": Step("joined", out=False), "gone": Step("stranded", "0.9.0", out=True)},
        False,
        stamp(3),
    )
    assert left.interrupted_hosts() == ["a", "gone"]
    to_another = open_journal(left, opening("2", Target("1.2.0", "c" * 64), a="1.1.0", b="1.1.0", c=None), stamp(4))
    assert {name: (h.step, h.before, h.out) for name, h in to_another.hosts.items()} == {
        "a": ("planned", "1.0.0", True),
        "b": ("planned", "1.1.0", False),
        "c": ("planned", None, False),
        "gone": ("stranded", "0.9.0", True),
    }
    to_the_same = open_journal(left, opening("2", a="1.1.0", b="1.1.0", c=None), stamp(4))
    assert to_the_same.hosts["b"].before == "1.0.0", "it was moved by the rollout that goes on here"
    closed = close(left, "failed", stamp(3))
    assert closed.interrupted_hosts() == ["a", "gone"] and not closed.unfinished
    after_closed = open_journal(closed, opening("2", a="1.1.0", b="1.1.0"), stamp(4))
    assert (after_closed.hosts["a"].before, after_closed.hosts["a"].out, after_closed.hosts["b"].before) == (
        "1.0.0",
        True,
        "1.1.0",
    )
    assert to_another.events == () and to_another.fence == 4

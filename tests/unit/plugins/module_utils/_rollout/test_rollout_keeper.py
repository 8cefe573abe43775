# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keeper with real processes: a controller that lives, is killed, is frozen, comes back; a keeper that is killed itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock import Holder
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock_store import read_lock, write_lock
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.process import Process, identify
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store

Call = t.Callable[..., dict[str, t.Any]]
Controller = subprocess.Popen[bytes]
TTL = 0.9


def holder(store: Store) -> Holder | None:
    store.start_clock()
    return read_lock(store, "shop", "production")[0].holder


def keeper(store: Store) -> Process:
    now = holder(store)
    assert now is not None and now.keeper is not None
    return now.keeper


def until(condition: t.Callable[[], t.Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def beats(store: Store) -> int:
    now = holder(store)
    return now.beat if now else -1


def test_it_renews_as_long_as_the_controller_runs(lock: Call, store: Store, controller: Controller) -> None:
    held = lock(controller_pid=controller.pid, ttl=TTL)
    now = holder(store)
    assert now is not None and now.process is not None and now.process.pid == controller.pid and not held["note"]
    with pytest.raises(Conflict):
        lock(wait=TTL * 2.5)
    assert beats(store) >= now.beat + 5
    ours = keeper(store)
    assert ours.pid not in (os.getpid(), controller.pid)
    begun = time.monotonic()
    assert lock(state="released", token=held["lock"]["token"])["changed"]
    until(lambda: ours.dead, 2)
    assert time.monotonic() - begun < 2, "nothing is left behind when the lock was given back"


def test_a_controller_that_was_killed_frees_the_lock_here_and_elsewhere(
    lock: Call, store: Store, controller: Controller
) -> None:
    lock(controller_pid=controller.pid, ttl=30, by="ben@ci")
    ours = keeper(store)
    controller.kill()
    controller.wait()
    assert lock(check=True)["lock"]["dead"], "on this machine, at once"
    until(lambda: (now := holder(store)) is not None and now.gone, 5)  # for all others
    until(lambda: ours.dead)
    held = lock(by="anna@here")
    assert held["lock"]["taken_from"] == "ben@ci"


def test_a_frozen_controller_loses_the_lock_and_notices(
    lock: Call, journal: Call, store: Store, controller: Controller
) -> None:
    former = lock(controller_pid=controller.pid, ttl=TTL, by="ben@ci")
    journal(former, state="opened", hosts={"a": {"from": "1.0.0"}})
    ours = keeper(store)
    os.kill(controller.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        held = lock(wait=20, by="anna@here", ttl=30)
        assert held["lock"]["taken_from"] == "ben@ci" and TTL * 0.6 < time.monotonic() - begun < 10
        assert held["journal"]["hosts"]["a"]["from"] == "1.0.0"
    finally:
        os.kill(controller.pid, signal.SIGCONT)
    until(lambda: ours.dead, 5)
    with pytest.raises(Conflict) as caught:
        journal(former, state="recorded", hosts={"a": {"step": "moving"}})
    assert caught.value.code == "lock_lost" and "anna@here" in caught.value.message
    now = holder(store)
    assert now is not None and now.owner == "anna@here"


def test_a_controller_that_was_frozen_for_a_while_keeps_what_nobody_took(
    lock: Call, journal: Call, store: Store, controller: Controller
) -> None:
    held = lock(controller_pid=controller.pid, ttl=TTL)
    os.kill(controller.pid, signal.SIGSTOP)
    time.sleep(TTL)
    still = beats(store)
    time.sleep(TTL)
    assert beats(store) == still, "nobody renews for a controller that is stopped"
    os.kill(controller.pid, signal.SIGCONT)
    until(lambda: beats(store) > still, 5)
    assert journal(held, state="opened")["changed"]


def test_a_keeper_that_was_killed_is_replaced(lock: Call, journal: Call, store: Store, controller: Controller) -> None:
    held = lock(controller_pid=controller.pid, ttl=TTL)
    journal(held, state="opened", hosts={"a": {}})
    ours = keeper(store)
    os.kill(ours.pid, signal.SIGKILL)
    until(lambda: ours.dead)
    journal(held, state="recorded", hosts={"a": {"step": "leaving"}})
    assert keeper(store) != ours and not keeper(store).dead
    before = beats(store)
    until(lambda: beats(store) > before, 5)


def test_a_broken_lock_ends_the_keeper(lock: Call, store: Store, controller: Controller) -> None:
    lock(controller_pid=controller.pid, ttl=TTL)
    ours = keeper(store)
    assert lock(state="broken")["broken"]["owner"] == "anna@here"
    until(lambda: ours.dead, 2)


@pytest.mark.parametrize("state", ["released", "broken"])
def test_a_process_that_the_store_calls_the_keeper_and_is_none_is_left_alone(
    state: str, lock: Call, store: Store, controller: Controller
) -> None:
    other = lock(controller_pid=controller.pid, ttl=TTL, channel="staging")
    of_staging = read_lock(store, "shop", "staging")[0].holder
    assert other["changed"] and of_staging is not None and of_staging.keeper is not None
    bystander = identify(controller.pid)
    for named in (bystander, of_staging.keeper):
        held = lock(controller_pid=controller.pid, ttl=30)
        ours = keeper(store)
        store.start_clock()
        now, etag = read_lock(store, "shop", "production")
        assert now.holder is not None
        write_lock(store, replace(now, holder=replace(now.holder, keeper=named)), etag)
        assert lock(state=state, token=held["lock"]["token"])["changed"]
        os.kill(ours.pid, signal.SIGKILL)  # whose name was taken away; it would have seen it with its next beat
        time.sleep(0.2)
        assert named is not None and not named.dead, "it was asked to end because a document said so"


def test_it_survives_a_store_that_is_away_for_a_while(
    lock: Call, store: Store, controller: Controller, store_params: dict[str, t.Any]
) -> None:
    if not store_params["store"].startswith("file://"):
        pytest.skip("a directory can be moved away; test_rollout_answers.py has the S3 server's faults")
    lock(controller_pid=controller.pid, ttl=TTL)
    place = Path(store_params["store"][7:])
    place.rename(place.with_name("away"))
    time.sleep(TTL)
    place.with_name("away").rename(place)
    before = beats(store)
    until(lambda: beats(store) > before, 5)


PROGRAM = """
import json, os, sys, tempfile
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_lock import run_lock
extra = open(tempfile.gettempdir() + "/x%d" % os.getpid(), "w")
print(json.dumps(run_lock(json.loads(sys.argv[1]), False)["lock"]))
"""


def test_nobody_waits_for_its_output(
    store_params: dict[str, t.Any], store: Store, controller: Controller, tmp_path: Path
) -> None:
    """Ansible reads what a module says until its pipes are closed. And the place that the module was loaded from is gone afterwards."""
    options = {
        **store_params,
        "name": "shop",
        "channel": "production",
        "state": "held",
        "purpose": "",
        "wait": 0,
        "ttl": 3,
        "ttl_without_keeper": 900,
        "token": None,
        "controller_pid": controller.pid,
        "by": "x",
    }
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
    )
    assert time.monotonic() - begun < 10 and json.loads(done.stdout)["serial"] > 0 and done.stderr == ""
    ours = keeper(store)
    links = {os.readlink("/proc/%d/fd/%s" % (ours.pid, fd)) for fd in os.listdir("/proc/%d/fd" % ours.pid)}
    assert {
        link for link in links if not link.startswith(("socket:", "pipe:", "anon_inode:", "/memfd:beam-keeper-"))
    } <= {"/dev/null"}, links
    assert os.readlink("/proc/%d/cwd" % ours.pid) == "/" and os.getsid(ours.pid) != os.getsid(0)
    before = beats(store)
    until(lambda: beats(store) > before, 5)
    controller.kill()
    controller.wait()
    until(lambda: ours.dead, 5)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock and the journal in a store: who gets it, who is told what, and what a former holder can still do."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import multiprocessing
import os
import pathlib
import re
import signal
import threading
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._rollout import fences, lock_store, run_lock
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock import Holder, take
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock_store import (
    Want,
    acquire,
    give_back,
    read_lock,
    renew,
    take_away,
    write_lock,
)
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.process import Process
from ansible_collections.alchemist.beam.plugins.module_utils._store import retention
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version, read_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import journal_key, lock_key, version_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

Call = t.Callable[..., dict[str, t.Any]]
LOCK, JOURNAL = lock_key("shop", "production"), journal_key("shop", "production")
ELSEWHERE = Process("another", "boot", "space", 4711, 1)


WANT = Want("shop", "production", "anna@here")


def test_a_lock_that_is_taken_later_has_a_higher_serial_in_whatever_store(
    store: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers know the highest serial that ever wrote there, and a fleet may move to another store, and back."""
    (tmp_path / "other").mkdir()
    other = open_store({"store": "file://%s" % (tmp_path / "other")})
    serials = []
    for clock, where in ((1000, store), (1000, store), (1002, other), (1005, store), (900, store), (1007, other)):
        monkeypatch.setattr(lock_store, "seconds_now", lambda clock=clock: clock)
        taken = acquire(where, WANT)
        give_back(where, "shop", "production", taken.lock.token)
        serials.append(taken.lock.serial)
    # A clock that goes back does not matter within a store.
    assert serials == [1000, 1001, 1002, 1005, 1006, 1007]
    monkeypatch.setattr(lock_store, "seconds_now", lambda: 2000)
    acquire(store, WANT)
    assert take_away(store, "shop", "production", 0, False)[0].serial == 2001


def move(store_params: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    return run_channel(
        {
            **store_params,
            "name": "shop",
            "channel": "production",
            "state": "proposed",
            "version": "1.1.0",
            "by": "anna@here",
            **options,
        },
        False,
    )


def put(store: Store, ago: float = 0, ttl: float = 0.4, **changes: t.Any) -> None:
    """A lock that somebody on another machine took, whose clock may be off."""
    at = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    before, etag = read_lock(store, "shop", "production")
    holder = Holder("ben@ci", "rollout of 0.9.0", since=at, renewed=at, ttl=ttl, process=ELSEWHERE, beat=1)
    write_lock(store, take(before, dataclasses.replace(holder, **changes), os.urandom(4).hex()), etag)


def overwrite(store: Store, key: str, data: bytes) -> None:
    stat = store.stat(key)
    store.replace(key, data, stat.etag if stat else None)


def snapshot(store: Store) -> dict[str, bytes]:
    return {row.key: store.get(row.key, 10**7).data for row in store.list("shop/")}


def test_a_rollout_from_the_first_write_to_the_last(
    lock: Call, journal: Call, info: Call, store_params: dict[str, t.Any], published: None
) -> None:
    assert info()["lock"] is None and info()["journal"] is None and not info()["unfinished"] and info()["history"] == []
    held = lock()
    assert (
        held["changed"]
        and held["lock"]["serial"] == 1
        and held["lock"]["owner"] == "anna@here"
        and held["lock"]["taken_from"] is None
    )
    assert held["channel"]["fence"] == 1 and held["channel"]["stable"] is None and held["journal"] is None
    opened = journal(held, state="opened", hosts={"a": {"from": "1.0.0"}, "b": None})
    assert opened["changed"] and opened["interrupted"] is None and opened["journal"]["hosts"]["a"]["from"] == "1.0.0"
    assert move(store_params, fence=1)["channel"]["fence"] == 1
    assert journal(held, state="recorded", hosts={"a": {"step": "leaving", "out": True}})["changed"]
    assert not journal(held, state="recorded", hosts={"a": {"step": "leaving", "out": True}})["changed"]
    now = info()
    assert (
        now["unfinished"] and now["interrupted_hosts"] == ["a"] and now["lock"]["held"] and now["lock"]["token"] is None
    )
    journal(held, state="recorded", hosts={"a": {"step": "joined", "out": False, "seconds": 2}})
    closed = journal(held, state="closed", outcome="moved", report={"schema": 1, "rows": []}, html="<p>moved</p>")
    assert (
        closed["journal"]["outcome"] == "moved"
        and not journal(held, state="closed", outcome="moved", report={"schema": 2}, html="")["changed"]
    )
    released = lock(state="released", token=held["lock"]["token"])
    assert (
        released["changed"]
        and not released["note"]
        and not lock(state="released", token=held["lock"]["token"])["changed"]
    )
    done = info()
    assert (
        not done["unfinished"]
        and not done["lock"]["held"]
        and [row["id"] for row in done["history"]] == [opened["journal"]["id"]]
    )
    assert done["history"][0]["schema"] == 1 and lock()["lock"]["serial"] == 2


def test_the_second_is_told_who_the_first_is_and_what_to_do(lock: Call, store: Store) -> None:
    lock(purpose="rollout of 1.1.0", by="anna@laptop")
    before = snapshot(store)
    begun = time.monotonic()
    with pytest.raises(Conflict) as caught:
        lock(by="ben@ci")
    assert (
        time.monotonic() - begun < 2
        and caught.value.code == "lock_held"
        and caught.value.details["holder"]["owner"] == "anna@laptop"
    )
    text = caught.value.message
    assert re.search(
        r"anna@laptop holds it for the rollout of 1\.1\.0 since 20\S+Z, its last sign of life came at 20\S+Z", text
    ), text
    assert "wait" in text and "alchemist.beam.unlock" in text
    foretold = lock(check=True)
    assert (
        not foretold["changed"]
        and foretold["lock"]["owner"] == "anna@laptop"
        and foretold["lock"]["token"] is None
        and "anna@laptop" in foretold["note"]
    )
    assert snapshot(store) == before


def test_check_mode_writes_nothing(lock: Call, journal: Call, store: Store) -> None:
    assert lock(check=True)["changed"] and snapshot(store) == {}
    held = lock()
    before = snapshot(store)
    assert journal(held, check=True, state="opened", hosts={"a": {}})["journal"]["hosts"]["a"]["step"] == "planned"
    assert lock(check=True, state="released", token=held["lock"]["token"])["changed"]
    assert lock(check=True, state="broken")["broken"]["owner"] == "anna@here"
    assert snapshot(store) == before


def test_waiting_ends_with_the_name_of_the_holder(lock: Call, store: Store) -> None:
    put(store, ttl=30)
    begun = time.monotonic()
    with pytest.raises(Conflict) as caught:
        lock(wait=1)
    assert (
        1 <= time.monotonic() - begun < 4
        and "ben@ci" in caught.value.message
        and "1 seconds were waited" in caught.value.message
    )


def test_waiting_ends_when_the_lock_is_given_back(lock: Call, store: Store) -> None:
    put(store, ttl=30)
    token = read_lock(store, "shop", "production")[0].token
    threading.Timer(0.5, lambda: give_back(store, "shop", "production", token)).start()
    begun = time.monotonic()
    held = lock(wait=20)
    assert time.monotonic() - begun < 6 and held["lock"]["serial"] == 2 and held["lock"]["taken_from"] is None


@pytest.mark.parametrize("ago", [3600, -3600], ids=["long ago", "in an hour"])
def test_a_silent_lock_is_watched_for_one_ttl_and_taken(ago: float, lock: Call, store: Store) -> None:
    put(store, ago, ttl=0.8)
    begun = time.monotonic()
    held = lock()
    assert 0.8 <= time.monotonic() - begun < 4 and held["lock"]["taken_from"] == "ben@ci"


@pytest.mark.parametrize("ago", [3600, -3600], ids=["an hour behind", "an hour ahead"])
def test_a_clock_that_is_off_costs_nobody_his_lock(ago: float, lock: Call, store: Store) -> None:
    put(store, ago, ttl=0.8)
    value, etag = read_lock(store, "shop", "production")
    stop = threading.Event()

    def beat() -> None:
        kept = lock_store.Lease(value, etag or "")
        while not stop.wait(0.2):
            kept = renew(store, kept.lock, kept.etag, renewed=value.holder.renewed)  # type: ignore[union-attr]

    keeper = threading.Thread(target=beat)
    keeper.start()
    try:
        for wait in (0, 2):
            with pytest.raises(Conflict) as caught:
                lock(wait=wait)
            assert caught.value.code == "lock_held"
    finally:
        stop.set()
        keeper.join()


def test_a_long_ttl_is_not_watched_unasked(lock: Call, store: Store) -> None:
    put(store, ago=7200, ttl=900)
    begun = time.monotonic()
    with pytest.raises(Conflict) as caught:
        lock()
    assert time.monotonic() - begun < 2 and "wait: 905" in caught.value.message


def test_a_lock_whose_keeper_saw_its_controller_die_is_free(lock: Call, store: Store) -> None:
    put(store, ttl=30, gone=True)
    assert lock(check=True)["lock"]["dead"]
    assert lock()["lock"]["taken_from"] == "ben@ci"


def _die_between(store_params: dict[str, t.Any], at: str) -> None:
    store = open_store(store_params)
    original = getattr(run_lock, at)

    def die(*_arguments: t.Any, **_options: t.Any) -> t.NoReturn:
        if at == "renew":
            original(*_arguments, **_options)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    setattr(run_lock, at, die)
    run_lock.hold(store, Want("shop", "production", "ben@ci"), None, None)


@pytest.mark.parametrize("at", ["raise_fences", "renew"])
def test_a_module_that_is_killed_within_its_acquisition(at: str, lock: Call, store_params: dict[str, t.Any]) -> None:
    child = multiprocessing.get_context("fork").Process(target=_die_between, args=(store_params, at))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    if at == "raise_fences":
        begun = time.monotonic()
        assert lock()["lock"]["taken_from"] == "ben@ci" and time.monotonic() - begun < 2
    else:  # confirmed: from then on it is the controller's
        with pytest.raises(Conflict):
            lock()


def test_a_failure_within_an_acquisition_gives_the_lock_back(
    lock: Call, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: t.Any) -> t.NoReturn:
        raise BeamError("store_full", "x", "y")

    monkeypatch.setattr(run_lock, "raise_fences", fail)
    with pytest.raises(BeamError) as caught:
        lock()
    assert caught.value.code == "store_full" and read_lock(store, "shop", "production")[0].holder is None


def test_what_a_former_holder_still_sends_is_refused(
    lock: Call, journal: Call, store: Store, store_params: dict[str, t.Any], published: None
) -> None:
    former = lock(by="ben@ci")
    journal(former, state="opened", hosts={"a": {"from": "1.0.0"}})
    broken = lock(state="broken")
    assert (
        broken["changed"]
        and broken["broken"]["owner"] == "ben@ci"
        and broken["channel"]["fence"] == broken["lock"]["serial"] == 2
    )
    for taken in (False, True):
        if taken:
            lock(by="anna@here")
        before = snapshot(store)
        for options in (
            {"state": "recorded", "hosts": {"a": {"step": "moving"}}},
            {"state": "opened"},
            {"state": "closed", "outcome": "moved", "report": {}},
        ):
            with pytest.raises(Conflict) as caught:
                journal(former, **options)
            assert caught.value.code == "lock_lost" and ("anna@here" in caught.value.message) is taken
        for state in ("proposed", "promoted", "ghosted", "withdrawn"):
            with pytest.raises(Conflict) as caught:
                move(store_params, state=state, fence=former["lock"]["serial"])
            assert caught.value.code == "lock_lost"
        released = lock(state="released", token=former["lock"]["token"])
        assert not released["changed"] and "not ours any more" in released["note"]
        assert snapshot(store) == before
    assert move(store_params, fence=3)["changed"] and move(store_params, state="withdrawn")["changed"], (
        "the new holder writes, and so does a person"
    )


def test_a_write_that_was_under_way_when_the_lock_was_taken(
    lock: Call, journal: Call, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former holder has looked at lock and journal, is frozen, and sends its write after the lock has changed hands."""

    def late(write: t.Callable[..., t.Any], taken: list[t.Any], *arguments: t.Any) -> t.Any:
        if not taken:
            lock(state="broken")
            taken.append(snapshot(store))
        return write(*arguments)

    former = lock(by="ben@ci")
    for opened in (False, True):
        if opened:
            journal(former, state="opened", hosts={"a": {}})
        write = fences.write_journal
        taken: list[t.Any] = []

        from ansible_collections.alchemist.beam.plugins.module_utils._rollout import run_journal

        monkeypatch.setattr(run_journal, "write_journal", functools.partial(late, write, taken))
        with pytest.raises(Conflict) as caught:
            journal(
                former, **({"state": "recorded", "hosts": {"a": {"step": "moving"}}} if opened else {"state": "opened"})
            )
        assert caught.value.code == "lock_lost" and snapshot(store) == taken[0]
        monkeypatch.undo()
        former = lock(by="ben@ci")


def test_there_and_back_is_noticed(lock: Call, store: Store) -> None:
    """Held, given back, held again: a beat of the first holder finds another lock."""
    lock()
    value, etag = read_lock(store, "shop", "production")
    lock(state="released", token=value.token)
    lock()
    with pytest.raises(Conflict) as caught:
        renew(store, value, etag or "")
    assert caught.value.code == "lock_lost" and read_lock(store, "shop", "production")[0].serial == 2


def test_a_document_that_is_gone_or_damaged_resets_no_fence(
    lock: Call, journal: Call, store: Store, store_params: dict[str, t.Any], published: None
) -> None:
    former = lock()
    journal(former, state="opened", hosts={})
    store.delete(LOCK)
    after = lock()
    assert (
        after["lock"]["serial"] > former["lock"]["serial"]
        and move(store_params, fence=after["lock"]["serial"])["changed"]
    )
    overwrite(store, LOCK, b"{}")
    for call in (lock, lambda: lock(check=True), lambda: journal(after, state="recorded", hosts={})):
        with pytest.raises(BeamError) as caught:
            call()
        assert caught.value.code == "lock_invalid" and "alchemist.beam.unlock" in caught.value.message
    mended = lock(state="broken")
    assert mended["changed"] and mended["lock"]["serial"] > after["lock"]["serial"] and mended["broken"] is None
    assert lock()["lock"]["serial"] == mended["lock"]["serial"] + 1


def test_a_damaged_journal_stops_a_rollout_before_it_takes_the_lock(lock: Call, store: Store, info: Call) -> None:
    lock(state="released", token=lock()["lock"]["token"])
    overwrite(store, JOURNAL, b"{}")
    before = snapshot(store)
    for call in (lock, info):
        with pytest.raises(BeamError) as caught:
            call()
        assert caught.value.code == "journal_invalid"
    assert snapshot(store) == before
    assert "can't be read" in lock(state="broken")["note"], "breaking a lock must be possible all the same"


def test_nothing_held_is_nothing_to_break(lock: Call, store: Store) -> None:
    assert not lock(state="broken")["changed"] and snapshot(store) == {}
    lock(state="released", token=lock()["lock"]["token"])
    before = snapshot(store)
    assert not lock(state="broken")["changed"] and snapshot(store) == before


def test_without_a_keeper_each_record_renews_the_lock(lock: Call, journal: Call, store: Store) -> None:
    held = lock(ttl_without_keeper=77)
    value = read_lock(store, "shop", "production")[0]
    assert (
        value.holder is not None
        and value.holder.process is None
        and value.holder.ttl == 77
        and "no process of this machine" in held["note"]
    )
    journal(held, state="opened", hosts={"a": {}})
    journal(held, state="recorded", hosts={"a": {"step": "leaving"}})
    again = read_lock(store, "shop", "production")[0].holder
    assert again is not None and again.beat == value.holder.beat + 2


def test_a_step_costs_two_reads_and_one_write(
    lock: Call, journal: Call, store: Store, monkeypatch: pytest.MonkeyPatch, controller: t.Any
) -> None:
    held = lock(controller_pid=controller.pid)
    journal(held, state="opened", hosts={"a": {}})
    asked: list[str] = []
    for name in ("get", "replace", "stat", "list", "put_if_absent"):
        original = getattr(type(store), name)
        monkeypatch.setattr(
            type(store),
            name,
            lambda *a, name=name, original=original, **k: (asked.append("%s %s" % (name, a[1])), original(*a, **k))[1],
        )
    journal(held, state="recorded", hosts={"a": {"step": "leaving"}})
    assert sorted(asked) == ["get " + JOURNAL, "get " + LOCK, "replace " + JOURNAL]


def test_options_that_make_no_sense(lock: Call, journal: Call) -> None:
    with pytest.raises(BeamError) as caught:
        lock(ttl=0)
    assert caught.value.code == "invalid_ttl"
    with pytest.raises(BeamError) as caught:
        lock(controller_pid=2**22 + 1)
    assert caught.value.code == "controller_missing"
    held = lock()
    for hosts in (
        {"a": {"step": "flying"}},
        {"a": {"step": "moved", "out": "yes"}},
        {"a": {"step": "moved", "more": 1}},
        {"a": 1},
        {"": {"step": "moved"}},
        {"a": {"step": "moved", "seconds": "long"}},
        {"a": {"step": "moved", "from": "../x"}},
        {"a": {}},
    ):
        with pytest.raises(BeamError) as caught:
            journal(held, state="recorded", hosts=hosts)
        assert caught.value.code.startswith("invalid_"), hosts
    with pytest.raises(BeamError) as caught:
        journal(held, state="opened", id="../x")
    assert caught.value.code == "invalid_rollout"


def test_the_history_is_newest_first_and_survives_a_damaged_report(
    lock: Call, journal: Call, info: Call, store: Store
) -> None:
    ids = []
    for turn in range(3):
        held = lock()
        ids.append(journal(held, state="opened")["journal"]["id"])
        journal(held, state="closed", outcome="moved", report={"turn": turn}, html="")
        lock(state="released", token=held["lock"]["token"])
    assert [row["turn"] for row in info()["history"]] == [2, 1, 0] and [
        row["turn"] for row in info(history=1)["history"]
    ] == [2]
    key = info()["history"][1]["key"]
    overwrite(store, key, b"half a rep")
    rows = info()["history"]
    assert [row["id"] for row in rows] == ids[::-1] and "damaged" in rows[1] and rows[2]["turn"] == 0


def test_what_an_unfinished_rollout_names_is_not_pruned(lock: Call, journal: Call, store: Store) -> None:
    for version in ("1.0.0", "1.0.1", "1.1.0", "0.9.0"):
        data = Version("shop", version, "ab" * 32).to_bytes()
        store.put_if_absent(version_key("shop", version), data, len(data))
    held = lock()
    journal(held, state="opened", stable={"version": "1.0.1", "digest": "cd" * 32}, hosts={"a": {"from": "1.0.0"}})

    def protected() -> set[str]:
        return set(retention.roots(store, "shop"))

    assert protected() == {"1.0.0", "1.0.1", "1.1.0"}
    with pytest.raises(BeamError) as caught:
        retention.plan_remove(store, "shop", "1.0.0", 0)
    assert caught.value.code == "release_in_use" and "Run that rollout again" in caught.value.message
    assert {v.version for v in retention.plan_prune(store, "shop", 0, 0, 0, now=time.time() + 10**6).remove} == {
        "0.9.0"
    }
    journal(held, state="recorded", hosts={"a": {"step": "stranded", "out": True}})
    journal(held, state="closed", outcome="failed", report={})
    assert protected() == {"1.0.0"}, "a host that is still out has to be brought home"
    lock(state="released", token=held["lock"]["token"])
    overwrite(store, JOURNAL, b"{}")
    with pytest.raises(BeamError) as caught:
        protected()
    assert caught.value.code == "journal_invalid"


def test_what_people_read_in_the_store(lock: Call, store: Store, store_params: dict[str, t.Any]) -> None:
    lock()
    doc = json.loads(store.get(LOCK, 10**5).data)
    assert doc["schema"] == 1 and doc["holder"]["owner"] == "anna@here" and doc["serial"] == 1
    if store_params["store"].startswith("file://"):
        assert (pathlib.Path(store_params["store"][7:]) / "shop" / "journal" / "production.json").exists()
    assert read_channel(store, "shop", "production")[0].fence == 1

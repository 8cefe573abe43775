# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of a rollout under pressure: real processes that race for it, answers that are lost, holders that are frozen and come back.

    PYTHONPATH=.cache/live python tests/bench/locks.py [--races 1000 --wide 16 --lost 200 --stolen 100] [--store file|s3]

Nothing here asks the lock whether it worked. Who held it when is what the contenders noted by one clock that all of them share; a stale write is
a document of the store that differs from what it was when the lock had been taken.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import typing as t
from multiprocessing.connection import Connection
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import (
    Stamp,
    Target,
    add_ghost,
    promote,
    propose,
    roll_back,
    withdraw,
)
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.fences import raise_fences
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock_store import Lease, Want, give_back, renew
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.process import identify
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_journal import run_journal
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_lock import hold
from ansible_collections.alchemist.beam.plugins.module_utils._store import flock
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import (
    apply_channel,
    make_stamp,
    plan_channel,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import version_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "support")]
import fault_proxy
import s3_server
from figures import record

NAME, CHANNEL = "shop", "production"
DIGEST = "%064x"
Params = dict[str, t.Any]
Interval = tuple[float, float]
_FORK = multiprocessing.get_context("fork")


def take(store: Store, owner: str, ttl: float = 30, wait: float = 0) -> Lease:
    """As rollout_lock does it, but for the keeper."""
    return hold(store, Want(NAME, CHANNEL, owner, "bench", ttl, wait), identify(os.getpid()), None)[0]


# Races.


def overlaps(intervals: t.Iterable[Interval]) -> int:
    """How many of these times began before another one had ended."""
    count, latest = 0, float("-inf")
    for begin, end in sorted(intervals):
        count += begin < latest
        latest = max(latest, end)
    return count


def _contend(params: Params, pause: float, index: int, races: int, barrier: t.Any, report: Connection) -> None:
    store = open_store(params)
    dice = random.Random(index)
    held: list[Interval] = []
    odd: list[str] = []
    for turn in range(races):
        barrier.wait(120)
        try:
            lease = take(store, "contender-%d" % index, wait=0 if turn % 2 else 0.02)
        except Conflict as exc:
            if exc.code != "lock_held":
                odd.append(exc.message)
            continue
        except BeamError as exc:
            odd.append(exc.message)
            continue
        begun = time.monotonic()
        time.sleep(dice.random() * pause)
        held.append((begun, time.monotonic()))
        give_back(store, NAME, CHANNEL, lease.lock.token)
    report.send((held, odd))


def race(params: Params, races: int, wide: int, pause: float = 0.002) -> dict[str, t.Any]:
    """pause: each holds the lock for so many seconds at most."""
    barrier = _FORK.Barrier(wide)
    pipes = [_FORK.Pipe(duplex=False) for _index in range(wide)]
    workers = [
        _FORK.Process(target=_contend, args=(params, pause, index, races, barrier, pipes[index][1]), daemon=True)
        for index in range(wide)
    ]
    for worker in workers:
        worker.start()
    for _receiver, sender in pipes:  # one that dies is noticed
        sender.close()
    rows = [receiver.recv() for receiver, _sender in pipes]
    for worker in workers:
        worker.join(10)
    held = [interval for intervals, _odd in rows for interval in intervals]
    odd = [line for _intervals, lines in rows for line in lines]
    return {"races": races, "acquired": len(held), "double": overlaps(held), "odd": odd}


# Lost answers.


class LostAnswers(Store):
    """Every so many-th compare-and-swap is carried out, and its answer is lost: as a Conflict, which is what a second try gets."""

    def __init__(self, inner: Store, key: str, timeout: bool) -> None:
        self.inner, self.key, self.timeout, self.left = inner, key, timeout, 1
        self.location = inner.location

    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        result = self.inner.replace(key, data, etag)
        if self.key in key and self.left:
            self.left -= 1
            if self.timeout:
                raise BeamError("store_timeout", "%s can't be written" % key, "no answer came")
            raise Conflict("store_conflict", "%s was not written" % key, "somebody else changed it meanwhile")
        return result

    def get(self, key: str, limit: int) -> t.Any:
        return self.inner.get(key, limit)

    def open(self, key: str, start: int = 0) -> t.Any:
        return self.inner.open(key, start)

    def put_if_absent(self, key: str, data: t.Any, size: int) -> bool:
        return self.inner.put_if_absent(key, data, size)

    def list(self, prefix: str) -> t.Any:
        return self.inner.list(prefix)

    def delete(self, key: str, etag: str | None = None) -> bool:
        return self.inner.delete(key, etag)

    def stat(self, key: str) -> t.Any:
        return self.inner.stat(key)


def _take_and_die(store: Store) -> None:
    """A run whose module gave up on the store after its write had come through."""
    with contextlib.suppress(BeamError):
        take(store, "unlucky")


def lose_answers(params: Params, count: int, proxy: t.Any = None) -> dict[str, t.Any]:
    """proxy: before a real S3 server; else the answers are lost between us and a directory."""
    blocked: list[str] = []
    plain = open_store(params)
    dropped = died = 0
    for turn in range(count):
        key = ("/locks/", "/channels/", "/journal/", "/locks/")[turn % 4]
        try:
            if turn % 2 and proxy is None:  # the whole run fails, and the next one must not be kept out by what it left
                child = _FORK.Process(target=_take_and_die, args=(LostAnswers(plain, key, timeout=True),))
                child.start()
                child.join()
                died += 1
                lease = take(plain, "next")
            else:
                store = (
                    LostAnswers(plain, key, timeout=False)
                    if proxy is None
                    else open_store({**params, "endpoint_url": proxy.endpoint})
                )
                rule = proxy and proxy.add(fault_proxy.drop_answer(), method="PUT", path=key, times=1)
                lease = take(store, "lucky")
                dropped += rule.applied if rule else 1 - store.left  # type: ignore[attr-defined]
        except Conflict as exc:
            blocked.append(exc.message)
            continue
        if give_back(plain, NAME, CHANNEL, lease.lock.token)[1] is None:
            blocked.append("the lock that was taken was not ours")
    return {"lost": dropped + died, "blocked": blocked}


# Stolen locks.


def publish(store: Store, *versions: str) -> list[Target]:
    targets = [Target(version, DIGEST % index) for index, version in enumerate(versions, 1)]
    for target in targets:
        data = Version(NAME, target.version, target.digest).to_bytes()
        store.put_if_absent(version_key(NAME, target.version), data, len(data))
    return targets


def _journal(params: Params, lease: Lease, **options: t.Any) -> t.Any:
    defaults = {
        "by": "former",
        "hosts": {},
        "reverting": False,
        "report": {},
        "html": "",
        "outcome": "",
        "stable": None,
        "strategy": "rolling",
    }
    return run_journal(
        {
            **params,
            **defaults,
            "name": NAME,
            "channel": CHANNEL,
            "fence": lease.lock.serial,
            "token": lease.lock.token,
            **options,
        },
        False,
    )


def attempts(params: Params, lease: Lease, targets: t.Sequence[Target]) -> dict[str, t.Callable[[], t.Any]]:
    """Every kind of write that a rollout does in the store, under the lock of lease."""
    store = open_store(params)

    def move(transition: t.Callable[..., t.Any], *arguments: t.Any) -> t.Callable[[], t.Any]:
        def go() -> None:
            stamp = Stamp("former", "2026-01-01T00:00:00Z", os.urandom(8).hex(), lease.lock.serial)
            apply_channel(
                store,
                plan_channel(
                    store, NAME, CHANNEL, lambda channel, stamp: transition(channel, *arguments, stamp), stamp
                ),
            )

        return go

    old, new = targets
    opening = {"kind": "rollout", "version": new.version, "digest": new.digest}
    return {
        "recorded": lambda: _journal(
            params, lease, state="recorded", hosts={"a": {"step": "moving", "seconds": random.random(), "out": True}}
        ),
        "opened": lambda: _journal(
            params, lease, state="opened", id=None, hosts={"a": {"from": old.version}}, **opening
        ),
        "closed": lambda: _journal(params, lease, state="closed", outcome="moved"),
        "reverting": lambda: _journal(params, lease, state="recorded", reverting=True),
        "proposed": move(propose, old),
        "promoted": move(promote, new),
        "withdrawn": move(withdraw),
        "rolled back": move(roll_back),
        "ghosted": move(lambda channel, stamp: add_ghost(channel, Target("9.9.9", DIGEST % 9), "no reason", stamp)),
        "heartbeat": lambda: renew(store, lease.lock, lease.etag),
        "fences": lambda: raise_fences(store, NAME, CHANNEL, make_stamp("former", fence=lease.lock.serial)),
    }


def _hold_and_freeze(params: Params, targets: t.Sequence[Target], ttl: float, parent: Connection) -> None:
    """Takes the lock, writes without a pause until it is frozen, and, when told so, tries everything once more."""
    store = open_store(params)
    lease = take(store, "former", ttl)
    tries = attempts(params, lease, targets)
    tries["opened"]()
    parent.send("holding")
    busy = itertools.cycle(("recorded", "heartbeat", "proposed", "withdrawn"))
    while not parent.poll(0):
        _outcome(tries[next(busy)])
    parent.recv()
    parent.send({name: _outcome(attempt) for name, attempt in tries.items()})


def _outcome(attempt: t.Callable[[], t.Any]) -> str:
    try:
        attempt()
        return "WRITTEN"
    except BeamError as exc:
        return exc.code


def documents(store: Store) -> dict[str, bytes]:
    return {row.key: store.get(row.key, 10**7).data for row in store.list(NAME + "/")}


def steal(params: Params, count: int, ttl: float = 0.3) -> dict[str, t.Any]:
    store = open_store(params)
    old, new = publish(store, "1.0.0", "1.1.0")
    result: dict[str, t.Any] = {"stolen": 0, "stale": [], "attempts": 0, "not_refused": [], "frozen_inside": 0}
    dice = random.Random(7)
    turn = 0
    while result["stolen"] < count and turn < 2 * count + 10:
        turn += 1
        ours, its = _FORK.Pipe()
        former = _FORK.Process(target=_hold_and_freeze, args=(params, (old, new), ttl, its), daemon=True)
        former.start()
        its.close()
        assert ours.recv() == "holding" and former.pid
        time.sleep(dice.random() * 0.05)
        os.kill(former.pid, signal.SIGSTOP)  # anywhere in a write
        try:
            try:
                thief = take(store, "thief", wait=30)
            except BeamError as exc:
                if exc.code != "store_busy":
                    raise
                # A directory's own lock was held by the frozen one: it is said so, and nobody can write until that one goes on.
                result["frozen_inside"] += 1
                continue
            before = documents(store)
        finally:
            os.kill(former.pid, signal.SIGCONT)
            with contextlib.suppress(OSError):
                ours.send("go on")
            refused = ours.recv()
            former.join(10)
        after = documents(store)
        result["stolen"] += 1
        result["stale"] += [
            "turn %d: %s" % (turn, key) for key in sorted(set(before) | set(after)) if before.get(key) != after.get(key)
        ]
        result["attempts"] += len(refused)
        result["not_refused"] += [
            "turn %d: %s: %s" % (turn, name, code) for name, code in refused.items() if code != "lock_lost"
        ]
        give_back(store, NAME, CHANNEL, thief.lock.token)
    return result


# The program.


def _measure(options: argparse.Namespace, params: t.Callable[[str], Params], proxy: t.Any) -> int:
    suffix = "" if options.store == "file" else "_s3"
    begun = time.monotonic()
    raced = race(params("races"), options.races, options.wide)
    print(
        "races: %d x %d, acquired %d times, held by two at once %d times, %d other failures, %.0f s"
        % (
            options.races,
            options.wide,
            raced["acquired"],
            raced["double"],
            len(raced["odd"]),
            time.monotonic() - begun,
        ),
        flush=True,
    )
    begun = time.monotonic()
    lost = lose_answers(params("lost"), options.lost, proxy)
    print(
        "lost answers: %d of %d, blocked by ourselves %d times, %.0f s"
        % (lost["lost"], options.lost, len(lost["blocked"]), time.monotonic() - begun),
        flush=True,
    )
    begun = time.monotonic()
    stolen = steal(params("stolen"), options.stolen)
    print(
        "stolen locks: %d (%d more: the former holder was frozen inside a directory's own lock), %d stale attempts, %d writes came through, %.0f s"
        % (
            stolen["stolen"],
            stolen["frozen_inside"],
            stolen["attempts"],
            len(stolen["stale"]),
            time.monotonic() - begun,
        ),
        flush=True,
    )
    record(
        "rollout",
        **{
            "lock_races" + suffix: options.races * options.wide,
            "lock_acquired" + suffix: raced["acquired"],
            "lock_double_holders" + suffix: raced["double"],
            "lock_lost_answers" + suffix: lost["lost"],
            "lock_self_blocks" + suffix: len(lost["blocked"]),
            "lock_stolen" + suffix: stolen["stolen"],
            "lock_stale_attempts" + suffix: stolen["attempts"],
            "lock_stale_writes" + suffix: len(stolen["stale"]),
        },
    )
    bad = raced["odd"] + lost["blocked"] + stolen["stale"] + stolen["not_refused"]
    for line in bad[:20]:
        print("  " + line)
    short = lost["lost"] < options.lost or raced["acquired"] < options.races or stolen["stolen"] < options.stolen
    return 1 if bad or raced["double"] or short else 0


def main(arguments: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="The lock of a rollout under pressure.")
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--wide", type=int, default=16, help="contenders in each race")
    parser.add_argument("--lost", type=int, default=200)
    parser.add_argument("--stolen", type=int, default=100)
    parser.add_argument("--store", choices=["file", "s3"], default="file")
    options = parser.parse_args(arguments)
    flock.LOCK_SECONDS = 3
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="beam-locks-")))
        if options.store == "s3":
            server = stack.enter_context(s3_server.running(place / "s3"))
            proxy = stack.enter_context(fault_proxy.running(server.endpoint))
            return _measure(
                options, lambda part: {**server.params, "store": "%s/%s" % (server.params["store"], part)}, proxy
            )
        for part in ("races", "lost", "stolen"):
            (place / part).mkdir()
        return _measure(options, lambda part: {"store": "file://%s" % (place / part)}, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

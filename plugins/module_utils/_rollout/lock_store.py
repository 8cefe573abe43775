# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The lock of a rollout in a store: taken, renewed, given back or broken by compare-and-swap.

The clock of another machine proves nothing. A holder is dead where its process is seen to be gone, or where its document did not change for
a whole ttl of our own monotonic clock.
"""

from __future__ import annotations

import datetime
import os
import random
import secrets
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, Conflict, NotFound
from .._release.channel import LAST_SERIAL
from .._store.base import Store, named
from .._store.check import prove_conditions
from .._store.keys import lock_key
from .lock import (
    MAX_LOCK_BYTES,
    Holder,
    Lock,
    beat,
    break_lock,
    free,
    held_by,
    looks_alive,
    lost,
    parse_lock,
    refused,
    release,
    take,
)
from .process import identify

UNASKED = 120.0  # seconds: a lock that looks expired is watched for its ttl without `wait`, unless that is longer
# What is not there, or can't be read, may have had acquisitions that never came to raise a fence.
MARGIN = 1000


@dataclass(frozen=True)
class Want:
    name: str
    channel: str
    owner: str
    purpose: str = ""
    ttl: float = 30
    wait: float = 0


@dataclass(frozen=True)
class Lease:
    lock: Lock
    etag: str
    taken_from: Holder | None = None


def iso_now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_now() -> int:
    return int(time.time())


def read_lock(store: Store, name: str, channel: str) -> tuple[Lock, str | None]:
    """The lock and its etag; one with serial 0 and None where there is none yet."""
    try:
        found = store.get(lock_key(name, channel), MAX_LOCK_BYTES)
    except NotFound:
        return Lock(name, channel), None
    with named(store.location, lock_key(name, channel)):
        return parse_lock(found.data, name, channel), found.etag


def write_lock(store: Store, lock: Lock, etag: str | None) -> str:
    """Conflict where somebody else wrote; a lost answer to our own write is ours."""
    try:
        return store.replace(lock_key(lock.name, lock.channel), lock.to_bytes(), etag)
    except Conflict:
        now, now_etag = read_lock(store, lock.name, lock.channel)
        if now == lock and now_etag is not None:
            return now_etag
        raise


def acquire(store: Store, want: Want, above: t.Callable[[], int] = lambda: 0) -> Lease:
    """The lock, not confirmed yet; Conflict lock_held where somebody holds it, after waiting as long as asked.

    above: tells the highest fence that anything in the store carries.
    """
    prove_conditions(store)
    watch = _Watch(want.wait)
    while True:
        store.start_clock()
        begun = time.monotonic()
        lock, etag = read_lock(store, want.name, want.channel)
        if not free(lock) and not watch.unchanged(lock, begun):
            watch.pause(lock)
            continue
        floor = above()
        if floor and lock.serial == 0:  # somebody removed the lock's document
            floor += MARGIN
        now = iso_now()
        holder = Holder(want.owner, want.purpose, since=now, renewed=now, ttl=want.ttl, process=identify(os.getpid()))
        wanted = take(lock, holder, secrets.token_hex(16), max(floor, seconds_now() - 1))
        try:
            return Lease(wanted, write_lock(store, wanted, etag), lock.holder)
        except Conflict:
            time.sleep(random.random() * 0.02)  # jitter, not a secret


class _Watch:
    """How long a lock has not changed, and how long that is looked at."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        self.begun = time.monotonic()
        self.mark: tuple[str, int] | None = None
        self.since = 0.0
        self.moved = False  # seen alive

    def unchanged(self, lock: Lock, read_begun: float) -> bool:
        """Whether it did not change for a whole ttl: from the end of the first look to the beginning of this one."""
        if lock.mark != self.mark:
            self.moved = self.mark is not None
            self.mark, self.since = lock.mark, time.monotonic()
            return False
        return lock.holder is not None and read_begun - self.since >= lock.holder.ttl

    def pause(self, lock: Lock) -> None:
        """Until the next look; lock_held where there is none."""
        holder = lock.holder
        if holder is None:
            return
        end = self.begun + self.wait
        if (
            not self.moved
            and holder.ttl <= UNASKED
            and not looks_alive(holder, datetime.datetime.now(datetime.timezone.utc))
        ):
            end = max(end, self.since + holder.ttl + 0.05)
        now = time.monotonic()
        if now >= end:
            raise refused(lock, now - self.begun)
        pause = min(1.0, max(0.02, holder.ttl / 10)) * (0.75 + random.random() / 2)  # jitter, not a secret
        time.sleep(min(pause, end - now + 0.001))


def renew(store: Store, lock: Lock, etag: str, **changes: t.Any) -> Lease:
    """One more beat; Conflict lock_lost where the lock is not ours any more."""
    for _attempt in range(10):
        wanted = beat(lock, iso_now(), **changes)
        try:
            return Lease(wanted, write_lock(store, wanted, etag))
        except Conflict:
            now, now_etag = read_lock(store, lock.name, lock.channel)
            if not held_by(now, lock.token, lock.serial) or now_etag is None:
                raise lost(now, lock.serial) from None
            lock, etag = now, now_etag
    raise BeamError(
        "lock_busy",
        "the lock of %s on the channel %s was not renewed" % (lock.name, lock.channel),
        "somebody writes it all the time",
    )


def give_back(store: Store, name: str, channel: str, token: str) -> tuple[Lock, Lock | None]:
    """The lock afterwards, and as it was held: None where the token is not the holder's, and nothing was written."""
    while True:
        lock, etag = read_lock(store, name, channel)
        if lock.holder is None or lock.token != token:
            return lock, None
        try:
            write_lock(store, release(lock), etag)
            return release(lock), lock
        except Conflict:
            continue  # a beat of our own keeper came between


def take_away(store: Store, name: str, channel: str, above: int, check_mode: bool) -> tuple[Lock, Lock, bool]:
    """The lock broken, as it was before, and whether anything was (or would be) written. A document that can't be read is written anew."""
    if not check_mode:
        prove_conditions(store)
    while True:
        floor = above
        try:
            lock, etag = read_lock(store, name, channel)
            if lock.holder is None and max(lock.serial, above) < LAST_SERIAL:
                return lock, lock, False
        except BeamError as exc:
            if exc.code not in ("lock_invalid", "store_object_too_large"):
                raise
            stat = store.stat(lock_key(name, channel))
            lock, etag, floor = Lock(name, channel), stat.etag if stat else None, above + MARGIN
        wanted = break_lock(lock, secrets.token_hex(16), max(floor, seconds_now() - 1))
        if (
            wanted.serial > LAST_SERIAL
        ):  # the next serial could not be read again: use the time, as for a new lock. The fences are set to it
            wanted = break_lock(Lock(name, channel), wanted.token, seconds_now() - 1)
        if check_mode:
            return lock, lock, True
        try:
            write_lock(store, wanted, etag)
            return wanted, lock, True
        except Conflict:
            continue  # a beat of the holder came between

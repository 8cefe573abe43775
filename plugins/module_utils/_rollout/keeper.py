# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The keeper: a background process that renews the lock as long as the controller runs the play.

It is forked from the module, after everything that it needs was imported: the archive that Ansible made of the module is removed when the
module ends. A controller that was killed or stopped is no longer kept for; where it comes back too late, the fence stops what it writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, Conflict
from .._json import parse_json
from .._store.base import Store
from .lock import Lock, beat, held_by, parse_lock
from .lock_store import Lease, iso_now, renew, write_lock
from .process import Process, carry, identify

BEATS = 3  # of them fit into one ttl
OpenStore = t.Callable[[], Store]


@dataclass
class Keeper:
    """A keeper that was forked and waits for the lock that it has to renew; it ends if it gets none."""

    process: Process
    _tell: int

    def go(self, lease: Lease) -> None:
        with os.fdopen(self._tell, "wb") as stream:
            stream.write(
                json.dumps({"etag": lease.etag, "lock": lease.lock.to_bytes().decode("ascii")}).encode("ascii")
            )

    def cancel(self) -> None:
        os.close(self._tell)


def mark_of(name: str, channel: str, token: str) -> str:
    """What the keeper of this lock carries, and no other process."""
    return "beam-keeper-" + hashlib.sha256("\0".join((name, channel, token)).encode("utf-8")).hexdigest()


def end_keeper(former: Lock) -> None:
    """End the keeper of a lock that was released or broken. The store says which process it is, and the process itself proves it."""
    holder = former.holder
    if holder is not None and holder.keeper is not None:
        holder.keeper.end(mark_of(former.name, former.channel, former.token))


def fork_keeper(open_store: OpenStore, lock: Lock, controller: Process) -> Keeper:
    from_keeper, ready = os.pipe()
    order, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _become_keeper(open_store, lock, controller, ready, order)
    os.close(ready)
    os.close(order)
    os.waitpid(child, 0)
    with os.fdopen(from_keeper, "rb") as stream:
        pid = stream.read()
    process = identify(int(pid)) if pid else None
    if process is None:
        os.close(tell)
        raise BeamError(
            "keeper_failed",
            "the lock of %s on the channel %s can't be kept" % (lock.name, lock.channel),
            "the background process that renews it did not start",
            "Look at the limits of this user's processes (ulimit -u), and at the memory",
        )
    return Keeper(process, tell)


def _become_keeper(open_store: OpenStore, lock: Lock, controller: Process, ready: int, order: int) -> t.NoReturn:
    """In the child: never returns to the module, whatever happens."""
    try:
        os.setsid()
        if os.fork() == 0:
            _detach((ready, order))
            carry(mark_of(lock.name, lock.channel, lock.token))
            os.write(ready, b"%d" % os.getpid())
            os.close(ready)
            with os.fdopen(order, "rb") as stream:
                data = stream.read()
            if data:
                doc = parse_json(data)
                keep(
                    open_store,
                    Lease(parse_lock(doc["lock"].encode("ascii"), lock.name, lock.channel), doc["etag"]),
                    controller,
                )
    finally:
        os._exit(0)


def _detach(keep_open: t.Collection[int]) -> None:
    """From the terminal, the working directory and every file that the module had open: Ansible waits until its pipes are closed."""
    os.chdir("/")
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as stream:
        stream.write("beam-keeper")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd > 2 and fd not in keep_open:
            with contextlib.suppress(OSError):
                os.close(fd)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def keep(open_store: OpenStore, lease: Lease, controller: Process) -> None:
    """Until the controller is gone, or the lock is not its own any more."""
    store: Store | None = None
    holder = lease.lock.holder
    if holder is None:
        return
    period = holder.ttl / BEATS
    tick = min(0.5, period / 6)
    due = time.monotonic() + period
    while not controller.dead:
        if time.monotonic() >= due and not controller.stopped:
            try:
                store = store or open_store()
                store.start_clock()
                lease = renew(store, lease.lock, lease.etag)
                due = time.monotonic() + period
            except Conflict as exc:
                if exc.code == "lock_lost":
                    return
                due = time.monotonic() + tick
            except BeamError:  # the store can't be reached: it may come back before anybody else acquires the lock
                due = time.monotonic() + min(1.0, period)
        time.sleep(tick)
    with contextlib.suppress(BeamError):  # then the others watch
        _abandon(store or open_store(), lease)


def _abandon(store: Store, lease: Lease) -> None:
    """So that other machines need not watch for a ttl what this one has seen: the controller is gone."""
    store.start_clock()
    write_lock(store, beat(lease.lock, iso_now(), gone=True), lease.etag)  # Conflict: it was released or taken


def needed(lock: Lock, token: str, fence: int) -> bool:
    """Whether the keeper of a lock that is ours was killed, so that another one has to take over."""
    return (
        held_by(lock, token, fence)
        and lock.holder is not None
        and lock.holder.keeper is not None
        and lock.holder.keeper.dead
    )

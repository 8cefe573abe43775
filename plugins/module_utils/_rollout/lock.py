# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The lock of a rollout as a value, and its transitions as pure functions.

The serial grows with every acquisition and every break, and is the fence that later writes carry. It is no less than the time, in seconds: so it is
higher also than that of an earlier lock in another store, and a fleet can move between stores. Within a store no clock matters. The token is unique to each
acquisition: a writer whose answer was lost finds its own lock by it. Token and beat together tell that a holder lives.
"""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import asdict, dataclass, replace

from .._errors import BeamError, Conflict
from .._json import parse_json
from .._release.channel import LAST_SERIAL
from .._release.names import check_channel, check_name, is_whole
from .process import Process

SCHEMA = 1
MAX_LOCK_BYTES = 64 * 1024
_SLACK = 2.0  # seconds by which two good clocks may differ


@dataclass(frozen=True)
class Holder:
    owner: str
    purpose: str
    since: str  # ISO 8601, UTC, by the holder's clock, like `renewed`
    ttl: float  # seconds without a beat after which the lock may be taken, by the clock of whoever watches
    process: Process | None = None  # who holds it: the module until its acquisition is confirmed, then the controller
    keeper: Process | None = None  # the background process that renews it
    beat: int = 0  # 0: not confirmed yet
    renewed: str = ""
    gone: bool = False  # the keeper saw the controller die

    def describe(self) -> str:
        what = "%s holds it" % self.owner + (" for the %s" % self.purpose if self.purpose else "")
        return "%s since %s, its last sign of life came at %s" % (what, self.since, self.renewed)

    def facts(self) -> dict[str, t.Any]:
        return {key: getattr(self, key) for key in ("owner", "purpose", "since", "renewed", "ttl")}


@dataclass(frozen=True)
class Lock:
    name: str
    channel: str
    serial: int = 0  # 0: not in the store yet
    token: str = ""
    holder: Holder | None = None

    @property
    def mark(self) -> tuple[str, int]:
        """Changes with every sign of life."""
        return self.token, self.holder.beat if self.holder else -1

    def to_bytes(self) -> bytes:
        return (json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True, indent=1) + "\n").encode("ascii")


def take(lock: Lock, holder: Holder, token: str, above: int = 0) -> Lock:
    """above: a fence that something in the store carries already."""
    serial = max(lock.serial, above) + 1
    if serial > LAST_SERIAL:
        raise BeamError(
            "lock_exhausted",
            "the lock of %s on the channel %s was not taken" % (lock.name, lock.channel),
            "a fence in the store is %d, the last one there can be, and was not reached by rollouts" % (serial - 1),
            "Find out who wrote it, then have it numbered anew: playbook alchemist.beam.unlock",
        )
    return replace(lock, serial=serial, token=token, holder=holder)


def beat(lock: Lock, at: str, **changes: t.Any) -> Lock:
    holder = _held(lock)
    return replace(lock, holder=replace(holder, **{"beat": holder.beat + 1, "renewed": at, **changes}))


def release(lock: Lock) -> Lock:
    return replace(lock, holder=None)


def break_lock(lock: Lock, token: str, above: int = 0) -> Lock:
    return replace(lock, serial=max(lock.serial, above) + 1, token=token, holder=None)


def _held(lock: Lock) -> Holder:
    if lock.holder is None:
        raise AssertionError("nobody holds it")
    return lock.holder


def free(lock: Lock) -> bool:
    """Nobody holds it, or its holder is known to be dead."""
    holder = lock.holder
    return holder is None or holder.gone or (holder.process is not None and holder.process.dead)


def looks_alive(holder: Holder, now: datetime.datetime) -> bool:
    """By the clocks of two machines, so this decides nothing but whether to watch: one that is off is noticed or is no harm."""
    age = (now - datetime.datetime.fromisoformat(holder.renewed.replace("Z", "+00:00"))).total_seconds()
    return -_SLACK <= age <= holder.ttl + _SLACK


def held_by(lock: Lock, token: str, fence: int) -> bool:
    return lock.holder is not None and lock.token == token and lock.serial == fence


def lost(lock: Lock, fence: int) -> Conflict:
    who = "nobody holds it now" if lock.holder is None else lock.holder.describe()
    return Conflict(
        "lock_lost",
        "the lock of %s on the channel %s is not ours any more" % (lock.name, lock.channel),
        "its serial was %d, now it is %d, and %s" % (fence, lock.serial, who)
        if lock.serial != fence
        else "it was released",
        "Look at what goes on (playbook alchemist.beam.status); if this rollout is still wanted, run it again",
        fence=fence,
        newest=lock.serial,
        holder=lock.holder and lock.holder.facts(),
    )


def refused(lock: Lock, waited: float) -> Conflict:
    holder = _held(lock)
    again = "Run it again later, or with wait (of a playbook -e beam_wait=600), which waits for it"
    if not looks_alive(holder, datetime.datetime.now(datetime.timezone.utc)):
        again = (
            "Run it again with wait: %d (of a playbook -e beam_wait=%d), which is long enough to see whether it is alive"
            % (holder.ttl + 5, holder.ttl + 5)
        )
    return Conflict(
        "lock_held",
        "the lock of %s on the channel %s was not taken" % (lock.name, lock.channel),
        "%s%s" % (holder.describe(), "; %d seconds were waited for it" % waited if waited >= 1 else ""),
        "%s; where nobody is there any more, the playbook alchemist.beam.unlock breaks it" % again,
        holder=holder.facts(),
        waited=round(waited, 1),
    )


def _process(doc: t.Any) -> Process | None:
    if doc is None:
        return None
    process = Process(**doc)
    if (
        not all(isinstance(x, str) for x in (process.machine, process.boot, process.space))
        or not all(is_whole(x) and x >= 0 for x in (process.pid, process.started))
        or process.pid < 1
    ):
        raise ValueError("it names no process")
    return process


def _holder(doc: t.Any) -> Holder | None:
    if doc is None:
        return None
    doc["process"], doc["keeper"] = _process(doc["process"]), _process(doc["keeper"])
    holder = Holder(**doc)
    if (
        not all(isinstance(x, str) for x in (holder.owner, holder.purpose, holder.since))
        or not is_whole(holder.beat)
        or not isinstance(holder.gone, bool)
    ):
        raise ValueError("its holder can't be read")
    if isinstance(holder.ttl, bool) or not isinstance(holder.ttl, (int, float)) or not 0 < holder.ttl <= 86400:
        raise ValueError("%r is not a ttl" % holder.ttl)
    looks_alive(holder, datetime.datetime.now(datetime.timezone.utc))  # `renewed` is a time
    return holder


def parse_lock(data: bytes, name: str, channel: str) -> Lock:
    try:
        if len(data) > MAX_LOCK_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_LOCK_BYTES)
        doc = parse_json(data)
        if doc.pop("schema") != SCHEMA:
            raise ValueError("its schema is unknown")
        if not is_whole(doc["serial"]) or not 0 < doc["serial"] <= LAST_SERIAL or not isinstance(doc["token"], str):
            raise ValueError("its serial or its token is none")
        doc["holder"] = _holder(doc["holder"])
        lock = Lock(**doc)
        if (check_name(lock.name), check_channel(lock.channel)) != (name, channel):
            raise ValueError("it is of %s %s" % (lock.name, lock.channel))
        return lock
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, BeamError) as exc:
        raise BeamError(
            "lock_invalid",
            "the lock of %s on the channel %s can't be read" % (name, channel),
            str(exc) or type(exc).__name__,
            "Make sure that no rollout runs, then write it anew with rollout_lock state=broken (playbook alchemist.beam.unlock)",
        ) from exc

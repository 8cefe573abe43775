# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The fences of a store: the channel and the journal refuse whoever carries an older one than they do.

Raised by whoever took or broke the lock, before it says so. So when a lock is said to be held, nothing that its former holder still sends
can come through, wherever that one was frozen.
"""

from __future__ import annotations

import random
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, Conflict, NotFound
from .._release.channel import Channel, Stamp, raise_fence
from .._store.base import Store, named
from .._store.channels import apply_channel, plan_channel
from .._store.documents import read_channel
from .._store.keys import journal_key
from .._store.parallel import parallel
from .journal import MAX_JOURNAL_BYTES, Journal, parse_journal
from .journal import raise_fence as raise_journal

ATTEMPTS = 20
T = t.TypeVar("T")


@dataclass(frozen=True)
class Fenced:
    channel: Channel
    journal: Journal


def read_journal(store: Store, name: str, channel: str) -> tuple[Journal, str | None]:
    """The journal and its etag; an empty one and None where there is none."""
    try:
        found = store.get(journal_key(name, channel), MAX_JOURNAL_BYTES)
    except NotFound:
        return Journal(name, channel), None
    with named(store.location, journal_key(name, channel)):
        return parse_journal(found.data, name, channel), found.etag


def read_fenced(store: Store, name: str, channel: str) -> Fenced:
    channel_now, journal_now = both(
        lambda: read_channel(store, name, channel)[0], lambda: read_journal(store, name, channel)[0]
    )
    return Fenced(channel_now, journal_now)


def highest(fenced: Fenced) -> int:
    return max(fenced.channel.fence, fenced.journal.fence)


def raise_fences(store: Store, name: str, channel: str, stamp: Stamp) -> Fenced:
    """Conflict lock_lost where the lock was taken again meanwhile."""
    return Fenced(
        *both(
            lambda: raise_on_channel(store, name, channel, stamp), lambda: raise_on_journal(store, name, channel, stamp)
        )
    )


def raise_on_channel(store: Store, name: str, channel: str, stamp: Stamp) -> Channel:
    return persist(lambda: apply_channel(store, plan_channel(store, name, channel, raise_fence, stamp)))


def raise_on_journal(store: Store, name: str, channel: str, stamp: Stamp) -> Journal:
    def attempt() -> Journal:
        before, etag = read_journal(store, name, channel)
        return write_journal(store, before, raise_journal(before, stamp), etag)

    return persist(attempt)


def write_journal(store: Store, before: Journal, after: Journal, etag: str | None) -> Journal:
    """Conflict where somebody else wrote; a lost answer to our own write is ours."""
    if after == before:
        return before
    try:
        store.replace(journal_key(after.name, after.channel), after.to_bytes(), etag)
    except Conflict:
        if read_journal(store, after.name, after.channel)[0].token != after.token:
            raise
    return after


def persist(attempt: t.Callable[[], T]) -> T:
    """Once more where somebody else was faster: each time, that one has got on."""
    turn = 1
    while True:
        try:
            return attempt()
        except Conflict as exc:
            if exc.code not in ("store_conflict", "channel_conflict") or turn == ATTEMPTS:
                raise
        time.sleep(random.random() * 0.05)  # jitter, not a secret
        turn += 1


def both(first: t.Callable[[], t.Any], second: t.Callable[[], t.Any]) -> tuple[t.Any, t.Any]:
    """At the same time."""

    def work(part: t.Callable[[], t.Any]) -> t.Any:
        try:
            return part()
        except BeamError as exc:
            return exc

    results = parallel(work, (first, second))
    for result in results:
        if isinstance(result, BeamError):
            raise result
    return results[0], results[1]

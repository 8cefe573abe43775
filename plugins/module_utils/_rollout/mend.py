# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The way out for a channel and a journal whose counters can't go on: breaking the lock has them numbered anew.

Only the counters are mended. Where a channel points and which hosts are out is taken as it stands; a document that says nothing any more is left
to a person, and must not keep the lock from being broken.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._errors import BeamError
from .._release.channel import LAST_SERIAL, Channel, Stamp, restart_counters, spent
from .._store.base import Store
from .._store.documents import read_channel, read_channel_anyhow
from .._store.keys import channel_key, journal_key
from .fences import persist, raise_on_channel, raise_on_journal, read_journal
from .journal import MAX_JOURNAL_BYTES, Journal, parse_journal
from .lock_store import seconds_now

T = t.TypeVar("T")


def tolerant(read: t.Callable[[], T]) -> tuple[T | None, str]:
    """What was read, or None and why it could not be; a store that can't be asked stays an error."""
    try:
        return read(), ""
    except BeamError as exc:
        if exc.code not in ("channel_invalid", "journal_invalid", "store_object_too_large"):
            raise
        return None, exc.message


def fence_channel(store: Store, name: str, channel: str, stamp: Stamp) -> tuple[Channel | None, str]:
    """The channel with the fence of the stamp, and a note where its counters were numbered anew or it can't be read at all."""
    fence = _fence(stamp) or seconds_now()  # of no lock at all

    def attempt() -> tuple[Channel | None, str]:
        value, etag, why = read_channel_anyhow(store, name, channel)
        if value is None:
            return None, why
        if not why and not spent(value):
            return (value if value.fence >= _fence(stamp) else raise_on_channel(store, name, channel, stamp)), ""
        serial = value.serial + 1 if 0 < value.serial < LAST_SERIAL else seconds_now()
        mended = restart_counters(value, stamp, serial, fence)
        store.replace(channel_key(name, channel), mended.to_bytes(), etag)
        return (
            mended,
            "the channel %s of %s was numbered anew: its serial is %d now, and its stable version %s. A server that has seen a higher serial "
            "takes it with allow_older_serial: true (alchemist.beam.release_install)"
            % (channel, name, serial, mended.stable.version if mended.stable else "none"),
        )

    return persist(attempt)


def fence_journal(store: Store, name: str, channel: str, stamp: Stamp) -> tuple[Journal | None, str]:
    fence = _fence(stamp) or seconds_now()  # of no lock at all

    def attempt() -> tuple[Journal | None, str]:
        value, why = tolerant(lambda: read_journal(store, name, channel)[0])
        if value is not None and value.fence < LAST_SERIAL:
            return (value if value.fence >= _fence(stamp) else raise_on_journal(store, name, channel, stamp)), ""
        try:
            found = store.get(journal_key(name, channel), MAX_JOURNAL_BYTES)
            mended = replace(parse_journal(found.data, name, channel, counters=False), fence=fence, token=stamp.token)
        except BeamError:
            return None, why
        store.replace(journal_key(name, channel), mended.to_bytes(), found.etag)
        return mended, "the journal of %s on the channel %s was numbered anew: its fence is %d now" % (
            name,
            channel,
            fence,
        )

    return persist(attempt)


def _fence(stamp: Stamp) -> int:
    if stamp.fence is None:
        raise AssertionError("who breaks a lock has its serial")
    return stamp.fence


def channel_before(store: Store, name: str, channel: str) -> tuple[Channel | None, str]:
    return tolerant(lambda: read_channel(store, name, channel)[0])

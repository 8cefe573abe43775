# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters that somebody else wrote: nothing is written that nobody can read, and both documented ways out work."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import LAST_SERIAL, parse_channel
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import parse_journal
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock import parse_lock
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel

Call = t.Callable[..., dict[str, t.Any]]
CHANNEL, LOCK, JOURNAL = ("shop/%s/production.json" % kind for kind in ("channels", "locks", "journal"))
# The last that can be written, the first that can't, what former versions took, what no reader ever took, and what is no counter.
COUNTERS = [LAST_SERIAL, LAST_SERIAL + 1, 2**53 - 1, 2**53, 10**400, -1, 1.5, True, "7", None]


def forge(store: Store, key: str, **changes: t.Any) -> None:
    found = store.get(key, 100_000)
    store.replace(key, json.dumps({**json.loads(found.data), **changes}).encode(), found.etag)


def readable(store: Store) -> None:
    parse_channel(store.get(CHANNEL, 100_000).data)
    parse_lock(store.get(LOCK, 100_000).data, "shop", "production")
    parse_journal(store.get(JOURNAL, 100_000).data, "shop", "production")


@pytest.fixture
def promote(store: Store, store_params: dict[str, t.Any], published: None) -> Call:
    return lambda check=False, **options: run_channel(
        {
            **store_params,
            "name": "shop",
            "channel": "production",
            "state": "promoted",
            "version": "1.1.0",
            "by": "anna@here",
            **options,
        },
        check,
    )


@pytest.fixture
def used(lock: Call, journal: Call, promote: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout has been here."""
    promote()
    held = lock()
    journal(held, state="opened", hosts={"a": {"from": "1.0.0"}})
    journal(held, state="closed", outcome="promoted", report={})
    lock(state="released", token=held["lock"]["token"])


@pytest.mark.parametrize("value", COUNTERS, ids=lambda value: "%.18s" % (value,))
@pytest.mark.parametrize(
    ("key", "counter"), [(CHANNEL, "serial"), (CHANNEL, "fence"), (LOCK, "serial"), (JOURNAL, "fence")]
)
def test_a_forged_counter(
    key: str, counter: str, value: t.Any, store: Store, lock: Call, promote: Call, used: None
) -> None:
    forge(store, key, **{counter: value})
    forged = store.get(key, 100_000).data
    # Whoever would count on from there says so, and writes nothing.
    with pytest.raises(BeamError) as caught:
        lock()
    assert caught.value.code in (
        "channel_invalid",
        "channel_exhausted",
        "lock_invalid",
        "lock_exhausted",
        "journal_invalid",
    )
    assert "production" in caught.value.message and "alchemist.beam.unlock" in caught.value.message
    assert store.get(key, 100_000).data == forged
    # Breaking the lock has it numbered anew, and then all goes on.
    assert lock(check=True, state="broken")["changed"] or key != LOCK
    assert store.get(key, 100_000).data == forged
    broken = lock(state="broken")
    assert broken["changed"]
    readable(store)
    assert not lock(state="broken")["changed"]
    assert broken["channel"]["stable"]["version"] == "1.1.0" and broken["journal"]["hosts"]["a"]["from"] == "1.0.0"
    held = lock()
    assert promote(state="proposed", fence=held["lock"]["serial"])["changed"]
    readable(store)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[" * 100_000, b"x" * 2_000_000, json.dumps({"schema": 1, "serial": 2**53 - 1}).encode()]
)
def test_a_channel_that_says_nothing_does_not_keep_a_lock(
    data: bytes, store: Store, lock: Call, promote: Call, used: None
) -> None:
    held = lock()
    found = store.get(CHANNEL, 100_000)
    store.replace(CHANNEL, data, found.etag)
    with pytest.raises(BeamError) as caught:
        promote()
    assert (
        caught.value.code in ("channel_invalid", "store_object_too_large")
        and CHANNEL in caught.value.message
        and store.location in caught.value.message
    )
    broken = lock(state="broken")
    assert (
        broken["broken"]["owner"] == "anna@here"
        and broken["lock"]["serial"] > held["lock"]["serial"]
        and CHANNEL in broken["note"]
    )
    assert store.get(CHANNEL, 3_000_000).data == data
    # What is stable, a person has to say.
    begun = int(time.time())
    done = promote(force=True)
    assert done["changed"] and done["channel"]["stable"]["version"] == "1.1.0" and done["channel"]["serial"] > begun
    readable(store)
    assert not promote()["changed"] and lock()["lock"]["serial"] > broken["lock"]["serial"]


@pytest.mark.parametrize("value", COUNTERS, ids=lambda value: "%.18s" % (value,))
def test_a_forced_promotion_numbers_anew(value: t.Any, store: Store, promote: Call, used: None) -> None:
    forge(store, CHANNEL, serial=value, stable=None)
    with pytest.raises(BeamError) as caught:
        promote()
    assert caught.value.code in ("channel_invalid", "channel_exhausted")
    assert 1 < promote(force=True)["channel"]["serial"] < LAST_SERIAL
    readable(store)


@pytest.mark.parametrize("fence", [LAST_SERIAL + 1, 2**53 - 1, 10**30])
def test_a_fence_that_is_none_is_not_written(fence: int, store: Store, promote: Call, used: None) -> None:
    before = store.get(CHANNEL, 100_000).data
    with pytest.raises(BeamError) as caught:
        promote(state="proposed", fence=fence)
    assert caught.value.code == "fence_invalid" and store.get(CHANNEL, 100_000).data == before

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Channels in a store: one winner, and the others know who it is."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict, NotFound
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Target, promote
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import (
    apply_channel,
    make_stamp,
    plan_channel,
    run_channel_info,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version, read_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import version_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

Channel = t.Callable[..., dict[str, t.Any]]


def digest_of(version: str) -> str:
    return "%064x" % sum(ord(c) * 131**i for i, c in enumerate(version))


@pytest.fixture
def published(store: Store) -> t.Callable[..., None]:
    def publish(*versions: str) -> None:
        for version in versions:
            data = Version("shop", version, digest_of(version)).to_bytes()
            store.put_if_absent(version_key("shop", version), data, len(data))

    return publish


def stable(result: dict[str, t.Any]) -> str:
    return str(result["channel"]["stable"]["version"])


def test_the_life_of_a_channel(
    channel: Channel, published: t.Any, store: Store, store_params: dict[str, t.Any]
) -> None:
    published("1.0.0", "1.1.0", "1.2.0")
    planned = channel(check=True, version="1.0.0")
    assert planned["changed"] and read_channel(store, "shop", "production")[0].serial == 0
    first = channel(version="1.0.0")
    assert (first["changed"], first["channel"]["serial"], stable(first), first["channel"]["by"]) == (
        True,
        1,
        "1.0.0",
        "tester@here",
    )
    again = channel(version="1.0.0")
    assert (
        not again["changed"]
        and again["channel"] == first["channel"]
        and again["diff"]["before"] == again["diff"]["after"]
    )
    channel(state="proposed", version="1.1.0")
    second = channel(version="1.1.0")
    assert second["channel"]["previous"]["version"] == "1.0.0" and second["channel"]["candidate"] is None
    back = channel(state="rolled_back", reason="it lies")
    assert stable(back) == "1.0.0" and [g["version"] for g in back["channel"]["ghosts"]] == ["1.1.0"]
    with pytest.raises(BeamError) as caught:
        channel(version="1.1.0")
    assert caught.value.code == "ghost" and "it lies" in caught.value.message
    with pytest.raises(BeamError):
        channel(state="rolled_back")  # to the ghost
    assert stable(channel(version="1.1.0", force=True)) == "1.1.0"
    assert not channel(state="rolled_back", version="1.1.0")["changed"]
    ghosted = channel(state="ghosted", version="1.2.0", reason="never healthy")
    assert not channel(state="ghosted", version="1.2.0")["changed"] and ghosted["changed"]
    assert channel(state="unghosted", version="1.2.0")["channel"]["ghosts"] == []
    assert not channel(state="withdrawn")["changed"]
    info = run_channel_info({**store_params, "name": "shop", "channel": "production"})
    assert info["channel"]["stable"]["version"] == "1.1.0" and info["channels"] == [info["channel"]]
    assert run_channel_info({**store_params, "name": "shop", "channel": "staging"})["channel"] is None
    assert len(run_channel_info({**store_params, "name": "shop"})["channels"]) == 1


def test_what_is_not_published_can_not_be_promoted(channel: Channel, published: t.Any) -> None:
    published("1.0.0")
    with pytest.raises(NotFound):
        channel(version="2.0.0")
    with pytest.raises(NotFound):
        channel(digest="0" * 64)
    with pytest.raises(BeamError) as caught:
        channel(digest="zz")
    assert caught.value.code == "invalid_digest"
    with pytest.raises(BeamError) as caught:
        channel()
    assert caught.value.code == "option_missing"


def test_a_serial_that_moved_on(channel: Channel, published: t.Any) -> None:
    published("1.0.0", "1.1.0", "1.2.0")
    assert channel(version="1.0.0", serial=0)["channel"]["serial"] == 1
    channel(version="1.1.0", serial=1, by="anna@laptop")
    with pytest.raises(Conflict) as caught:
        channel(version="1.2.0", serial=1)
    assert all(word in caught.value.message for word in ("anna@laptop", "1.1.0", "serial 2"))
    assert caught.value.details["channel"]["serial"] == 2


def test_there_and_back_is_noticed(channel: Channel, published: t.Any, store: Store) -> None:
    """1.0 -> 2.0 -> 1.0 has the same release again, and other bytes: a stale writer does not pass."""
    published("1.0.0", "2.0.0", "3.0.0")
    channel(version="1.0.0")
    stale = plan_channel(
        store,
        "shop",
        "production",
        lambda c, s: promote(c, Target("3.0.0", digest_of("3.0.0")), s),
        make_stamp("stale"),
    )
    channel(version="2.0.0")
    channel(version="1.0.0", by="ben@ci")
    with pytest.raises(Conflict) as caught:
        apply_channel(store, stale)
    assert "ben@ci" in caught.value.message
    assert read_channel(store, "shop", "production")[0].stable == Target("1.0.0", digest_of("1.0.0"))


def test_sixteen_promotes_at_once(store_params: dict[str, t.Any], published: t.Any, store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    names = ["1.0.%d" % i for i in range(16)]
    published(*names)
    stores = [open_store(store_params) for _index in names]
    for turn in range(3):
        plans = [
            plan_channel(
                store,
                "shop",
                "production",
                lambda c, s, v=v: promote(c, Target(v, digest_of(v)), s),
                make_stamp("writer-%s" % v),
            )
            for v in names
        ]
        plans = [plan for plan in plans if plan.changed]

        def one(index: int, plans: t.Any = plans) -> t.Any:
            try:
                return apply_channel(stores[index], plans[index])
            except Conflict as exc:
                return exc

        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(one, range(len(plans))))
        winners = [r for r in results if not isinstance(r, Conflict)]
        assert len(winners) == 1
        now = read_channel(store, "shop", "production")[0]
        assert now == winners[0] and now.serial == turn + 1
        for loser in results:
            if isinstance(loser, Conflict):
                assert winners[0].by in loser.message and winners[0].stable.version in loser.message


def test_a_release_removed_at_the_same_moment(published: t.Any, store: Store, channel: Channel) -> None:
    published("1.0.0", "1.1.0")
    channel(version="1.0.0")
    plan = plan_channel(
        store, "shop", "production", lambda c, s: promote(c, Target("1.1.0", digest_of("1.1.0")), s), make_stamp("x")
    )
    store.delete(version_key("shop", "1.1.0"))
    with pytest.raises(Conflict) as caught:
        apply_channel(store, plan)
    assert caught.value.code == "release_removed"
    now = read_channel(store, "shop", "production")[0]
    assert now.stable is not None and now.stable.version == "1.0.0" and now.serial == 3


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"not json", b'{"schema": 1}', b'{"schema": 1, "serial": 99999999999999999999}']
)
def test_a_broken_channel_is_said_to_be_broken(data: bytes, store: Store, channel: Channel, published: t.Any) -> None:
    published("1.0.0")
    store.put_if_absent("shop/channels/production.json", data, len(data))
    with pytest.raises(BeamError) as caught:
        channel(version="1.0.0")
    assert caught.value.code == "channel_invalid"


def test_a_channel_of_something_else(store: Store, channel: Channel, published: t.Any) -> None:
    published("1.0.0")
    channel(version="1.0.0")
    data = store.get("shop/channels/production.json", 10_000).data
    store.put_if_absent("shop/channels/staging.json", data, len(data))
    with pytest.raises(BeamError) as caught:
        channel(channel="staging", version="1.0.0")
    assert caught.value.code == "channel_invalid" and "production" in caught.value.message

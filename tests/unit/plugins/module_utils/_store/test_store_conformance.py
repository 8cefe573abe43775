# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every store has to do, asked of each kind of store."""

from __future__ import annotations

import io
import threading
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict, NotFound
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store


def put(store: Store, key: str, data: bytes) -> bool:
    return store.put_if_absent(key, data, len(data))


def race(count: int, work: t.Callable[[int], t.Any]) -> list[t.Any]:
    """The results (or the errors) of count threads that begin at the same moment."""
    results: list[t.Any] = [None] * count
    barrier = threading.Barrier(count)

    def one(index: int) -> None:
        barrier.wait()
        try:
            results[index] = work(index)
        except BeamError as exc:
            results[index] = exc

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_an_object_is_written_once(store: Store) -> None:
    assert put(store, "app/layers/a", b"first")
    assert not put(store, "app/layers/a", b"second")
    assert not put(store, "app/layers/a", b"first")
    assert store.get("app/layers/a", 100).data == b"first"
    assert store.writes == 1


def test_a_stream_is_written(store: Store) -> None:
    data = bytes(range(256)) * 20_000
    stream = io.BytesIO(b"skipped" + data)
    stream.seek(7)
    assert store.put_if_absent("app/big", stream, len(data))
    with store.open("app/big") as found:
        assert found.read() == data


def test_a_stream_may_start_and_stop_anywhere(store: Store) -> None:
    put(store, "app/x", b"0123456789")
    with store.open("app/x", 4) as stream:
        assert stream.read(3) == b"456"
        assert stream.read() == b"789"
        assert stream.read() == b""
    with store.open("app/x", 10) as stream:
        assert stream.read() == b""


def test_an_empty_object(store: Store) -> None:
    assert put(store, "app/empty", b"")
    assert store.get("app/empty", 0).data == b""
    assert [s.size for s in store.list("app/")] == [0]


def test_more_than_the_limit_is_refused(store: Store) -> None:
    put(store, "app/x", b"12345")
    assert store.get("app/x", 5).data == b"12345"
    with pytest.raises(BeamError) as caught:
        store.get("app/x", 4)
    assert caught.value.code == "store_object_too_large"


def test_what_is_missing_is_named(store: Store) -> None:
    for read in (lambda: store.get("app/none", 10), lambda: store.open("app/none").__enter__()):
        with pytest.raises(NotFound) as caught:
            read()
        assert "app/none" in caught.value.message and store.location in caught.value.message
    assert store.stat("app/none") is None
    assert list(store.list("app/")) == []
    assert not store.delete("app/none")


def test_compare_and_swap(store: Store) -> None:
    first = store.replace("app/channels/p.json", b"one", None)
    with pytest.raises(Conflict):
        store.replace("app/channels/p.json", b"two", None)
    second = store.replace("app/channels/p.json", b"two", first)
    with pytest.raises(Conflict):
        store.replace("app/channels/p.json", b"three", first)
    found = store.get("app/channels/p.json", 100)
    assert (found.data, found.etag) == (b"two", second)
    with pytest.raises(Conflict):
        store.replace("app/channels/missing.json", b"x", second)
    assert store.stat("app/channels/missing.json") is None
    stat = store.stat("app/channels/p.json")
    assert stat is not None and stat.etag == second and stat.size == 3
    assert abs(stat.modified - time.time()) < 60


def test_the_same_write_again_is_ours(store: Store) -> None:
    """The bytes hold a token that is unique to each write: finding them means that the write was done."""
    if store.needs_proof:  # only where an answer can get lost
        etag = store.replace("app/channels/p.json", b"token 1", None)
        assert store.replace("app/channels/p.json", b"token 1", None) == etag


def test_delete_compares(store: Store) -> None:
    etag = store.replace("app/locks/p.json", b"one", None)
    newer = store.replace("app/locks/p.json", b"two", etag)
    with pytest.raises(Conflict):
        store.delete("app/locks/p.json", etag)
    assert store.delete("app/locks/p.json", newer)
    assert not store.delete("app/locks/p.json", newer)


def test_the_list_is_by_prefix_and_in_order(store: Store) -> None:
    for key in ("app/layers/b", "app/layers/a", "app/layers/ab/c", "app/layersother/x", "other/layers/a", "app/a"):
        put(store, key, b"x")
    assert [s.key for s in store.list("app/layers/")] == ["app/layers/a", "app/layers/ab/c", "app/layers/b"]
    assert [s.key for s in store.list("app/layers/a")] == ["app/layers/a", "app/layers/ab/c"]
    assert [s.key for s in store.list("app/")][0] == "app/a"
    assert len(list(store.list(""))) == 6


def test_one_of_many_creators_wins(store: Store) -> None:
    for turn in range(3):
        key = "app/versions/%d" % turn
        results = race(16, lambda i, key=key: put(store, key, b"writer %d" % i))
        assert results.count(True) == 1 and results.count(False) == 15
        assert store.get(key, 100).data == b"writer %d" % results.index(True)


def test_one_of_many_swappers_wins(store: Store, store_params: dict[str, t.Any]) -> None:
    key = "app/channels/p.json"
    etag = store.replace(key, b"start", None)
    stores = [open_store(store_params) for _index in range(16)]
    for turn in range(3):
        results = race(
            16, lambda i, turn=turn, etag=etag: stores[i].replace(key, b"turn %d writer %d" % (turn, i), etag)
        )
        winners = [i for i, r in enumerate(results) if isinstance(r, str)]
        assert len(winners) == 1
        assert all(isinstance(r, Conflict) for i, r in enumerate(results) if i != winners[0])
        assert store.get(key, 100).data == b"turn %d writer %d" % (turn, winners[0])
        etag = results[winners[0]]

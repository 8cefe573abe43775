# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What networks, proxies and overloaded servers do, done to a real S3 server by a proxy before it."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, NotFound
from ansible_collections.alchemist.beam.plugins.module_utils._store import check
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.check import run_check
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store


@pytest.fixture
def faults(fault_proxy: t.Any) -> t.Any:
    """The module with the faults."""
    return sys.modules[type(fault_proxy).__module__]


@pytest.fixture
def params(s3_params: dict[str, t.Any], fault_proxy: t.Any) -> dict[str, t.Any]:
    return {**s3_params, "endpoint_url": fault_proxy.endpoint, "store_timeout": 20}


@pytest.fixture
def direct(s3_params: dict[str, t.Any]) -> Store:
    return open_store(s3_params)


def put(store: Store, key: str, data: bytes) -> bool:
    return store.put_if_absent(key, data, len(data))


def publish(params: dict[str, t.Any], tree: pathlib.Path, **options: t.Any) -> dict[str, t.Any]:
    defaults = {
        "state": "present",
        "name": "shop",
        "version": None,
        "path": str(tree),
        "exclude": [],
        "pinned": None,
        "dest": None,
        "keep": 10,
        "keep_days": 0,
        "min_layer_age": 24,
    }
    return run_artifact({**params, **defaults, **options}, False)


def keys(store: Store) -> list[str]:
    return [s.key for s in store.list("shop/")]


# Writing.


def test_the_answer_to_a_creation_is_lost(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, direct: Store
) -> None:
    store = open_store(params)
    rule = fault_proxy.add(faults.drop_answer(), "PUT", times=1)
    assert put(store, "shop/x", b"mine") and rule.applied == 1
    put(direct, "shop/y", b"theirs")
    fault_proxy.add(faults.drop_answer(), "PUT", times=1)
    assert not put(store, "shop/y", b"mine!!")
    assert direct.get("shop/y", 10).data == b"theirs"


def test_the_answer_to_a_replacement_is_lost(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, direct: Store
) -> None:
    store = open_store(params)
    first = store.replace("shop/c", b"token 1", None)
    fault_proxy.add(faults.drop_answer(), "PUT", times=1)
    second = store.replace("shop/c", b"token 2", first)
    found = direct.get("shop/c", 10)
    assert (found.data, found.etag) == (b"token 2", second)


def test_a_promotion_whose_answer_is_lost_is_made_once(
    params: dict[str, t.Any],
    fault_proxy: t.Any,
    faults: t.Any,
    trees: t.Any,
    tmp_path: pathlib.Path,
) -> None:
    publish(params, trees.make_tree(tmp_path / "1", modules=2, dependencies=1))
    for turn, state in enumerate(("promoted", "ghosted")):
        fault_proxy.add(faults.drop_answer(), "PUT", "/channels/", times=1)
        result = run_channel(
            {
                **params,
                "name": "shop",
                "channel": "p%d" % turn,
                "state": state,
                "version": "1.0.0",
            },
            False,
        )
        assert result["changed"] and result["channel"]["serial"] == 1


def test_an_upload_that_is_cut_is_sent_again(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, trees: t.Any, tmp_path: pathlib.Path
) -> None:
    rule = fault_proxy.add(faults.drop_request(), "PUT", times=5)
    assert publish(params, trees.make_tree(tmp_path / "1", modules=4))["changed"]
    assert rule.applied == 5
    assert publish(params, tmp_path, state="verified", path=None)["verified"] == ["1.0.0"]


def test_a_publish_that_is_killed_is_taken_up(
    s3_params: dict[str, t.Any],
    fault_proxy: t.Any,
    faults: t.Any,
    direct: Store,
    trees: t.Any,
    tmp_path: pathlib.Path,
) -> None:
    tree = trees.make_tree(tmp_path / "1")
    params = {**s3_params, "endpoint_url": fault_proxy.endpoint}
    fault_proxy.add(faults.stall(), "PUT", "/manifests/")
    script = textwrap.dedent("""
        import json, sys
        from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
        run_artifact(json.load(sys.stdin), False)
    """)
    import json

    options = {**params, "state": "present", "name": "shop", "path": str(tree), "exclude": []}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(options).encode())
    process.stdin.close()
    end = time.monotonic() + 60
    while not any("/manifests/" in path and method == "PUT" for method, path in fault_proxy.seen):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = keys(direct)
    assert left and all("/layers/" in key for key in left)
    again = publish(s3_params, tree)
    assert again["changed"] and again["layers"]["sent"] == 0 and again["layers"]["total"] == len(left)


def test_a_byte_flips_on_the_way_there(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, direct: Store
) -> None:
    store = open_store(params)
    rule = fault_proxy.add(faults.flip_upload(3), "PUT", times=2)
    assert put(store, "shop/x", b"0123456789") and rule.applied == 2
    assert direct.get("shop/x", 100).data == b"0123456789"
    fault_proxy.add(faults.flip_upload(3), "PUT")
    with pytest.raises(BeamError) as caught:
        put(open_store({**params, "store_timeout": 3}), "shop/y", b"0123456789")
    assert caught.value.code == "store_upload_corrupt" and direct.stat("shop/y") is None


def test_conflicting_writers_are_told_to_try_again(params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any) -> None:
    rule = fault_proxy.add(faults.answer(409, "ConditionalRequestConflict"), "PUT", times=3)
    assert put(open_store(params), "shop/x", b"1") and rule.applied == 3
    fault_proxy.add(faults.answer(409, "ConditionalRequestConflict"), "PUT")
    with pytest.raises(BeamError):
        put(open_store(params), "shop/y", b"1")


# Overload, silence, absence.


def test_a_burst_of_503(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, trees: t.Any, tmp_path: pathlib.Path
) -> None:
    rule = fault_proxy.add(faults.answer(503, "SlowDown"), times=6)
    assert publish({**params, "store_timeout": 120}, trees.make_tree(tmp_path / "1", modules=2, dependencies=1))[
        "changed"
    ]
    assert rule.applied == 6


def test_503_for_ever_ends_at_the_deadline(params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any) -> None:
    fault_proxy.add(faults.answer(503, "SlowDown"))
    begun = time.monotonic()
    with pytest.raises(BeamError) as caught:
        open_store({**params, "store_timeout": 4}).get("shop/x", 10)
    assert caught.value.code == "store_busy" and 1 < time.monotonic() - begun < 9


@pytest.mark.parametrize("after", [None, 10])
def test_silence_ends_at_the_deadline(
    after: int | None, params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, direct: Store
) -> None:
    put(direct, "shop/x", b"x" * 1000)
    rule = fault_proxy.add(faults.stall(after), "GET")
    begun = time.monotonic()
    with pytest.raises(BeamError) as caught:
        open_store({**params, "store_timeout": 3}).get("shop/x", 1000)
    assert caught.value.code == "store_timeout" and time.monotonic() - begun < 8 and rule.applied >= 1


def test_a_black_hole_ends_at_the_deadline(params: dict[str, t.Any], full_queue: int) -> None:
    begun = time.monotonic()
    with pytest.raises(BeamError) as caught:
        open_store({**params, "endpoint_url": "http://127.0.0.1:%d" % full_queue, "store_timeout": 5}).get("shop/x", 10)
    assert caught.value.code in ("store_unreachable", "store_timeout") and time.monotonic() - begun < 10
    assert "endpoint_url" in caught.value.hint


def test_nobody_listens(params: dict[str, t.Any]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = "http://127.0.0.1:%d" % unused.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(BeamError) as caught:
            open_store({**params, "endpoint_url": endpoint}).get("shop/x", 10)
    assert caught.value.code == "store_unreachable" and time.monotonic() - begun < 15


# Reading.


def test_a_download_that_is_cut_goes_on_where_it_was(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, direct: Store
) -> None:
    data = os.urandom(300_000)
    put(direct, "shop/x", data)
    store = open_store(params)
    rule = fault_proxy.add(faults.cut_download(100_000), "GET", times=2)
    with store.open("shop/x") as stream:
        assert b"".join(iter(lambda: stream.read(30_000), b"")) == data
    assert rule.applied == 2
    fault_proxy.add(faults.cut_download(5), "GET", times=1)
    assert store.get("shop/x", 300_000).data == data


def test_an_object_that_changes_while_it_is_read(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, direct: Store
) -> None:
    put(direct, "shop/x", b"a" * 300_000)
    fault_proxy.add(faults.cut_download(100_000), "GET", times=1)
    with open_store(params).open("shop/x") as stream:
        assert stream.read(1000) == b"a" * 1000
        stat = direct.stat("shop/x")
        assert stat is not None
        direct.replace("shop/x", b"b" * 300_000, stat.etag)
        with pytest.raises(BeamError) as caught:
            while stream.read(50_000):
                pass
    assert caught.value.code == "store_conflict"


def test_no_wrong_byte_gets_through(
    params: dict[str, t.Any], fault_proxy: t.Any, faults: t.Any, trees: t.Any, tmp_path: pathlib.Path
) -> None:
    """Flipped, truncated with and without Content-Length, appended: layers and manifests."""
    publish(params, trees.make_tree(tmp_path / "1", modules=3, dependencies=1))
    dest = tmp_path / "out.tar.gz"
    for path in ("/layers/", "/manifests/", "/versions/"):
        for fault in (
            faults.flip(0),
            faults.flip(-1),
            faults.flip(20),
            faults.truncate(30, True),
            faults.truncate(30, False),
            faults.append(b"x"),
        ):
            rule = fault_proxy.add(fault, "GET", path)
            with pytest.raises(BeamError) as caught:
                publish(
                    {**params, "store_timeout": 3},
                    tmp_path,
                    state="exported",
                    path=None,
                    version="1.0.0",
                    dest=str(dest),
                )
            assert caught.value.code in ("release_corrupt", "manifest_corrupt", "version_invalid", "store_cut"), (
                path,
                caught.value.code,
            )
            assert rule.applied and not dest.exists()
            fault_proxy.clear()
    assert publish(params, tmp_path, state="exported", path=None, version="1.0.0", dest=str(dest))["changed"]


# Wrong places and wrong people.


def test_an_endpoint_that_ignores_conditions(
    params: dict[str, t.Any],
    fault_proxy: t.Any,
    faults: t.Any,
    direct: Store,
    trees: t.Any,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = trees.make_tree(tmp_path / "1", modules=2, dependencies=1)
    publish(params, tree)
    before = keys(direct)
    monkeypatch.setattr(check, "_PROVEN", set())
    fault_proxy.add(faults.ignore_conditions())
    with pytest.raises(BeamError) as caught:
        run_check(params)
    assert caught.value.code == "store_unconditional"
    failed = {c["name"] for c in caught.value.details["checks"] if not c["ok"]}
    assert {"create_once", "replace_matching"} <= failed
    with pytest.raises(BeamError) as caught:
        publish(params, trees.make_tree(tmp_path / "2", "1.1.0", modules=2, dependencies=1))
    assert caught.value.code == "store_unconditional"
    with pytest.raises(BeamError) as caught:
        run_channel({**params, "name": "shop", "channel": "p", "state": "promoted", "version": "1.0.0"}, False)
    assert caught.value.code == "store_unconditional"
    assert keys(direct) == before


@pytest.mark.parametrize(
    ("status", "code", "extra", "headers", "wanted"),
    [
        (301, "PermanentRedirect", "", {"x-amz-bucket-region": "eu-west-1"}, "eu-west-1"),
        (400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>", {}, "eu-west-1"),
        (403, "AccessDenied", "", {}, "missing or the access is denied"),
        (403, "RequestTimeTooSkewed", "", {}, "clock"),
        (400, "ExpiredToken", "", {}, "expired"),
    ],
)
def test_refusals_are_explained(
    status: int,
    code: str,
    extra: str,
    headers: dict[str, str],
    wanted: str,
    params: dict[str, t.Any],
    fault_proxy: t.Any,
    faults: t.Any,
) -> None:
    store = open_store(params)
    store.put_if_absent("shop/x", b"x", 1)
    fault_proxy.add(faults.answer(status, code, extra, headers))
    with pytest.raises(BeamError) as caught:
        store.get("shop/x", 10)
    assert wanted in caught.value.message and caught.value.hint


def test_real_refusals(s3_params: dict[str, t.Any], s3_server: t.Any, trees: t.Any, tmp_path: pathlib.Path) -> None:
    tree = trees.make_tree(tmp_path / "1", modules=2, dependencies=1)
    with pytest.raises(BeamError) as caught:
        publish({**s3_params, "secret_key": "wrong" * 8}, tree)
    assert caught.value.code == "store_credentials" and "wrong" * 8 not in caught.value.message
    with pytest.raises(BeamError) as caught:
        publish({**s3_params, "access_key": "NOBODY"}, tree)
    assert caught.value.code == "store_credentials"
    with pytest.raises(BeamError) as caught:
        publish({**s3_params, "store": "s3://no-such-bucket/x"}, tree)
    assert caught.value.code == "store_missing"
    publish(s3_params, tree)
    reader = {**s3_params, "access_key": s3_server.reader_access_key, "secret_key": s3_server.reader_secret_key}
    assert publish(reader, tmp_path, state="verified", path=None)["verified"] == ["1.0.0"]
    assert not publish(reader, tree)["changed"]
    with pytest.raises(BeamError) as caught:
        publish(reader, trees.make_tree(tmp_path / "2", "1.1.0", modules=2, dependencies=1))
    assert caught.value.code == "store_denied" and "s3:PutObject" in caught.value.hint
    with pytest.raises(NotFound):
        open_store(reader).get("shop/none", 10)


def test_more_objects_than_a_page_of_a_listing(params: dict[str, t.Any], fault_proxy: t.Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = open_store({**params, "store_timeout": 120})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: put(store, "shop/layers/%05d" % i, b"x"), range(1050)))
    assert [s.key for s in store.list("shop/layers/")] == ["shop/layers/%05d" % i for i in range(1050)]
    assert sum("list-type=2" in path for _method, path in fault_proxy.seen) == 2

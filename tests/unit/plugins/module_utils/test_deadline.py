# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A limit of time holds, whatever the server does meanwhile."""

from __future__ import annotations

import importlib.util
import pathlib
import socket
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils import _deadline
from ansible_collections.alchemist.beam.plugins.module_utils._deadline import Limit, carry, connect, current
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore

_spec = importlib.util.spec_from_file_location("alchemist_beam_drips", pathlib.Path(__file__).with_name("drips.py"))
assert _spec is not None and _spec.loader is not None
drips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drips)
SECONDS = 0.6


def overrun(work: t.Callable[[], t.Any], limit: float = SECONDS) -> tuple[BeamError, float]:
    begun = time.monotonic()
    with pytest.raises(BeamError) as error:
        work()
    return error.value, time.monotonic() - begun - limit


def s3(where: str, scheme: str = "http") -> t.Any:
    store = open_store({
        "store": "s3://bucket/x", "endpoint_url": "%s://%s" % (scheme, where), "region": "us-east-1", "access_key": "a", "secret_key": "b",
        "store_timeout": 5, "validate_certs": False,
    })  # fmt: skip
    # Not what making a client takes, on a busy machine.
    object.__setattr__(t.cast(t.Any, store).options, "timeout", SECONDS)
    store.start_clock()
    return store


S3 = {
    "get": lambda store: store.get("a", 2000),
    "list": lambda store: list(store.list("")),
    "put": lambda store: store.put_if_absent("a", b"x", 1),
    "replace": lambda store: store.replace("a", b"x", None),
    "stat": lambda store: store.stat("a"),
}


@pytest.mark.parametrize("verb, way", [
    *(("get", way) for way in sorted(drips.WAYS)), ("list", "body"), ("list", "chunks"), ("replace", "header"), ("put", "status"), ("stat", "header"),
])
def test_an_s3_server_that_drips(verb: str, way: str) -> None:
    with drips.dripping(way) as where:
        store = s3(where)
        error, late = overrun(lambda: S3[verb](store))
        assert (error.code, late < 1) == ("store_timeout", True), error.message
        assert where in error.why and "%g seconds of store_timeout" % SECONDS in error.why
        assert ("sent nothing" in error.why) == (way == "nothing"), error.why


@pytest.mark.parametrize("way", sorted(drips.WAYS))
def test_a_web_server_that_drips(way: str) -> None:
    with drips.dripping(way) as where:
        error, late = overrun(lambda: HttpStore("http://" + where, timeout=SECONDS).get("a", 2000))
        assert (error.code, late < 1) == ("store_timeout", True), error.message
        assert where in error.why and "store_timeout" in error.why


def test_a_handshake_that_stalls() -> None:
    with drips.dripping("nothing") as where:
        store = s3(where, scheme="https")
        for work in (lambda: HttpStore("https://" + where, timeout=SECONDS).get("a", 9), lambda: (store.start_clock(), store.get("a", 9))):
            error, late = overrun(work)
            assert (error.code, late < 1) == ("store_timeout", True), error.message
            assert where in error.why


def test_a_name_that_is_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def slow(host: t.Any, *args: t.Any) -> t.Any:
        if host == "slow.example":
            if socket.AI_NUMERICHOST in args:
                raise socket.gaierror()
            time.sleep(3)
        return real("127.0.0.1", *args[:1])

    monkeypatch.setattr(_deadline.socket, "getaddrinfo", slow)
    store = s3("slow.example:80")
    for work in (lambda: HttpStore("http://slow.example", timeout=SECONDS).get("a", 9), lambda: (store.start_clock(), store.get("a", 9))):
        error, late = overrun(work)
        assert (error.code, late < 1) == ("store_timeout", True), error.message
        assert "the name slow.example was not resolved" in error.why


def test_the_credentials_of_an_instance_are_within_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "5")
    with drips.dripping("header") as where:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://" + where)
        params = {"store": "s3://bucket/x", "region": "us-east-1", "store_timeout": 1.5, "endpoint_url": "http://127.0.0.1:9"}
        error, late = overrun(lambda: open_store(params).get("a", 9), 1.5)
        assert late < 1 and error.code == "store_timeout" and where in error.why, error.message


def test_the_nearer_limit_holds_and_is_named() -> None:
    with Limit(1, "outer"), Limit(5, "inner") as inner:
        assert inner.left() <= 1 and inner.name == "outer"
    with Limit(5, "outer"), Limit(1, "inner") as inner:
        assert inner.left() <= 1 and inner.name == "inner"
    assert current() is None


def test_a_thread_takes_the_limit_along() -> None:
    with Limit(1) as limit:
        work = carry(current)
    assert work() is limit and current() is None


def test_a_timeout_of_the_socket_itself_is_no_limit() -> None:
    with drips.dripping("nothing") as where, Limit(5) as limit:
        host, _colon, port = where.partition(":")
        with connect(host, int(port), 0.1) as sock, pytest.raises(_deadline.TIMEOUTS):
            sock.recv(1)
        assert not limit.cut and sock.server == where

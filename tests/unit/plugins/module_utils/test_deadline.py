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
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling import groups, refresh
from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC, make_client
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import alb
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.haproxy import HAProxy, Runtime
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import work
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import first_boot
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.retry import Deadline
from ansible_collections.alchemist.beam.plugins.module_utils._deadline import Limit, carry, connect, current
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import (
    Health,
    HttpCheck,
    Verdict,
    gate,
    probe_http,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore

_spec = importlib.util.spec_from_file_location("alchemist_beam_drips", pathlib.Path(__file__).with_name("drips.py"))
assert _spec is not None and _spec.loader is not None
drips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drips)
SECONDS = 0.3
LATE = 3.0  # seconds that a busy machine takes beside; what is not interrupted takes ten and more
S3_SECONDS = 0.8  # its client takes its time on a busy machine


def overrun(work: t.Callable[[], t.Any], limit: float = SECONDS) -> tuple[BeamError, float]:
    begun = time.monotonic()
    with pytest.raises(BeamError) as error:
        work()
    return error.value, time.monotonic() - begun - limit


def s3(where: str, scheme: str = "http") -> t.Any:
    store = open_store(
        {
            "store": "s3://bucket/x",
            "endpoint_url": "%s://%s" % (scheme, where),
            "region": "us-east-1",
            "access_key": "a",
            "secret_key": "b",
            "store_timeout": 5,
            "validate_certs": False,
        }
    )
    # Not what making a client takes, on a busy machine.
    object.__setattr__(t.cast(t.Any, store).options, "timeout", S3_SECONDS)
    store.start_clock()
    return store


S3 = {
    "get": lambda store: store.get("a", 2000),
    "list": lambda store: list(store.list("")),
    "put": lambda store: store.put_if_absent("a", b"x", 1),
    "replace": lambda store: store.replace("a", b"x", None),
    "stat": lambda store: store.stat("a"),
}


@pytest.mark.parametrize(
    "verb, way",
    [
        *(("get", way) for way in sorted(drips.WAYS)),
        ("list", "body"),
        ("list", "chunks"),
        ("replace", "header"),
        ("put", "status"),
        ("stat", "header"),
    ],
)
def test_an_s3_server_that_drips(verb: str, way: str) -> None:
    with drips.dripping(way) as where:
        store = s3(where)
        error, late = overrun(lambda: S3[verb](store), S3_SECONDS)
        assert (error.code, late < LATE) == ("store_timeout", True), error.message
        assert where in error.why and "%g seconds of store_timeout" % S3_SECONDS in error.why
        assert ("sent nothing" in error.why) == (way == "nothing"), error.why


@pytest.mark.parametrize("way", sorted(drips.WAYS))
def test_a_web_server_that_drips(way: str) -> None:
    with drips.dripping(way) as where:
        error, late = overrun(lambda: HttpStore("http://" + where, timeout=SECONDS).get("a", 2000))
        assert (error.code, late < LATE) == ("store_timeout", True), error.message
        assert where in error.why and "store_timeout" in error.why


def test_a_handshake_that_stalls() -> None:
    with drips.dripping("nothing") as where:
        store = s3(where, scheme="https")
        for get in (
            lambda: HttpStore("https://" + where, timeout=SECONDS).get("a", 9),
            lambda: (store.start_clock(), store.get("a", 9)),
        ):
            error, late = overrun(get, S3_SECONDS)
            assert (error.code, late < LATE) == ("store_timeout", True), error.message
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
    for get in (
        lambda: HttpStore("http://slow.example", timeout=SECONDS).get("a", 9),
        lambda: (store.start_clock(), store.get("a", 9)),
    ):
        error, late = overrun(get, S3_SECONDS)
        assert (error.code, late < LATE) == ("store_timeout", True), error.message
        assert "the name slow.example was not resolved" in error.why


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "5")


def test_the_credentials_of_an_instance_are_within_the_limit(no_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with drips.dripping("header") as where:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://" + where)
        params = {
            "store": "s3://bucket/x",
            "region": "us-east-1",
            "store_timeout": 1.5,
            "endpoint_url": "http://127.0.0.1:9",
        }
        error, late = overrun(lambda: open_store(params).get("a", 9), 1.5)
        assert late < LATE and error.code == "store_timeout" and where in error.why, error.message


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


# Those who ask no store.

OTHERS = ["nothing", "header", "body"]
AWS = {**dict.fromkeys(AWS_SPEC), "region": "us-east-1"}
KEYS = {"access_key": "a", "secret_key": "b"}
ARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/1"


def timed(work: t.Callable[[], t.Any]) -> tuple[t.Any, float]:
    begun = time.monotonic()
    return work(), time.monotonic() - begun - SECONDS


def test_a_gate_is_not_longer_than_its_limit() -> None:
    with drips.dripping() as where:
        check = HttpCheck("http://%s/" % where, timeout=20)
        outcome, late = timed(lambda: gate(Health(within=SECONDS), {"http": lambda: probe_http(check)}, lambda: ""))
        assert not outcome.passed and late < LATE, outcome
    outcome, late = timed(lambda: gate(Health(within=SECONDS), {"node": lambda: Verdict(False, "no")}, lambda: ""))
    assert not outcome.passed and late < LATE


@pytest.mark.parametrize("way", ["nothing", "header"])
def test_moves_by_a_haproxy_that_drips(way: str) -> None:
    with drips.dripping(way) as where:
        mover = Mover([HAProxy(Runtime(where), "app", {"a": "a"})], Timing(patience=SECONDS))
        error, late = overrun(mover.look)
        assert error.code == "balancer_unreachable" and late < LATE, error.message


def test_a_load_balancer_of_aws_that_drips() -> None:
    with drips.dripping() as where:
        options = {**AWS, **KEYS, "endpoint_url": "http://" + where, "target_groups": [ARN]}
        (group,) = alb.places(options, {"a": alb.Target("i-1", 80)})
        error, late = overrun(Mover([group], Timing(patience=SECONDS)).look)
        assert error.code == "balancer_unreachable" and late < LATE and where in error.why, error.message


@pytest.mark.parametrize("way", OTHERS)
def test_a_metadata_service_that_drips(way: str) -> None:
    with drips.dripping(way) as where:
        error, late = overrun(lambda: Metadata("http://" + where, SECONDS).text("meta-data/instance-id"))
        assert error.code.startswith("metadata_") and late < LATE and where in error.message, error.message
        deadline = Deadline(SECONDS)
        error, late = overrun(
            lambda: deadline.keep_trying(
                lambda: Metadata("http://" + where, 20).text("meta-data/instance-id"), lambda _text: None
            )
        )
        assert late < LATE


@pytest.mark.parametrize("way", OTHERS)
def test_the_deadline_of_a_boot_is_over_the_limit_of_its_store(way: str) -> None:
    with drips.dripping(way) as where:
        store = HttpStore("http://" + where, timeout=60)
        error, late = overrun(lambda: Deadline(SECONDS).keep_trying(lambda: store.get("a", 2000), lambda _text: None))
        assert error.code == "store_timeout" and late < LATE and "of the bootstrap's deadline" in error.why, (
            error.message
        )
        assert "store_timeout" not in error.hint


@pytest.mark.parametrize("way", [*OTHERS, (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", b"")])
def test_the_first_boot_has_its_limit(way: t.Any) -> None:
    with drips.dripping(way) as where:
        boot = first_boot.Boot({"metadata_url": "http://" + where})
        begun = time.monotonic()
        with pytest.raises(first_boot.Failed, match=where):
            boot.keep_trying(lambda: boot.metadata.get("meta-data/placement/region"), SECONDS)
        assert time.monotonic() - begun - SECONDS < LATE


def test_a_first_boot_that_is_told_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = first_boot.Boot({"metadata_url": "http://127.0.0.1:9", "region": "eu-west-1"})
    told = {
        "api/token": b"\xff",
        "meta-data/iam/security-credentials/": b"role",
        "meta-data/iam/security-credentials/role": b"[1]",
    }

    def answer(_method: str, url: str, *_more: t.Any, **_words: t.Any) -> tuple[int, t.Any, bytes]:
        return 200, {"date": "Thu, 99 Foo 2026"}, told.get(url.partition("/latest/")[2], b"\xff")

    monkeypatch.setattr(boot.web, "ask", answer)
    monkeypatch.setattr(boot.metadata, "ask", answer)
    with pytest.raises(first_boot.Again, match="no credentials"):
        boot.metadata.credentials()
    told["meta-data/iam/security-credentials/role"] = b'{"AccessKeyId": "a", "SecretAccessKey": "b"}'
    assert boot.signed("GET", "http://x/", "s3")[0] == 200
    assert boot.metadata.get("meta-data/x") == "\ufffd"


def test_a_setup_of_the_first_boot_that_hangs() -> None:
    begun = time.monotonic()
    with pytest.raises(first_boot.Failed, match="the setup did not end within 0 s"):
        first_boot.command(["sleep", "5"], "the setup", 0.1)
    assert time.monotonic() - begun < LATE


def test_credentials_of_an_instance_that_never_come(no_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alb, "_LIMITS", alb.Limits(SECONDS / 2, SECONDS / 2, 1))
    with drips.dripping("header") as where:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://" + where)
        error, late = overrun(lambda: alb.places({**AWS, "target_groups": [ARN]}, {"a": alb.Target("i-1", 80)}))
        assert error.code == "balancer_unreachable" and late < LATE and where in error.why, error.message


def test_pages_of_aws_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def describe_auto_scaling_groups(self, **_words: t.Any) -> t.Any:
            time.sleep(0.01)
            return {"AutoScalingGroups": [{}], "NextToken": "again"}

    monkeypatch.setattr(groups, "_LIMITS", groups.Limits(0.1, 0.1, 1))
    error, late = overrun(lambda: groups.Aws(AWS, {"autoscaling": Client()}).group("shop"), 0.2)
    assert error.code == "aws_unreachable" and late < LATE


def test_a_refresh_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "LAST_LOOK", 0.1)
    with drips.dripping() as where:
        options = {**AWS, **KEYS, "endpoint_url": "http://" + where}
        aws = groups.Aws(options, {"autoscaling": make_client("autoscaling", options, groups._LIMITS, "")})
        error, late = overrun(lambda: refresh.wait(aws, "shop", "r-1", SECONDS, 0.1))
        assert error.code == "aws_unreachable" and late < LATE and where in error.why, error.message


def test_a_balancer_has_no_more_patience_than_time() -> None:
    with drips.dripping("header") as where:
        balancer = {"kind": "haproxy", "address": where, "backends": ["app"], "servers": "{name}"}
        given = {
            "balancers": [balancer],
            "members": ["a"],
            "fleet": None,
            "timeout": SECONDS,
            "quiet": 0,
            "interval": 0.1,
            "bake": 0,
            "min_healthy": None,
        }
        error, late = overrun(lambda: work({**given, "state": "drained", "limits": {}}, False))
        assert error.code == "balancer_unreachable" and late < LATE, error.message

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cloud around an instance: its metadata, who it is, the hook that holds it, and its end."""

from __future__ import annotations

import datetime
import http.server
import io
import json
import os
import threading
import time
import typing as t
import zlib

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import aws, leave, lifecycle, metadata
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import Aws
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.identify import Identity, for_this_instance, who
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.lifecycle import (
    GroupLifecycle,
    Lifecycle,
    find_lifecycle,
)
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.report import Report
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import ending

from .conftest import INSTANCE, Group, Imds, ServiceError, Shelf

HERE = Identity(INSTANCE, "eu-test-1")


# The metadata service.


def test_a_token_is_got_once_and_renewed_when_it_is_refused(imds: Imds) -> None:
    service = Metadata(imds.url)
    assert service.text("meta-data/instance-id") == INSTANCE and service.text("meta-data/nothing") == ""
    assert imds.tokens == 1
    imds.tokens = 7  # ours is no longer valid
    assert service.text("meta-data/placement/region") == "eu-test-1" and imds.tokens == 8


def test_without_a_hop_the_token_never_comes_and_the_message_says_so(imds: Imds) -> None:
    imds.hop = False
    with pytest.raises(BeamError, match="HttpPutResponseHopLimit") as caught:
        Metadata(imds.url, timeout=0.2).text("meta-data/instance-id")
    assert caught.value.code == "metadata_absent"


def test_switched_off_or_absent(imds: Imds) -> None:
    imds.status = 403
    with pytest.raises(BeamError, match="switched off"):
        Metadata(imds.url).text("meta-data/instance-id")
    imds.close()
    with pytest.raises(BeamError, match="lifecycle: none") as caught:
        Metadata(imds.url, timeout=0.2).text("meta-data/instance-id")
    assert caught.value.code == "metadata_absent"


def test_slow_is_an_error_that_passes(imds: Imds) -> None:
    service = Metadata(imds.url)
    assert service.text("meta-data/instance-id") == INSTANCE
    imds.slow, service.timeout = 1, 0.3
    with pytest.raises(BeamError) as caught:
        service.text("meta-data/instance-id")
    assert caught.value.code == "metadata_unreachable"


# Who it is.


def test_outside_of_a_cloud_nobody_is_asked(shelf: Shelf) -> None:
    config = shelf.config(aws={"metadata_url": "http://127.0.0.1:9"})
    service = Metadata("http://127.0.0.1:9")
    assert who(config, service).instance and for_this_instance(config, service) == config


def test_tags_win_over_user_data_and_that_over_the_file(shelf: Shelf, imds: Imds) -> None:
    config = shelf.config(lifecycle="auto", identify=["file", "user_data", "tags"])
    service = Metadata(imds.url)
    assert who(config, service) == HERE
    assert for_this_instance(config, service).channel == "production"
    imds.values["user-data"] = '#!/bin/sh\nls\n#alchemist.beam: {"channel": "canary", "jitter": 3}\n'
    assert (for_this_instance(config, service).channel, for_this_instance(config, service).jitter) == ("canary", 3.0)
    imds.values["meta-data/tags/instance/beam:channel"] = "stress"
    assert (for_this_instance(config, service).channel, for_this_instance(config, service).jitter) == ("stress", 3.0)
    assert for_this_instance(shelf.config(lifecycle="auto"), service).channel == "production"


def test_packed_user_data_is_read(shelf: Shelf) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.identify import from_user_data

    packer = zlib.compressobj(wbits=31)
    data = packer.compress(b'#alchemist.beam: {"channel": "canary"}\n') + packer.flush()
    assert from_user_data(shelf.config(), data).channel == "canary"
    assert from_user_data(shelf.config(), b"\x1f\x8bgarbage").channel == "production"


@pytest.mark.parametrize("line", ["{", "[]", '{"store": "s3://other"}', '{"channel": "../up"}', '{"jitter": "much"}'])
def test_bad_user_data_is_refused_and_not_skipped(shelf: Shelf, imds: Imds, line: str) -> None:
    imds.values["user-data"] = "#alchemist.beam: " + line
    with pytest.raises(BeamError) as caught:
        for_this_instance(shelf.config(lifecycle="auto", identify=["user_data"]), Metadata(imds.url))
    assert caught.value.code in ("identity_invalid", "config_invalid")


# The hook.


def once(work: t.Callable[[], t.Any]) -> t.Any:
    return work()


def found(shelf: Shelf, group: Group, **changes: t.Any) -> Lifecycle:
    return find_lifecycle(shelf.config(**{"lifecycle": "auto", "heartbeat": 1, **changes}), HERE, print, group.client())


def test_a_pending_instance_is_completed_once(shelf: Shelf) -> None:
    group = Group()
    held = found(shelf, group)
    assert held.launching
    held.complete("CONTINUE", once)
    assert group.called("complete") == ["launch CONTINUE"] and group.state == "InService" and not held.launching
    held.close()


@pytest.mark.parametrize("state", ["InService", "Standby", "EnteringStandby", "Detaching"])
def test_an_instance_in_service_is_held_by_nobody(shelf: Shelf, state: str) -> None:
    group = Group(state)
    held = found(shelf, group)
    held.complete("CONTINUE", once)
    assert not held.launching and group.called("complete") == [] and group.called("hooks") == []


def test_out_of_any_group(shelf: Shelf) -> None:
    assert not found(shelf, Group("")).launching
    for state in ("", "Pending:Wait"):
        with pytest.raises(BeamError) as caught:
            found(shelf, Group(state), lifecycle={"group": "other"})
        assert caught.value.code == "not_in_group"


def test_a_warm_pool_holds_too(shelf: Shelf) -> None:
    held = found(shelf, Group("Warmed:Pending:Wait"))
    assert held.launching
    held.close()


def test_no_hook_and_too_many(shelf: Shelf) -> None:
    held = found(shelf, Group(hooks=[]))
    held.complete("CONTINUE", once)
    assert not held.launching
    two = [("one", "LAUNCHING"), ("two", "LAUNCHING")]
    with pytest.raises(BeamError, match="one, two"):
        found(shelf, Group(hooks=two))
    named = found(shelf, Group(hooks=two), lifecycle={"group": "shop", "launching": "two"})
    assert isinstance(named, GroupLifecycle) and named.hook == "two"
    named.close()
    with pytest.raises(BeamError, match="has no launching hook three"):
        found(shelf, Group(hooks=two), lifecycle={"group": "shop", "launching": "three"})


def test_up_before_the_group_waits(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group("Pending")
    monkeypatch.setattr(lifecycle._Wait, "pause", lambda self: setattr(group, "state", "Pending:Wait"))
    held = found(shelf, group)
    held.complete("CONTINUE", once)
    assert group.called("complete") == ["launch CONTINUE"]


def test_a_hook_that_somebody_else_completed(shelf: Shelf) -> None:
    group = Group()
    held = found(shelf, group)
    group.state = "InService"
    held.complete("CONTINUE", once)
    assert group.called("complete") == [] and not held.launching
    # The same, when it happens between our look and our call.
    racing = Group()
    held = found(shelf, racing)
    racing.action = False
    real = racing.complete_lifecycle_action

    def late(**words: t.Any) -> None:
        racing.state = "InService"
        real(**words)

    racing.complete_lifecycle_action = late  # type: ignore[method-assign]
    held.complete("CONTINUE", once)
    assert not held.launching


def test_a_completion_whose_answer_was_lost(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was completed: the next call is told that there is nothing to complete, while the group still shows the state from before."""
    group = Group()
    held = found(shelf, group)
    group.action = False
    monkeypatch.setattr(lifecycle._Wait, "pause", lambda self: setattr(group, "state", "InService"))
    held.complete("CONTINUE", once)
    assert not held.launching
    # Another hook holds it longer than we look: our part is done.
    group.state = "Pending:Wait"
    held = found(shelf, group)
    monkeypatch.setattr(lifecycle._Wait, "pause", lambda self: setattr(self, "_end", 0.0))
    held.complete("CONTINUE", once)
    assert not held.launching


def test_the_time_of_the_calls_counts_as_waiting() -> None:
    """A group that answers slowly, and a state that never comes."""
    group, now = Group("Pending"), [0.0]
    real = group.describe_auto_scaling_instances

    def slow(**words: t.Any) -> t.Any:
        now[0] += 9.0
        return real(**words)

    group.describe_auto_scaling_instances = slow  # type: ignore[method-assign]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    held = GroupLifecycle(
        group.client(), INSTANCE, "shop", "launch", group.state, 600, print, clock=lambda: now[0], sleep=sleep
    )
    with pytest.raises(BeamError):
        held.complete("CONTINUE", once)
    assert lifecycle.WAIT_SECONDS["Pending"] <= now[0] <= lifecycle.WAIT_SECONDS["Pending"] + 9


def test_an_end_that_the_metadata_tell_before_the_group_does(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group("InService")
    held = find_lifecycle(shelf.config(lifecycle="auto"), HERE, print, group.client(), terminating=True)
    states = ["Terminating", "Terminating:Wait"]
    monkeypatch.setattr(lifecycle._Wait, "pause", lambda self: setattr(group, "state", states.pop(0)))
    held.complete("CONTINUE", once)
    assert group.called("complete") == ["end CONTINUE"]
    held.close()


def test_terminated_half_way(shelf: Shelf) -> None:
    group = Group()
    held = found(shelf, group, heartbeat=600)
    group.state = "Terminating:Wait"
    with pytest.raises(BeamError) as caught:
        held.complete("CONTINUE", once)
    assert caught.value.code == "instance_terminating"
    held.complete("ABANDON", once)  # says nothing more
    with pytest.raises(BeamError) as caught:
        found(shelf, group)
    assert caught.value.code == "instance_terminating"


def test_heartbeats_go_on_and_one_that_is_lost_is_no_end(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group()
    said: list[str] = []
    held = GroupLifecycle(group.client(), INSTANCE, "shop", "launch", group.state, 0.02, said.append)
    group.errors = [ServiceError("Throttling", "slow down"), ConnectionError("cut")]
    held.start()
    wait_for(lambda: len(group.called("heartbeat")) >= 5)
    held.check()
    assert len(said) == 2 and "Throttling" in said[0]
    held.close()
    count = len(group.called("heartbeat"))
    time.sleep(0.1)
    assert len(group.called("heartbeat")) == count


def test_a_heartbeat_that_comes_too_late_is_seen_before_the_end(shelf: Shelf) -> None:
    group = Group()
    held = GroupLifecycle(group.client(), INSTANCE, "shop", "launch", group.state, 0.02, print).start()
    group.action, group.state = False, "Terminating:Wait"
    wait_for(lambda: bool(held._gone))
    with pytest.raises(BeamError) as caught:
        held.check()
    assert caught.value.code == "instance_terminating"
    held.close()


def wait_for(done: t.Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServiceError("AccessDenied", "not you", 403), "aws_denied"),
        (ServiceError("ExpiredToken", "too old"), "aws_credentials"),
        (ServiceError("Whatever", "down", 503), "aws_busy"),
        (ConnectionRefusedError("refused"), "aws_unreachable"),
    ],
)
def test_what_the_api_says_has_a_name(shelf: Shelf, error: Exception, code: str) -> None:
    group = Group()
    group.errors = [error]
    with pytest.raises(BeamError) as caught:
        found(shelf, group)
    assert caught.value.code == code
    if code == "aws_denied":
        assert (
            "RecordLifecycleActionHeartbeat" not in caught.value.message
        )  # rights are told by the client that knows them


# A clock that is off.


class Skewed(http.server.BaseHTTPRequestHandler):
    """An API whose clock is an hour ahead of ours, and which minds."""

    stamps: t.ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        signed = datetime.datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc
        )
        type(self).stamps.append(self.headers["X-Amz-Date"])
        good = abs((now - signed).total_seconds()) < 300
        body = json.dumps(
            {"Parameter": {"Value": "v"}}
            if good
            else {"__type": "InvalidSignatureException", "message": "Signature expired"}
        ).encode()
        self.send_response_only(200 if good else 400)
        self.send_header("Date", now.strftime("%a, %d %b %Y %H:%M:%S GMT"))
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: t.Any) -> None:
        pass


def test_an_hour_off_is_corrected_by_the_date_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    import botocore.auth

    for key in ("get_current_datetime", "datetime"):
        if hasattr(botocore.auth, key):
            monkeypatch.setattr(botocore.auth, key, getattr(botocore.auth, key))
    monkeypatch.setattr(aws, "_shift", datetime.timedelta())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = http.server.HTTPServer(("127.0.0.1", 0), Skewed)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        client = aws.Client("ssm", Aws(endpoint_url="http://127.0.0.1:%d" % server.server_address[1]), "eu-test-1")
        assert client.call("get_parameter", "it", Name="/x")["Parameter"]["Value"] == "v"
        assert len(Skewed.stamps) == 2 and 3500 < aws.clock_shift() < 3700
        client.call("get_parameter", "it", Name="/x")
        assert len(Skewed.stamps) == 3  # it is known now
    finally:
        server.shutdown()
        server.server_close()


# The end.


def test_what_the_end_looks_like(imds: Imds, shelf: Shelf) -> None:
    service = Metadata(imds.url)
    imds.values["meta-data/autoscaling/target-lifecycle-state"] = "InService"
    assert leave.look(service) is None
    imds.values["meta-data/spot/instance-action"] = json.dumps({"action": "terminate", "time": "2020-01-01T00:00:00Z"})
    spot = leave.look(service)
    assert spot is not None and spot.drain(shelf.config()) == 0
    imds.values["meta-data/autoscaling/target-lifecycle-state"] = "Terminated"
    group = leave.look(service)
    assert group is not None and group.end is None and group.drain(shelf.config(drain=7)) == 7


def test_a_metadata_service_that_is_away_ends_nothing(imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    rounds = []

    def sleep(_seconds: float) -> None:
        rounds.append(1)
        if len(rounds) == 3:
            imds.status = 200
            imds.values["meta-data/autoscaling/target-lifecycle-state"] = "Terminated"

    imds.status = 403
    monkeypatch.setattr(metadata, "TIMEOUT", 0.2)
    reason = leave.wait_for_end(Metadata(imds.url), Report("demo", out), sleep)
    assert "terminates" in reason.why and len(rounds) == 3 and out.getvalue().count("\n") == 1


def test_an_instance_that_leaves_has_said_so_before_its_node_stops(
    shelf: Shelf, imds: Imds, monkeypatch: pytest.MonkeyPatch
) -> None:
    imds.values["meta-data/spot/instance-action"] = json.dumps({"action": "terminate", "time": "2020-01-01T00:00:00Z"})
    known: list[t.Any] = []
    monkeypatch.setattr(leave, "leave", lambda *_words: known.append(ending(shelf.base)))
    config = shelf.config(identify=["tags"], aws={"metadata_url": imds.url})
    out = io.StringIO()
    assert (
        leave.watch(config, Report("demo", out), Metadata(imds.url)) == 0
    )  # there is no base directory, which stops nobody
    os.mkdir(shelf.base)
    assert leave.watch(config, Report("demo", out), Metadata(imds.url)) == 0
    assert known[0] is None and out.getvalue().count("may be taken for a fault of the release") == 1
    assert known[1].code == "instance_terminating" and "spot interruption: terminate at 2020" in known[1].why


@pytest.mark.parametrize("broken", [False, True])
def test_leaving_drains_then_stops_then_completes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, broken: bool) -> None:
    group = Group("Terminating:Wait")
    config = shelf.config(lifecycle="auto", drain=9, heartbeat=600)
    steps: list[t.Any] = []

    def stop(*_words: t.Any) -> None:
        steps.append("stop")
        if broken:
            raise BeamError("stop_failed", "it would not")

    monkeypatch.setattr(leave, "stop_node", stop)
    held = find_lifecycle(config, HERE, print, group.client(), terminating=True)
    out = io.StringIO()
    leave.leave(
        config,
        HERE,
        leave.Reason("scale-in"),
        Report("demo", out),
        lambda seconds: steps.append((seconds, group.called("complete"))),
        held,
    )
    assert steps == [(9, []), "stop"]
    assert group.called("complete") == ["end CONTINUE"] and ("stop_failed" in out.getvalue()) == broken

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A start against an S3 that minds the clock, the region and the credentials: what is corrected, what is waited for, and what is told."""

from __future__ import annotations

import datetime
import http.server
import io
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import aws, main, retry, server_steps
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.report import Report

from .conftest import Shelf

pytest.importorskip("botocore")


class Bucket:
    """Serves the files of a store, and what may go wrong before."""

    def __init__(self, root: Path) -> None:
        self.ahead = datetime.timedelta()  # of our clock
        self.region = "eu-test-1"
        self.refuse: list[str] = []  # error codes of the next answers
        self.requests: list[str] = []
        bucket = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response_only(status)
                now = datetime.datetime.now(datetime.timezone.utc) + bucket.ahead
                for name, value in {
                    "Date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
                    "Content-Length": str(len(body)),
                    "ETag": '"e"',
                    **headers,
                }.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def problem(self) -> tuple[int, str]:
                now = datetime.datetime.now(datetime.timezone.utc) + bucket.ahead
                signed = datetime.datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(
                    tzinfo=datetime.timezone.utc
                )
                if abs((now - signed).total_seconds()) > 900:
                    return 403, "RequestTimeTooSkewed"
                if "/%s/s3/" % bucket.region not in self.headers["Authorization"]:
                    return 400, "AuthorizationHeaderMalformed"
                return (403, bucket.refuse.pop(0)) if bucket.refuse else (0, "")

            def do_GET(self) -> None:
                bucket.requests.append(self.path)
                status, code = self.problem()
                path = root / self.path.split("?")[0].partition("/releases/")[2]
                if not status and not path.is_file():
                    status, code = 404, "NoSuchKey"
                if status:
                    body = "<Error><Code>%s</Code><Message>no</Message><Region>%s</Region></Error>" % (
                        code,
                        bucket.region,
                    )
                    self.answer(status, body.encode(), x_amz_bucket_region=bucket.region)
                else:
                    self.answer(200, path.read_bytes())

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                bucket.requests.append("PUT " + self.path)
                self.answer(200, b"")

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]


class Server:
    def __init__(self, shelf: Shelf, bucket: Bucket) -> None:
        self.shelf, self.bucket, self.output = shelf, bucket, ""

    def start(self, region: str = "eu-test-1", deadline: float = 6) -> int:
        out = io.StringIO()
        options = {"endpoint_url": self.bucket.url, "region": region}
        try:
            return main.run(
                self.shelf.config(store="s3://releases", store_options=options, deadline=deadline), Report("demo", out)
            )
        finally:
            self.output = out.getvalue()


@pytest.fixture
def server(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Server]:
    import botocore.auth

    for key in ("get_current_datetime", "datetime"):
        if hasattr(botocore.auth, key):
            monkeypatch.setattr(botocore.auth, key, getattr(botocore.auth, key))
    monkeypatch.setattr(aws, "_shift", datetime.timedelta())
    monkeypatch.setattr(server_steps.Host, "_run", lambda host, target: None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    shelf.publish("1.0.0")
    shelf.promote("1.0.0")
    bucket = Bucket(shelf.root / "store")
    yield Server(shelf, bucket)
    bucket.server.shutdown()
    bucket.server.server_close()


def test_requests_of_a_start(server: Server) -> None:
    assert server.start() == main.DONE, server.output
    layers = len(list((server.shelf.root / "store" / "demo" / "layers").iterdir()))
    # Three looks at the channel, one manifest, the layers.
    assert len(server.bucket.requests) == 4 + layers
    server.bucket.requests.clear()
    assert server.start() == main.DONE and len(server.bucket.requests) == 3


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_an_hour_off_is_followed(server: Server, hours: int) -> None:
    server.bucket.ahead = datetime.timedelta(hours=hours)
    assert server.start() == main.DONE, server.output
    assert abs(aws.clock_shift() - hours * 3600) < 60


def test_another_region_is_followed(server: Server) -> None:
    """The client does so by itself, where the answer names the right one."""
    assert server.start("us-test-9") == main.DONE, server.output


def test_a_region_that_nobody_names_is_told_at_once(server: Server) -> None:
    server.bucket.refuse = ["IllegalLocationConstraintException"] * 1000
    assert server.start(deadline=600) == main.FAILED
    assert "FAILED (store_region)" in server.output and "Set region" in server.output


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "AccessDenied", "SlowDown"])
def test_credentials_that_come_late_are_waited_for(server: Server, code: str) -> None:
    server.bucket.refuse = [code] * 2
    assert server.start(deadline=60) == main.DONE, server.output
    assert "Trying again" in server.output or code == "SlowDown"


def test_credentials_that_never_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "COMING_SECONDS", 0.2)
    server.bucket.refuse = ["ExpiredToken"] * 1000
    assert server.start() == main.FAILED
    assert "FAILED (store_credentials_expired)" in server.output


def test_none_at_all(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setattr(retry, "COMING_SECONDS", 0)
    assert server.start() == main.FAILED
    assert "FAILED (store_credentials)" in server.output and "there are no credentials" in server.output

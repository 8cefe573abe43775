# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that answers what S3 never does: each operation ends with a value that holds, or with an error that names the object or the server. No traceback."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import typing as t
from dataclasses import replace
from xml.sax.saxutils import escape

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import s3, web
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore

GOOD = {"ETag": '"one"', "Last-Modified": "Thu, 26 Nov 2026 12:00:00 GMT", "Content-Length": "2"}
ROW = "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>e</ETag><LastModified>{at}</LastModified></Contents>"
SECONDS = 0.4  # what may pass by itself is asked again as long as that
AT = "2026-11-26T12:00:00Z"


def page(inner: str = "", truncated: str = "false", token: str = "", root: str = "ListBucketResult") -> str:
    following = "<NextContinuationToken>%s</NextContinuationToken>" % token if token else ""
    return "<?xml version='1.0'?><%s><Name>b</Name><IsTruncated>%s</IsTruncated>%s%s</%s>" % (
        root,
        truncated,
        following,
        inner,
        root,
    )


def row(key: str = "x/a/b", size: str = "2", at: str = AT) -> str:
    return ROW.format(key=escape(key), size=size, at=at)


class Lie(t.NamedTuple):
    status: str = "200 OK"
    headers: t.Mapping[str, t.Optional[str]] = {}
    body: str = "{}"
    raw: bytes = b""

    def to_bytes(self) -> bytes:
        if self.raw:
            return self.raw
        headers = {**GOOD, "Content-Length": str(len(self.body)), **self.headers}
        lines = [
            "HTTP/1.1 " + self.status,
            *("%s: %s" % item for item in headers.items() if item[1] is not None),
            "Connection: close",
            "",
            self.body,
        ]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")


HEADERS = {
    "no etag": {"ETag": None},
    "an empty etag": {"ETag": ""},
    "no date": {"Last-Modified": None},
    "a date that is none": {"Last-Modified": "yesterday"},
    "a date beyond time": {"Last-Modified": "Thu, 26 Nov 99999 12:00:00 GMT"},
    "a date of numbers": {"Last-Modified": "-1"},
    "a date of 20 digits": {"Last-Modified": "9" * 20},
    "a length of letters": {"Content-Length": "two"},
    "a negative length": {"Content-Length": "-2"},
    "no length": {"Content-Length": None},
    "a huge length": {"Content-Length": "9" * 40},
    "too long a length": {"Content-Length": "5"},
    "two lengths": {"Content-Length": "2\r\nContent-Length: 7"},
    "an empty length": {"Content-Length": ""},
    "chunks that are none": {"Transfer-Encoding": "chunked", "Content-Length": None},
    "no checksum": {"x-amz-checksum-sha256": "!"},
    "a checksum of parts": {"x-amz-checksum-sha256": "YWJj-2"},
    "a strange type": {"Content-Type": "\x00"},
    "a region": {"x-amz-bucket-region": "mars"},
}
BODIES = {
    "nothing": "",
    "html": "<html><body>Sign in</body></html>",
    "half of xml": "<ListBucketResult><Cont",
    "json": '{"a": [1]}',
    "zeros": "\x00" * 20,
    "an error with 200": "<Error><Code>InternalError</Code><Message>m</Message></Error>",
    "a wrong root": page(root="Other"),
    "a row without a key": page("<Contents><Size>2</Size></Contents>"),
    "a row without a size": page("<Contents><Key>x/a</Key></Contents>"),
    "a row of letters": page(row(size="two")),
    "a negative size": page(row(size="-2")),
    "a row without a time": page(row(at="")),
    "a time that is none": page(row(at="soon")),
    "a key of others": page(row(key="../../etc/passwd")),
    "more without a token": page(row(), "true"),
    "a key twice": page(row() + row("x/a/c") + row()),
    "a circle": page(row(), "true", "again"),
    "truncated by letters": page(row(), "perhaps"),
    "deep xml": "<a>" * 3000 + "</a>" * 3000,
    "a bomb": '<!DOCTYPE a [<!ENTITY b "' + "c" * 50 + '">]><a>&b;</a>',
}
STATUSES = (
    "204 No Content",
    "206 Partial Content",
    "301 Moved",
    "304 Not Modified",
    "400 Bad",
    "401 No",
    "404 No",
    "409 Conflict",
    "412 No",
    "416 No",
    "418 Tea",
    "999 What",
)
LOCATIONS = ("http://[::1", "//[bad", "", "ftp://x/", "http://other.test/a", "http://127.0.0.1:99999/")
RAW = {
    "no http": b"SSH-2.0-x\r\n\r\n",
    "a bad status": b"HTTP/1.1 OK 200\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    "closed": b"\r\n",
}
LIES: dict[str, Lie] = {
    **{name: Lie(headers=headers) for name, headers in HEADERS.items()},
    **{name: Lie(body=body) for name, body in BODIES.items()},
    **{name: Lie(status=name) for name in STATUSES},
    **{"to " + name: Lie("302 Found", {"Location": name}) for name in LOCATIONS},
    **{name: Lie(raw=data) for name, data in RAW.items()},
}


def stream(store: Store) -> bytes:
    with store.open("a") as body:
        return body.read()


# Of these an S3 client believes that they may pass, and asks until its time is over.
SLOW = (
    "html",
    "half of xml",
    "json",
    "zeros",
    "deep xml",
    *RAW,
    "too long a length",
    "chunks that are none",
    "two lengths",
    "409 Conflict",
    "999 What",
    "a bomb",
    "301 Moved",
    *("to " + name for name in LOCATIONS),
)
OPERATIONS: dict[str, t.Callable[[Store], t.Any]] = {
    "get": lambda store: store.get("a", 1000).data,
    "stream": stream,
    "stat": lambda store: store.stat("a"),
    "noted": lambda store: store.noted("a"),
    "list": lambda store: [stat.key for stat in store.list("a")],
    "put": lambda store: store.put_if_absent("a", b"{}", 2),
    "replace": lambda store: store.replace("a", b"{}", '"one"'),
    "delete": lambda store: store.delete("a"),
}


class Liar:
    def __init__(self) -> None:
        self.lie = Lie()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self.sock.accept()[0],), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            link.settimeout(2)
            request = link.recv(65536)
            head, _blank, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length[1]) and b"100-continue" not in head:
                more = link.recv(65536)
                if not more:
                    return
                body += more
            data = self.lie.to_bytes()
            link.sendall(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head.startswith(b"HEAD") else data)


@pytest.fixture(scope="module")
def liar() -> t.Iterator[Liar]:
    made = Liar()
    yield made
    made.sock.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(s3.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(s3, "CONNECT_ATTEMPTS", 1)


@pytest.fixture(scope="module")
def store(liar: Liar) -> Store:
    keys = {"region": "us-east-1", "access_key": "a", "secret_key": "b"}
    made = open_store(
        {"store": "s3://bucket/x", "endpoint_url": "http://127.0.0.1:%d" % liar.port, "store_timeout": 1, **keys}
    )
    assert isinstance(made, s3.S3Store)
    made.options = replace(made.options, timeout=SECONDS)
    return made


def ends(work: t.Callable[[], t.Any]) -> t.Any:
    try:
        return work()
    except BeamError as exc:
        assert "store" in exc.message or "http://127" in exc.message
        return exc


@pytest.mark.parametrize("name", LIES)
def test_s3(name: str, liar: Liar, store: Store) -> None:
    liar.lie = LIES[name]
    for operation in ("get", "stream", "stat", "list", "replace") if name in SLOW else OPERATIONS:
        work = OPERATIONS[operation]
        store.start_clock()
        found = ends(lambda work=work: work(store))
        if not isinstance(found, BeamError) and operation in ("get", "stream"):
            assert found in (b"{}", b"") or found == liar.lie.body.encode(), (operation, found)


@pytest.mark.parametrize("name", LIES)
def test_http(name: str, liar: Liar) -> None:
    liar.lie = LIES[name]
    for operation in ("get", "stream", "stat"):
        ends(
            lambda operation=operation: OPERATIONS[operation](
                HttpStore("http://127.0.0.1:%d/s" % liar.port, timeout=SECONDS)
            )
        )


@pytest.mark.parametrize(
    ("name", "operation", "said"),
    [
        ("no etag", "get", "it has no ETag"),
        ("no etag", "stat", "it has no ETag"),
        ("a length of letters", "stat", "can't be parsed"),
        ("a negative length", "stat", "its size is -2"),
        ("a date that is none", "stat", "can't be parsed"),
        ("no date", "stat", "no time of its last change"),
        ("a date of 20 digits", "stat", "can't be parsed"),
        ("a key twice", "list", "it lists a/b twice"),
        ("html", "list", "it is no list of a bucket"),
        ("a row without a key", "list", "an object without a key"),
        ("a negative size", "list", "of x/a/b: its size is -2"),
        ("a key of others", "list", "which was not asked for"),
        ("more without a token", "list", "does not say how to ask for it"),
        ("a circle", "list", "round in a circle"),
    ],
)
def test_a_lie_is_told(name: str, operation: str, said: str, liar: Liar, store: Store) -> None:
    liar.lie = LIES[name]
    store.start_clock()
    found = ends(lambda: OPERATIONS[operation](store))
    assert isinstance(found, BeamError) and found.code == "store_answer_invalid", found
    assert said in found.why and "http://127.0.0.1:%d gave an answer" % liar.port in found.why


def test_a_resumed_body_has_the_range_that_was_asked_for(liar: Liar, store: Store) -> None:
    def resumed() -> bytes:
        with store.open("a", 5) as body:
            return body.read()

    liar.lie = Lie("206 Partial Content", {"Content-Range": "bytes 5-6/7"})
    store.start_clock()
    assert resumed() == b"{}"
    for lie in (Lie("206 Partial Content", {"Content-Range": "bytes 4-5/7"}), Lie()):
        liar.lie = lie
        store.start_clock()
        found = ends(resumed)
        assert isinstance(found, BeamError) and found.code == "store_answer_invalid" and "5 on" in found.why


def test_a_host_that_can_have_no_name() -> None:
    found = ends(lambda: HttpStore("http://a..b/x", timeout=SECONDS).get("a", 9))
    assert isinstance(found, BeamError) and "a..b" in found.message

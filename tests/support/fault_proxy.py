# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP proxy in user space that does to requests what networks, proxies and overloaded servers do.

    with running("http://127.0.0.1:8333") as proxy:
        proxy.add(cut_download(after=1000), method="GET", path="/layers/", times=2)
        ... use proxy.endpoint ...
        proxy.seen   # [(method, path), ...] of all requests

A fault applies to the requests that fit its method and path, so many times. It knows what S3 clients send: requests with
Content-Length, or none; it does not know chunked requests, and fails on them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Exchange:
    """One request on its way. A fault changes it, answers it, or raises Cut."""

    method: str
    target: str
    request: bytes  # the head
    body: bytes
    client: socket.socket
    forward: t.Callable[[], tuple[bytes, bytes]]  # the upstream's head and body
    stopped: threading.Event


class Cut(Exception):
    """The client's connection is closed without (or within) an answer."""


Fault = t.Callable[[Exchange], None]


@dataclass
class Rule:
    fault: Fault
    method: str
    path: str
    left: float  # how many times yet
    applied: int = field(default=0)


def _send(exchange: Exchange, head: bytes, body: bytes) -> None:
    exchange.client.sendall(head + body)


def with_length(head: bytes, length: int | None) -> bytes:
    """The head with another Content-Length, or (None) without one, so that the body ends with the connection."""
    lines = [
        line
        for line in head.rstrip(b"\r\n").split(b"\r\n")
        if not line.lower().startswith((b"content-length:", b"connection:"))
    ]
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    else:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def drop_answer() -> Fault:
    """The request is carried out, and its answer is lost."""

    def fault(exchange: Exchange) -> None:
        exchange.forward()
        raise Cut

    return fault


def drop_request() -> Fault:
    """The connection breaks before the request is carried out."""

    def fault(exchange: Exchange) -> None:
        raise Cut

    return fault


def cut_download(after: int) -> Fault:
    """The connection breaks after so many bytes of the answer's body."""

    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        _send(exchange, head, body[:after])
        raise Cut

    return fault


def truncate(after: int, tell: bool) -> Fault:
    """The body ends early, and the head agrees (tell: with a smaller Content-Length; else without any)."""

    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        _send(exchange, with_length(head, len(body[:after]) if tell else None), body[:after])
        raise Cut

    return fault


def append(extra: bytes) -> Fault:
    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        _send(exchange, with_length(head, len(body) + len(extra)), body + extra)

    return fault


def flip(offset: int) -> Fault:
    """One byte of the body is another one; offset may be negative, from the end."""

    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        changed = bytearray(body)
        changed[offset] ^= 0x40
        _send(exchange, head, bytes(changed))

    return fault


def flip_upload(offset: int) -> Fault:
    """One byte of the request's body is another one when it arrives."""

    def fault(exchange: Exchange) -> None:
        changed = bytearray(exchange.body)
        changed[offset] ^= 0x40
        exchange.body = bytes(changed)
        _send(exchange, *exchange.forward())

    return fault


def answer(status: int, code: str, extra: str = "", headers: t.Mapping[str, str] | None = None) -> Fault:
    """An S3 error, without asking the server."""

    def fault(exchange: Exchange) -> None:
        body = (
            "<?xml version='1.0'?><Error><Code>%s</Code><Message>from the proxy</Message>%s</Error>" % (code, extra)
        ).encode()
        lines = ["HTTP/1.1 %d X" % status, "Content-Type: application/xml", "Content-Length: %d" % len(body)]
        lines += ["%s: %s" % item for item in (headers or {}).items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        _send(exchange, head, b"" if exchange.method == "HEAD" else body)

    return fault


def ignore_conditions() -> Fault:
    """As a server does that does not know conditional writes: what the real one refuses with 412 is said to be done."""

    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        if exchange.method == "PUT" and head.split(b" ", 2)[1] == b"412":
            head, body = (
                b'HTTP/1.1 200 OK\r\nETag: "0123456789abcdef0123456789abcdef"\r\nContent-Length: 0\r\n\r\n',
                b"",
            )
        _send(exchange, head, body)

    return fault


def stall(after: int | None = None) -> Fault:
    """Nothing more comes, after so many bytes of the answer's body, or (None) at all; the connection stays open."""

    def fault(exchange: Exchange) -> None:
        if after is not None:
            head, body = exchange.forward()
            _send(exchange, head, body[:after])
        exchange.stopped.wait()
        raise Cut

    return fault


class FaultProxy:
    def __init__(self, upstream: str, bind: str = "127.0.0.1") -> None:
        url = urlsplit(upstream)
        assert url.hostname and url.port
        self.upstream = (url.hostname, url.port)
        self.seen: list[tuple[str, str]] = []
        self.rules: list[Rule] = []
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.connections: set[socket.socket] = set()
        self.listener = socket.create_server((bind, 0), backlog=64)
        self.endpoint = "http://%s:%d" % self.listener.getsockname()[:2]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def add(self, fault: Fault, method: str = "", path: str = "", times: float = float("inf")) -> Rule:
        rule = Rule(fault, method, path, times)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self) -> None:
        with self.lock:
            self.rules.clear()

    def close(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with self.lock:
            self.connections.add(client)
        try:
            with client, client.makefile("rb") as stream:
                while self._one(client, stream):
                    pass
        except (OSError, Cut):
            pass
        finally:
            with self.lock:
                self.connections.discard(client)

    def _one(self, client: socket.socket, stream: t.BinaryIO) -> bool:
        head = _read_head(stream)
        if not head:
            return False
        method, target = head.split(b" ", 2)[:2]
        headers = _headers(head)
        if headers.get(b"expect", b"").lower() == b"100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if b"transfer-encoding" in headers:
            raise Cut
        body = stream.read(int(headers.get(b"content-length", b"0")))
        exchange = Exchange(method.decode(), target.decode(), head, body, client, lambda: (b"", b""), self.stopped)
        exchange.forward = lambda: self._forward(exchange)
        with self.lock:
            self.seen.append((exchange.method, exchange.target))
            rule = next(
                (
                    r
                    for r in self.rules
                    if r.left > 0 and r.method in ("", exchange.method) and r.path in exchange.target
                ),
                None,
            )
            if rule:
                rule.left -= 1
                rule.applied += 1
        if rule:
            rule.fault(exchange)
        else:
            _send(exchange, *exchange.forward())
        return True

    def _forward(self, exchange: Exchange) -> tuple[bytes, bytes]:
        # A connection of its own for each request, and no 100-continue: the body is here already.
        lines = [
            line
            for line in exchange.request.rstrip(b"\r\n").split(b"\r\n")
            if not line.lower().startswith((b"expect:", b"connection:"))
        ]
        with socket.create_connection(self.upstream, timeout=30) as upstream:
            upstream.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + exchange.body)
            with upstream.makefile("rb") as stream:
                head = _read_head(stream)
                headers = _headers(head)
                if exchange.method == "HEAD" or head.split(b" ", 2)[1] in (b"204", b"304"):
                    return _keep_alive(head), b""
                if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
                    body = _read_chunks(stream)
                    head = b"\r\n".join(
                        line for line in head.split(b"\r\n") if not line.lower().startswith(b"transfer-encoding:")
                    )
                    return with_length(head, len(body)), body
                length = headers.get(b"content-length")
                return _keep_alive(head), stream.read(int(length)) if length is not None else stream.read()


def _keep_alive(head: bytes) -> bytes:
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:"))


def _read_head(stream: t.BinaryIO) -> bytes:
    lines = []
    while True:
        line = stream.readline(65536)
        if not line:
            return b""
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            return b"".join(lines)


def _headers(head: bytes) -> dict[bytes, bytes]:
    rows = (line.split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return {name.strip().lower(): value.strip() for name, value in rows}


def _read_chunks(stream: t.BinaryIO) -> bytes:
    body = b""
    while True:
        size = int(stream.readline().split(b";")[0], 16)
        body += stream.read(size)
        stream.readline()
        if size == 0:
            return body


@contextlib.contextmanager
def running(upstream: str, bind: str = "127.0.0.1") -> t.Iterator[FaultProxy]:
    proxy = FaultProxy(upstream, bind)
    try:
        yield proxy
    finally:
        proxy.close()

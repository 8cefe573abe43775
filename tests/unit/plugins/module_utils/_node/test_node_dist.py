# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The handshake and the calls, against a node made of a few lines: every way in which one can answer, or not."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import dist
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom, decode_prefix, encode

COOKIE = "monster"


@contextlib.contextmanager
def listener(serve: t.Callable[[socket.socket], None]) -> t.Iterator[int]:
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            conn, _peer = server.accept()
            with conn, contextlib.suppress(OSError, EOFError):
                serve(conn)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()
        thread.join(5)


def packet(conn: socket.socket) -> bytes:
    clock = dist.Clock(5)
    return dist._exactly(conn, struct.unpack(">H", dist._exactly(conn, 2, clock))[0], clock)


def send(conn: socket.socket, data: bytes) -> None:
    conn.sendall(struct.pack(">H", len(data)) + data)


def handshake(conn: socket.socket, status: bytes = b"ok", knows_cookie: bool = True) -> None:
    assert packet(conn)[:1] == b"N"
    send(conn, b"s" + status)
    send(conn, b"N" + struct.pack(">QIIH", 0, 77, 1, 3) + b"a@b")
    reply = packet(conn)
    assert reply[5:] == hashlib.md5(("%s77" % COOKIE).encode()).digest()
    challenge = struct.unpack(">I", reply[1:5])[0]
    secret = COOKIE if knows_cookie else "guess"
    send(conn, b"a" + hashlib.md5(("%s%d" % (secret, challenge)).encode()).digest())


def request(conn: socket.socket) -> tuple[t.Any, t.Any]:
    clock = dist.Clock(5)
    body = dist._exactly(conn, struct.unpack(">I", dist._exactly(conn, 4, clock))[0], clock)
    control, rest = decode_prefix(body[1:])
    message, _rest = decode_prefix(rest)
    assert control[0] == 6 and control[3] == "rex" and message[0] == "$gen_call"
    return message[1][1], message[2]


def answer(conn: socket.socket, tag: int, term: t.Any) -> None:
    body = b"p" + encode((2, Atom(""), 0)) + encode((tag, term))
    conn.sendall(struct.pack(">I", len(body)) + body)


def ask(port: int, *calls: tuple[str, str, list[t.Any]], timeout: float = 1.0) -> list[t.Any]:
    with dist.connect("a@b", COOKIE, port, timeout=timeout) as node:
        return node.calls(calls or [("erlang", "node", [])])


def test_calls_are_answered_in_any_order_between_ticks() -> None:
    def serve(conn: socket.socket) -> None:
        handshake(conn)
        (first, one), (second, two) = request(conn), request(conn)
        assert one[:4] == ("call", "m", "f", [1]) and two[:4] == ("call", "m", "g", [])
        conn.sendall(b"\0\0\0\0")
        answer(conn, second, Atom("late"))
        answer(conn, 99, Atom("not asked for"))
        answer(conn, first, [1, 2])
        assert conn.recv(4) == b"\0\0\0\0"

    with listener(serve) as port:
        assert ask(port, ("m", "f", [1]), ("m", "g", [])) == [[1, 2], "late"]


def _close_after_reply(conn: socket.socket) -> None:
    packet(conn)
    send(conn, b"sok")
    send(conn, b"N" + struct.pack(">QIIH", 0, 77, 1, 3) + b"a@b")
    packet(conn)


def _hang_at_once(conn: socket.socket) -> None:
    time.sleep(0.6)


def _hang_in_call(conn: socket.socket) -> None:
    handshake(conn)
    time.sleep(0.6)


def _tick_for_ever(conn: socket.socket) -> None:
    handshake(conn)
    with contextlib.suppress(OSError):
        for _tick in range(2000):  # two seconds
            conn.sendall(b"\0\0\0\0")
            time.sleep(0.001)


def _badrpc(conn: socket.socket) -> None:
    handshake(conn)
    answer(conn, request(conn)[0], (Atom("badrpc"), Atom("nope")))


def _huge(conn: socket.socket) -> None:
    handshake(conn)
    request(conn)
    conn.sendall(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("serve", "kind", "code", "words"),
    [
        (_close_after_reply, dist.WrongCookie, "node_wrong_cookie", "refuses our cookie"),
        (lambda conn: handshake(conn, knows_cookie=False), dist.WrongCookie, "node_wrong_cookie", "refuses our cookie"),
        (lambda conn: handshake(conn, status=b"not_allowed"), dist.NodeUnreachable, "node_unreachable", "not_allowed"),
        (
            lambda conn: conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            dist.NodeUnreachable,
            "node_unreachable",
            "a@b",
        ),
        (lambda conn: None, dist.NodeUnreachable, "node_unreachable", "closed the connection"),
        (_hang_at_once, dist.NodeHung, "node_hung", "0.3 s"),
        (_hang_in_call, dist.NodeHung, "node_hung", "0.3 s"),
        (_tick_for_ever, dist.NodeHung, "node_hung", "0.3 s"),
        (_badrpc, BeamError, "node_call_failed", "erlang:node/0"),
        (_huge, dist.NodeUnreachable, "node_unreachable", "4294967295 bytes"),
    ],
    ids=["cookie", "impostor", "not-allowed", "http", "closes", "hangs", "hangs-in-call", "ticks", "badrpc", "huge"],
)
def test_outcomes_are_told_apart(
    serve: t.Callable[[socket.socket], None], kind: type[BeamError], code: str, words: str
) -> None:
    with listener(serve) as port, pytest.raises(kind) as caught:
        ask(port, timeout=0.3)
    assert caught.value.code == code and words in caught.value.message


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_nobody_there() -> None:
    with pytest.raises(dist.NodeDown):
        ask(unused_port())
    with pytest.raises(dist.NoEpmd):
        dist.connect("a@b", COOKIE, epmd=unused_port())


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [(b"w\x01", dist.NodeDown), (b"", dist.NodeUnreachable), (None, dist.NodeUnreachable)],
    ids=["unknown-name", "no-epmd-closes", "no-epmd-hangs"],
)
def test_epmd_outcomes(reply: t.Optional[bytes], outcome: type[BeamError]) -> None:
    def serve(conn: socket.socket) -> None:
        assert packet(conn) == b"za"
        if reply is None:
            time.sleep(0.5)
        else:
            conn.sendall(reply)

    with listener(serve) as port, pytest.raises(outcome):
        dist.connect("a@b", COOKIE, epmd=port, timeout=0.3)


def test_epmd_tells_the_port() -> None:
    with listener(lambda conn: (packet(conn), conn.sendall(b"w\x00\x12\x34rest"))[1]) as port:
        assert dist.epmd_port("127.0.0.1", "a", dist.Clock(2), port) == 0x1234

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A client of the Erlang distribution protocol in plain Python: ask a node, as a hidden node, without a BEAM of our own.

A call costs a few milliseconds where `bin/NAME rpc` boots a VM for each, and it can tell apart what `rpc` calls
nodedown in every case: nobody there (NodeDown), no epmd to ask (NoEpmd), another cookie (WrongCookie), a node that
accepts and says nothing (NodeHung), and a network or protocol that is not in our way (NodeUnreachable).

Handshake version 6 with the flags that OTP 25 made mandatory; OTP 23 and later speak it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import struct
import time
import typing as t

from .._deadline import current
from .._errors import BeamError
from . import etf

EPMD_PORT = 4369
MAX_MESSAGE = 16 << 20
_TIMEOUTS = (TimeoutError, socket.timeout)  # one and the same since Python 3.10

# Extended references, fun tags, new fun tags, extended pids and ports, export pointers, bit binaries, new floats, UTF-8
# atoms, maps, big creation, handshake 23, unlink id, V4 NC, and the digest that stands for all OTP 25 mandates.
# Not "published": that is what makes us hidden, so that nodes() of the application does not see us.
_FLAGS = (
    0x4
    | 0x10
    | 0x80
    | 0x100
    | 0x200
    | 0x400
    | 0x800
    | 0x10000
    | 0x20000
    | 0x40000
    | 0x1000000
    | 0x2000000
    | 1 << 34
    | 1 << 36
)
_REG_SEND = 6
_SEND = (2, 22)  # SEND and SEND_SENDER


class NodeDown(BeamError):
    """No node listens under this name."""


class NoEpmd(BeamError):
    """No epmd to ask for the port; the node may still run."""


class WrongCookie(BeamError):
    """The node runs and refuses our cookie."""


class NodeHung(BeamError):
    """The node's socket accepts, and nothing answers in time."""


class NodeUnreachable(BeamError):
    """Neither up nor down can be said."""


class Clock:
    """A deadline over several socket operations."""

    def __init__(self, seconds: float) -> None:
        limit = current()
        self.seconds = seconds if limit is None else max(0.001, min(seconds, limit.left()))
        self.end = time.monotonic() + self.seconds

    def left(self) -> float:
        """A timeout where nothing is left: what sends byte after byte, or tick after tick, is late as well."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise socket.timeout("the time is over")
        return left


def split(node: str) -> tuple[str, str]:
    """name@host; without a host, the short name of this machine, as the release's own scripts have it."""
    name, _at, host = node.partition("@")
    return name, host or socket.gethostname().split(".")[0]


def epmd_port(address: str, name: str, clock: Clock, port: int = EPMD_PORT) -> t.Optional[int]:
    """The distribution port that epmd knows for a name, or None if it knows none."""
    where = "epmd at %s:%d" % (address, port)
    try:
        with socket.create_connection((address, port), clock.left()) as sock:
            query = b"z" + name.encode("utf-8")
            sock.settimeout(clock.left())
            sock.sendall(struct.pack(">H", len(query)) + query)
            head = _exactly(sock, 2, clock)
            if head[1] != 0:
                return None
            return int(struct.unpack(">H", _exactly(sock, 2, clock))[0])
    except ConnectionRefusedError:
        raise NoEpmd(
            "node_no_epmd",
            "Cannot ask for the port of node %s" % name,
            "no %s" % where,
            "Start epmd, or run the node with -start_epmd false -erl_epmd_port PORT",
        ) from None
    except _TIMEOUTS:
        raise NodeUnreachable(
            "node_unreachable",
            "Cannot ask for the port of node %s" % name,
            "%s did not answer in %.1f s" % (where, clock.seconds),
        ) from None
    except (OSError, EOFError) as exc:
        raise NodeUnreachable(
            "node_unreachable",
            "Cannot ask for the port of node %s" % name,
            "%s: %s" % (where, exc or "what listens there is no epmd"),
        ) from None


def _exactly(sock: socket.socket, count: int, clock: Clock) -> bytes:
    parts = []
    while count:
        sock.settimeout(clock.left())
        piece = sock.recv(min(count, 65536))
        if not piece:
            raise EOFError()
        parts.append(piece)
        count -= len(piece)
    return b"".join(parts)


class Connection:
    """An authenticated connection to one node. Use connect(), and close it (or `with`)."""

    def __init__(self, sock: socket.socket, node: str, timeout: float) -> None:
        self._sock = sock
        self.node = node
        self._timeout = timeout
        self._creation = secrets.randbits(32) | 4
        self._me = "beam-%d-%s@%s" % (os.getpid(), secrets.token_hex(4), node.partition("@")[2])
        self._next = 0
        self.answered = ""  # who it says it is

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self._sock.close()

    def handshake(self, cookie: str, clock: Clock) -> None:
        name = self._me.encode("utf-8")
        self._packet(b"N" + struct.pack(">QIH", _FLAGS, self._creation, len(name)) + name, clock)
        status = self._unpack(clock)
        if status[:1] != b"s" or status[1:] not in (b"ok", b"ok_simultaneous"):
            raise NodeUnreachable(
                "node_unreachable",
                "Node %s turned the connection down" % self.node,
                "it answered %r" % status[:40].decode("latin-1"),
                "A node that speaks TLS distribution, or an OTP before 23, cannot be asked",
            )
        challenge = self._unpack(clock)
        if challenge[:1] != b"N" or len(challenge) < 19:
            raise NodeUnreachable(
                "node_unreachable",
                "Cannot talk to node %s" % self.node,
                "it does not speak handshake version 6",
                "OTP 23 or later is needed",
            )
        self.answered = challenge[19 : 19 + struct.unpack(">H", challenge[17:19])[0]].decode("utf-8", "replace")
        theirs = struct.unpack(">I", challenge[9:13])[0]
        ours = secrets.randbits(32)
        self._packet(b"r" + struct.pack(">I", ours) + _digest(cookie, theirs), clock)
        try:
            ack = self._unpack(clock)
        except (EOFError, ConnectionError):
            raise self._wrong_cookie() from None
        # Checked both ways: what answers must know the cookie too.
        if ack[:1] != b"a" or not secrets.compare_digest(ack[1:], _digest(cookie, ours)):
            raise self._wrong_cookie()

    def _wrong_cookie(self) -> WrongCookie:
        return WrongCookie(
            "node_wrong_cookie",
            "Node %s refuses our cookie" % self.node,
            "it runs with another one than we were given",
            "Take the cookie of the process that runs, not of the release on disk",
            answered=self.answered,
        )

    def _packet(self, data: bytes, clock: Clock) -> None:
        self._sock.settimeout(clock.left())
        self._sock.sendall(struct.pack(">H", len(data)) + data)

    def _unpack(self, clock: Clock) -> bytes:
        return _exactly(self._sock, struct.unpack(">H", _exactly(self._sock, 2, clock))[0], clock)

    def call(self, module: str, function: str, *args: t.Any, timeout: t.Optional[float] = None) -> t.Any:
        return self.calls([(module, function, list(args))], timeout)[0]

    def calls(self, wanted: t.Sequence[tuple[str, str, list[t.Any]]], timeout: t.Optional[float] = None) -> list[t.Any]:
        """Several calls in one round trip: rex runs each in a process of its own."""
        clock = Clock(timeout or self._timeout)
        me = etf.Pid(self._me, 1, 0, self._creation)
        first = self._next
        self._next += len(wanted)
        control = etf.encode((_REG_SEND, me, etf.Atom(""), etf.Atom("rex")))
        out = []
        for tag, (module, function, args) in enumerate(wanted, first):
            request = (etf.Atom("call"), etf.Atom(module), etf.Atom(function), args, etf.Atom("user"))
            body = b"p" + control + etf.encode((etf.Atom("$gen_call"), (me, tag), request))
            out.append(struct.pack(">I", len(body)) + body)
        answers: dict[int, t.Any] = {}
        with _socket_errors(self.node, clock):
            self._sock.settimeout(clock.left())
            self._sock.sendall(b"".join(out))
            while len(answers) < len(wanted):
                tag, answer = self._answer(clock)
                if first <= tag < self._next:
                    answers[tag] = answer
        return [_result(self.node, wanted[tag - first], answers[tag]) for tag in range(first, self._next)]

    def _answer(self, clock: Clock) -> tuple[int, t.Any]:
        while True:
            size = struct.unpack(">I", _exactly(self._sock, 4, clock))[0]
            if size == 0:  # a tick: answer it, or the node takes us for dead
                self._sock.sendall(b"\0\0\0\0")
                continue
            if size > MAX_MESSAGE:
                raise etf.EtfError("an answer of %d bytes" % size)
            message = _exactly(self._sock, size, clock)
            if message[:1] != b"p":
                continue
            control, rest = etf.decode_prefix(message[1:])
            if isinstance(control, tuple) and control[0] in _SEND and rest:
                term = etf.decode(rest)
                if isinstance(term, tuple) and len(term) == 2 and isinstance(term[0], int):
                    return term[0], term[1]


def _digest(cookie: str, challenge: int) -> bytes:
    # MD5 is what the protocol says. A host that allows none for security lets us say that we know.
    return hashlib.md5(cookie.encode("utf-8") + str(challenge).encode("ascii"), usedforsecurity=False).digest()


def _result(node: str, call: tuple[str, str, list[t.Any]], answer: t.Any) -> t.Any:
    if isinstance(answer, tuple) and len(answer) == 2 and answer[0] == "badrpc":
        raise BeamError(
            "node_call_failed",
            "Node %s could not run %s:%s/%d" % (node, call[0], call[1], len(call[2])),
            repr(answer[1])[:300],
        )
    return answer


class _socket_errors:
    """What a socket says, in words about the node."""

    def __init__(self, node: str, clock: Clock) -> None:
        self.node = node
        self.clock = clock

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: t.Any, exc: t.Any, _tb: t.Any) -> None:
        if isinstance(exc, ConnectionRefusedError):
            raise NodeDown(
                "node_down", "Node %s is down" % self.node, "nothing listens on its distribution port"
            ) from None
        if isinstance(exc, _TIMEOUTS):
            raise NodeHung(
                "node_hung",
                "Node %s does not answer" % self.node,
                "it accepted the connection, and gave no answer within %.1f s" % self.clock.seconds,
                "It is stopped, overloaded or out of file descriptors: look at the process",
            ) from None
        if isinstance(exc, (EOFError, ConnectionError)):
            raise NodeUnreachable(
                "node_unreachable",
                "Node %s closed the connection" % self.node,
                "it is going down, or its port belongs to something else",
            ) from None
        if isinstance(exc, (OSError, etf.EtfError, struct.error)):
            raise NodeUnreachable("node_unreachable", "Cannot talk to node %s" % self.node, str(exc)) from None


def connect(
    node: str, cookie: str, port: t.Optional[int] = None, timeout: float = 5.0, address: str = "", epmd: int = EPMD_PORT
) -> Connection:
    """Connect to node (name@host) through epmd, or on a fixed port."""
    clock = Clock(timeout)
    name, host = split(node)
    full = "%s@%s" % (name, host)
    address = address or "127.0.0.1"
    if port is None:
        port = epmd_port(address, name, clock, epmd)
        if port is None:
            raise NodeDown("node_down", "Node %s is down" % full, "epmd knows no such name")
    with _socket_errors(full, clock):
        sock = socket.create_connection((address, port), clock.left())
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, full, timeout)
            connection.handshake(cookie, clock)
        except BaseException:
            sock.close()
            raise
    return connection

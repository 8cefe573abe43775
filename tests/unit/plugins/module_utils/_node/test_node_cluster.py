# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a node is connected to, and whom it lost; the cookie of the next start is tried at a node made of a few lines."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import struct
import threading
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import cluster, dist, sockets
from ansible_collections.alchemist.beam.plugins.module_utils._node.cluster import Standing
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import NodeCheck
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess
from ansible_collections.alchemist.beam.plugins.module_utils._node.spec import HEALTH_SPEC, health_of

A, B = "a@127.0.0.1", "b@127.0.0.1"
REJOIN = NodeCheck(rejoin=True)


def process(**values: t.Any) -> NodeProcess:
    return NodeProcess(
        1, 2, **{"node": "me@127.0.0.1", "distribution": "name", "port": 1, "argv_cookie": "old", **values}
    )


@pytest.mark.parametrize(
    ("check", "now", "lost", "words"),
    [
        (NodeCheck(connected=2), [A, B], [], ""),
        (NodeCheck(connected=2), [A], [], "connected to 1 other nodes (%s), and 2 are wanted" % A),
        (NodeCheck(connected=2), [], [], "connected to 0 other nodes, and 2 are wanted"),
        (REJOIN, [], [], ""),
        (REJOIN, [A], [B], "not connected to %s, which it was connected to before, and which is up" % B),
        (REJOIN, [], [A, B], "which are up"),
        (REJOIN, [], ["n%d@h" % number for number in range(7)], "n4@h and 2 more"),
    ],
)
def test_judge(check: NodeCheck, now: list[str], lost: list[str], words: str) -> None:
    verdict = cluster.judge(check, now, lost)
    assert verdict.ok == (not words) and words in verdict.reason


def test_names_are_of_atoms() -> None:
    assert cluster.names([Atom(B), Atom(A)]) == (A, B)


def test_options() -> None:
    given = {name: option["default"] for name, option in HEALTH_SPEC["options"].items() if "default" in option}
    node = {"applications": [], "timeout": 2.0, "connected": 3, "rejoin": True}
    found = health_of({**given, "node": node})
    assert found.node == NodeCheck((), 2.0, 3, True) and found.node.gathers
    with pytest.raises(BeamError) as refused:
        health_of({**given, "node": {**node, "connected": -1}})
    assert refused.value.code == "health_invalid" and "node.connected -1" in refused.value.message


@contextlib.contextmanager
def node(name: str, cookie: str) -> t.Iterator[int]:
    """It answers handshakes, one after the other, and knows one cookie."""
    server = socket.create_server(("127.0.0.1", 0))

    def packet(conn: socket.socket) -> bytes:
        return dist._exactly(conn, struct.unpack(">H", dist._exactly(conn, 2, dist.Clock(5)))[0], dist.Clock(5))

    def send(conn: socket.socket, data: bytes) -> None:
        conn.sendall(struct.pack(">H", len(data)) + data)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                conn, _peer = server.accept()
                with conn, contextlib.suppress(OSError, EOFError):
                    packet(conn)
                    send(conn, b"sok")
                    send(conn, b"N" + struct.pack(">QIIH", 0, 77, 1, len(name)) + name.encode())
                    reply = packet(conn)
                    if reply[5:] == hashlib.md5((cookie + "77").encode()).digest():
                        theirs = struct.unpack(">I", reply[1:5])[0]
                        send(conn, b"a" + hashlib.md5(("%s%d" % (cookie, theirs)).encode()).digest())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def test_what_another_node_says_to_a_cookie() -> None:
    with node(A, "theirs") as port:
        us = process(port=port)
        assert cluster.ask(us, A, "theirs", 1.0) is Standing.KNOWS
        assert cluster.ask(us, A, "ours", 1.0) is Standing.REFUSES
        # Another node has its address: that says nothing about who was asked for.
        assert {cluster.ask(us, B, cookie, 1.0) for cookie in ("theirs", "ours")} == {Standing.AWAY}
    assert cluster.ask(us, A, "theirs", 1.0) is Standing.AWAY  # nobody is there


def test_of_those_it_lost_only_who_is_up() -> None:
    with node(A, "old") as port:
        assert cluster.lost(REJOIN, process(port=port), [A, B], []) == [A]
        assert cluster.lost(REJOIN, process(port=port), [A, B], [A]) == []


def refused(us: NodeProcess, cookie: str, check: NodeCheck = REJOIN) -> str:
    try:
        cluster.check_cookie(us, cookie, check)
    except BeamError as exc:
        assert exc.code == "cluster_cookie" and cookie not in exc.message
        return str(exc.details["peer"])
    return ""


def test_another_cookie_is_found_before_the_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "connected", lambda _process, _timeout: (A,))
    with node(A, "old") as port:
        us = process(port=port)
        assert refused(us, "new") == A
        assert refused(us, "old") == refused(us, "") == refused(us, "new", NodeCheck()) == ""
        assert refused(process(port=port, protocol="inet_tls"), "new") == ""
    assert refused(us, "new") == ""  # it is down: nobody to be split from


def test_where_the_file_of_the_cookie_was_changed_under_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't be asked any more; whom it is connected to is seen at its sockets."""

    def wrong(*_any: t.Any) -> t.Any:
        raise dist.WrongCookie("node_wrong_cookie", "no")

    monkeypatch.setattr(cluster, "connected", wrong)
    monkeypatch.setattr(sockets, "partners", lambda _pid, _port: ["127.0.0.1"])
    with node(A, "old") as port:
        us = process(port=port)
        assert refused(us, "new") == A and refused(us, "old") == ""

    def down(*_any: t.Any) -> t.Any:
        raise dist.NodeDown("node_down", "no")

    monkeypatch.setattr(cluster, "connected", down)
    assert refused(us, "new") == ""


TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200007F:1176 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0200007F:1176 0300007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
   2: 0200007F:C351 0400007F:1176 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0
   3: 0200007F:0FA0 0500007F:C352 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0 100 0 0 10 0
   4: 0000000000000000FFFF00000600007F:1176 0000000000000000FFFF00000700007F:C353 01 00000000:00000000 00:00000000 00000000 0 0 15 1 0 100 0 0 10 0
"""


def test_partners_are_at_either_end_of_the_clusters_port() -> None:
    found = sockets.parse_partners(TABLE.splitlines(), 4470)
    assert found == [("127.0.0.3", "12"), ("127.0.0.4", "13"), ("127.0.0.7", "15")]


def test_partners_of_a_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert sockets.partners(os.getpid(), port) == ["127.0.0.1"]
        assert sockets.partners(1 << 22, port) == []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that sends a byte now and then, for ever: each of us who asks one gives up at its own limit, and says what it waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import file, haproxy
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import HttpCheck, TcpCheck, probe_http, probe_tcp

LIMIT = 0.5
OVERRUN = 1.0  # beyond it
HEADER = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
AT_ONCE = {"nothing": b"", "status": b"HTTP/1.1 2", "header": HEADER[:-2] + b"X-Long: ", "body": HEADER}


class Dripping:
    """Sends what it has at once, and then a byte every tenth of a second; or takes connections and says nothing."""

    def __init__(self, at_once: bytes, drips: bool = True, path: str = "") -> None:
        self.at_once, self.drips = at_once, drips
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM)
        self.sock.bind(path or ("127.0.0.1", 0))
        self.sock.listen(8)
        self.port = 0 if path else self.sock.getsockname()[1]
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock = self.sock.accept()[0]
                self.threads.append(threading.Thread(target=self._drip, args=(sock,), daemon=True))
                self.threads[-1].start()

    def _drip(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.recv(1)
            sock.sendall(self.at_once)
            while not self.over.wait(0.1):
                if self.drips:
                    sock.sendall(b"x")

    def close(self) -> None:
        self.over.set()
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for thread in self.threads:
            thread.join(5)


@pytest.fixture(params=sorted(AT_ONCE))
def server(request: pytest.FixtureRequest) -> t.Iterator[Dripping]:
    made = Dripping(AT_ONCE[request.param])
    yield made
    made.close()


@contextlib.contextmanager
def in_time() -> t.Iterator[None]:
    begun = time.monotonic()
    yield
    assert LIMIT * 0.8 <= time.monotonic() - begun <= LIMIT + OVERRUN


def test_a_health_check(server: Dripping) -> None:
    with in_time():
        verdict = probe_http(HttpCheck("http://127.0.0.1:%d/" % server.port, timeout=LIMIT))
    assert not verdict.ok and "does not answer within 0.5 s" in verdict.reason


def test_a_health_check_whose_handshake_never_ends() -> None:
    server = Dripping(b"\x16\x03\x03\x40\x00")
    with in_time():
        verdict = probe_http(HttpCheck("https://127.0.0.1:%d/" % server.port, timeout=LIMIT, validate_certs=False))
    server.close()
    assert not verdict.ok and "does not answer within 0.5 s" in verdict.reason


def test_a_health_check_of_a_full_queue() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        held = [socket.socket() for _number in range(4)]
        for sock in held:
            sock.setblocking(False)
            sock.connect_ex(busy.getsockname())
        with in_time():
            verdict = probe_tcp(TcpCheck(busy.getsockname()[1], "127.0.0.1", timeout=LIMIT))
        for sock in held:
            sock.close()
    assert not verdict.ok and "does not answer within 0.5 s" in verdict.reason


def test_a_readiness_file(server: Dripping) -> None:
    begun = time.monotonic()
    status, why = file.status_of("http://127.0.0.1:%d/ready" % server.port, LIMIT)
    assert time.monotonic() - begun <= LIMIT + OVERRUN
    # A status is all that is asked for.
    assert status == 200 and not why or status == 0 and "the 0.5 seconds are over: 127.0.0.1:%d had sent" % server.port in why


def test_the_metadata_service(server: Dripping) -> None:
    begun = time.monotonic()
    with pytest.raises(BeamError) as caught:
        Metadata("http://127.0.0.1:%d" % server.port, LIMIT).text("meta-data/local-ipv4")
    assert time.monotonic() - begun <= LIMIT + OVERRUN
    assert caught.value.code == "metadata_absent"


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("at_once", [b"", b"# pxname,svname\n"])
def test_a_balancer(at_once: bytes, unix: bool, tmp_path: Path) -> None:
    server = Dripping(at_once, path=str(tmp_path / "socket") if unix else "")
    address = str(tmp_path / "socket") if unix else "127.0.0.1:%d" % server.port
    with in_time(), pytest.raises(BeamError) as caught:
        haproxy.Runtime(address, LIMIT).ask("show stat")
    server.close()
    assert caught.value.code == "balancer_unreachable" and "%s had sent no more than" % address in caught.value.why


def test_a_balancer_that_says_nothing(tmp_path: Path) -> None:
    server = Dripping(b"", drips=False, path=str(tmp_path / "socket"))
    with in_time(), pytest.raises(BeamError, match="had sent nothing"):
        haproxy.Runtime(str(tmp_path / "socket"), LIMIT).ask("show stat")
    server.close()

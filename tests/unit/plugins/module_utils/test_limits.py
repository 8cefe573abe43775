# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that sends a byte now and then, for ever: each of us who asks one gives up at its own limit, and says what it waited for."""

from __future__ import annotations

import contextlib
import importlib.util
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import file, haproxy
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import (
    HttpCheck,
    TcpCheck,
    probe_http,
    probe_tcp,
)

_spec = importlib.util.spec_from_file_location("alchemist_beam_drips", Path(__file__).with_name("drips.py"))
assert _spec is not None and _spec.loader is not None
drips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drips)
LIMIT = 0.5
OVERRUN = 1.0  # beyond it
HEADER = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
AT_ONCE = {"nothing": b"", "status": b"HTTP/1.1 2", "header": HEADER[:-2] + b"X-Long: ", "body": HEADER}


@pytest.fixture(params=sorted(AT_ONCE))
def server(request: pytest.FixtureRequest) -> t.Iterator[str]:
    with drips.dripping((AT_ONCE[request.param], b"x")) as where:
        yield where


@contextlib.contextmanager
def in_time() -> t.Iterator[None]:
    begun = time.monotonic()
    yield
    assert LIMIT * 0.8 <= time.monotonic() - begun <= LIMIT + OVERRUN


def test_a_health_check(server: str) -> None:
    with in_time():
        verdict = probe_http(HttpCheck("http://%s/" % server, timeout=LIMIT))
    assert not verdict.ok and "does not answer within 0.5 s" in verdict.reason


def test_a_health_check_whose_handshake_never_ends() -> None:
    with drips.dripping((b"\x16\x03\x03\x40\x00", b"x")) as where, in_time():
        verdict = probe_http(HttpCheck("https://%s/" % where, timeout=LIMIT, validate_certs=False))
    assert not verdict.ok and "does not answer within 0.5 s" in verdict.reason


def test_a_health_check_of_a_full_queue(full_queue: int) -> None:
    with in_time():
        verdict = probe_tcp(TcpCheck(full_queue, "127.0.0.1", timeout=LIMIT))
    assert not verdict.ok and "does not answer within 0.5 s" in verdict.reason


def test_a_readiness_file(server: str) -> None:
    begun = time.monotonic()
    status, why = file.status_of("http://%s/ready" % server, LIMIT)
    assert time.monotonic() - begun <= LIMIT + OVERRUN
    # A status is all that is asked for.
    assert status == 200 and not why or status == 0 and "the 0.5 seconds are over: %s had sent" % server in why


def test_the_metadata_service(server: str) -> None:
    begun = time.monotonic()
    with pytest.raises(BeamError) as caught:
        Metadata("http://" + server, LIMIT).text("meta-data/local-ipv4")
    assert time.monotonic() - begun <= LIMIT + OVERRUN
    assert caught.value.code == "metadata_absent"


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("at_once", [b"", b"# pxname,svname\n"])
def test_a_balancer(at_once: bytes, unix: bool, tmp_path: Path) -> None:
    path = str(tmp_path / "socket") if unix else ""
    with drips.dripping((at_once, b"x"), path=path) as address, in_time(), pytest.raises(BeamError) as caught:
        haproxy.Runtime(address, LIMIT).ask("show stat")
    assert caught.value.code == "balancer_unreachable" and "%s had sent no more than" % address in caught.value.why


def test_a_balancer_that_says_nothing(tmp_path: Path) -> None:
    with (
        drips.dripping("nothing", path=str(tmp_path / "socket")) as address,
        in_time(),
        pytest.raises(BeamError, match="had sent nothing"),
    ):
        haproxy.Runtime(address, LIMIT).ask("show stat")

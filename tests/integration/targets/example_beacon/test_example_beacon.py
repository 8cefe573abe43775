# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example application does what tests of rollouts count on: it drains, and its bad versions are bad by themselves, each in its own way."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "support"))
from ports import free_port
from releases import lay_out, versions


class Node:
    def __init__(self, tree: Path, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [str(tree / "bin" / "beacon"), "start"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "PORT": str(self.port), "RELEASE_DISTRIBUTION": "none", **environment},
                cwd=log.parent,  # where a crash dump goes
            )

    def get(self, path: str) -> tuple[int, str, str]:
        """Status, version, body; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.port, path), timeout=10) as answer:
                return answer.status, answer.headers["x-version"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["x-version"], error.read().decode()
        except OSError:
            return 0, "", ""

    def stream(self, milliseconds: int) -> http.client.HTTPResponse:
        """The answer to a request that is in flight: its first line has come."""
        answer: http.client.HTTPResponse = urllib.request.urlopen(
            "http://127.0.0.1:%d/stream?ms=%d&every=100" % (self.port, milliseconds), timeout=60
        )
        assert answer.readline() == b"0\n"
        return answer

    def up(self) -> None:
        deadline = time.monotonic() + 60
        while not self.get("/health")[0]:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self, seconds: float = 30) -> int | None:
        """The exit code, or None when it did not end by itself."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout=seconds)
        return None


class Releases:
    def __init__(self, where: Path) -> None:
        self.where = where
        self.nodes: list[Node] = []

    def tree(self, version: str) -> Path:
        return lay_out(self.where, [version])[version]

    def start(self, version: str, **environment: str) -> Node:
        node = Node(self.tree(version), self.where / "log", **environment)
        self.nodes.append(node)
        return node

    def evaluate(self, version: str, **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [str(self.tree(version) / "bin" / "beacon"), "eval", "Beacon.Release.migrate()"]
        env = {**os.environ, "RELEASE_DISTRIBUTION": "none", **environment}
        return subprocess.run(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases(tmp_path_factory.mktemp("beacon"))


@pytest.fixture
def releases(built: Releases) -> t.Iterator[Releases]:
    yield built
    for node in built.nodes:
        if node.process.poll() is None:
            os.killpg(node.process.pid, signal.SIGKILL)
            node.process.wait()
    built.nodes.clear()


def test_ready_file_and_answers(releases: Releases, tmp_path: Path) -> None:
    node = releases.start("0.2.0", BEACON_READY_FILE=str(tmp_path / "ready"))
    node.up()
    assert node.get("/health")[0] == 503
    (tmp_path / "ready").touch()
    status, version, body = node.get("/health")
    assert (status, version, json.loads(body)["ready"]) == (200, "0.2.0", True)
    assert json.loads(node.get("/work?ms=50")[2])["rounds"] > 10
    assert node.get("/stream?ms=500&every=200")[2] == "0\n1\n2\nend\n"


def test_a_drain_lets_what_is_in_flight_end(releases: Releases) -> None:
    node = releases.start("0.2.0", BEACON_LAME_DUCK_MS="2000")
    node.up()
    with concurrent.futures.ThreadPoolExecutor() as pool, node.stream(4000) as stream:
        slow = pool.submit(node.get, "/slow?ms=3000")
        node.process.terminate()
        while node.get("/health")[0] == 200:
            time.sleep(0.02)
        assert node.get("/health")[0] == 503 and node.get("/")[0] == 200  # the lame duck
        assert stream.read().endswith(b"\nend\n") and slow.result()[0] == 200
    assert node.stop() == 0 and "drained, 0 requests cut" in node.log.read_text()
    hasty = releases.start("0.2.0", BEACON_DRAIN_MS="200")
    hasty.up()
    with hasty.stream(10000) as stream:
        assert hasty.stop() == 0
        with pytest.raises((OSError, http.client.IncompleteRead)):
            stream.read()
    assert "1 requests cut" in hasty.log.read_text()


def test_bad_versions_are_bad_without_a_setting(releases: Releases) -> None:
    bad = {version for version in versions() if version.startswith("1.0.0-")}
    assert len(bad) == 12 and "1.0.0-crash-loop" in bad
    node = releases.start("1.0.0-errors")
    node.up()
    assert node.get("/health")[0] == 200 and node.get("/")[:2] == (500, "1.0.0-errors")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("1.0.0-missing-env", "BEACON_LICENCE"),
        ("1.0.0-wrong-abi", "`GLIBC_2.99' not found"),
        ("1.0.0-port-in-use", "address already in use"),
    ],
)
def test_versions_that_do_not_start(releases: Releases, fault: str, said: str) -> None:
    node = releases.start(fault)
    assert node.process.wait(timeout=60) == 1 and said in node.log.read_text()


@pytest.mark.parametrize("fault", ["hang_on_stop", "ignore_term"])
def test_versions_that_do_not_stop(releases: Releases, fault: str) -> None:
    node = releases.start("0.2.0", BEACON_FAULT=fault)
    node.up()
    assert node.get("/health")[0] == 200 and node.stop(4) is None


def test_slow_is_healthy(releases: Releases) -> None:
    node = releases.start("0.2.0", BEACON_FAULT="slow:1500")
    node.up()
    began = time.monotonic()
    assert node.get("/health")[0] == 200 and time.monotonic() - began < 1.5
    assert node.get("/")[0] == 200 and time.monotonic() - began > 1.5


def test_migration(releases: Releases, tmp_path: Path) -> None:
    for _time in range(2):
        assert "migrated to 0.2.0" in releases.evaluate("0.2.0", BEACON_SCHEMA_FILE=str(tmp_path / "schema")).stdout
    assert (tmp_path / "schema").read_text() == "0.2.0\n0.2.0\n"
    failed = releases.evaluate("1.0.0-migration-fails", BEACON_SCHEMA_FILE=str(tmp_path / "schema"))
    assert (
        failed.returncode != 0
        and "does not exist" in failed.stdout
        and (tmp_path / "schema").read_text() == "0.2.0\n0.2.0\n"
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phases 2 to 4 and 6 of docs/journey.md on real systemd hosts: its commands and inventories as they stand there, one after the other, on the same servers.

Phases 5 and 7 are in test_journey_scale.py.
"""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "fleet")]

import s3_server
from line import changes
from reader import CONTROL, Reader

HOSTS = {"app1": "h1", "app2": "h2", "app3": "h3", "build1": "h4"}
APPS = ("h1", "h2", "h3")


@pytest.fixture(scope="module")
def reader(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    hosts.fleet("up", str(len(HOSTS)), timeout=580)
    made = Reader(hosts, tmp_path_factory.mktemp("journey"), HOSTS, SERVER="app1")
    made.prepare()
    return made


def test_phase_2_one_server(reader: Reader) -> None:
    said = reader.types("phase-2")
    reader.assert_run("0.1.0", ["h1"])
    assert "runs on 1 of 1 hosts" in said
    # It was built there, and the store is there.
    assert reader.hosts.shell("h1", "ls /var/lib/beam/build/_build/alchemist").split()
    assert reader.hosts.shell("h1", "ls /var/lib/beam/store").split()


def test_phase_3_ci(reader: Reader) -> None:
    assert changes(reader.types("phase-3", CI="true"))
    reader.assert_run("0.2.0", ["h1"])
    before = reader.line.pid("h1")
    assert changes(reader.types("phase-3", CI="true")) == []
    assert reader.line.pid("h1") == before


def test_phase_4_fleet(reader: Reader) -> None:
    server = ["python", str(ROOT / "tests" / "support" / "s3_server.py")]
    where = ["--dir", str(reader.directory / "s3")]
    reader.hosts.control(*server, "start", "--bind", CONTROL, *where)
    s3 = s3_server.load(reader.directory / "s3")
    reader.types(
        "phase-4",
        BEAM_STORE="s3://%s/journey" % s3.bucket,
        AWS_ENDPOINT_URL=s3.endpoint,
        AWS_REGION="us-east-1",
        AWS_ACCESS_KEY_ID=s3.access_key,
        AWS_SECRET_ACCESS_KEY=s3.secret_key,
    )
    # The last command of the phase is the rollback.
    reader.assert_run("0.1.0", APPS)
    for host in APPS:
        assert set(reader.hosts.shell(host, "ls /srv/beacon/releases").split()) == {"0.1.0", "0.2.0"}
    # The server that built for itself before does so no longer, and the build server runs nothing.
    assert reader.hosts.try_fleet("exec", "h4", "systemctl", "cat", "beacon").returncode != 0
    assert reader.hosts.shell("h4", "ls /var/lib/beam/build/_build/alchemist").split()
    for host in HOSTS.values():
        assert s3.secret_key not in reader.hosts.on(host, "journalctl", "--no-pager", "--output=cat")
        assert (
            reader.hosts.shell(host, "grep -rsalF %s /srv /etc /opt /var /tmp /root || true" % s3.secret_key).strip()
            == ""
        )


def test_phase_6_push(reader: Reader) -> None:
    """The same servers, whose releases of phase 4 came out of the bucket: what they have is not sent again."""
    names = "".join("10.99.0.1%s %s\\n" % (host[1:], name) for name, host in HOSTS.items())
    reader.hosts.shell("h4", "printf '%s' >> /etc/hosts" % names)
    reader.hosts.shell("h3", "rm -rf /srv/beacon/layers /srv/beacon/releases/0.2.0 && mkdir /srv/beacon/layers")
    said = reader.types("phase-6")
    reader.assert_run("0.2.0", APPS)
    assert "runs on 3 of 3 hosts" in said
    fetched = {host: int(size) for host, size in re.findall(r"\b(app\d) +moved +0\.1\.0 +0\.2\.0 +(\d+)", said)}
    assert fetched["app1"] == fetched["app2"] == 0 < fetched["app3"]
    for host in APPS:
        assert reader.hosts.try_fleet("exec", host, "ls", "/srv/beacon/pushed").returncode != 0

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core line on real systemd hosts: from a commit by way of a real S3 server to three servers that are proven to run it.

The tests of this file are one story and run in this order. What is believed is asked of the hosts themselves, not of the playbooks that are tested.
"""

from __future__ import annotations

import json
import re
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from instances import eventually
from line import Line, changes

HOSTS = ("h1", "h2", "h3")
# Of the one that does not answer; the others may be busy.
SOON = json.dumps({"ansible_ssh_timeout": "{{ 3 if inventory_hostname == 'h3' else 30 }}"})


@pytest.fixture(scope="module")
def line(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Line:
    hosts.fleet("up", str(len(HOSTS)), timeout=580)
    made = Line(hosts, tmp_path_factory.mktemp("line"), HOSTS)
    made.prepare()
    return made


def test_servers_are_made_ready_once(line: Line) -> None:
    assert changes(line.playbook("setup"))
    assert changes(line.playbook("setup")) == []
    for host in HOSTS:
        assert line.hosts.shell(host, "stat -c %a /etc/beacon/env").strip() == "600"
        assert line.hosts.try_fleet("exec", host, "systemctl", "is-active", "beacon").stdout.strip() == "inactive"


def test_first_version(line: Line) -> None:
    line.playbook("deploy", "-e", "beam_ref=v0.1.0")
    line.assert_all_run("0.1.0")


def test_second_run_changes_nothing(line: Line) -> None:
    before = line.pids()
    assert changes(line.playbook("deploy", "-e", "beam_ref=v0.1.0")) == []
    assert line.pids() == before


def test_cookie_is_nowhere_for_others_to_read(line: Line) -> None:
    cookie = line.hosts.on("h1", "cat", "/var/lib/beacon/.erlang.cookie").strip()
    assert len(cookie) >= 20
    assert line.hosts.on("h1", "stat", "-c", "%U %a", "/var/lib/beacon/.erlang.cookie").split() == ["beacon", "400"]
    # As another user: no file below the release, no command line and no environment of a process may hold it. The pattern does not match itself.
    pattern = "[%s]%s" % (cookie[0], cookie[1:])
    look = "grep -rsal '%s' /srv/beacon /proc/[0-9]*/cmdline /proc/[0-9]*/environ || true" % pattern
    assert (
        line.hosts.on("h1", "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-c", look).strip() == ""
    )
    assert cookie not in line.hosts.on("h1", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_second_version_moves_only_what_changed(line: Line) -> None:
    before = line.pids()
    line.playbook("deploy", "-e", "beam_ref=v0.2.0")
    line.assert_all_run("0.2.0")
    after = line.pids()
    for host in HOSTS:
        assert after[host] != before[host]
        # Of the files of both versions most are one file on the disk, under two names.
        count = "find /srv/beacon/releases/0.2.0 -type f %s | wc -l"
        every, shared = (int(line.hosts.shell(host, count % links)) for links in ("", "-links +2"))
        assert shared > 0.8 * every > 100


def test_check_mode_tells_and_moves_nothing(line: Line) -> None:
    before = line.pids()
    line.playbook("rollout", "--check", "--diff", "-e", "beam_version=0.1.0")
    assert line.pids() == before
    line.assert_all_run("0.2.0")


def test_host_that_is_not_reachable_stops_the_rollout_before_anything_moved(line: Line) -> None:
    before = line.pids()
    line.hosts.fleet("cut", "h3")
    try:
        line.playbook("rollout", "-e", "beam_version=0.1.0", "-e", SOON, expect=2)
        assert line.pids() == before
        said = line.playbook("status", "-e", SOON)
        assert re.search(r"h3\b.*unreachable", said), said
    finally:
        line.hosts.fleet("mend", "h3")
    line.assert_all_run("0.2.0")


def test_rollback(line: Line) -> None:
    line.playbook("rollback")
    line.assert_all_run("0.1.0")


def wait_until_all_are_well(line: Line, version: str) -> None:
    eventually(lambda: all(line.health(host).get("ready") for host in HOSTS))
    line.assert_all_run(version)


def test_nodes_come_back_by_themselves_after_a_reboot(line: Line) -> None:
    line.hosts.fleet("reboot", *HOSTS)
    wait_until_all_are_well(line, "0.1.0")


def test_nodes_come_back_by_themselves_after_a_power_cut(line: Line) -> None:
    line.hosts.fleet("kill", *HOSTS)
    line.hosts.fleet("start", *HOSTS)
    wait_until_all_are_well(line, "0.1.0")


def test_status_names_what_runs(line: Line) -> None:
    said = line.playbook("status")
    for host in HOSTS:
        assert re.search(r"%s\b.*0\.1\.0" % host, said), said

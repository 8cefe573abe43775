# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The daily commands on real servers: two hosts behind HAProxy, with one deploy of the example. What they say is held against what the hosts say."""

from __future__ import annotations

import json
import shlex
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from line import Line
from loaded import variables

HOSTS = ("h1", "h2")
MEANT = ("-e", "beam_confirm=production")


@pytest.fixture(scope="module")
def line(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Line:
    hosts.fleet("up", str(len(HOSTS)), "--balancer", timeout=580)
    given = variables(["100%"])
    given["service_env"] = {
        **given["service_env"],
        "BEACON_SECRET": "correct-horse-battery",
        "BEACON_SCHEMA_FILE": "/srv/beacon/shared/schema",
    }
    made = Line(hosts, tmp_path_factory.mktemp("line"), HOSTS, **given, beam_strategy="all_at_once", beam_min_healthy=1)
    made.prepare()
    made.playbook("setup", "alchemist.beam.deploy", "-e", "beam_ref=v0.1.0")
    return made


def play(line: Line, name: str, *words: str, expect: int = 0, **extra: t.Any) -> str:
    """What a person reads, without the quotes and escapes of Ansible's own callback."""
    return line.playbook(name, *words, "-e", json.dumps(extra), expect=expect).replace('\\"', '"')


def test_ping_version_and_console(line: Line) -> None:
    said = play(line, "ping")
    for host in HOSTS:
        assert any(host in text and " ms " in text and str(line.pid(host)) in text for text in said.splitlines()), said
    told = play(line, "version")
    assert all(
        any(text.split()[:3] == ['"' + host, "0.1.0", "0.1.0"] for text in map(str.strip, told.splitlines()))
        for host in HOSTS
    ), told
    said = play(line, "console", beam_host="h2")
    [command] = [text.partition("h2: ")[2].strip('",') for text in said.splitlines() if "h2: ssh" in text]
    assert command.endswith(" 'sudo /usr/local/sbin/beacon-remote'") and "h1: ssh" not in said
    # It leads into the node: the same command, with an expression instead of a terminal.
    words = [word for word in shlex.split(command) if word != "-t"]
    words[-1] += " rpc " + shlex.quote("IO.puts(node())")
    assert "beacon@" in line.hosts.control(*words)


def test_stop_start_and_who_does_not_answer(line: Line) -> None:
    before = line.pids()
    assert "changed=0" in play(line, "start") and line.pids() == before
    play(line, "stop", "--limit", "h2")
    said = play(line, "ping", expect=2)
    assert "1 of 2 do not answer: h2." in said and "The node of beacon does not run" in said
    play(line, "start", "--check")
    assert line.pid("h2") == 0
    play(line, "start")
    assert line.pid("h1") == before["h1"]
    line.assert_all_run("0.1.0")


def test_an_expression_in_the_nodes_and_beside_them(line: Line) -> None:
    said = play(line, "rpc", *MEANT, beam_expression='IO.puts("hello"); Application.spec(:beacon, :vsn)')
    assert all("%s | hello" % host in said and "%s => '0.1.0'" % host in said for host in HOSTS), said
    first = play(
        line,
        "rpc",
        *MEANT,
        beam_expression='System.fetch_env!("BEACON_SECRET") <> "x" <> "tok-3n-s3cret"',
        beam_on="first",
    )
    assert "h1 => " in first and "h2 => " not in first and "correct-horse" not in first and "********" in first
    raised = play(line, "rpc", *MEANT, expect=2, beam_expression='raise "no such thing"')
    assert "2 of 2 failed: h1, h2." in raised and "(RuntimeError) no such thing" in raised
    beside = play(line, "eval", *MEANT, "--limit", "h2", beam_expression="{node(), 6 * 7}")
    assert "h2 => {:nonode@nohost, 42}" in beside
    for host in HOSTS:
        # Neither what was asked nor what was answered is in the journal of the server.
        journal = line.hosts.on(host, "journalctl", "--no-pager", "--quiet")
        assert "tok-3n-s3cret" not in journal and "no such thing" not in journal and "correct-horse" not in journal


def test_logs(line: Line) -> None:
    said = play(line, "logs", beam_lines=3)
    for host in HOSTS:
        assert 1 <= sum("%s | 20" % host in text for text in said.splitlines()) <= 3, said
    assert "h1 | " in play(line, "logs", "--limit", "h1", beam_since="1 hour ago")
    assert "Failed to parse timestamp" in play(line, "logs", "--limit", "h1", expect=2, beam_since="soonish")


def test_migrate(line: Line) -> None:
    up: dict[str, t.Any] = {"beam_migrate": "Beacon.Release.migrate()"}
    said = play(line, "migrate", **up)
    assert "h1 | migrated to 0.1.0" in said and "h2 | migrated" not in said
    assert line.hosts.on("h1", "cat", "/srv/beacon/shared/schema") == "0.1.0\n"
    down: dict[str, t.Any] = {
        "beam_direction": "down",
        "beam_migrate_down": 'File.rm!(System.fetch_env!("BEACON_SCHEMA_FILE"))',
    }
    play(line, "migrate", *MEANT, **down)
    assert "schema" not in line.hosts.on("h1", "ls", "/srv/beacon/shared")


def test_releases_and_audit(line: Line) -> None:
    assert "stable on production" in play(line, "releases")
    shown = play(line, "releases", beam_releases="show")
    assert "it is stable on the channel production" in shown and "elixir " in shown
    assert "Every byte is right of 0.1.0" in play(line, "releases", beam_releases="verify")
    said = play(line, "audit")
    assert any("0.1.0" in text and "succeeded" in text and "all_at_once" in text for text in said.splitlines()), said
    assert "production is at 0.1.0" in said


def test_upgraded_hot_and_rehearsed_back(line: Line) -> None:
    """Releases are root's and the unit is hardened. The rollout restarts nobody; a rehearsal boots its node as the user of the unit, and leaves nothing."""
    before = line.pids()
    play(line, "deploy", beam_ref="v0.2.0", beam_strategy="hot")
    assert line.pids() == before
    assert line.report()["succeeded"]
    for host in HOSTS:
        health = line.health(host)
        # The kernel still says what the process was started from.
        assert (line.runs(host), health["version"], health["ready"]) == ("0.1.0", "0.2.0", True)
        assert line.hosts.on(host, "readlink", "/srv/beacon/current").strip() == "releases/0.2.0"
    assert "upgraded hot from 0.1.0" in play(line, "status")
    options = {"name": "beacon", "base": "/srv/beacon", "version": "0.1.0", "downgrade": True}
    given = json.dumps({**options, "rehearse": True, "rehearse_env": {"PORT": "0"}})
    words = [
        "ansible",
        *line.inventories(),
        "h1",
        "--become",
        "--check",
        "-m",
        "alchemist.beam.beam_upgrade",
        "-a",
        given,
    ]
    said = line.hosts.control(*words)
    found = json.loads(said[said.index("=> {") + 3 : said.rindex("}") + 1])
    assert (found["action"], found["rehearsal"]["action"], found["rehearsal"]["why"]) == ("hot", "hot", []), said
    left = line.hosts.shell("h1", "pgrep -c beam.smp; ls -d /run/migrate-* 2>/dev/null; true").split()
    assert left == ["1"] and line.pids() == before and "correct-horse" not in said


def test_a_server_that_leaves(line: Line) -> None:
    before = line.pid("h1")
    play(line, "remove", "--check", beam_host="h2")
    assert line.pid("h2")
    said = play(line, "remove", *MEANT, beam_host="h2")
    assert "h2 is out of its balancers, stopped, and not started at boot." in said
    assert line.pid("h2") == 0 and line.pid("h1") == before
    assert line.hosts.try_fleet("exec", "h2", "systemctl", "is-enabled", "beacon").stdout.strip() == "disabled"
    assert "MAINT" in line.hosts.fleet("balancer") or "DRAIN" in line.hosts.fleet("balancer")
    assert "0.1.0" in line.hosts.on("h2", "ls", "/srv/beacon/releases")
    line.hosts.shell("h2", "echo mine > /srv/beacon/shared/upload")
    play(line, "remove", *MEANT, beam_host="h2", beam_clean=True)
    assert line.hosts.on("h2", "ls", "-A", "/srv/beacon").split() == ["shared"]
    gone = "/etc/beacon /var/lib/beacon /etc/systemd/system/beacon.service /usr/local/sbin/beacon-remote"
    assert line.hosts.shell("h2", "ls -d %s 2>/dev/null || true" % gone) == ""
    assert line.hosts.on("h2", "cat", "/srv/beacon/shared/upload") == "mine\n" and line.pid("h1") == before

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rolling restarts of four real hosts behind HAProxy while clients are served: nothing is lost, and a bad version goes no further than its batch.

The numbers are small; tests/bench/rollout.py does the same with large ones.
"""

from __future__ import annotations

import json
import sys
import threading
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from line import Line
from loaded import measure, variables

HOSTS = ("h1", "h2", "h3", "h4")
VERSIONS = ("0.1.0", "0.2.0", "1.0.0-crash-loop")


@pytest.fixture(scope="module")
def line(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Line:
    hosts.fleet("up", str(len(HOSTS)), "--balancer", timeout=580)
    made = Line(hosts, tmp_path_factory.mktemp("line"), HOSTS, VERSIONS, **variables([1, 2]))
    made.prepare()
    refuse = made.directory / "refuse.yml"
    refuse.write_text('[{"name": "Refuse", "ansible.builtin.fail": {"msg": "not today"}}]')
    made.playbook(
        "setup",
        "alchemist.beam.rollout",
        "-e",
        "beam_version=0.1.0",
        "-e",
        json.dumps({"beam_hooks": {"after_restart": str(refuse)}}),
        expect=2,
    )
    made.first = json.dumps(made.report()["notes"]), made.playbook("status"), servers(made)
    made.playbook("rollout", "-e", "beam_version=0.1.0", "-e", '{"beam_strategy": "all_at_once"}')
    return made


def servers(line: Line) -> dict[str, str]:
    """What the balancer itself says of each server's administrative state."""
    said = line.hosts.fleet("balancer", "show", "servers", "state")
    rows = [text.split() for text in said.splitlines() if len(text.split()) > 6 and not text.startswith("#")]
    return {row[3]: "ready" if row[6] == "0" else "out" for row in rows}


def pids(line: Line) -> dict[str, int]:
    return {host: line.pid(host) for host in HOSTS}


def test_whom_a_failed_first_rollout_took_out_the_next_one_brings_back(line: Line) -> None:
    notes, status, out = line.first
    assert out == {"h1": "out", **dict.fromkeys(HOSTS[1:], "ready")}
    assert "nothing proven runs there: h1." in notes and "not brought back yet: h1." in status
    assert servers(line) == dict.fromkeys(HOSTS, "ready")


def test_no_request_is_lost_and_no_stream_is_broken(line: Line) -> None:
    moves = [("rollout", ("-e", "beam_version=0.2.0"), "0.2.0"), ("rollback", (), "0.1.0")]
    found = measure(line, ["--rate", "50", "--slow", "4:5000", "--stream", "20:6000", "--drain-ms", "30000"], moves)
    told = json.dumps(found.load.get("first_failures"))
    assert found.load["failed"] == 0, told
    assert found.load["requests"] > 1500 and set(found.load["versions"]) == {"0.1.0", "0.2.0"}
    assert found.load["clients"]["stream"]["requests"] > 30 and found.load["clients"]["stream"]["cut"] == 0
    # Four hosts, batches of at most two: the balancer itself never had fewer than two.
    assert found.lowest >= 2 and found.samples > 100
    for report in found.reports:
        assert report["succeeded"] and report["totals"]["cut"] == 0
        assert report["requests"]["total"] > 0 and report["requests"]["errors"] == 0


def test_a_restart_is_a_rollout_of_what_runs(line: Line) -> None:
    before = pids(line)
    line.playbook("restart")
    line.assert_all_run("0.1.0")
    assert all(before[host] != pid for host, pid in pids(line).items())
    for row in line.report()["rows"]:
        assert [s["step"] for s in row["steps"]] == ["stage", "drain", "activate", "stop", "boot", "gate", "join"], row
    before = pids(line)
    line.hosts.fleet("balancer", "set", "server", "app/h2", "state", "maint")
    line.playbook("rollout")
    told = line.report()
    assert pids(line) == before and "nothing to do. h2 is out of the balancer" in told["verdict"]
    assert "alchemist.beam.join --limit h2" in told["notes"][0]
    # Somebody else's hand: no rollout undoes it, only who is asked to.
    assert servers(line)["h2"] == "out"
    line.playbook("join", "--limit", "h2")
    assert servers(line)["h2"] == "ready" and pids(line) == before


def test_a_version_that_crashes_a_moment_after_it_was_healthy_goes_no_further(line: Line) -> None:
    before = pids(line)
    line.playbook("rollout", "-e", "beam_version=1.0.0-crash-loop", expect=2)
    line.assert_all_run("0.1.0")
    after = pids(line)
    assert [host for host in HOSTS if after[host] != before[host]] == ["h1"]
    report = line.report()
    assert [row["outcome"] for row in report["rows"]] == ["returned"] + ["skipped"] * 3 and report["blame"]
    assert "UP" in line.hosts.fleet("balancer") and "MAINT" not in line.hosts.fleet("balancer")


def test_a_host_that_dies_meanwhile_is_no_ghost_and_strands_nobody(line: Line) -> None:
    """Its power is cut when its batch begins: what had moved goes back, the rest serves on."""
    mark, hook = line.directory / "now", line.directory / "cut.yml"
    hook.write_text(
        json.dumps(
            [
                {
                    "name": "Let the power of h2 be cut",
                    "ansible.builtin.shell": "touch %s; while [ -e %s ]; do sleep 0.1; done" % (mark, mark),
                    "run_once": True,
                    "delegate_to": "localhost",
                    "when": "'h2' in ansible_play_batch",
                }
            ]
        )
    )

    def cut() -> None:
        while not mark.exists():
            if done.wait(0.1):
                return
        line.hosts.fleet("kill", "h2")
        mark.unlink()

    done = threading.Event()
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        said = line.playbook(
            "rollout",
            "-e",
            "beam_version=0.2.0",
            "-e",
            json.dumps({"beam_force": True, "beam_hooks": {"before_batch": str(hook)}}),
            "-e",
            json.dumps({"ansible_ssh_timeout": "{{ 3 if inventory_hostname == 'h2' else 30 }}"}),
            expect=2,
        )
    finally:
        done.set()
        thread.join()
    report = line.report()
    assert {row["host"]: row["outcome"] for row in report["rows"]}["h2"] == "unreachable", said
    assert not report["blame"]
    for host in ("h1", "h4"):  # who had moved, and who had not begun
        assert line.runs(host) == "0.1.0", said
    line.hosts.fleet("start", "h2")
    # It boots what it was last told to run, and the next rollout brings it home and back into the balancer.
    line.playbook("rollout")
    line.assert_all_run("0.1.0")
    assert "MAINT" not in line.hosts.fleet("balancer") and "DRAIN" not in line.hosts.fleet("balancer")

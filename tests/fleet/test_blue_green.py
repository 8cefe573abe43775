# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blue and green on real hosts behind a real balancer: the second node serves before the first one leaves. The tests are one story, under load from its
second part on, and every request is counted.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from instances import eventually
from line import ROOT, Line, changes
from loaded import FRONT, Witness, until_it_flows

HOSTS = ("h1", "h2")
PORTS = {"current": 4000, "blue": 4001, "green": 4002}
HEALTH = {
    "http": {
        "url": "http://127.0.0.1:{{ beam_color_ports[rollout_color] }}/health",
        "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
    },
    "within": 60,
    "passes": 2,
    "interval": 0.3,
    "stable": 1,
}
COLORS: dict[str, t.Any] = {
    "beam_strategy": "blue_green",
    "beam_colors": ["blue", "green"],
    "beam_batches": [1],
    "beam_min_healthy": "100%",
    "service_colors": ["blue", "green"],
    "service_color_env": {"blue": {"PORT": "4001"}, "green": {"PORT": "4002"}},
}
# Hooks that end the controller as kill -9 does: the process that runs the task, and the one that started it.
DIE = """- name: Die
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.pipe', 'kill -9 $(ps -o ppid= -p $PPID) $PPID') }}"
"""


class Site:
    def __init__(self, line: Line) -> None:
        self.line = line
        self.hosts = line.hosts
        self.colored = False

    def play(self, name: str, *words: str, expect: int = 0, **variables: t.Any) -> str:
        given = {**(COLORS if self.colored else {}), **variables}
        return self.line.playbook(name, *words, "-e", json.dumps(given), expect=expect)

    def rows(self) -> dict[str, dict[str, t.Any]]:
        return {row["host"]: row for row in self.line.report()["rows"]}

    def balancer(self) -> dict[str, str]:
        lines = [text.split() for text in self.hosts.fleet("balancer").splitlines()[1:]]
        return {words[0]: words[1] for words in lines}

    def units(self, host: str) -> dict[str, tuple[str, int, str]]:
        """Of each node: whether it starts at boot, its process, and what the kernel says that it runs."""
        script = "for c in '' -blue -green; do u=beacon$c; p=$(systemctl show -P MainPID $u); e=$(readlink /proc/$p/exe | cut -d/ -f5); "
        script += 'echo "${c:--current} $(systemctl is-enabled $u) $p $e"; done; true'
        found = {}
        for text in self.hosts.shell(host, script).splitlines():
            words = text.split()
            if len(words) in (3, 4) and words[0].startswith("-"):
                found[words[0][1:]] = (words[1], int(words[2]), words[3] if len(words) > 3 else "")
        return found

    def assert_serves(self, color: str, version: str, *names: str) -> None:
        """Exactly this node runs, starts at boot, and is in the balancer; `current` and the node itself say the version."""
        state = self.balancer()
        for host in names or HOSTS:
            units = self.units(host)
            assert units[color][0] == "enabled" and units[color][2] == version, (host, units)
            assert {(each[0], each[1]) for name, each in units.items() if name != color} == {("disabled", 0)}, (
                host,
                units,
            )
            for name in units:
                member = host if name == "current" else "%s-%s" % (host, name)
                assert (state[member] == "UP") is (name == color), state
                assert name == color or state[member].startswith(("MAINT", "DRAIN")), state
            assert self.hosts.shell(host, "readlink /srv/beacon/current").strip() == "releases/" + version
            said = json.loads(self.hosts.shell(host, "curl -sS http://127.0.0.1:%d/health" % PORTS[color]))
            assert (said["version"], said["ready"]) == (version, True)


@pytest.fixture(scope="module")
def site(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Site:
    hosts.fleet("up", str(len(HOSTS)), "--balancer", timeout=580)
    balancers = [
        {"kind": "haproxy", "address": "{{ fleet_balancer.socket }}", "backends": ["{{ fleet_balancer.backend }}"]}
    ]
    line = Line(
        hosts,
        tmp_path_factory.mktemp("green"),
        HOSTS,
        ["0.1.0", "0.2.0"],
        beam_balancers=balancers,
        beam_health=HEALTH,
        beam_color_ports=PORTS,
        beam_stop_timeout=15,
        service_env={"PORT": "4000", "BEACON_IP": "0.0.0.0"},
    )
    line.prepare()
    (line.directory / "die.yml").write_text(DIE, encoding="utf-8")
    made = Site(line)
    made.play("setup", "alchemist.beam.rollout", beam_version="0.1.0")
    for number, host in enumerate(HOSTS):
        for color in ("blue", "green"):
            name = "app/%s-%s" % (host, color)
            where = "10.99.0.%d:%d" % (11 + number, PORTS[color])
            hosts.fleet(
                "balancer",
                "add",
                "server",
                name,
                where,
                *"check inter 300ms fastinter 100ms downinter 200ms fall 2 rise 2".split(),
            )
            hosts.fleet("balancer", "enable", "health", name)
            hosts.fleet("balancer", "enable", "server", name)
    return made


@pytest.fixture(scope="module")
def load(site: Site) -> t.Iterator[t.Callable[[], dict[str, t.Any]]]:
    """Requests without a pause. What it gives tells how they fared up to now."""
    out = site.line.directory / "load.json"
    words = [
        "--rate",
        "30",
        "--slow",
        "2:1000",
        "--stream",
        "4:1500",
        "--every",
        "250",
        "--drain-ms",
        "10000",
        "--out",
        str(out),
    ]
    argv = [
        str(ROOT / "tests" / "fleet" / "fleet"),
        "--name",
        site.hosts.name,
        "run",
        "--",
        "python",
        str(ROOT / "tests" / "fleet" / "load.py"),
        FRONT,
    ]
    process = subprocess.Popen([*argv, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with Witness("/run/beam-fleet/%s/haproxy.sock" % site.hosts.name) as witness:

        def now() -> dict[str, t.Any]:
            called = time.time()
            eventually(
                lambda: out.stat().st_mtime > called + 1
            )  # it is written each second, from then on with all that was lost before
            return {**json.loads(out.read_text(encoding="utf-8")), "lowest": witness.lowest}

        try:
            until_it_flows(out)
            yield now
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def assert_unharmed(found: dict[str, t.Any]) -> None:
    assert found["requests"] > 100 and found["failed"] == 0, found["first_failures"]
    assert found["lowest"] >= len(HOSTS)


def test_a_host_with_one_node_keeps_it_until_the_next_version(site: Site) -> None:
    site.colored = True
    assert changes(site.play("setup"))
    assert changes(site.play("rollout")) == []
    assert {units["current"][2] for units in map(site.units, HOSTS)} == {"0.1.0"}


def test_from_the_one_node_to_blue(site: Site, load: t.Callable[[], dict[str, t.Any]]) -> None:
    site.play("rollout", beam_version="0.2.0")
    site.assert_serves("blue", "0.2.0")
    for row in site.rows().values():
        assert (row["outcome"], row["color_before"], row["color"], row["before"], row["now"]) == (
            "moved",
            "current",
            "blue",
            "0.1.0",
            "0.2.0",
        )
        assert row["outage"] == 0 and row["cut"] == 0 and row["stop"] > 0
        assert [step["step"] for step in row["steps"]] == ["stage", "activate", "boot", "gate", "join", "drain", "stop"]
    assert_unharmed(load())


def test_a_second_run_changes_nothing_and_a_rehearsal_neither(site: Site) -> None:
    before = [site.units(host) for host in HOSTS]
    assert changes(site.play("rollout")) == []
    said = site.play("rollout", "--check", "--diff", beam_version="0.1.0")
    assert re.findall(r'"(h\d) +would move', said) == list(HOSTS)
    assert [site.units(host) for host in HOSTS] == before
    site.assert_serves("blue", "0.2.0")


def test_rollback(site: Site, load: t.Callable[[], dict[str, t.Any]]) -> None:
    site.play("rollback")
    site.assert_serves("green", "0.1.0")
    assert {row["fetched"] for row in site.rows().values()} == {0}
    assert_unharmed(load())


def test_a_version_that_is_not_healthy_leaves_what_serves_alone_and_who_had_switched_switches_back(
    site: Site, load: t.Callable[[], dict[str, t.Any]]
) -> None:
    """It is healthy on h1 alone."""
    before = site.units("h2")
    ready = "(inventory_hostname == 'h1' or rollout_expected_version == '0.1.0')"
    answer = {"ready": "{{ %s }}" % ready}
    http = {**t.cast("dict[str, t.Any]", HEALTH["http"]), "json": answer}
    health = {**HEALTH, "http": http, "within": "{{ 60 if %s else 3 }}" % ready}
    site.play("rollout", expect=2, beam_version="0.2.0", beam_force=True, beam_health=health)
    rows = site.rows()
    assert {host: row["outcome"] for host, row in rows.items()} == {"h1": "returned", "h2": "returned"}
    assert site.units("h2") == before
    assert (rows["h2"]["now"], rows["h2"]["color"], rows["h2"]["pid"]) == ("0.1.0", "green", before["green"][1])
    assert "does not become healthy" in rows["h2"]["error"]
    site.assert_serves("green", "0.1.0")
    assert_unharmed(load())


def test_a_controller_that_died_between_join_and_leave(site: Site, load: t.Callable[[], dict[str, t.Any]]) -> None:
    """Both serve, and the next run goes back. That it may go on as well, and from wherever the controller died: test_fleet_model.py."""
    site.play(
        "rollout",
        expect=1,
        beam_version="0.2.0",
        beam_force=True,
        beam_hooks={"leave": str(site.line.directory / "die.yml")},
    )
    state = site.balancer()
    assert state["h1-blue"] == state["h1-green"] == "UP"
    said = site.play("status")
    assert "blue runs beside it" in said and "green" in said and "0.1.0" in said
    site.play("rollout", beam_force=True, beam_resume="revert")
    site.assert_serves("green", "0.1.0")
    assert_unharmed(load())


def test_stop_stops_both(site: Site) -> None:
    site.play("stop")
    assert {units[color][1] for units in map(site.units, HOSTS) for color in PORTS} == {0}

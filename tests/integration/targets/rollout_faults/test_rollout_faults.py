# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans that are refused, hooks, a fleet that grows, deployers that meet, a bad version, a controller that is lost: one site, in this order."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "bench")]
import bad_releases
import kills
import rollout_site
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import FILE, mark_leaving
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock_store import Want, acquire, give_back
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_journal import run_journal
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore

POINTS = (
    "before_rollout",
    "before_migrate",
    "after_migrate",
    "before_batch",
    "leave",
    "before_restart",
    "after_restart",
    "join",
    "after_batch",
    "before_return",
    "after_return",
    "before_promote",
    "after_rollout",
)


class Fleet(rollout_site.Site):
    """Two hosts, and a third one that an inventory script tells of as soon as a file is there."""

    def __init__(self, directory: Path, trees: t.Mapping[str, Path]) -> None:
        super().__init__(directory, trees, beam_min_healthy=1)
        self.grown, self.script, self.notes = directory / "grown", directory / "inventory.py", directory / "notes"
        self.script.write_text(
            "#!%s\nimport json, os\nfound = json.load(open(%r))\nhosts = found['beam']['hosts']\nnames = [n for n in hosts if n != 'c' or os.path.exists(%r)]\n"
            "print(json.dumps({'_meta': {'hostvars': hosts}, 'all': {'vars': found['all']['vars']}, 'beam': {'hosts': names}}))\n"
            % (sys.executable, str(directory / "inventory.json"), str(self.grown))
        )
        self.script.chmod(0o755)

    def play(self, name: str, *arguments: str, **variables: t.Any) -> rollout_site.Run:  # type: ignore[override]
        return super().play(name, *arguments, **{"inventory": self.script, **variables})

    def hooks(self, **tasks: t.Any) -> dict[str, str]:
        """A task file for each point: it notes that it ran, and where, and then does more."""
        found = {}
        for point in POINTS:
            path = self.directory / (point + ".yml")
            note = {"ansible.builtin.shell": "echo %s {{ inventory_hostname }} >> %s" % (point, self.notes)}
            path.write_text(json.dumps([note, *tasks.get(point, [])]))
            found[point] = str(path)
        self.notes.write_text("")
        return found

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines()

    def everything(self) -> dict[str, t.Any]:
        """All that a rollout may write."""
        found: dict[str, t.Any] = {"nodes": self.answers(), "balancer": self.balancer.ask("show servers state app")}
        for top in ("store", "nodes"):
            for path in sorted((self.directory / top).rglob("*")):
                if "/shared/" not in str(path) and path.is_file():
                    found[str(path)] = (path.lstat().st_size, path.lstat().st_mtime_ns)
        return found


def admin(states: str) -> list[list[str]]:
    """The columns of `show servers state` that commands change."""
    return [line.split()[3:7] for line in states.splitlines()[2:]]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    place = tmp_path_factory.mktemp("built")
    made = Fleet(
        tmp_path_factory.mktemp("fleet") / "site", rollout_site.build(place, "0.1.0", "0.2.0", "1.0.0-crash-loop")
    )
    made.grown.touch()
    assert made.play("setup").code == 0
    made.grown.unlink()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def untouched(fleet: Fleet) -> t.Iterator[None]:
    before = fleet.everything()
    yield
    after = fleet.everything()
    assert admin(after.pop("balancer")) == admin(before.pop("balancer"))
    assert {key for key in {**before, **after} if before.get(key) != after.get(key)} == set()


def test_a_first_rollout_fills_the_balancer(fleet: Fleet) -> None:
    run = fleet.play("rollout", beam_version="0.1.0")
    assert run.code == 0 and fleet.stable() == "0.1.0"
    assert fleet.versions() == {"a": "0.1.0", "b": "0.1.0", "c": ""}
    assert [fleet.balancer.states()[host] for host in "ab"] == ["UP", "UP"]


@pytest.mark.parametrize(
    ("said", "variables"),
    [
        ("2 of 2 healthy hosts would leave, and 1 have to stay in service", {"beam_batches": "100%"}),
        (
            "b can't be taken out of the balancer",
            {"beam_member": {"server": "{{ 'stranger' if inventory_hostname == 'b' else inventory_hostname }}"}},
        ),
    ],
    ids=["batches", "stranger"],
)
def test_a_plan_that_can_t_hold_is_refused(
    fleet: Fleet, untouched: None, said: str, variables: dict[str, t.Any]
) -> None:
    """Before 0.2.0, which nobody has, is staged."""
    run = fleet.play("rollout", beam_version="0.2.0", **variables)
    assert run.code != 0 and said in run.line


def test_a_floor_that_who_serves_now_can_t_hold_is_refused(fleet: Fleet, untouched: None) -> None:
    """One is out by somebody's hand, so the other one has to stay."""
    fleet.balancer.ask("set server app/a state maint")
    try:
        run = fleet.play("rollout", beam_version="0.2.0")
        assert run.code != 0 and "1 of 1 healthy hosts would leave, and 1 have to stay in service" in run.line
    finally:
        fleet.balancer.ask("set server app/a state ready")


def test_a_rehearsal_writes_nothing(fleet: Fleet, untouched: None) -> None:
    run = fleet.play("rollout", "--check", beam_version="0.2.0", beam_batches="1%", beam_report="")
    assert run.code == 0 and "would run on 2 of 2 hosts" in run.line
    rows = [line.split() for line in run.text.splitlines() if "leave, restart, join" in line]
    assert [row[:4] for row in rows] == [['"1', "a", "0.1.0", "0.2.0"], ['"2', "b", "0.1.0", "0.2.0"]]


def test_hooks_a_migration_and_a_fleet_that_grows(fleet: Fleet) -> None:
    schema = fleet.directory / "schema"
    grow = {"ansible.builtin.file": {"path": str(fleet.grown), "state": "touch", "mode": "0644"}}
    hooks = fleet.hooks(before_batch=[grow])
    begun = time.monotonic()
    expression = 'File.write!("%s", "once\\n", [:append]); Beacon.Release.migrate()' % schema
    run = fleet.play(
        "rollout", beam_version="0.2.0", beam_hooks=hooks, beam_migrate=expression, beam_strategy="canary", beam_bake=1
    )
    assert run.code == 0, run.report.get("reason")
    _nothing_compared(fleet, run)
    batch = ["before_batch", "leave", "before_restart", "after_restart", "join", "after_batch"]
    assert fleet.noted() == [
        "before_rollout a",
        "before_migrate a",
        "after_migrate a",
        *["%s %s" % (point, host) for host in "ab" for point in batch],
        "before_promote a",
        *["%s c" % point for point in batch],
        "after_rollout a",
    ]
    assert schema.read_text() == "once\n"
    assert fleet.versions() == {"a": "0.2.0", "b": "0.2.0", "c": "0.2.0"} and fleet.stable() == "0.2.0"
    assert [(row["host"], row["outcome"]) for row in run.report["rows"]] == [
        ("a", "moved"),
        ("b", "moved"),
        ("c", "moved"),
    ]
    assert all(state.startswith("UP") for state in fleet.balancer.states().values())
    assert fleet.witness.lowest(begun) == 1 and fleet.witness.overlaps(begun) == 0


def _nothing_compared(fleet: Fleet, run: rollout_site.Run) -> None:
    """Nobody sends requests: what is shown, the report and its page say so of the canary."""
    said = "Nothing was compared while the canary a served for 1 s: the canary had 0 requests, and it takes 100 to judge; the rest had 0 requests"
    bake = run.report["bake"]
    assert said in run.line and [note for note in run.report["notes"] if note.startswith(said)]
    assert (bake["compared"], bake["passed"], bake["canary"]["requests"], bake["rest"]["hosts"]) == (
        False,
        True,
        0,
        ["b"],
    )
    assert run.report["rows"][0]["steps"][-1]["step"] == "bake"
    page = max((fleet.store / "beacon" / "history" / "production").glob("*.html")).read_text()
    assert "nothing was compared" in page and "a served for 1.0" in page


def test_a_version_that_crashes_touches_one_batch(fleet: Fleet) -> None:
    hooks = fleet.hooks()
    before = fleet.answers()
    run = fleet.play("rollout", beam_version="1.0.0-crash-loop", beam_hooks=hooks)
    after = fleet.answers()
    assert run.code != 0 and (after["b"], after["c"]) == (before["b"], before["c"])
    assert fleet.noted() == [
        "before_rollout a",
        "before_batch a",
        "leave a",
        "before_restart a",
        "before_return a",
        "leave a",
        "join a",
        "after_return a",
        "after_rollout a",
    ]
    tried = bad_releases.Tried("crash-loop", touched=1)
    bad_releases._home(fleet, tried)
    assert tried.wrong == []
    assert [(row["outcome"], row["before"], row["now"], bool(row["error"])) for row in run.report["rows"]] == [
        ("returned", "0.2.0", "0.2.0", True),
        ("skipped", "0.2.0", "0.2.0", False),
        ("skipped", "0.2.0", "0.2.0", False),
    ]


def test_a_channel_that_another_tool_moves(fleet: Fleet) -> None:
    elsewhere = {
        "store": "file://%s" % fleet.store,
        "name": "beacon",
        "channel": "production",
        "state": "rolled_back",
        "version": "0.1.0",
        "force": True,
    }
    move = {"alchemist.beam.release_channel": elsewhere, "delegate_to": "localhost"}
    before = fleet.answers()
    hook = fleet.hooks(before_promote=[move])["before_promote"]
    run = fleet.play("restart", beam_hooks={"before_promote": hook})
    assert all(before[host][1] != pid for host, (_version, pid) in fleet.answers().items())
    assert run.code != 0 and not run.report["succeeded"]
    assert fleet.stable() == "0.1.0" and set(fleet.versions().values()) == {"0.2.0"}, (
        "who moved the channel wins, and the nodes are not taken back"
    )
    assert "promoted" in run.report["reason"] or "changed" in run.report["reason"], run.report["reason"]
    assert "0.2.0" not in (run.report["stable_after"] or {}).get("version", "")


def test_limit_leaves_hosts_on_another_version(fleet: Fleet) -> None:
    run = fleet.play("rollout", "--limit", "a")
    assert run.code == 0 and fleet.versions() == {"a": "0.1.0", "b": "0.2.0", "c": "0.2.0"}
    assert [(drift["host"], drift["version"]) for drift in run.report["drift"]] == [("b", "0.2.0"), ("c", "0.2.0")]


def test_a_second_deployer_is_told_who_holds_the_lock(fleet: Fleet) -> None:
    store = DirectoryStore(str(fleet.store))
    lease = acquire(store, Want("beacon", "production", "anna@desk", "rollout of 0.2.0", 600, 0))
    before = fleet.everything()
    refused = fleet.play("rollback", beam_wait=0, beam_version="0.2.0", beam_force=True)
    assert refused.code != 0 and "anna@desk holds it for the rollout of 0.2.0 since" in refused.line
    after = fleet.everything()
    assert admin(after.pop("balancer")) == admin(before.pop("balancer")) and after == before
    give_back(store, "beacon", "production", lease.lock.token)


def _elsewhere(fleet: Fleet, version: str) -> None:
    """What is stable moves, as by another rollout."""
    run_channel(
        {
            "store": "file://%s" % fleet.store,
            "name": "beacon",
            "channel": "production",
            "state": "promoted",
            "version": version,
            "force": True,
        },
        False,
    )


def test_who_waited_for_another_rollout_plans_from_what_it_left(fleet: Fleet) -> None:
    store = DirectoryStore(str(fleet.store))
    before = fleet.stable()
    other = {"0.1.0": "0.2.0", "0.2.0": "0.1.0"}[before]
    lease = acquire(store, Want("beacon", "production", "anna@desk", "rollout of " + other, 600, 0))
    log = fleet.directory / "waits.log"
    waits = fleet.start("rollout", log, beam_version=before, beam_wait=120, beam_force=True)
    rollout_site.until(lambda: "Take the lock" in log.read_text(), "it takes no lock", 60)
    time.sleep(2)
    _elsewhere(fleet, other)
    give_back(store, "beacon", "production", lease.lock.token)
    assert waits.wait(200) == 0, log.read_text()
    assert fleet.stable() == before and set(fleet.versions().values()) == {before}
    assert (fleet.document("channels")["previous"] or {}).get("version") == other and fleet.document("locks")[
        "holder"
    ] is None


def test_a_plan_that_another_rollout_has_overtaken_is_not_carried_out(fleet: Fleet) -> None:
    """Also where its version was named: what ran before, and who serves, may be other things by now."""
    before, answers = fleet.stable(), fleet.answers()
    other = {"0.1.0": "0.2.0", "0.2.0": "0.1.0"}[before]
    log = fleet.directory / "overtaken.log"
    overtaken = fleet.start("rollout", log, beam_version=other, beam_force=True)
    rollout_site.until(lambda: "Stage the release" in log.read_text(), "it stages nothing", 60)
    _elsewhere(fleet, other)
    assert overtaken.wait(200) != 0
    assert "Another rollout went on while this one was being staged: %s is stable" % other in log.read_text()
    _elsewhere(fleet, before)
    assert fleet.answers() == answers
    assert fleet.document("locks")["holder"] is None


def test_a_canary_that_dies_with_its_server(fleet: Fleet) -> None:
    """The balancer sees what it sees of a bad release. What the canary's server says makes the difference (test_plugin_rollout.py has all that it may say)."""
    before, versions = fleet.stable(), fleet.versions()
    log, report = fleet.directory / "canary.log", fleet.directory / "report.json"
    given = {
        "beam_version": {"0.1.0": "0.2.0", "0.2.0": "0.1.0"}[before],
        "beam_force": True,
        "beam_strategy": "canary",
        "beam_bake": 90,
    }
    run = fleet.start("rollout", log, inventory=fleet.script, beam_report=str(report), **given)
    rollout_site.until(lambda: "let the canary serve" in log.read_text(), "no canary serves", 120)
    mark_leaving(str(fleet.bases["a"]), "spot interruption")
    os.kill(fleet.answers()["a"][1], signal.SIGKILL)
    assert run.wait(200) != 0, log.read_text()
    told = json.loads(report.read_text())
    assert not told["blame"] and "no longer in and healthy" in told["reason"], told["reason"]
    assert "this instance leaves (spot interruption)" in told["reason"], told["reason"]
    assert (fleet.versions(), fleet.stable()) == (versions, before)
    os.unlink(fleet.bases["a"] / FILE)


def test_unlock_breaks_the_lock_of_somebody(fleet: Fleet) -> None:
    acquire(DirectoryStore(str(fleet.store)), Want("beacon", "production", "anna@desk", "rollout of 0.1.0", 600, 0))
    idle = fleet.play("rollout", beam_wait=0)
    assert (
        idle.code == 0
        and "nothing to do" in idle.report["verdict"]
        and "Locked by anna@desk since" in " ".join(idle.report["notes"])
    )
    run = fleet.play("unlock")
    assert run.code == 0 and "anna@desk" in run.line and fleet.document("locks")["holder"] is None
    assert "Nobody held the lock" in fleet.play("unlock").line


@pytest.mark.parametrize(("way", "hook"), [("kill", "after_restart"), ("brink", "before_batch")])
def test_the_next_run_brings_home_what_a_lost_controller_left(fleet: Fleet, way: str, hook: str) -> None:
    point = kills.Game(fleet, random.Random(1)).round(kills.WAYS.index(way), way, hook)
    assert point and point.wrong == []
    assert bool(point.stale_out) == (way == "brink"), (
        "a frozen one that comes back takes out what it was about to take out, and puts it back"
    )


def test_a_controller_that_is_still_on_its_way_back_is_waited_for(fleet: Fleet) -> None:
    """It has lost the store, so its journal says that this host serves, but not the balancer."""
    before = fleet.stable()
    target = {"0.1.0": "0.2.0", "0.2.0": "0.1.0"}[before]
    place = {"store": "file://%s" % fleet.store, "name": "beacon", "channel": "production"}
    lease = acquire(
        DirectoryStore(str(fleet.store)), Want("beacon", "production", "anna@desk", "rollout of " + target, 600, 0)
    )
    held = {**place, "fence": lease.lock.serial, "token": lease.lock.token}
    digest = fleet.document("channels")["stable"]["digest"]
    run_journal(
        {
            **held,
            "state": "opened",
            "kind": "rollout",
            "version": before,
            "digest": digest,
            "hosts": {"a": {"from": target}},
        },
        False,
    )
    run_journal({**held, "state": "recorded", "hosts": {"a": {"step": "joined", "out": False}}}, False)
    give_back(DirectoryStore(str(fleet.store)), "beacon", "production", lease.lock.token)
    fleet.balancer.ask("set server app/a state drain")
    log = fleet.directory / "play.log"

    def back() -> None:
        rollout_site.until(lambda: "hosts of an interrupted rollout are out" in log.read_text(), "nobody waits", 120)
        fleet.balancer.ask("set server app/a state ready")

    log.write_text("")
    thread = threading.Thread(target=back)
    thread.start()
    run = fleet.play("rollout", beam_version=target, beam_force=True, beam_min_healthy=2)
    thread.join()
    assert run.code == 0 and set(fleet.versions().values()) == {target} and fleet.stable() == target
    assert all(state.startswith("UP") for state in fleet.balancer.states().values())


def test_halt_leaves_in_service_what_moved(fleet: Fleet) -> None:
    before = fleet.stable()
    target = {"0.1.0": "0.2.0", "0.2.0": "0.1.0"}[before]
    answer = {"ready": "{{ inventory_hostname != 'b' or rollout_expected_version != '%s' }}" % target}
    health = {
        "http": {"url": "http://127.0.0.1:{{ beam_port }}/health", "json": answer},
        "within": 3,
        "passes": 2,
        "interval": 0.2,
        "stable": 0.5,
    }
    run = fleet.play(
        "rollout", beam_version=target, beam_force=True, beam_on_failure="halt", beam_batches=[2, 1], beam_health=health
    )
    assert run.code != 0 and fleet.stable() == before
    assert [row["outcome"] for row in run.report["rows"]] == ["moved", "failed", "skipped"]
    assert fleet.versions() == {"a": target, "b": target, "c": before}
    states = fleet.balancer.states()
    assert states["a"].startswith("UP") and states["c"].startswith("UP") and not states["b"].startswith("UP")

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a rollout takes out of a balancer is in the journal until it is in again, whatever becomes of the rollout."""

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.way_back import came_from, parse_past
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Stamp
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import (
    STEPS,
    Journal,
    Opening,
    Step,
    close,
    open_journal,
    record,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import by_host, sight
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.told import (
    members_of,
    origins,
    plan_of,
    steps,
    summarize,
)

HOSTS = ["a", "b", "c"]
DRAFT: dict[str, t.Any] = {
    "name": "beacon",
    "channel": "production",
    "version": "0.2.0",
    "digest": "b" * 64,
    "homecoming": False,
    "kind": "rollout",
    "strategy": "rolling",
    "batch_sizes": [1],
    "min_healthy": 0,
    "stable": None,
    "candidate": None,
    "hosts": HOSTS,
}
BAD = {"failed": True, "msg": "x", "error": {"code": "unhealthy", "what": "it is not healthy", "why": "answers 503"}}
NOTHING = {"changed": True, "after": None}
PLACE = "haproxy lb1:9999 shop"


def ran(version: str) -> dict[str, t.Any]:
    return {"changed": True, "after": {"version": version}}


def back(restarted: dict[str, t.Any]) -> dict[str, t.Any]:
    """Of the call that points back, and then restarts."""
    return {**restarted, "pointed": {"changed": True}}


def joined(*hosts: str) -> dict[str, t.Any]:
    return {"changed": True, "members": {host: {"after": "in"} for host in hosts}}


def member(before: str, healthy: bool = True) -> dict[str, t.Any]:
    return {
        "before": before,
        "healthy": healthy,
        "places": {PLACE: {"rotation": "out" if before == "partly" else before}},
    }


def balanced(**states: str) -> dict[str, t.Any]:
    return {"members": {host: member(states.get(host, "in")) for host in HOSTS}, "balancers": [PLACE]}


PLAN = {
    **DRAFT,
    "leaves": HOSTS,
    "moves": HOSTS,
    "order": HOSTS,
    "members": [HOSTS],
    "rows": [],
    "ready": False,
}
TAKEN = {"leave": {"members": {"a": {"before": "in", "taken": [PLACE]}}}, "activate": {"changed": True}}


@pytest.mark.parametrize(
    ("registers", "plan", "step", "out"),
    [
        # Nothing ran there before, so nothing could join again: it is still out.
        ({"restart": BAD, "back_restart": back(NOTHING)}, {}, "returned", None),
        (
            {"restart": BAD, "back_restart": back(ran("0.1.0")), "back_join": joined("a")},
            {},
            "returned",
            False,
        ),
        (
            {"restart": BAD, "back_restart": back(ran("0.1.0")), "back_join": joined("b")},
            {},
            "returned",
            None,
        ),
        (
            {"restart": BAD, "back_restart": back(ran("0.1.0")), "back_join": BAD},
            {},
            "stranded",
            None,
        ),
        ({"restart": BAD, "back_restart": back(NOTHING)}, {"leaves": []}, "returned", False),
        # A readiness file hides a server as well.
        (
            {"restart": BAD, "back_restart": back(ran("0.1.0")), "back_show": joined("a")},
            {"leaves": [], "ready": True},
            "returned",
            False,
        ),
        (
            {"restart": BAD, "back_restart": back(NOTHING)},
            {"leaves": [], "ready": True},
            "returned",
            None,
        ),
        (
            {"restart": BAD, "back_restart": back(ran("0.1.0")), "back_show": BAD},
            {"leaves": [], "ready": True},
            "stranded",
            None,
        ),
        # A word that the journal does not have would cost the notes of the whole batch.
        ({"restart": ran("0.2.0"), "back_leave": BAD}, {}, "failed", None),
    ],
)
def test_out_until_it_was_seen_in_again(registers: dict, plan: dict, step: str, out: t.Any) -> None:
    found = steps({"a": {**TAKEN, **registers}}, ["a"], {**PLAN, **plan}, "returned")["a"]
    assert (found["step"], found.get("out")) == (step, out) and found["step"] in STEPS


def test_a_readiness_file_counts_as_out_from_the_start() -> None:
    plan = {**PLAN, "leaves": [], "ready": True, "moves": ["a"]}
    assert {host: row["out"] for host, row in steps({}, HOSTS, plan, "leaving").items()} == {
        "a": True,
        "b": False,
        "c": False,
    }


class World:
    """Rollouts, one after the other, by controllers that die, fail and are overtaken. The balancer is a set of those that are out."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.journal = Journal("beacon", "production")
        self.out: set[str] = set()
        self.foreign: set[str] = set()
        self.runs: dict[str, str | None] = dict.fromkeys(HOSTS)
        self.serial = 0

    def note(self, hostvars: dict, hosts: list[str], plan: dict, phase: str) -> None:
        told = steps(hostvars, hosts, plan, phase)
        rows = {
            host: Step(row["step"], row.get("from"), row.get("out"), None, row.get("error", ""))
            for host, row in told.items()
        }
        self.journal = record(self.journal, rows, phase in ("returning", "returned"), self.stamp())

    def stamp(self) -> Stamp:
        return Stamp("me", "now", "token", fence=self.serial)

    def rollout(self, everyone: list[str]) -> None:
        self.serial += 1
        left = self.journal.unfinished or set(self.journal.interrupted_hosts()) & set(everyone)
        draft = {
            **DRAFT,
            "hosts": everyone,
            "interrupted": self.journal.document() if left else {},
            "version": "0.%d.0" % self.serial,
        }
        draft["balanced"] = balanced(**dict.fromkeys(self.out, "out"))
        hostvars: dict[str, dict[str, t.Any]] = {
            host: {
                "rollout_look": {
                    "staged": {"current": self.runs[host]},
                    "seen": {"running": bool(self.runs[host]), "version": self.runs[host]},
                }
            }
            for host in everyone
        }
        plan = plan_of(draft, hostvars)
        assert not set(plan["absent"]) - self.foreign, "what a rollout took out is taken for somebody else's wish"
        self.journal = open_journal(
            self.journal,
            Opening(
                "20260101T000000Z-%08x" % self.serial,
                "rollout",
                draft["version"],
                "b" * 64,
                None,
                "rolling",
                origins(plan),
            ),
            self.stamp(),
        )
        for batch in plan["members"]:
            if not self.batch(batch, plan, hostvars):
                return
        self.journal = close(self.journal, "succeeded", self.stamp())
        assert not self.out & set(everyone) - self.foreign

    def batch(self, batch: list[str], plan: dict, hostvars: dict) -> bool:
        self.note(hostvars, batch, plan, "leaving")
        leavers = [host for host in batch if host in plan["leaves"]]
        self.out.update(leavers)
        if self.random.random() < 0.1:
            return False  # the controller dies
        for host in batch:
            of = hostvars[host]
            of["leave"] = {"members": {name: {"before": "in"} for name in leavers}}
            of.update(activate={"changed": True}, restart=ran(plan["version"]))
        if self.random.random() < 0.5:
            self.note(hostvars, batch, plan, "moved")
            self.out.difference_update(leavers)
            self.note(hostvars, batch, plan, "joined")
            self.runs.update(dict.fromkeys(batch, plan["version"]))
            return True
        hostvars[batch[0]]["restart"] = BAD
        self.note(hostvars, batch, plan, "moved")
        self.back(batch, leavers, plan, hostvars)
        return False

    def back(self, batch: list[str], leavers: list[str], plan: dict, hostvars: dict) -> None:
        self.note(hostvars, batch, plan, "returning")
        if self.random.random() < 0.2:
            return  # it dies on the way back
        healed = [host for host in batch if origins(plan)[host] and self.random.random() < 0.7]
        for host in batch:
            before = origins(plan)[host]
            hostvars[host].update(back_restart=back(ran(before) if host in healed else BAD if before else NOTHING))
            self.runs[host] = before if host in healed else None
        again = [host for host in healed if host in leavers]
        for host in batch if again else []:
            hostvars[host]["back_join"] = joined(*again)
        self.out.difference_update(again)
        self.note(hostvars, batch, plan, "returned")
        self.journal = close(self.journal, "failed", self.stamp())


@pytest.mark.parametrize("seed", range(60))
def test_no_run_forgets_whom_an_earlier_one_took_out(seed: int) -> None:
    world = World(seed)
    for _run in range(12):
        if world.random.random() < 0.2:
            by_hand = world.random.choice(HOSTS)
            if not (world.journal.hosts.get(by_hand) or Step("")).out:
                world.out.add(by_hand)
                world.foreign.add(by_hand)
        if world.random.random() < 0.2:
            world.out -= world.foreign
            world.foreign.clear()
        world.rollout([host for host in HOSTS if world.random.random() < 0.8] or HOSTS)
        remembered = {host for host, row in world.journal.hosts.items() if row.out}
        assert world.out - world.foreign <= remembered


def test_a_rollout_that_ended_says_nothing_of_what_ran_on_others_before() -> None:
    """It left c behind; b it moved for good, so b goes back to what it runs now."""
    hosts = {
        "b": {"step": "joined", "from": "0.0.1", "out": False},
        "c": {"step": "returned", "from": "0.0.1", "out": True},
    }
    draft = {**DRAFT, "interrupted": {"id": "j", "state": "finished", "hosts": hosts}}
    now = {"rollout_look": {"staged": {"current": "0.1.0"}}}
    assert (
        came_from(sight(now), parse_past(draft), "b") == "0.1.0"
        and came_from(sight(now), parse_past(draft), "c") == "0.0.1"
    )
    assert (
        came_from(sight(now), parse_past({**draft, "interrupted": {**draft["interrupted"], "state": "running"}}), "b")
        == "0.0.1"
    )


def home(host: str = "a") -> dict[str, t.Any]:
    return {
        "rollout_look": {
            "staged": {"current": "0.2.0"},
            "seen": {"running": True, "version": "0.2.0", "restart": {"action": "none"}},
        }
    }


def test_who_is_out_by_somebody_elses_hand_is_named_with_what_brings_it_in() -> None:
    hostvars = {host: home() for host in HOSTS}
    hostvars["c"]["rollout_look"]["ready"] = {"rotation": "out"}
    draft = {
        **DRAFT,
        "homecoming": True,
        "stable": {"version": "0.2.0", "digest": "b" * 64},
        "balanced": balanced(a="draining", b="partly"),
    }
    plan = plan_of(draft, hostvars)
    assert (
        plan["idle"]
        and plan["absent"] == ["a"]
        and plan["aside"] == {"a": [PLACE], "b": [PLACE]}
        and plan["hidden"] == ["c"]
    )
    report = summarize(hostvars, plan)
    assert report["succeeded"] and report["verdict"].endswith(
        "there was nothing to do. a is out of the balancer, and gets no requests."
    )
    assert report["notes"] == [
        "Out of %s, by no rollout: a, b. Nothing was done about it. To bring them in: ansible-playbook -i INVENTORY alchemist.beam.join --limit a,b"
        % PLACE,
        "Their readiness file is missing, by no rollout: c. Nothing was done about it. To bring it in: ansible-playbook -i INVENTORY alchemist.beam.join"
        " --limit c",
    ]


def test_a_failed_rollout_says_who_is_left_out() -> None:
    hostvars = {
        "a": {**home(), **TAKEN, "restart": BAD, "back_restart": back(NOTHING)},
        "b": home(),
        "c": home(),
    }
    report = summarize(hostvars, {**PLAN, "rows": [{"host": host} for host in HOSTS]})
    assert any(
        note.startswith("Out of service, because nothing proven runs there: a. The next rollout brings")
        for note in report["notes"]
    )


def test_where_it_was_out_by_hand_before_it_is_left_out() -> None:
    of = {"beam_member": {"server": "s"}, "leave": {"members": {"a": {"before": "partly", "taken": [PLACE]}}}}
    assert members_of({"a": of}, ["a"], ["a"]) == {"a": {"server": "s", "left": True, "places": [PLACE]}}
    of["leave"]["members"]["a"]["before"] = "in"
    assert members_of({"a": of}, ["a"], ["a"]) == {"a": {"server": "s", "left": True}}


def test_status_says_who_gets_requests_and_whose_doing_it_is() -> None:
    hostvars = {host: {"rollout_look": {"seen": {"running": True, "version": "0.2.0"}}} for host in HOSTS}
    known: dict[str, t.Any] = {
        "journal": {"id": "j1", "hosts": {"b": {"out": True}}},
        "lock": None,
        "unfinished": False,
    }
    table = fleet_status(hostvars, HOSTS, None, known, balanced(a="out", b="draining"))
    assert "balancer" in table[0] and [line.split()[3] for line in table[1:4]] == ["out", "draining", "in"]
    assert table[4:] == [
        "Taken out by the rollout j1 and not brought back yet: b. The next alchemist.beam.rollout brings them back.",
        "Out of %s, by no rollout: a. To bring it in: ansible-playbook -i INVENTORY alchemist.beam.join --limit a"
        % PLACE,
    ]
    (said,) = fleet_status(hostvars, HOSTS, None, {**known, "journal": None}, balanced(c="unknown"))[4:]
    assert said.startswith("No member of %s: c. A target group gets one back by alchemist.beam.join --limit c;" % PLACE)
    assert fleet_status(hostvars, HOSTS, None, known, {"failed": True, "msg": "denied"})[4:] == [
        "The balancers could not be asked: denied"
    ]
    assert "balancer" not in fleet_status(hostvars, HOSTS, None, known)[0]
    # As long as somebody rolls out, out is as it should be.
    assert "by no rollout" not in "".join(
        fleet_status(hostvars, HOSTS, None, {**known, "lock": {"held": True}}, balanced(a="out"))
    )


def test_of_a_host_with_two_nodes_the_one_that_serves_is_brought_in_and_looked_at() -> None:
    of = {
        "rollout_look": {"seen": {"running": True, "version": "0.2.0", "live": "blue"}},
    }
    of["beam_member"] = {"blue": {"server": "a1"}, "green": {"server": "a2"}}
    assert members_of({"a": of}, ["a"], [], ["blue", "green"], live=True) == {"a-blue": {"server": "a1"}}
    found = {"members": {"a-blue": member("out"), "a-green": member("in")}}
    table = fleet_status({"a": of}, ["a"], None, {}, found)
    assert table[1].split()[-1] == "out"
    assert (
        table[2]
        == "Out of %s, by no rollout: a. To bring it in: ansible-playbook -i INVENTORY alchemist.beam.join --limit a"
        % PLACE
    )


def test_what_an_overtaken_deployer_could_not_put_back_is_told() -> None:
    lost = {
        "failed": True,
        "msg": "x",
        "error": {"code": "lock_lost", "what": "nothing was activated", "why": "the lock was taken"},
    }
    of = {**home(), "leave": {"members": {"a": {"before": "in"}}}, "activate": lost}
    of["rollout_gave_way"] = {
        "failed": False,
        "error": {"code": "balancer_denied", "what": "a was not put in", "why": "denied"},
    }
    notes = summarize({"a": of, "b": home(), "c": home()}, {**PLAN, "rows": [{"host": host} for host in HOSTS]})[
        "notes"
    ]
    said = "Taken out of the balancer when another deployer had taken over already, and not put back: a (a was not put in: denied). To bring it in:"
    assert any(note.startswith(said) for note in notes)
    of["rollout_gave_way"] = joined("a")
    assert not any(
        "had taken over" in note
        for note in summarize({"a": of, "b": home(), "c": home()}, {**PLAN, "rows": []})["notes"]
    )


def test_members_are_the_nodes_of_their_hosts() -> None:
    names = ["web", "web-2-blue", "web-2", "web-green", "db-blue", "other"]
    assert by_host(names, ["web", "web-2"]) == {"web": [CURRENT, "green"], "web-2": ["blue", CURRENT]}

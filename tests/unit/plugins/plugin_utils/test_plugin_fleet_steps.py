# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that are done once for all servers, without Ansible: which modules they run, with which options, and what they make of the answers."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import SERVER_STEPS
from ansible_collections.alchemist.beam.plugins.modules import rollout_fleet, rollout_host
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import load
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_plan import has_floor
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_steps import KEPT, STEPS, do
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.told import of

Vars = dict[str, t.Any]
TOKEN = {"token": "t", "serial": 7}
HELD = {"mine": True, "token": "t", "fence": 7}
STABLE = {"version": "1", "digest": "d1"}
JOURNAL = {"id": "j", "state": "finished", "hosts": {}}
PLAN = {
    "name": "shop",
    "channel": "production",
    "version": "2",
    "digest": "d2",
    "kind": "rollout",
    "strategy": "rolling",
    "homecoming": False,
    "idle": False,
    "stable": STABLE,
    "journal": JOURNAL,
    "hosts": ["h1"],
    "order": ["h1"],
    "members": [["h1"]],
    "everyone": ["h1"],
    "rows": [{"host": "h1", "from": "1"}],
}
WHERE = {"store": "s3://b/p", "name": "shop", "channel": "production", "region": "here"}
LOST = {"failed": True, "msg": "the lock was taken", "error": {"code": "lock_lost", "what": "x"}}
MOVED = {"restart": {"after": {"version": "2", "pid": 9}}, "activate": {"changed": True}}
FAILED = {"restart": {"failed": True, "msg": "no", "error": {"code": "boot_timeout", "what": "it did not boot"}}}


class World:
    """answers: what modules say, by their name or their name and state. told: what earlier steps have answered."""

    def __init__(
        self,
        *,
        held: Vars | None = None,
        check: bool = False,
        plan: Vars | None = None,
        here: Vars | None = None,
        told: Vars | None = None,
        rolled_back: Vars | None = None,
        **registers: t.Any,
    ) -> None:
        self.done: list[tuple[str, Vars]] = []
        self.answers: dict[str, Vars] = {
            "rollout_lock held": {
                "changed": True,
                "lock": TOKEN,
                "channel": {"serial": 2, "stable": STABLE},
                "journal": JOURNAL,
            },
            "rollout_info": {"changed": False, "channel": {"serial": 3, "stable": STABLE}, "journal": JOURNAL},
            "rollout_journal opened": {"changed": True, "journal": {"id": "new", "by": "me"}},
        }
        known = {"rollout_plan": {**PLAN, **(plan or {})}, **({} if held is None else {"rollout_held": held})}
        known["rollout_rolled_back"] = rolled_back or {}
        role = {
            "rollout_store": "s3://b/p",
            "rollout_name": "shop",
            "rollout_channel": "production",
            "rollout_store_options": {"region": "here"},
            "rollout_wait": 5,
            "rollout_lock_ttl": 30,
            "rollout_force": False,
            "rollout_migrate": "",
            "rollout_kind": "rollout",
            "ansible_play_batch": ["h1"],
            "rollout_on_failure": "revert",
            "rollout_balancers": [{"kind": "none"}],
            "rollout_drain_timeout": 60,
            "rollout_drain_quiet": 2,
            "rollout_join_timeout": 40,
            "rollout_report": "",
            "inventory_hostname": "h1",
            "rollout_members_serving": None,
            "beam_hosts": None,
            "rollout_autoscaling_group": "shop",
            "rollout_autoscaling_options": {"region": "here"},
            "rollout_autoscaling_wait": 10,
            "groups": {"all": ["h1"], "beam": ["h1"]},
            **registers,
        }
        hosts = {host: of(here) if host == "h1" and here else {} for host in role["ansible_play_batch"]}
        self.slept: list[float] = []
        self.role = role
        self.fleet = Fleet(role.get, {"localhost": known, **hosts}, self.call, check, sleep=self.slept.append)
        for name, found in (told or {}).items():
            self.fleet.memory.tell(name, found)

    def call(self, name: str, options: Vars, rehearse: bool = False) -> Vars:
        if name not in ("balancer_member", "autoscaling_info", "release_artifact_info"):
            assert {key: options[key] for key in WHERE} == WHERE
        own = {key: value for key, value in options.items() if key not in WHERE}
        self.done.append((" ".join(filter(None, ("rehearse" if rehearse else "", name, own.pop("state", "")))), own))
        return dict(
            self.answers.get(self.done[-1][0]) or self.answers.get(name) or {"changed": True, "channel": {"serial": 9}}
        )

    def step(self, step: str, **given: t.Any) -> Vars:
        return do(self.fleet, step, **given)

    def verdict(self) -> Vars:
        """As the role comes to it."""
        self.step("count")
        self.done.clear()
        return self.step("verdict")

    @property
    def names(self) -> list[str]:
        return [name for name, _options in self.done]


def test_it_begins_under_a_lock_of_its_own() -> None:
    world = World(rollout_migrate="A.b()")
    assert world.step("begin") == {
        "changed": True,
        "machinery": True,
        "held": HELD,
        "channel": {"serial": 2, "stable": STABLE},
        "journal": {"id": "new", "by": "me"},
        "migrates": True,
        "color": "current",
    }
    opened = {
        "kind": "rollout",
        "version": "2",
        "digest": "d2",
        "stable": STABLE,
        "strategy": "rolling",
        "hosts": {"h1": {"from": "1"}},
        "fence": 7,
        "token": "t",
    }
    assert world.done == [
        ("rollout_lock held", {"purpose": "rollout of 2", "wait": 5, "ttl": 30}),
        ("rollout_journal opened", opened),
    ]


@pytest.mark.parametrize(
    ("rolled_back", "names"),
    [({}, ["rollout_info", "rollout_journal opened"]), ({"serial": 5}, ["rollout_journal opened"])],
    ids=["waited", "rolled back"],
)
def test_it_goes_on_under_the_lock_that_was_taken_before_the_plan(rolled_back: Vars, names: list[str]) -> None:
    world = World(held=HELD, rolled_back=rolled_back)
    found = world.step("begin")
    assert (
        world.names == names
        and found["held"] == HELD
        and found.get("channel") == (None if rolled_back else {"serial": 3, "stable": STABLE})
    )


def test_a_rehearsal_neither_holds_nor_opens() -> None:
    world = World(check=True)
    world.answers["rollout_lock held"]["channel"] = {
        "serial": 2,
        "stable": {"version": "3", "digest": "d3"},
    }  # it was not held to its plan either
    assert world.step("begin")["held"] == {"mine": False} and world.names == ["rollout_lock held"]


@pytest.mark.parametrize(
    ("held", "answer", "text", "after"),
    [
        (
            None,
            ("rollout_lock held", {"failed": True, "msg": "somebody holds it"}),
            "somebody holds it",
            {"mine": False},
        ),
        (HELD, ("rollout_info", {"failed": True, "msg": "the store is away"}), "the store is away", HELD),
        (None, ("rollout_journal opened", LOST), "the lock was taken", HELD),
        (
            None,
            ("rollout_lock held", {"lock": TOKEN, "channel": None, "journal": JOURNAL}),
            "nothing is stable on the channel production now",
            HELD,
        ),
        (
            HELD,
            ("rollout_info", {"channel": {"stable": {"version": "3", "digest": "d3"}}, "journal": JOURNAL}),
            "3 is stable on the channel production",
            HELD,
        ),
        (
            HELD,
            ("rollout_info", {"channel": {"stable": STABLE}, "journal": {**JOURNAL, "id": "k"}}),
            "1 is stable on the channel production now",
            HELD,
        ),
    ],
)
def test_what_fails_at_the_beginning_is_known_with_its_lock(
    held: Vars | None, answer: tuple[str, Vars], text: str, after: Vars
) -> None:
    world = World(held=held)
    world.answers.update([answer])
    found = world.step("begin")
    assert found["failed"] and text in found["msg"] and found["held"] == after
    assert world.names[-1] == answer[0]


def test_the_candidate_is_named_under_the_fence_of_the_lock() -> None:
    world = World(held=HELD)
    assert world.step("propose")["channel"] == {"serial": 9}
    assert world.done == [("release_channel proposed", {"digest": "d2", "force": False, "fence": 7})]


def test_the_reason_for_breaking_glass_goes_to_the_store_and_its_record_into_the_report() -> None:
    glass = {"digest": "d2", "version": "2", "reason": "INC-7", "unmet": "test is failed", "by": "me", "at": "now"}
    told = {"begin": {"journal": {"id": "new"}}, "propose": {"channel": {"serial": 4, "glass": glass}}}
    world = World(held=HELD, told=told, rollout_break_glass="INC-7")
    world.step("propose")
    assert world.done[0][1]["break_glass"] == "INC-7"
    report = World(held=HELD, here=FAILED, told=told).verdict()["rollout_result"]
    assert report["break_glass"] == {"reason": "INC-7", "unmet": "test is failed", "by": "me", "at": "now"}
    assert any("let through without the gates" in note and "INC-7" in note for note in report["notes"])
    # That of another version says nothing of this one.
    told["propose"] = {"channel": {"serial": 4, "glass": {**glass, "digest": "d1"}}}
    assert World(held=HELD, here=FAILED, told=told).verdict()["rollout_result"]["break_glass"] is None


@pytest.mark.parametrize(
    ("check", "known", "serial"),
    [
        (False, {"told": {"propose": {"channel": {"serial": 4}}, "begin": {"channel": {"serial": 2}}}}, 4),
        (False, {"told": {"propose": {"skipped": True}, "begin": {}}, "rolled_back": {"serial": 3}}, 3),
        (False, {"told": {"begin": {"channel": {"serial": 2}}}}, 2),
        (True, {"told": {"propose": {"channel": {"serial": 4}}}}, None),
    ],
)
def test_a_promotion_loses_to_who_moved_the_channel_meanwhile(check: bool, known: Vars, serial: int | None) -> None:
    world = World(held={"mine": False} if check else HELD, check=check, here=MOVED, **known)
    world.step("promote")
    own = {"digest": "d2", "force": False, **({} if check else {"serial": serial, "fence": 7})}
    assert world.done == [("release_channel promoted", own)]


@pytest.mark.parametrize(("here", "idle"), [({}, False), (FAILED, False), (MOVED, True)])
def test_only_what_runs_everywhere_is_promoted(here: Vars, idle: bool) -> None:
    world = World(held=HELD, here=here, plan={"idle": idle})
    assert world.step("judge") == {"changed": False, "promotes": False}
    assert world.step("promote")["skipped"] and not world.done
    assert World(held=HELD, here=MOVED).step("judge")["promotes"]
    # What halted it may be in no host's record.
    for known in ({"rollout_halted": True}, {"rollout_refused": {"failed": True, "msg": "a turn broke"}}):
        world = World(held=HELD, here=MOVED)
        t.cast("Vars", world.fleet.hostvars["localhost"]).update(known)
        assert not world.step("judge")["promotes"] and world.step("promote")["skipped"] and not world.names


def member(name: str, state: str = "InService") -> Vars:
    addresses = {"private_ip": "", "public_ip": "", "private_dns": ""}
    return {"instance_id": name, "lifecycle_state": state, "stays": True, "state": "running", **addresses}


def test_who_of_the_group_came_meanwhile() -> None:
    scaling = {"members": [member("i-1", "Pending"), member("i-2", "Pending:Proceed")]}
    world = World(told={"promote": {"channel": {}}, "members": scaling})
    found = world.step("newcomers", hosts=["h1", "i-1", "i-2"])
    assert (found["hosts"], found["main"]) == (["i-2"], {**PLAN, "arriving": ["i-1"]})
    assert (found["plan"]["order"], found["plan"]["why"], found["plan"]["arriving"]) == (["i-2"], "swept", ["i-1"])
    nobody = world.step("newcomers", hosts=["h1"])
    assert nobody["hosts"] == [] and nobody["plan"] == nobody["main"]
    # Nothing was promoted, or nothing is planned at all: what was seen of the group before is of no interest.
    for other in (
        World(told={"members": scaling}),
        World(plan={"everyone": None}, check=True, told={"members": scaling, "promote": {"channel": {}}}),
    ):
        assert other.step("newcomers", hosts=["h1", "i-2"])["skipped"]
        assert other.step("arrivals", hosts=["h1", "i-2"])["skipped"] and not other.done


def test_members_that_the_inventory_does_not_have() -> None:
    world = World()
    world.answers["autoscaling_info"] = {
        "changed": False,
        "members": [member("h1"), member("i-2"), member("i-3", "Pending")],
    }
    found = world.step("members", hosts=["h1"])
    assert world.done == [("autoscaling_info", {"groups": ["shop"]})] and not world.slept
    assert ([one["instance_id"] for one in found["missing"]], found["into"]) == (["i-2"], "beam")
    world.role["rollout_members_serving"] = False  # the status has also who is on its way in
    assert [one["instance_id"] for one in world.step("members", hosts=["h1"])["missing"]] == ["i-2", "i-3"]
    world.answers["autoscaling_info"] = {"failed": True, "msg": "denied"}
    assert world.step("members", hosts=["h1"]) == {"failed": True, "msg": "denied"}


@pytest.mark.parametrize(("pattern", "into"), [("shop", "shop"), ("beam:!old", "beam"), ("h1", "beam"), (None, "beam")])
def test_where_members_are_added_and_that_they_are_matched_there(pattern: str | None, into: str) -> None:
    world = World(beam_hosts=pattern)
    world.answers["autoscaling_info"] = {"members": [member("i-2")]}
    assert world.step("members", hosts=["h1"])["into"] == into
    assert world.step("check_members", hosts=["h1", "i-2"]) == {"changed": False}
    refused = world.step("check_members", hosts=["h1"])
    assert refused["error"]["code"] == "members_unmatched"
    assert refused["msg"].startswith(
        "i-2 of the auto scaling group shop can't be brought in: beam_hosts (%s)" % (pattern or "beam")
    )


def test_who_is_on_the_way_in_is_waited_for() -> None:
    world, looks = (
        World(told={"promote": {"channel": {}}}),
        [{"failed": True, "msg": "x"}, {"members": [member("i-2", "Pending:Proceed")]}],
    )
    later = {"members": [member("i-2")]}
    calls = iter([*looks, later])
    world.fleet = dataclasses.replace(world.fleet, call=lambda *_given: next(calls))
    assert [one["instance_id"] for one in world.step("arrivals", hosts=["h1"])["missing"]] == ["i-2"]
    assert world.slept == [5.0, 5.0]
    # For as long as was allowed, no longer; then it is as it is.
    calls = iter([looks[1]] * 3)
    assert [one["instance_id"] for one in world.step("arrivals", hosts=["h1"])["missing"]] == ["i-2"]
    calls = iter([looks[0]] * 3)
    assert world.step("arrivals", hosts=["h1"]) == looks[0]


@pytest.mark.parametrize("wait", [0, 4, 5])
def test_who_comes_meanwhile_is_waited_for_once_at_least(wait: int) -> None:
    world = World(told={"promote": {"channel": {}}}, rollout_autoscaling_wait=wait)
    world.answers["autoscaling_info"] = {"members": [member("i-2", "Pending")]}
    assert world.step("arrivals", hosts=["h1"])["missing"] == [] and world.slept == [5.0]


def test_newcomers_count_in_the_verdict() -> None:
    world = World(held=HELD, here=MOVED, plan={"everyone": ["h1", "z"]}, rollout_colors=[])
    assert world.step("count")["outside"] == ["z"] and world.done[0][1]["members"] == {"h1": {}}
    main = world.fleet.plan
    t.cast("Vars", world.fleet.hostvars["localhost"]).update(
        rollout_main=main,
        rollout_born=["n1"],
        rollout_plan={**main, "order": ["n1"], "members": [["n1"]], "rows": [{"host": "n1"}]},
    )
    found = world.verdict()
    assert [row["host"] for row in found["rollout_result"]["rows"]] == ["h1", "n1"]
    assert not found["rollout_result"]["succeeded"]  # n1 was lost
    assert World(held=HELD, plan={"idle": True}).step("count")["balanced"] == {}


@pytest.mark.parametrize(("check", "there"), [(False, True), (True, False)])
def test_the_report_is_kept_where_it_was_asked_for(tmp_path: Path, check: bool, there: bool) -> None:
    path = tmp_path / "report.json"
    world = World(held=HELD, check=check, here=MOVED, rollout_report=str(path))
    found = world.verdict()
    assert path.exists() is there and not found["failure"]
    if there:
        assert json.loads(path.read_text(encoding="utf-8")) == found["rollout_result"]
        assert path.stat().st_mode & 0o777 == 0o640 and list(tmp_path.iterdir()) == [path]


def test_a_report_that_can_not_be_kept_fails_the_run_and_nothing_else(tmp_path: Path) -> None:
    world = World(held=HELD, here=MOVED, rollout_report=str(tmp_path / "no" / "report.json"))
    found = world.verdict()
    assert found["rollout_result"]["succeeded"] and "rollout_lock released" in world.names
    assert "report.json: No such file or directory. Let beam_report name" in found["failure"]
    assert found["unwritten"] == [found["failure"]] == [found["lines"][-2]]


def test_the_verdict_of_a_success() -> None:
    world = World(
        held=HELD,
        here=MOVED,
        told={
            "begin": {"journal": {"id": "new", "by": "me"}},
            "promote": {"channel": {"stable": {"version": "2", "digest": "d2"}}},
        },
    )
    found = world.verdict()
    assert world.names == ["rollout_journal closed", "rollout_lock released"] and found["unwritten"] == []
    report, (_name, closed), (_other, released) = found["rollout_result"], *world.done
    assert (
        report["succeeded"]
        and (report["id"], report["by"], report["stable_after"]["version"]) == ("new", "me", "2")
        and found["lines"][-1] == "shop 2 on the channel production runs on 1 of 1 hosts."
    )
    assert (closed["outcome"], closed["report"], closed["fence"], closed["html"][:9]) == (
        "succeeded",
        report,
        7,
        "<!DOCTYPE",
    ) and released == {"token": "t"}


@pytest.mark.parametrize(
    ("here", "known", "fate"),
    [
        (FAILED, {}, ["release_channel ghosted"]),
        ({}, {}, ["release_channel withdrawn"]),
        (FAILED, {"fenced": True}, []),
        ({}, {"rollout_refused": {"failed": True, "msg": "a hook failed"}}, ["release_channel withdrawn"]),
    ],
)
def test_the_verdict_of_a_failure(here: Vars, known: Vars, fate: list[str]) -> None:
    world = World(
        held=HELD, here=here, told={"begin": {"journal": {"id": "new"}}, "propose": {"channel": {"serial": 4}}}
    )
    world.fleet.memory.fenced = bool(known.pop("fenced", False))
    t.cast("Vars", world.fleet.hostvars["localhost"]).update(known)
    found = world.verdict()
    assert (
        world.names == [*fate, "rollout_journal closed", "rollout_lock released"]
        and not found["rollout_result"]["succeeded"]
    )
    wanted = known.get("rollout_refused", {}).get("msg") or ("it did not boot" if here else "hosts were lost: h1")
    assert wanted in found["rollout_result"]["reason"]
    assert [own["reason"] for name, own in world.done if name == "release_channel ghosted"] in (
        [],
        [found["rollout_result"]["reason"]],
    )


def test_what_could_not_be_written_is_told_with_the_verdict() -> None:
    world = World(held=HELD, here=FAILED, told={"begin": {"journal": {"id": "new"}}})
    away = {"failed": True, "msg": "the store is away", "error": {"code": "store_away", "what": "x"}}
    world.answers.update({"release_channel": away, "rollout_lock released": {"unreachable": True, "msg": "no route"}})
    found = world.verdict()
    assert (
        found["unwritten"] == ["the store is away", "no route"]
        and "failed" not in found
        and not found["rollout_result"]["succeeded"]
    )


def test_who_lost_the_lock_before_it_was_written_down_claims_nothing() -> None:
    """A controller that was frozen after its promotion: what it has proven is of yesterday, and the playbook fails."""
    world = World(held=HELD, here=MOVED, told={"begin": {"journal": {"id": "new"}}, "promote": {"channel": {}}})
    world.answers["rollout_journal closed"] = LOST
    found = world.verdict()
    report = found["rollout_result"]
    assert not report["succeeded"] and report["reason"] == "the lock was taken"
    assert found["failure"] == report["verdict"] == found["lines"][-1]
    text = "runs on 1 of 1 hosts when this deployer last looked. Another one took over before that was written down: the lock was taken"
    assert report["verdict"].endswith(text)


def test_without_a_lock_nothing_is_written() -> None:
    world = World(held={"mine": False}, check=True, here={"restart": {"changed": True, "after": {"version": "1"}}})
    assert world.verdict()["rollout_result"]["succeeded"] and world.names == []


def test_who_waited_plans_from_what_the_other_one_left() -> None:
    world = World(rollout_digest="", rollout_version="")
    assert world.step("wait") == {
        "changed": False,
        "channel": {"serial": 3, "stable": STABLE},
        "journal": JOURNAL,
        "held": HELD,
    }
    assert world.done[0] == (
        "rollout_lock held",
        {"purpose": "rollout of what is stable", "wait": 5, "ttl": 30},
    ) and world.names[1:] == ["rollout_info"]
    world = World(rollout_digest="d" * 64)
    world.answers["rollout_lock held"] = {"failed": True, "msg": "somebody holds it"}
    assert world.step("wait")["failed"] and world.done == [
        ("rollout_lock held", {"purpose": "rollout of " + "d" * 12, "wait": 5, "ttl": 30})
    ]


def test_the_channel_goes_back_under_the_lock_and_only_if_it_may() -> None:
    world = World(rollout_version="1")
    assert world.step("roll_back") == {"changed": True, "channel": {"serial": 9}, "held": HELD}
    assert world.names == ["rehearse release_channel rolled_back", "rollout_lock held", "release_channel rolled_back"]
    assert [world.done[n][1] for n in (0, 2)] == [
        {"version": "1", "force": False},
        {"version": "1", "force": False, "fence": 7},
    ]
    refused = {"failed": True, "msg": "1 is a ghost"}
    for at, names in enumerate(
        (
            ["rehearse release_channel rolled_back"],
            ["rollout_lock held"],
            ["release_channel rolled_back", "rollout_lock released"],
        )
    ):
        other = World(rollout_version="1")
        other.answers[names[0]] = refused
        assert other.step("roll_back")["msg"] == "1 is a ghost" and other.names == world.names[:at] + names
    rehearsed = World(check=True)
    assert rehearsed.step("roll_back")["held"] == {"mine": False} and "fence" not in rehearsed.done[-1][1]


def test_the_steps_are_those_of_the_module() -> None:
    assert sorted(STEPS) == sorted(rollout_fleet.STEPS)
    assert sorted(SERVER_STEPS) == sorted(rollout_host.STEPS)


KNOWN = {
    "channel": {"stable": STABLE, "candidate": None, "ghosts": None},
    "journal": {**JOURNAL, "fence": 3},
    "lock": {"held": False},
}
GIVEN = {
    "rollout_version": "2",
    "rollout_digest": "",
    "rollout_resume": "auto",
    "rollout_strategy": "rolling",
    "rollout_colors": [],
    "rollout_min_healthy": "auto",
    "rollout_batches": [1],
    "rollout_ready": {},
    "rollout_health": {"http": {}},
    "ansible_play_hosts_all": ["h1"],
    "told": {"read": KNOWN},
}


def test_what_was_named_is_rehearsed_and_drafted() -> None:
    world = World(**GIVEN)
    world.answers["rehearse release_channel proposed"] = {
        "changed": True,
        "channel": {"candidate": {"version": "2", "digest": "d2"}},
    }
    plan = world.step("draft", hosts=["h1", "h9"])["plan"]
    assert world.done == [("rehearse release_channel proposed", {"version": "2", "force": False})]
    assert plan.pop("begun") > 1.7e9
    assert plan == {
        "name": "shop",
        "channel": "production",
        "version": "2",
        "digest": "d2",
        "kind": "rollout",
        "why": "named",
        "strategy": "rolling",
        "colors": [],
        "homecoming": False,
        "stable": STABLE,
        "candidate": None,
        "ghosts": [],
        "lock": {"held": False},
        "interrupted": {},
        "journal": JOURNAL,
        "hosts": ["h1"],
        "order": ["h1"],
        "batches": [1],
        "batch_sizes": [1],
        "min_healthy": "auto",
        "balanced": {},
        "ready": False,
        "watched": True,
        "everyone": ["h1", "h9"],
        "idle": False,
    }


def test_what_is_stable_needs_no_candidate() -> None:
    world = World(held=HELD, **{**GIVEN, "rollout_version": "", "rollout_health": {}})
    found = world.step("draft", hosts=["h1"])
    plan = found["plan"]
    assert found["foresees"] is False and world.step("draft", hosts=["h1", "h9"])["foresees"] is True
    assert (plan["digest"], plan["why"], plan["homecoming"], plan["lock"], plan["watched"]) == (
        "d1",
        "stable",
        True,
        {},
        False,
    ) and not world.done


@pytest.mark.parametrize(
    ("wait", "held", "waits"), [(60, True, True), ("60", True, True), (0, True, False), (60, False, False)]
)
def test_who_rolls_out_meanwhile_is_read_before_the_plan(wait: t.Any, held: bool, waits: bool) -> None:
    world = World(rollout_wait=wait)
    world.answers["rollout_info"] = {**KNOWN, "lock": {"held": held}}
    assert world.step("read") == {**KNOWN, "lock": {"held": held}, "waits": waits}
    world.answers["rollout_info"] = {"failed": True, "msg": "the store is away"}
    assert world.step("read")["failed"]


def test_who_waited_drafts_from_what_was_left_under_the_lock() -> None:
    later = {**KNOWN, "channel": {"stable": {"version": "3", "digest": "d3"}, "candidate": None}, "held": HELD}
    world = World(**{**GIVEN, "rollout_version": "", "told": {"read": later}})
    found = world.step("draft", hosts=["h1"])
    assert (found["plan"]["digest"], found["held"], found["plan"]["lock"]) == ("d3", HELD, {})
    # Nobody was waited for: the lock comes later, and is somebody else's where there is one.
    others = {**KNOWN, "lock": {"held": True, "owner": "anna"}}
    alone = World(**{**GIVEN, "rollout_version": "", "told": {"read": others}})
    found = alone.step("draft", hosts=["h1"])
    assert (found["plan"]["digest"], found["held"]) == ("d1", {"mine": False})
    assert found["plan"]["lock"]["owner"] == "anna"


def test_after_a_rollback_it_is_what_is_stable_then() -> None:
    back = {"serial": 5, "stable": STABLE}
    world = World(held=HELD, rolled_back=back, **{**GIVEN, "rollout_version": "", "rollout_digest": "d9"})
    found = world.step("draft", hosts=["h1"])
    assert (found["plan"]["digest"], found["plan"]["kind"], found["held"]) == ("d1", "rollback", HELD)
    assert world.step("read")["waits"] is False


def test_the_rehearsal_of_what_is_not_published_plans_nothing() -> None:
    world = World(check=True, **GIVEN)
    t.cast("Vars", world.fleet.hostvars["localhost"])["distribute_rehearsed"] = {"version": "2"}
    assert world.step("read")["skipped"]
    found = world.step("draft", hosts=["h1"])
    assert found["line"].startswith("shop 2 is not in the store yet.") and not world.done
    assert found["plan"] == {"digest": "", "batches": [1], "order": ["h1"], "judges": ["h1"], "idle": True}
    # Nothing is promoted of it, and nobody is swept.
    world.fleet.hostvars["localhost"]["rollout_plan"] = found["plan"]
    assert world.step("promote")["skipped"] and world.step("newcomers", hosts=["h1"])["skipped"]


def test_what_is_stable_is_not_named_as_a_candidate() -> None:
    world = World(held=HELD, plan={"homecoming": True})
    assert world.step("propose")["skipped"] and not world.done


def test_a_lock_is_broken_by_hand() -> None:
    world = World()
    world.answers["rollout_lock broken"] = {"changed": False, "broken": None}
    assert world.step("unlock")["lines"] == ["Nobody held the lock."]
    world.answers["rollout_lock broken"] = {"failed": True, "msg": "denied"}
    assert world.step("unlock") == {"failed": True, "msg": "denied"}


def test_servers_are_brought_in_by_hand() -> None:
    world = World(ansible_play_hosts=["h1"], rollout_look={"seen": {"running": True, "health": {"passed": True}}})
    assert not world.step("check_quiet").get("failed") and world.step("check_serves") == {"changed": False}
    world.step("bring_in")
    joined = {"balancers": [{"kind": "none"}], "members": {"h1": {}}, "timeout": 40}
    assert world.done[1:] == [("balancer_member joined", joined)]
    assert World(rollout_balancers=[]).step("bring_in")["skipped"]
    world.answers["rollout_info"] = {"lock": {"held": True, "owner": "anna"}}
    assert world.step("check_quiet")["error"]["code"] == "rollout_goes_on"
    away = {"failed": True, "msg": "the store is away"}
    world.answers["rollout_info"] = away
    assert world.step("check_quiet") == away
    unfit = World(rollout_look={"seen": {"running": False}}).step("check_serves")
    assert unfit["failed"] and unfit["msg"].startswith("h1 stays out: no node runs there.")


def test_the_status_of_a_fleet(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    known = {**KNOWN, "unfinished": False, "interrupted_hosts": []}
    given = {"ansible_play_hosts_all": ["h1"], "told": {"read": known}, "rollout_report": str(path)}
    info = {"rollout_look": {"seen": {"running": True, "version": "1", "answers": True, "booted": True}}}
    world = World(here=info, **given)
    world.answers["balancer_member"] = {"failed": True, "msg": "no answer"}
    lines = world.step("status")["lines"]
    assert lines[1].split()[:2] == ["h1", "1"] and "no answer" in lines[-1]
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept == {"table": lines, "lock": {"held": False}, "unfinished": False, "interrupted_hosts": []}
    world.role["rollout_report"] = str(tmp_path / "no" / "status.json")
    assert world.step("status")["error"]["code"] == "report_unwritable"


def test_nothing_to_draft() -> None:
    nothing = {**KNOWN, "channel": {"stable": None, "candidate": None}}
    found = World(**{**GIVEN, "rollout_version": "", "told": {"read": nothing}}).step("draft", hosts=["h1"])
    assert (
        found["failed"]
        and found["error"]["code"] == "nothing_to_roll_out"
        and "on the channel production" in found["msg"]
    )
    world = World(**GIVEN)
    world.answers["rehearse release_channel proposed"] = {"failed": True, "msg": "2 is a ghost"}
    assert world.step("draft", hosts=["h1"]) == {"failed": True, "msg": "2 is a ghost"}


SEEN = {"rollout_look": {"seen": {"running": True, "version": "1"}, "staged": {"current": "1"}}}
LOOK = {
    "hosts": ["h1"],
    "everyone": ["h1", "h9"],
    "batch_sizes": [1],
    "min_healthy": 0,
    "candidate": None,
    "interrupted": {},
    "balanced": {},
}
IN = {"changed": False, "members": {"h1": {"before": "in", "healthy": True}, "h9": {"before": "in", "healthy": True}}}
LOW = {"changed": False, "members": {**IN["members"], "h9": {"before": "out", "healthy": False}}}


def looking(plan: Vars | None = None, **more: t.Any) -> World:
    world = World(
        here=SEEN, plan={**LOOK, **(plan or {})}, ansible_play_hosts_all=["h1"], rollout_most_looks=12, **more
    )
    world.answers["balancer_member"] = IN
    return world


def test_the_plan_is_made_of_what_was_seen_and_who_serves() -> None:
    world = looking()
    found = world.step("plan")
    assert world.done == [
        ("balancer_member", {"balancers": [{"kind": "none"}], "members": {"h1": {}, "h9": {}}, "timeout": 40})
    ]
    plan = found["plan"]
    assert all(plan[key] == ["h1"] for key in ("order", "judges", "leaves", "moves")) and found["again"] is False
    assert found["lines"][1].split() == ["1", "h1", "1", "2", "leave,", "restart,", "join"]
    alone = looking(rollout_balancers=[])
    assert alone.step("plan")["plan"]["leaves"] == [] and not alone.done
    away = looking()
    away.answers["balancer_member"] = {"failed": True, "msg": "no answer"}
    assert away.step("plan") == away.step("foresee") == {"failed": True, "msg": "no answer"}


def test_the_plan_of_hosts_with_two_nodes_asks_for_all_nodes() -> None:
    world = looking({"strategy": "blue_green", "colors": ["blue", "green"]}, rollout_colors=["blue", "green"])
    found = world.step("plan")
    assert sorted(world.done[0][1]["members"]) == ["h1-blue", "h1-green", "h9-blue", "h9-green"]
    assert "can't be taken out of the balancer" in found["msg"] and found["failed"]  # it knows neither


@pytest.mark.parametrize(("looks", "again"), [(0, True), (12, False)])
def test_a_plan_that_others_may_make_possible_is_looked_at_again(looks: int, again: bool) -> None:
    world = looking({"min_healthy": 1, "interrupted": {"id": "j", "version": "2", "state": "running", "hosts": {}}})
    world.fleet.memory.looks = looks
    world.answers["balancer_member"] = LOW
    found, draft = world.step("plan"), world.fleet.plan
    if again:
        assert found == {"changed": False, "plan": {**draft, "balanced": LOW}, "again": True, "lines": []}
    else:
        assert found["failed"] and "and 1 have to stay in service" in found["msg"]
    assert (world.slept, world.fleet.memory.looks) == (([5.0], 1) if again else ([], 12))


@pytest.mark.parametrize(
    ("draft", "floor"),
    [
        ({}, True),
        ({"everyone": ["h1"]}, False),  # there is one server
        ({"strategy": "blue_green"}, False),  # two nodes on a host are capacity of their own
        ({"strategy": "all_at_once", "min_healthy": "auto"}, False),
        ({"strategy": "all_at_once", "min_healthy": 1}, True),
        ({"strategy": "canary", "hosts": ["h1", "h2"], "everyone": []}, True),
    ],
)
def test_where_there_is_a_floor_to_hold(draft: Vars, floor: bool) -> None:
    asked = {"strategy": "rolling", "min_healthy": "auto", "hosts": ["h1"], "everyone": ["h1", "h9"]}
    assert has_floor({**asked, **draft}) is floor


def test_what_a_later_step_asks_for_is_kept_for_its_task(tmp_path: Path) -> None:
    """Each task is another process."""
    before = World(held=HELD)
    before.fleet = dataclasses.replace(before.fleet, memory=load(str(tmp_path), "1"))
    before.step("propose")
    before.step("begin")
    kept = load(str(tmp_path), "1")
    assert kept.told("propose") == {"changed": True, "channel": {"serial": 9}}
    assert kept.told("begin") == before.fleet.told("begin") and kept.told("begin")["journal"]["id"] == "new"
    # Another rollout of the same run knows nothing of it.
    assert {name: load(str(tmp_path), "2").told(name) for name in KEPT} == dict.fromkeys(KEPT, {})
    # The latest of two answers counts, also where it says nothing.
    world = World(told={"promote": {"channel": {}}})
    world.answers["autoscaling_info"] = {"members": [member("i-2")]}
    world.step("members", hosts=[])
    assert world.fleet.told("members")["missing"]
    world.answers["autoscaling_info"] = {"failed": True, "msg": "denied"}
    world.step("arrivals", hosts=[])
    assert world.fleet.told("members") == {"failed": True, "msg": "denied"}
    assert set(KEPT) <= set(STEPS)


def test_a_step_before_there_is_a_plan_is_kept_too(tmp_path: Path) -> None:
    world = World()
    world.fleet = dataclasses.replace(world.fleet, memory=load(str(tmp_path), ""))
    world.step("read")
    assert load(str(tmp_path), "").told("read")["channel"]["serial"] == 3


def test_whether_the_floor_can_hold_is_told_before_anything_is_staged() -> None:
    assert looking().step("foresee") == {
        "changed": False,
        "balanced": IN,
        "blind": False,
    }
    assert looking(rollout_balancers=[]).step("foresee")["blind"]
    low = looking({"min_healthy": 1})
    low.answers["balancer_member"] = LOW
    assert low.step("foresee")["blind"] and "and 1 have to stay" in low.step("foresee_again")["msg"]
    t.cast("Vars", low.fleet.hostvars["h1"])["rollout_look"] = {"msg": "no route"}
    assert low.step("foresee_again") == {"changed": False}

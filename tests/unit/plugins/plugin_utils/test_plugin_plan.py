# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How what the role knows becomes a plan, and what it remembers and shows of it. The plan itself: test_fleet_planning.py."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._advice import UNWATCHED
from ansible_collections.alchemist.beam.plugins.plugin_utils._plan import Planned, made_of, planned, preview

OLD, NEW = {"version": "0.1.0", "digest": "a" * 64}, {"version": "0.2.0", "digest": "b" * 64}
DRAFT: dict[str, t.Any] = {
    "name": "beacon",
    "channel": "production",
    **NEW,
    "homecoming": False,
    "kind": "rollout",
    "strategy": "rolling",
    "batch_sizes": [1, "50%"],
    "min_healthy": "auto",
    "stable": OLD,
    "candidate": None,
    "interrupted": {},
    "hosts": ["a", "b", "c", "d"],
    "balanced": {},
    "begun": 1.5,
}
# Beside its draft, the keys of rollout_plan, each of which somebody reads.
KEYS = {
    *("advice", "judges", "order", "batches", "members", "rows", "sides", "colors", "fleet", "floor", "idle", "moves"),
    *("leaves", "absent", "aside", "hidden", "recovers", "canary"),
}
PLACE = "haproxy lb1:9999 shop"


def seen(version: str | None = "0.1.0", action: str = "restart", current: str | None = "0.1.0") -> dict[str, t.Any]:
    return {
        "rollout_look": {
            "staged": {"current": current, "changed": current != "0.2.0", "bytes": {"fetched": 5}},
            "seen": {
                "running": version is not None,
                "version": version,
                "health": {"passed": True},
                "restart": {"action": action, "reason": "it runs another version"},
            },
        },
    }


def fleet(**changed: dict[str, t.Any]) -> dict[str, t.Any]:
    return {host: changed.get(host) or seen() for host in DRAFT["hosts"]}


def balanced(**states: str) -> dict[str, t.Any]:
    told = {host: states.get(host, "in") for host in DRAFT["hosts"]}
    members = {
        host: {"before": state, "healthy": state == "in", "places": {PLACE: {"rotation": state}}}
        for host, state in told.items()
    }
    return {"members": members, "balancers": [PLACE]}


def does(draft: dict[str, t.Any], hostvars: dict[str, t.Any]) -> dict[str, str]:
    return {row["host"]: row["does"] for row in preview(made_of(draft, hostvars))}


def test_the_plan_is_its_draft_with_what_was_decided() -> None:
    found = planned(DRAFT, fleet())
    plan = found.document
    assert {key: plan[key] for key in DRAFT} == DRAFT and set(plan) == {*DRAFT, *KEYS}
    assert plan["batches"] == [1, 2, 1] and plan["members"] == [["a"], ["b", "c"], ["d"]]
    assert plan["judges"] == plan["order"] == plan["fleet"] == plan["moves"] == DRAFT["hosts"]
    assert plan["rows"][0] == {
        "host": "a",
        "from": "0.1.0",
        "current": "0.1.0",
        "action": "restart",
        "activate": True,
        "healthy": True,
    }
    assert (found.refused, found.unsettled) == ("", False)
    assert [line.split()[:4] for line in found.lines[1:]] == [
        [number, host, "0.1.0", "0.2.0"] for number, host in zip("1223", "abcd")
    ]


def test_who_judges_is_said_once() -> None:
    """Newcomers have a plan of their own, and have not heard what was said to those of the first one."""
    assert planned({**DRAFT, "judges": ["a"]}, fleet()).document["judges"] == ["a"]


def test_what_a_person_ought_to_know_is_in_the_plan_and_below_its_table() -> None:
    noted = {
        "version": "0.2.0",
        "state": "finished",
        "id": "j",
        "hosts": {"a": {"step": "moved", "from": "0.0.9", "out": True}},
    }
    hostvars = fleet(a=seen())
    hostvars["a"]["rollout_look"]["staged"]["previous"] = "0.0.8"
    found = planned({**DRAFT, "watched": False, "interrupted": noted}, hostvars)
    (doubt, unwatched) = found.document["advice"]
    assert "a version that a has never run" in doubt and unwatched == UNWATCHED
    assert list(found.lines[-2:]) == [doubt, unwatched]


def test_what_each_host_is_to_do_in_words() -> None:
    assert does(DRAFT, fleet()) == dict.fromkeys("abcd", "restart")
    home = seen("0.2.0", "none", current="0.2.0")
    pointed = seen("0.2.0", "none")
    left = {"id": "j", "version": "0.2.0", "hosts": {"c": {"step": "leaving", "from": "0.1.0", "out": True}}}
    draft = {**DRAFT, "balanced": balanced(b="out", c="out"), "interrupted": left, "min_healthy": 1}
    assert does(draft, fleet(a=home, d=pointed)) == {
        "a": "nothing",
        "b": "restart, stays out of the balancer",
        "c": "leave, restart, join, left half way by j",
        "d": "leave, activate, join",
    }


def test_a_look_that_failed_is_told_by_its_reason() -> None:
    look = {"staged": {"current": "0.1.0"}, "failed": True, "error": {"what": "its unit is masked", "why": "by hand"}}
    rows = preview(made_of(DRAFT, fleet(b={"rollout_look": look})))
    assert {row["host"]: row["because"] for row in rows}["b"] == "its unit is masked: by hand"


def test_where_there_can_be_no_plan_the_draft_is_kept_with_the_reason() -> None:
    draft = {**DRAFT, "batch_sizes": [3]}
    found = planned(draft, fleet())
    assert found == Planned(draft, refused=found.refused) and "have to stay in service" in found.refused


def test_a_deployer_that_may_still_be_at_work_is_looked_for_again() -> None:
    left = {"id": "j", "version": "0.2.0", "state": "running", "hosts": {"b": {"step": "joined", "from": "0.1.0"}}}
    draft = {**DRAFT, "interrupted": left, "min_healthy": 1}
    assert planned({**draft, "balanced": balanced(b="out")}, fleet()).unsettled
    assert not planned({**draft, "balanced": balanced()}, fleet()).unsettled
    assert planned({**draft, "batch_sizes": [4]}, fleet()).unsettled, "too few may be in by its doing"
    assert not planned({**draft, "batch_sizes": []}, fleet()).unsettled

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.plugin_utils._plan import make, preview, unsettled

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
}


def seen(
    version: str | None = "0.1.0", action: str = "restart", healthy: bool = True, current: str | None = "0.1.0"
) -> dict[str, t.Any]:
    return {
        "rollout_look": {
            "staged": {"current": current, "changed": current != "0.2.0", "bytes": {"fetched": 5}},
            "seen": {
                "running": version is not None,
                "version": version,
                "health": {"passed": healthy},
                "restart": {"action": action, "reason": "it runs another version"},
            },
        },
    }


def fleet(**changed: dict[str, t.Any]) -> dict[str, t.Any]:
    return {host: changed.get(host) or seen() for host in DRAFT["hosts"]}


def test_a_plan_says_who_moves_in_which_order() -> None:
    plan = make(DRAFT, fleet())
    assert (plan["order"], plan["batches"], plan["floor"], plan["idle"]) == (["a", "b", "c", "d"], [1, 2, 1], 2, False)
    assert plan["froms"] == dict.fromkeys("abcd", "0.1.0")
    assert [row["does"] for row in preview(plan)] == ["restart"] * 4


def test_nothing_to_do_is_said_only_where_everything_is_as_it_ought_to_be() -> None:
    home = seen("0.2.0", "none", current="0.2.0")
    everywhere = {host: home for host in DRAFT["hosts"]}
    draft = {**DRAFT, "homecoming": True, "stable": NEW}
    assert make(draft, everywhere)["idle"]
    for spoiled in (
        {**draft, "interrupted": {"id": "x", "hosts": {}}},
        {**draft, "candidate": OLD},
        {**draft, "homecoming": False},
        {**draft, "kind": "restart"},
    ):
        assert not make(spoiled, everywhere)["idle"]
    for host in (
        seen("0.2.0", "none", healthy=False, current="0.2.0"),
        seen("0.2.0", "restart", current="0.2.0"),
        seen("0.1.0"),
        seen(None, "start"),
    ):
        assert not make(draft, {**everywhere, "c": host})["idle"]


def test_what_was_left_half_way_comes_first_and_remembers_what_ran_before() -> None:
    journal = {
        "id": "j",
        "version": "0.2.0",
        "hosts": {
            "a": {"step": "joined", "from": "0.1.0", "out": False},
            "c": {"step": "moved", "from": "0.0.9", "out": True},
            "d": {"step": "planned", "from": "0.1.0"},
        },
    }
    plan = make({**DRAFT, "interrupted": journal}, fleet(c=seen("0.2.0", "none", current="0.2.0")))
    assert plan["order"] == ["c", "a", "b", "d"] and plan["batches"] == [1, 1, 1, 1] and plan["recovers"] == ["c"]
    assert plan["froms"]["c"] == "0.0.9" and plan["froms"]["d"] == "0.1.0"
    assert "left half way by j" in preview(plan)[0]["does"]


def test_hosts_that_somebody_else_took_out_stay_out() -> None:
    members = {
        host: {"before": before, "healthy": True} for host, before in zip("abcd", ("in", "out", "draining", "in"))
    }
    journal = {"id": "j", "version": "0.2.0", "hosts": {"c": {"step": "leaving", "from": "0.1.0", "out": True}}}
    plan = make({**DRAFT, "balanced": {"members": members}, "interrupted": journal, "min_healthy": 1}, fleet())
    assert plan["absent"] == ["b"] and set(plan["leaves"]) == {"a", "c", "d"}


def test_a_plan_below_the_floor_is_refused_and_what_does_not_serve_is_not_counted() -> None:
    with pytest.raises(BeamError, match="have to stay in service"):
        make({**DRAFT, "batch_sizes": [3]}, fleet())
    first = {host: seen(None, "start", current=None) for host in DRAFT["hosts"]}
    plan = make({**DRAFT, "batch_sizes": ["100%"]}, first)
    assert (plan["batches"], plan["floor"]) == ([4], 0)
    make({**DRAFT, "batch_sizes": [3], "strategy": "blue_green", "colors": ["blue", "green"]}, fleet())


def test_a_floor_that_who_serves_now_can_not_hold_is_known_before_anything_is_staged() -> None:
    """By what the balancer says alone, all servers move. Those that run it already do not, which they tell themselves."""
    members = {host: {"before": "in" if host in "ab" else "out", "healthy": True} for host in "abcd"}
    draft = {**DRAFT, "balanced": {"members": members}, "batch_sizes": [1]}
    nobody: dict[str, t.Any] = {host: {} for host in "abcd"}
    with pytest.raises(BeamError, match="1 of 2 healthy hosts would leave, and 2 have to stay"):
        make(draft, nobody)
    make({**draft, "min_healthy": 1}, nobody)
    there = {
        host: {
            "rollout_look": {"seen": {**seen("0.2.0", "none")["rollout_look"]["seen"], "current": {"version": "0.2.0"}}}
        }
        for host in "ab"
    }
    make(draft, {**nobody, **there})
    with pytest.raises(BeamError, match="would leave"):
        make(draft, {**nobody, "a": there["a"]})
    # Without a balancer it is who runs and is healthy. Where none does, there is nothing to hold.
    runs = {host: {"rollout_look": {"seen": seen()["rollout_look"]["seen"]}} for host in "ab"}
    with pytest.raises(BeamError, match="1 of 2 healthy hosts would leave"):
        make({**DRAFT, "batch_sizes": [1], "strategy": "canary"}, {**nobody, **runs})
    make({**DRAFT, "batch_sizes": [4]}, nobody)


def test_a_fleet_that_grows_begins_with_those_that_do_not_serve_yet() -> None:
    grown = {
        **fleet(),
        "b": seen(None, "start", current=None),
        "c": seen(None, "start", current=None),
        "d": seen(None, "start", current=None),
    }
    plan = make({**DRAFT, "batch_sizes": [1, "50%"]}, grown)
    assert plan["members"] == [["b"], ["c", "d"], ["a"]] and plan["floor"] == 2
    with pytest.raises(BeamError, match="1 of 1 healthy hosts would leave"):
        make({**DRAFT, "batch_sizes": [1, "50%"], "strategy": "canary"}, grown)


def test_what_was_left_half_way_serves_again_before_others_leave() -> None:
    members = {host: {"before": "out" if host == "c" else "in", "healthy": host != "c"} for host in "abcd"}
    journal = {"id": "j", "version": "0.2.0", "hosts": {"c": {"step": "leaving", "from": "0.1.0", "out": True}}}
    plan = make(
        {**DRAFT, "balanced": {"members": members}, "interrupted": journal, "min_healthy": 3, "batch_sizes": [1]},
        fleet(),
    )
    assert plan["members"] == [["c"], ["a"], ["b"], ["d"]] and plan["floor"] == 3


def test_what_limit_leaves_out_counts_for_the_floor() -> None:
    everyone = list("abcdefgh")
    limited = {**DRAFT, "everyone": everyone, "min_healthy": 6, "batch_sizes": [1]}
    plan = make(limited, fleet())
    assert plan["floor"] == 6 and plan["order"] == list("abcd") and plan["fleet"] == everyone
    members = {host: {"before": "in", "healthy": True} for host in everyone}
    assert make({**limited, "balanced": {"members": members}}, fleet())["floor"] == 6
    # Two that are out of scope do not serve: six do, and one of them would leave.
    lame = {**members, "g": {"before": "out", "healthy": False}, "h": {"before": "in", "healthy": False}}
    with pytest.raises(BeamError, match="1 of 6 healthy hosts would leave, and 6 have to stay"):
        make({**limited, "balanced": {"members": lame}}, fleet())
    strange = {**members, "h": {"before": "unknown", "healthy": False}}
    assert make({**limited, "balanced": {"members": strange}}, fleet())["fleet"] == list("abcdefg")


@pytest.mark.parametrize(
    ("state", "step", "rotation", "expected"),
    [
        ("running", "joined", "draining", True),  # its controller is on the way back with it
        ("reverting", "returned", "out", True),
        ("finished", "joined", "out", False),  # nobody is at work: somebody took it out afterwards
        ("running", "planned", "out", False),  # it was not touched: somebody else took it out
        ("running", "joined", "in", False),
    ],
)
def test_a_controller_that_may_still_be_at_work_is_waited_for(
    state: str, step: str, rotation: str, expected: bool
) -> None:
    members = {host: {"before": "in", "healthy": True} for host in "abcd"}
    members["b"] = {"before": rotation, "healthy": rotation == "in"}
    journal = {"id": "j", "version": "0.2.0", "state": state, "hosts": {"b": {"step": step, "from": "0.1.0"}}}
    plan = make(
        {**DRAFT, "balanced": {"members": members}, "interrupted": journal, "min_healthy": 1},
        fleet(b=seen("0.2.0", "none", current="0.2.0")),
    )
    assert unsettled(plan) is expected


def test_a_floor_that_does_not_hold_may_be_its_work_too() -> None:
    assert unsettled({**DRAFT, "interrupted": {"id": "j", "state": "running", "hosts": {}}}, "capacity_floor")
    assert not unsettled({**DRAFT, "interrupted": {"id": "j", "state": "running", "hosts": {}}}, "batches_invalid")
    assert not unsettled(DRAFT, "capacity_floor")

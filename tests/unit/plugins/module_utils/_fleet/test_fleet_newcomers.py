# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who came while a rollout ran: whom it sees, how they are brought home, and how they count."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import newcomers

PLAN = {
    "version": "2",
    "strategy": "canary",
    "hosts": ["a", "b"],
    "order": ["b", "a"],
    "members": [["b"], ["a"]],
    "rows": [{"host": "b"}, {"host": "a"}],
    "moves": ["a", "b"],
    "leaves": ["a"],
    "everyone": ["a", "b", "z"],
    "candidate": {"version": "2"},
    "interrupted": {"id": "j"},
    "min_healthy": "50%",
    "homecoming": False,
    "judges": ["b", "a"],
    "arriving": ["i-1"],
}


@pytest.mark.parametrize(
    ("state", "late", "arrived"),
    [
        ("InService", False, True),
        ("Pending", True, False),
        ("Pending:Wait", True, False),
        ("Pending:Proceed", False, False),
        ("Standby", False, True),
    ],
)
def test_who_is_on_the_way_into_a_group(state: str, late: bool, arrived: bool) -> None:
    assert newcomers.is_on_its_way(state) is late
    assert newcomers.all_arrived(["InService", state]) is arrived


def test_who_came_meanwhile() -> None:
    assert newcomers.newcomers(["a"], ["a", "b", "c"], ["c"]) == ["b"]
    assert [newcomers.sweeps(*each) for each in itertools.product((False, True), repeat=2)] == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("strategy", "swept"),
    [("rolling", "rolling"), ("canary", "rolling"), ("all_at_once", "rolling"), ("blue_green", "blue_green")],
)
def test_newcomers_are_brought_home(strategy: str, swept: str) -> None:
    found = newcomers.sweep({**PLAN, "strategy": strategy}, ["n"])
    assert (found["hosts"], found["order"], found["strategy"], found["why"]) == (["n"], ["n"], swept, "swept")
    # Nothing is proposed for them, nor held against the release; and nobody waits for a floor that they are no part of.
    assert (found["homecoming"], found["candidate"], found["interrupted"], found["min_healthy"]) == (True, None, {}, 0)
    assert [found[key] for key in ("members", "rows", "moves", "leaves")] == [[], [], [], []]
    # Those of the plan are the ones who say how it went.
    assert (found["judges"], found["everyone"], found["arriving"]) == (PLAN["judges"], PLAN["everyone"], ["i-1"])


def test_newcomers_count_in_the_end() -> None:
    assert newcomers.counted(PLAN, None) == PLAN
    swept = {**PLAN, "order": ["n"], "members": [["n"]], "rows": [{"host": "n"}]}
    found = newcomers.counted(PLAN, swept)
    assert (found["order"], found["members"]) == (["b", "a", "n"], [["b"], ["a"], ["n"]])
    assert [row["host"] for row in found["rows"]] == found["order"] and found["born"] == ["n"]
    assert found["strategy"] == "canary" and newcomers.outside(found) == ["z"]
    # What could not be staged for them is told: their draft has no rows yet.
    assert newcomers.counted(PLAN, newcomers.sweep(PLAN, ["n"]))["order"] == ["b", "a", "n"]


def test_whom_a_limit_left_out() -> None:
    assert newcomers.outside(PLAN) == ["z"] and newcomers.outside({"order": ["a"]}) == []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.base import (
    DRAINING,
    IN,
    OUT,
    UNKNOWN,
    MemberState,
)
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.plan import (
    capacity,
    check_capacity,
    check_known,
    plan_drain,
    plan_join,
    rotation_of,
)
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import members_of, places_of
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._balancer.fake_balancer import Clock, FakePlace

STATES = {
    "+": MemberState(IN, True, 0),
    "-": MemberState(IN, False, 0),
    "d": MemberState(DRAINING, True, 2),
    "o": MemberState(OUT, True, 0),
    "?": MemberState(UNKNOWN, False),
}


def world(*rows: str, **options: t.Any) -> tuple[list[FakePlace], dict[str, dict[str, MemberState]]]:
    """Each row a place, each letter the state of the hosts a, b, c, ... there; a blank: not its member."""
    places = [FakePlace(Clock(), (), "place%d" % number, **options) for number, _row in enumerate(rows)]
    looks = {
        place.label: {chr(97 + i): STATES[c] for i, c in enumerate(row) if c != " "} for place, row in zip(places, rows)
    }
    return places, looks


@pytest.mark.parametrize(
    ("rows", "leaving", "floor", "before", "after", "refused"),
    [
        (["+++++"], "ab", 3, 5, 3, ""),
        (
            ["+++++"],
            "abc",
            3,
            5,
            2,
            "5 of the fleet are in and healthy now, 2 would be without a, b, c, and min_healthy is 3",
        ),
        (["+++"], "a", None, 3, 2, ""),
        (["+"], "a", 0, 1, 0, ""),
        (["+"], "a", None, 1, 0, ""),
        (["+"], "a", 1, 1, 0, "1 of the fleet are in and healthy now, 0 would be"),
        # Others that are not in, or not healthy, carry nothing.
        (["+-+"], "a", 2, 2, 1, "2 of the fleet"),
        (["+o+"], "a", 2, 2, 1, "2 of the fleet"),
        (["+d+"], "a", 2, 2, 1, "2 of the fleet"),
        # Who serves nobody takes nothing away, below the floor as well.
        (["-++"], "a", 3, 2, 2, ""),
        (["o++"], "a", 3, 2, 2, ""),
        (["-+"], "ab", 1, 1, 0, "1 of the fleet"),
        (["---"], "a", 1, 0, 0, ""),
        # In two balancers: half in is not in.
        (["+++", "++o"], "a", 2, 2, 1, "2 of the fleet"),
        (["+++", "+++"], "a", 2, 3, 2, ""),
        # The fleet's floor holds, but the last one of a place would go.
        (["++  ", "  ++"], "ab", 1, 4, 2, "nobody else is in and healthy in place0 (2 members, 2 in, 2 healthy)"),
        (["++++", "+-  "], "a", 1, 3, 2, "nobody else is in and healthy in place1"),
    ],
)
def test_capacity(rows: list[str], leaving: str, floor: t.Optional[int], before: int, after: int, refused: str) -> None:
    places, looks = world(*rows)
    seen = capacity(places, looks, set(leaving), None, floor)
    assert (seen.before, seen.after) == (before, after)
    assert seen.refusal.startswith(refused) and bool(seen.refusal) == bool(refused)


@pytest.mark.parametrize(
    ("row", "floor", "refused"),
    [("---", 1, True), ("---", 0, False), ("--+", 1, False), ("o--", 1, False), ("---", None, False)],
)
def test_a_place_that_fails_open_sends_to_the_unhealthy_too(row: str, floor: t.Optional[int], refused: bool) -> None:
    places, looks = world(row, fails_open=True)
    seen = capacity(places, looks, {"a"}, None, floor)
    assert ("sends requests to all of them" in seen.refusal) == refused == bool(seen.refusal)


def test_fleet_is_counted_as_told() -> None:
    places, looks = world("+++++")
    assert capacity(places, looks, {"a"}, {"a", "b"}, 1).refusal == ""
    refused = capacity(places, looks, {"a"}, {"a", "b"}, 2)
    assert (refused.before, refused.after, refused.fleet) == (2, 1, 2) and refused.refusal
    # A host of the fleet that no balancer knows carries nothing.
    assert capacity(places, looks, {"a"}, {"a", "b", "ghost"}, 2).before == 2


def test_refusal_is_an_error_with_the_numbers() -> None:
    places, looks = world("++")
    with pytest.raises(BeamError) as caught:
        check_capacity(plan_drain(places, looks, {"a"}, None, 2))
    assert caught.value.code == "capacity_floor" and caught.value.details["healthy"] == {
        "before": 2,
        "after": 1,
        "floor": 2,
        "fleet": 2,
    }
    assert caught.value.details["changed"] is False


def test_floor_without_a_view_of_the_others_is_refused() -> None:
    places, looks = world("+")
    places[0].sees_all = False
    with pytest.raises(BeamError) as caught:
        plan_drain(places, looks, {"a"}, None, 1)
    assert caught.value.code == "capacity_unseen"
    assert plan_drain(places, looks, {"a"}, None, 0).changed


def test_plans_touch_what_is_not_yet_so() -> None:
    places, looks = world("+od", "+++")
    assert plan_drain(places, looks, {"a", "b"}).steps == (("place0", "a"), ("place1", "a"), ("place1", "b"))
    assert plan_join(places, looks, {"a", "b", "c"}).steps == (("place0", "b"), ("place0", "c"))
    assert not plan_join(places, looks, {"a"}).changed
    only = plan_join(places, looks, {"b", "c"}, None, {"b": ["place1"]})
    assert only.steps == (("place0", "c"),) and ("place0", "b") not in only.pairs
    assert plan_drain(places, looks, {"b"}).diff()["after"] == "b in place0: out\nb in place1: out\n"


def test_unknown_is_refused_in_any_place_and_never_drained() -> None:
    places, looks = world("+?", "++")
    for joining in (False, True):
        with pytest.raises(BeamError) as caught:
            check_known(places, looks, {"a", "b"}, joining)
        assert caught.value.code == "member_unknown" and list(caught.value.details["members"]) == ["b"]
    places[0].adds = True
    check_known(places, looks, {"a", "b"}, True)
    with pytest.raises(BeamError):
        check_known(places, looks, {"a", "b"}, False)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [("++", IN), ("oo", OUT), ("+o", "partly"), ("+d", "partly"), ("do", DRAINING), ("+?", UNKNOWN), ("", UNKNOWN)],
)
def test_rotation_over_places(letters: str, expected: str) -> None:
    assert rotation_of([STATES[letter] for letter in letters]) == expected


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("web1", "neither a list"),
        ({"a": {"sever": "x"}}, "members.a.sever"),
        ({"a": {"port": "http"}}, "a in members"),
        ({"a": {"places": "x"}}, "a in members"),
    ],
)
def test_wrong_members(given: t.Any, wrong: str) -> None:
    with pytest.raises(BeamError) as caught:
        members_of(given, "members")
    assert caught.value.code == "balancer_option" and wrong in caught.value.message


def test_members_of_templates_are_text() -> None:
    assert members_of({"a": {"port": "4000", "left": "True", "target": None}, "b": None}, "members") == {
        "a": {"port": 4000, "left": True},
        "b": {},
    }


@pytest.mark.parametrize(
    ("balancer", "members", "wrong"),
    [
        (
            {"kind": "haproxy", "address": "9999", "backends": ["app"]},
            {"a": {}},
            "neither the path of a socket nor HOST:PORT",
        ),
        ({"kind": "haproxy", "address": "/s", "backends": ["app; shutdown"]}, {"a": {}}, "letters, digits"),
        ({"kind": "haproxy", "address": "/s", "backends": ["app"]}, {"a b": {}}, "letters, digits"),
        ({"kind": "haproxy", "address": "/s", "backends": ["app", "app"]}, {"a": {}}, "given twice"),
        ({"kind": "alb", "target_groups": ["arn"], "region": "eu-west-1"}, {"web1": {}}, "Give its entry a target"),
        ({"kind": "file", "path": "ready"}, {"a": {}}, "absolute"),
        ({"kind": "file", "path": "/ready", "url": "localhost/ready"}, {"a": {}}, "http://"),
        ({"kind": "file", "path": "/ready"}, {"a": {}, "b": {}}, "only member"),
    ],
)
def test_wrong_balancers(balancer: dict[str, t.Any], members: dict[str, t.Any], wrong: str) -> None:
    with pytest.raises(BeamError) as caught:
        places_of([balancer], members, {})
    assert caught.value.code == "balancer_option" and wrong in caught.value.message

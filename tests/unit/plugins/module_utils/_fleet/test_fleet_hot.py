# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes are upgraded without a restart, and what is said of the others before anything moves."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.hot import asks, told
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Draft
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.planning import make
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.sight import Sight

CLEAN = {"action": "hot", "modules": {"changed": ["A", "B"], "added": ["C"]}, "processes": [{"count": 7}]}
NIFS = {"action": "blocked", "blockers": [{"code": "native_code", "why": "it has NIFs"}, {"why": "and more"}]}
SIZE = "modules: 3, processes: 7"
LATER = "what speaks against it is known once the release is staged"


def sight(hot: t.Mapping[str, t.Any], action: str = "restart", reason: str = "it runs another one") -> Sight:
    seen = {"running": action != "start", "version": "1", "restart": {"action": action, "reason": reason}}
    return Sight(staged={"current": "1", "previous": None}, seen=seen, hot=hot)


def draft(**more: t.Any) -> Draft:
    given = {"strategy": "auto", "hosts": ("a", "b"), "everyone": ("a", "b"), **more}
    return Draft("shop", "production", "2", "d" * 64, **given)


@pytest.mark.parametrize(
    ("seen", "action", "reason"),
    [
        (sight(CLEAN), "upgrade", SIZE),
        (sight(NIFS), "restart", "it has NIFs; and more"),
        # It runs this code: only a restart does what else there is to do.
        (sight({"action": "none"}, reason="its configuration changed"), "restart", "its configuration changed"),
        (sight({}), "upgrade", LATER),  # a rehearsal, in which nothing is staged
        (sight({}, "start", "it does not run"), "start", "it does not run"),
        (sight({}, "none", "it runs already"), "none", "it runs already"),
    ],
)
def test_what_becomes_of_a_node(seen: Sight, action: str, reason: str) -> None:
    made = make(draft(), {"a": seen, "b": sight(CLEAN)})
    assert (made.plan.row("a").action, made.found[0].reason) == (action, reason)
    assert made.plan.stays("a") is (action == "upgrade")
    # Other strategies, and what is done to have new processes, know nothing of it.
    for other in ({"strategy": "rolling"}, {"kind": "restart"}):
        assert not make(draft(**other), {"a": seen, "b": seen}).plan.stays("a")


def test_where_nothing_may_be_restarted_a_blocker_is_refused() -> None:
    with pytest.raises(BeamError) as caught:
        make(draft(strategy="hot"), {"a": sight(CLEAN), "b": sight(NIFS)})
    assert caught.value.code == "hot_blocked" and "1 of 2 hosts" in caught.value.what
    assert caught.value.why == "b: it has NIFs; and more" and "auto" in caught.value.hint
    made = make(draft(strategy="hot"), {"a": sight(CLEAN), "b": sight({}, "start", "it does not run")})
    assert [row.action for row in made.plan.rows] == ["start", "upgrade"]  # who does not serve is first


def test_who_stays_in_service_counts_for_no_floor() -> None:
    seen = {"a": sight(CLEAN), "b": sight(CLEAN)}
    given = {"batch_sizes": ["100%"], "min_healthy": 1}
    assert [len(batch) for batch in make(draft(**given), seen).plan.batches] == [2]
    with pytest.raises(BeamError, match="can't move"):
        make(draft(**given), {"a": sight(NIFS), "b": sight(NIFS)})


@pytest.mark.parametrize(
    ("plan", "look", "step", "check", "asked"),
    [
        ({}, {}, "stage", False, True),
        ({}, {}, "stage", True, True),  # it was staged before
        ({}, {"staged": {"changed": True}}, "stage", True, False),
        ({}, {"staged": {"changed": True}}, "stage", False, True),
        ({}, {}, "foresee", False, False),
        ({"strategy": "rolling"}, {}, "stage", False, False),
        ({"kind": "restart"}, {}, "stage", False, False),
        ({}, {"seen": {"running": False, "restart": {"action": "start"}}}, "stage", False, False),
        ({}, {"seen": {"running": True, "restart": {"action": "none"}}}, "stage", False, False),
    ],
)
def test_who_is_asked(plan: dict[str, t.Any], look: dict[str, t.Any], step: str, check: bool, asked: bool) -> None:
    seen = {"seen": {"running": True, "restart": {"action": "restart"}}, "staged": {"changed": False}, **look}
    assert asks({"strategy": "hot", **plan}, seen, step, check) is asked


def test_what_can_not_be_asked_speaks_against_it() -> None:
    assert told({"failed": True}, "it is down") == {
        "action": "blocked",
        "blockers": [{"code": "unknown", "why": "it is down"}],
    }
    assert told({**CLEAN, "seconds": {}}, "") == CLEAN

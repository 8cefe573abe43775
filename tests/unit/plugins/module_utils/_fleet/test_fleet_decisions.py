# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout decides about the whole of it, with each of its inputs."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import decisions
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Plan, parse_plan

TRUTH = (False, True)
NAMED, BACK, BEGUN = {"serial": 4}, {"serial": 3}, {"serial": 2}


def plan(**more: t.Any) -> Plan:
    return parse_plan({"name": "a", "channel": "p", "version": "1", "digest": "d", **more})


@pytest.mark.parametrize(
    ("check", "channels", "serial"),
    [
        (False, (NAMED, BACK, BEGUN), 4),
        (False, (None, BACK, BEGUN), 3),
        (False, (None, None, BEGUN), 2),
        (False, (None, {}, None), None),
        (True, (NAMED, BACK, BEGUN), None),
    ],
)
def test_the_serial_that_a_promotion_expects(check: bool, channels: tuple[t.Any, ...], serial: int | None) -> None:
    assert decisions.promotion_serial(check, *channels) == serial


@pytest.mark.parametrize("because", ["success", "homecoming", "idle", "fenced", "promoted"])
@pytest.mark.parametrize(("blame", "named"), list(itertools.product(TRUTH, repeat=2)))
def test_a_candidate_that_is_left_alone(because: str, blame: bool, named: bool) -> None:
    homecoming, idle, fenced, promoted, success = (
        because == each for each in ("homecoming", "idle", "fenced", "promoted", "success")
    )
    found = decisions.candidate_fate(
        plan(homecoming=homecoming, idle=idle), success, blame, fenced=fenced, promoted=promoted, named=named
    )
    assert found == decisions.STAY


@pytest.mark.parametrize(
    ("blame", "named", "fate"),
    [
        (True, True, decisions.GHOST),
        (True, False, decisions.GHOST),
        (False, True, decisions.WITHDRAW),
        (False, False, decisions.STAY),
    ],
)
def test_the_fate_of_a_candidate(blame: bool, named: bool, fate: str) -> None:
    assert decisions.candidate_fate(plan(), False, blame, fenced=False, promoted=False, named=named) == fate


RUNNING = {"id": "j", "state": "running", "hosts": {"a": 1}}


@pytest.mark.parametrize(
    ("stable", "journal", "holds"),
    [
        ("a", {**RUNNING, "fence": 9, "at": "now"}, True),
        ("b", RUNNING, False),
        ("", RUNNING, False),
        ("a", None, False),
        ("a", {**RUNNING, "state": "finished"}, False),
        ("a", {**RUNNING, "hosts": {"a": 2}}, False),
    ],
)
def test_whether_the_plan_still_holds_under_the_lock(stable: str, journal: t.Any, holds: bool) -> None:
    assert decisions.plan_holds("a", RUNNING, stable, journal) is holds


@pytest.mark.parametrize(
    ("expression", "kind", "homecoming"),
    list(itertools.product(("", "A.b()"), ("rollout", "restart", "rollback"), TRUTH)),
)
def test_whether_it_migrates(expression: str, kind: str, homecoming: bool) -> None:
    wanted = (expression, kind, homecoming) == ("A.b()", "rollout", False)
    assert decisions.migrates(plan(kind=kind, homecoming=homecoming), expression) is wanted


@pytest.mark.parametrize(("host", "node"), [("a", "green"), ("b", "current"), ("c", "current")])
def test_with_which_node_a_host_migrates(host: str, node: str) -> None:
    assert decisions.migration_node(plan(sides={"a": {"live": "blue", "to": "green"}, "b": {}}), host) == node

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.plugin_utils._rollout import summarize
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

PLAN = {"name": "beacon", "channel": "production", "version": "0.2.0", "digest": "d" * 64, "hosts": ["a", "b"], "batches": [1]}


def host(state: str, before: str = "0.1.0", after: str | None = "0.2.0", error: str = "", **more: object) -> dict:
    return {
        "rollout_outcome": {"state": state, "from": before, "to": "0.2.0", "error": error},
        "rollout_restarted": {"changed": True, "before": {"version": before}, "after": {"version": after}, "seconds": {"stop": 1.0, "boot": 1.5}},
        **more,
    }


def test_success_needs_every_host_on_the_version() -> None:
    summary = summarize({"a": host("moved"), "b": host("moved")}, PLAN)
    assert summary["succeeded"] and summary["verdict"] == "beacon 0.2.0 on the channel production runs on 2 of 2 hosts."


@pytest.mark.parametrize(
    ("b", "outcome"),
    [
        ({}, "lost"),
        (host("unreachable"), "unreachable"),
        (host("skipped"), "skipped"),
        (host("failed", error="boom"), "failed"),
        # It says that it moved, but what it says runs is something else.
        (host("moved", after="0.1.0") | {"rollout_restarted": {"changed": False, "after": {"version": "0.1.0"}}}, "unproven"),
        (host("moved", after=None), "would move"),
    ],
)
def test_one_host_that_is_not_proven_is_a_failure(b: dict, outcome: str) -> None:
    summary = summarize({"a": host("moved"), "b": b}, PLAN)
    assert not summary["succeeded"]
    assert summary["rows"][1]["outcome"] == outcome
    assert "was not rolled out" in summary["verdict"]


def test_check_mode_may_say_would() -> None:
    summary = summarize({"a": host("moved", after=None), "b": host("moved", after=None)}, PLAN, check_mode=True)
    assert summary["succeeded"] and "would run on 2 of 2" in summary["verdict"]


def test_no_hosts_is_no_success() -> None:
    summary = summarize({}, {**PLAN, "hosts": []})
    assert not summary["succeeded"] and "no host" in summary["verdict"]


def test_what_went_back_is_told() -> None:
    returned = host("returned", error="never healthy", rollout_returned={"after": {"version": "0.1.0"}}, rollout_blame=True)
    summary = summarize({"a": returned, "b": host("skipped")}, PLAN)
    assert summary["blame"] and summary["reason"] == "a: never healthy"
    assert summary["verdict"].endswith("Now running: 0.1.0 on 2 hosts.")


def test_table_leaves_empty_columns_out() -> None:
    rows = [{"host": "a", "now": "0.2.0", "boot": 1.234, "error": ""}, {"host": "bb", "now": None, "boot": 2, "error": ""}]
    assert render(rows, ["host", "now", "boot", "error"]) == ["host  now    boot", "a     0.2.0  1.23", "bb    -      2"]


RUNNING = {"running": True, "version": "0.2.0", "started": "2026-01-01T00:00:00Z", "current": {"version": "0.2.0"}, "answers": True, "booted": True}
CHANNEL = {"stable": {"version": "0.2.0"}}


@pytest.mark.parametrize(
    ("info", "health", "note"),
    [
        (RUNNING, "up", ""),
        ({**RUNNING, "booted": False}, "booting", ""),
        ({**RUNNING, "answers": False, "problem": "hung"}, "silent", "hung"),
        ({**RUNNING, "health": {"passed": True, "reason": ""}}, "healthy", ""),
        ({**RUNNING, "health": {"passed": False, "reason": "answers 503"}}, "unhealthy", "answers 503"),
        ({**RUNNING, "version": "0.1.0", "drift": True}, "up", "runs another version than current; not what the channel says"),
        ({**RUNNING, "running": False}, "down", "not running"),
        ({"unreachable": True, "msg": "no route"}, "unreachable", "no route"),
        ({"failed": True, "msg": "denied"}, "unknown", "denied"),
        ({}, "unknown", "the host said nothing"),
    ],
)
def test_status_of_a_host(info: dict, health: str, note: str) -> None:
    head, line = fleet_status({"a": {"rollout_info": info}}, ["a"], CHANNEL)
    assert health in line.split() and line.endswith(note)
    assert head.startswith("host")

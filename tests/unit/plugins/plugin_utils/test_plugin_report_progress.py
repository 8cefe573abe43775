# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown while a rollout works and at its end, and the files that its report is kept in."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_files import render_files, stem
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_progress import (
    Progress,
    find_report,
    names,
    summary,
)

PLAN = {"members": [["h1"], ["h2", "h3"]], "leaves": ["h1", "h3"], "moves": ["h1", "h2"]}


def test_a_step_of_a_batch_is_said_once() -> None:
    progress = Progress(PLAN)
    assert progress.begins("h1", "activate") == "batch 1 of 2: h1 | activating"
    assert progress.begins("h1", "activate") is None
    progress.begins("h2", "activate")
    assert progress.begins("h2", "return") is None  # nothing failed
    progress.failed("h3", "activate", {})
    assert progress.begins("h2", "return") == "batch 2 of 2: h2 h3 | going back"
    assert progress.begins("h3", "return") is None


def test_only_those_are_named_that_a_step_is_for() -> None:
    progress = Progress(PLAN)
    assert progress.begins("h2", "join") == "batch 2 of 2: h3 | joining the balancer"
    assert progress.begins("h2", "drain") is None  # h2 leaves no balancer, and h3 does not move
    assert Progress({**PLAN, "ready": True}).begins("h2", "drain") == "batch 2 of 2: h2 | draining"
    assert progress.begins("h3", "restart") == "batch 2 of 2: h2 | restarting, and waiting until it is healthy"
    assert Progress({**PLAN, "leaves": []}).begins("h1", "drain") is None


def test_who_is_upgraded_without_a_restart_is_named_for_nothing_else() -> None:
    plan = {"members": [["h1", "h2"]], "leaves": ["h1", "h2"], "moves": ["h1", "h2"]}
    progress = Progress({**plan, "rows": [{"host": "h1", "action": "upgrade"}, {"host": "h2", "action": "restart"}]})
    said = [progress.begins("h1", step) for step in ("drain", "restart", "upgrade", "join")]
    assert [line and line.split(" | ")[0][-2:] for line in said] == ["h2", "h2", "h1", "h2"]


def test_after_a_failure_only_the_way_back_is_said() -> None:
    progress = Progress(PLAN)
    progress.begins("h1", "drain")
    progress.halted = True
    assert progress.begins("h2", "activate") is None
    assert progress.begins("h2", "return") is None  # it never left
    assert progress.begins("h1", "return") == "batch 1 of 2: h1 | going back"


def test_steps_of_the_whole_rollout_are_of_no_batch() -> None:
    progress = Progress(PLAN)
    assert progress.begins("h1", "stage") == "rollout | staging the release"
    assert progress.begins("h3", "stage") is None
    assert not progress.moving


def test_a_rehearsal_says_that_it_is_one_and_moves_nothing() -> None:
    progress = Progress(PLAN)
    assert progress.begins("h1", "activate", rehearsal=True) == "rehearsal, batch 1 of 2: h1 | activating"
    assert not progress.moving


def test_a_step_that_nobody_waits_for_is_not_said() -> None:
    assert Progress(PLAN).begins("h1", "begin") is None


def test_without_a_plan_there_is_no_batch_to_name() -> None:
    assert Progress().begins("h1", "drain") == "rollout | draining"
    assert Progress({"idle": True}).begins("h1", "stage") is None


def test_a_plan_that_only_grows_is_the_same_rollout_and_a_draft_another() -> None:
    progress = Progress(PLAN)
    progress.begins("h1", "activate")
    grown = progress.follow({**PLAN, "opened": True})
    assert grown.begins("h1", "activate") is None
    progress.halted = True
    assert not progress.follow({"order": ["h1"]}).halted


def test_failure_names_the_host_or_the_whole_batch_and_the_reason() -> None:
    progress = Progress(PLAN)
    result = {
        "msg": "long",
        "error": {"what": "h3 was not drained", "why": "\x1b[1mthe socket is gone\x1b[0m", "hint": "x"},
    }
    assert (
        progress.failed("h3", "drain", result)
        == "batch 2 of 2: h3 | failed while draining: h3 was not drained: the socket is gone"
    )
    assert (
        progress.failed("h2", "drain", {}, whole_batch=True)
        == "batch 2 of 2: h2 h3 | failed while draining: failed without a message"
    )


@pytest.mark.parametrize(("hosts", "said"), [(7, "h0 h1 h2 h3 h4 h5 h6"), (8, "h0 h1 h2 h3 h4 h5 and 2 more"), (0, "")])
def test_many_names_are_cut(hosts: int, said: str) -> None:
    assert names(["h%d" % number for number in range(hosts)]) == said


KEPT = {"rollout_report": {"rows": []}}


@pytest.mark.parametrize("where", [KEPT, {"ansible_facts": {"rollout_result": {"rows": []}}}, {"results": [{}, KEPT]}])
def test_report_is_found(where: dict[str, t.Any]) -> None:
    assert find_report(where) == {"rows": []}


@pytest.mark.parametrize(
    "where",
    [
        None,
        {},
        {"rollout_report": "report.json"},
        {"rollout_report": {"path": "x"}},
        {"censored": "no_log"},
        {"results": "x"},
    ],
)
def test_what_is_no_report_is_not_taken_for_one(where: t.Any) -> None:
    assert find_report(where) is None


def test_summary_is_a_table_and_the_verdict(rollout_reports: t.Any) -> None:
    lines = summary(rollout_reports.make(fails="h3"))
    assert lines[0].split() == [
        "batch",
        "host",
        "outcome",
        "before",
        "now",
        "fetched",
        "drain",
        "stop",
        "boot",
        "gate",
        "join",
        "return",
        "outage",
        "error",
    ]
    assert len(lines) == 8 and lines[3].split()[:5] == ["2", "h3", "returned", "0.1.0", "0.1.0"]
    assert lines[-2] == "h9 is not in scope; runs 0.0.9." and lines[-1].startswith(
        "beacon 0.2.1 on the channel production was not rolled out."
    )
    assert summary({}) == ["The rollout gave no verdict."]


def test_files_are_the_page_and_the_report_itself(rollout_reports: t.Any) -> None:
    report = rollout_reports.make()
    files = render_files(report)
    assert set(files) == {".json", ".html"} and json.loads(files[".json"]) == report
    assert json.loads(render_files({"rows": [], "seconds": float("nan"), "x": {"\ud800"}})[".json"]) == {
        "rows": [],
        "seconds": None,
        "x": ["?"],
    }


@pytest.mark.parametrize(
    ("report", "name"),
    [
        (
            {"name": "beacon", "channel": "production", "id": "20261122T170505Z-5f0c9a1e"},
            "beacon-production-20261122T170505Z-5f0c9a1e",
        ),
        ({"name": "../../etc/x", "channel": "a b", "id": "\n/.."}, "etc_x-a_b-_.."),
        (
            {"name": "b", "begun": "2026-11-22T17:05:05Z", "rows": [{"outcome": "would move"}]},
            "b-20261122T170505Z-check",
        ),
        ({}, "rollout-report"),
    ],
)
def test_name_of_the_files(report: dict[str, t.Any], name: str) -> None:
    assert stem(report) == name

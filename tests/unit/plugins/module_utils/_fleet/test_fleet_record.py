# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One list of step results per host, and what is read from it. tests/unit/plugins/plugin_utils tries the same from the registers of the role."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import (
    BACK_ENDS,
    BACK_PROVES,
    BACKWARD,
    FORWARD,
    HostRecord,
    StepResult,
    batch_state,
)

RAN = StepResult("restart", facts={"after": {"version": "2", "pid": 9}}, seconds=1.5)
AGAIN = StepResult("back_restart", facts={"after": {"version": "1"}})
HOME = (
    StepResult("activate", seconds=0.5),
    StepResult("restart", False, "unhealthy", "it is sick"),
    StepResult("back_point"),
    AGAIN,
)


def of(*results: StepResult) -> HostRecord:
    return HostRecord(results)


def test_a_host_that_says_nothing_was_skipped() -> None:
    assert (of().outcome, of().reason, of().touched, of().blames, of().fenced) == ("skipped", "", False, False, False)
    assert (
        of(StepResult("activate"), RAN).outcome == "moved"
        and of(StepResult("activate", seconds=0.25), RAN).seconds == 1.75
    )


@pytest.mark.parametrize("step", FORWARD)
def test_no_step_of_the_way_forward_fails_in_silence(step: str) -> None:
    record = of(StepResult("activate"), RAN).with_result(StepResult(step, False, "disk_full", "no room", "make room"))
    assert (record.outcome, record.reason, record.way_out, record.blames) == ("failed", "no room", "make room", False)


@pytest.mark.parametrize("step", BACKWARD)
def test_no_step_of_the_way_back_fails_in_silence(step: str) -> None:
    record = of(*HOME).with_result(StepResult(step, False, "lock_lost", "somebody else's"))
    assert (
        record.outcome not in ("returned", "moved")
        and record.reason == "it is sick and then, on the way back: somebody else's"
    )
    assert record.fenced and record.blames


@pytest.mark.parametrize("step", [*BACK_PROVES, *BACK_ENDS])
def test_what_serves_again_joins_although_the_end_of_its_way_failed(step: str) -> None:
    record = of(*HOME).with_result(StepResult(step, False, "x", "y"))
    assert record.serves_again is (step in BACK_ENDS) and batch_state({"a": record}, ["a"]).healed == (
        ("a",) if step in BACK_ENDS else ()
    )


def test_a_record_as_it_was_before_a_step() -> None:
    record = of(*HOME)
    assert [one.step for one in record.before("back_restart").results] == ["activate", "restart", "back_point"]
    assert record.before("restart").outcome == "skipped" and record.before("note_returning").outcome == "failed"


def test_the_newest_result_of_a_step_is_the_one() -> None:
    assert of(StepResult("join", False)).with_result(StepResult("join"))["join"].ok


def test_a_batch_is_read_from_its_records() -> None:
    state = batch_state({"a": of(StepResult("activate"), RAN, StepResult("join")), "b": of(*HOME)}, ["a", "b", "c"])
    assert dict(state.states) == {"a": "moved", "b": "returned", "c": "skipped"}
    assert (state.moved, state.unsettled, state.serving, state.healed, state.failed) == (
        ("a",),
        ("a",),
        ("a",),
        ("b",),
        False,
    )


def test_what_was_taken_out_and_not_put_back() -> None:
    out = {"members": {"a-green": {"before": "out"}, "a": {"before": "in"}}}
    clear, leave = StepResult("clear", facts=out), StepResult("leave", facts={"members": {"a-blue": {"before": "in"}}})
    back = StepResult("back_leave", facts={"members": {"a-green": {}}})
    assert batch_state({"a": of(clear)}, ["a"]).taken == ("a",)
    assert batch_state({"a": of(clear, leave, back)}, ["a"]).taken == ("a", "a-blue", "a-green")
    joined = StepResult("join", facts={"members": {"a-blue": {}}})
    assert batch_state({"a": of(leave, joined)}, ["a"]).taken == ()
    assert batch_state({"a": of(leave, StepResult("join", False, facts=joined.facts))}, ["a"]).taken == ("a-blue",)


def test_who_could_not_be_asked_again_is_told() -> None:
    record = of(StepResult("activate"), RAN, StepResult("confirm", False, text="no route", lost=True))
    assert (record.outcome, record.blames, record.reason) == (
        "unreachable",
        False,
        "it was healthy, and could not be asked again: no route",
    )


def test_what_a_balancer_said_once_for_a_batch_is_read_once() -> None:
    class Members(dict):  # type: ignore[type-arg]
        reads = 0

        def __iter__(self) -> t.Iterator[str]:
            Members.reads += 1
            return super().__iter__()

    hosts = ["h%d" % number for number in range(20)]
    left = StepResult("leave", facts={"members": Members.fromkeys(hosts, {"before": "in"})})
    joined = StepResult("join", facts={"members": {"h1": {}}})
    records = {host: of(left, joined) for host in hosts[:-1]}
    records["h19"] = of(left)  # did not hear of the join
    assert sorted(batch_state(records, hosts).taken) == sorted(hosts)
    assert sorted(batch_state(records, hosts[:-1]).taken) == sorted(set(hosts) - {"h1"})
    assert Members.reads <= 4, Members.reads

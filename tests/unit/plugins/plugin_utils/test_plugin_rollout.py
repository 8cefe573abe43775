# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import BLAMING, ORDER
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import ENDINGS
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import looked
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.told import (
    batch,
    judge,
    record,
    steps,
    summarize,
)

PLAN: dict[str, t.Any] = {
    "name": "beacon",
    "channel": "production",
    "version": "0.2.0",
    "digest": "d" * 64,
    "hosts": ["a", "b"],
    "order": ["a", "b"],
    "members": [["a"], ["b"]],
    "rows": [{"host": "a", "from": "0.1.0"}, {"host": "b", "from": "0.1.0"}],
    "leaves": ["a"],
    "idle": False,
}


def ok(version: str | None = "0.2.0", changed: bool = True) -> dict[str, t.Any]:
    after = version and {"version": version}
    return {
        "changed": changed,
        "before": {"version": "0.1.0"},
        "after": after,
        "seconds": {"stop": 1.0, "boot": 1.5, "total": 3},
        "began": 5.0,
    }


def bad(code: str = "unhealthy", **more: t.Any) -> dict[str, t.Any]:
    return {
        "failed": True,
        "msg": "x",
        "error": {"code": code, "what": "beacon 0.2.0 does not become healthy", "why": "answers 503"},
        **more,
    }


def host(**registers: t.Any) -> dict[str, t.Any]:
    seen = {"running": True, "version": "0.1.0", "pid": 7}
    if "pointed" in registers:  # is a part of what the call that returns says
        registers["returned"] = {**registers.get("returned", {}), "pointed": registers.pop("pointed")}
    look = {"seen": seen, **{part: registers.pop(part) for part in ("staged",) if part in registers}}
    return {
        "rollout_look": look,
        **{name if name in ORDER else "rollout_" + name: value for name, value in registers.items()},
    }


MOVED = host(activate={"changed": True}, restart=ok())
LOST = {"unreachable": True, "msg": "no route"}


# It failed, and the version before serves again.
HOME = {"activate": {"changed": True}, "restart": bad(), "back_point": {"changed": True}, "back_restart": ok("0.1.0")}
FULL = {
    "failed": True,
    "msg": "x",
    "error": {"code": "disk_full", "what": "current was not switched", "why": "the disk is full", "next": "Make room"},
}


def test_success_needs_every_host_on_the_version() -> None:
    summary = summarize({"a": MOVED, "b": MOVED}, PLAN)
    assert summary["succeeded"] and summary["verdict"] == "beacon 0.2.0 on the channel production runs on 2 of 2 hosts."
    assert not summarize({"a": MOVED, "b": MOVED}, PLAN, refused={"failed": True, "msg": "the channel moved"})[
        "succeeded"
    ]


@pytest.mark.parametrize(
    ("b", "outcome"),
    [
        ({}, "lost"),
        (host(), "skipped"),
        (host(activate=LOST), "unreachable"),
        (host(activate={"changed": True}, restart=LOST), "unreachable"),
        (host(activate=bad("abi_mismatch")), "failed"),
        (host(activate={"changed": True}, restart=bad()), "failed"),
        (host(activate={"changed": True}, restart=ok(), join=bad("not_joined")), "failed"),
        (host(activate={"changed": True}, restart=ok(), hook="Run the hook join: no"), "failed"),
        (host(leave=bad("capacity_floor")), "failed"),
        # The last look at all of them, before anything is promoted.
        (
            host(
                activate={},
                restart={**ok(), "after": {"version": "0.2.0", "pid": 9}},
                confirm={"running": True, "pid": 10},
            ),
            "failed",
        ),
        (host(activate={}, restart=ok(), confirm={"running": False}), "failed"),
        (
            host(
                activate={},
                restart=ok(),
                confirm={"running": True, "health": {"passed": False, "reason": "answers 503"}},
            ),
            "failed",
        ),
        (host(activate={}, restart=ok(), confirm=LOST), "unreachable"),
        # It says that it moved, but what it says runs is something else.
        (host(activate={}, restart=ok("0.1.0", changed=False)), "unproven"),
        (host(activate={}, restart=ok(None)), "would move"),
        (
            host(activate={"changed": True}, restart=bad(), back_point={"changed": True}, back_restart=ok("0.1.0")),
            "returned",
        ),
        (host(activate={"changed": True}, restart=bad(), back_point={"changed": True}, back_restart=bad()), "stranded"),
        (host(activate={"changed": True}, restart=bad(), back_restart=LOST), "unreachable"),
        (
            host(
                activate={"changed": True},
                restart=ok(),
                note_returning={"changed": True},
                back_leave=bad("capacity_floor"),
            ),
            "kept",
        ),
        (
            host(
                activate={"changed": True},
                restart=bad(),
                back_point={"changed": True},
                back_restart=ok("0.1.0"),
                back_join=bad("not_joined"),
            ),
            "stranded",
        ),
        # What runs is the version before, but the next boot would start the one that failed.
        (host(**HOME, back_switch=FULL), "stranded"),
        (host(**HOME, back_switch={"changed": True}, back_enable=bad("")), "stranded"),
        (
            host(**HOME, back_disable={"failed": True, "msg": "One or more items failed", "results": [bad("")]}),
            "stranded",
        ),
        (
            host(**HOME, back_stop={"failed": True, "msg": "One or more items failed", "results": [bad("")]}),
            "stranded",
        ),
        (host(**{**HOME, "back_restart": ok(None)}, back_remove=FULL), "stranded"),
        (host(**{**HOME, "back_restart": ok(None)}, back_remove={}, back_unlist=bad("")), "stranded"),
        (host(**HOME, back_switch=LOST), "unreachable"),
        (host(**HOME, back_hook="Run the hook join: no"), "stranded"),
        # Nothing was taken back. Whether the new version serves is what the way forward says.
        (
            host(
                activate={},
                restart=ok(),
                leave={"changed": True},
                join={"changed": True},
                note_returning=bad("lock_lost"),
            ),
            "kept",
        ),
        (
            host(
                activate={},
                restart=ok(),
                join={"changed": True},
                bake=bad("canary_worse"),
                back_leave=bad("capacity_floor"),
            ),
            "kept",
        ),
        (host(activate={}, restart=ok(), back_hook="Run the hook before_return: no"), "kept"),
        (host(activate={}, restart=ok(), leave={"changed": True}, note_returning=bad("lock_lost")), "failed"),
        (host(activate={}, restart=bad(), clear={"changed": True}, back_clear=bad("balancer_denied")), "failed"),
        (host(note_returning=bad("lock_lost")), "skipped"),
    ],
)
def test_one_host_that_is_not_proven_is_a_failure(b: dict, outcome: str) -> None:
    summary = summarize({"a": MOVED, "b": b}, PLAN)
    assert not summary["succeeded"]
    assert summary["rows"][1]["outcome"] == outcome
    assert "was not rolled out" in summary["verdict"]


def test_check_mode_may_say_would() -> None:
    would = host(activate={"changed": True}, restart=ok(None))
    summary = summarize({"a": would, "b": would}, PLAN, check_mode=True)
    assert summary["succeeded"] and "would run on 2 of 2" in summary["verdict"]


def test_where_there_is_nothing_to_do_what_was_seen_is_the_proof() -> None:
    home = {"rollout_look": {"seen": {"running": True, "version": "0.2.0"}}}
    plan = {**PLAN, "idle": True, "rows": [{"host": "a", "healthy": True}, {"host": "b", "healthy": True}]}
    assert summarize({"a": home, "b": home}, plan)["succeeded"]
    assert not summarize({"a": home, "b": {"rollout_look": {"seen": {"running": True, "version": "0.1.0"}}}}, plan)[
        "succeeded"
    ]
    assert not summarize(
        {"a": home, "b": home}, {**plan, "rows": [{"host": "a", "healthy": True}, {"host": "b", "healthy": False}]}
    )["succeeded"]


def test_a_host_that_was_born_right_needs_nothing() -> None:
    born = {"host": "c", "healthy": True, "action": "none", "activate": False}
    plan = {
        **PLAN,
        "order": ["a", "b", "c"],
        "members": [["a"], ["b"], ["c"]],
        "rows": [*PLAN["rows"], born],
        "born": ["c"],
    }
    right = {"rollout_look": {"seen": {"running": True, "version": "0.2.0"}}}
    assert summarize({"a": MOVED, "b": MOVED, "c": right}, plan)["succeeded"]
    assert not summarize({"a": MOVED, "b": MOVED, "c": host()}, plan)["succeeded"]
    assert not summarize({"a": MOVED, "b": MOVED, "c": right}, {**plan, "born": []})["succeeded"]


def test_no_hosts_is_no_success() -> None:
    summary = summarize({}, {**PLAN, "hosts": [], "order": []})
    assert not summary["succeeded"] and "no host" in summary["verdict"]


def test_what_went_back_is_told() -> None:
    returned = host(activate={"changed": True}, restart=bad(), back_point={"changed": True}, back_restart=ok("0.1.0"))
    summary = summarize({"a": returned, "b": host()}, PLAN)
    assert summary["blame"] and summary["reason"] == "a: beacon 0.2.0 does not become healthy: answers 503"
    assert summary["verdict"].endswith("Now running: 0.1.0 on 2 hosts.")


def test_a_pointer_that_could_not_be_put_back_is_told() -> None:
    of = {"a": host(**HOME, back_switch=FULL), "b": host()}
    summary = summarize(of, PLAN)
    assert summary["rows"][0]["error"].endswith(
        "answers 503 and then, on the way back: current was not switched: the disk is full"
    )
    assert summary["rows"][0]["now"] == "0.1.0" and summary["blame"]
    assert any(
        "The former version serves on a, but the way back did not come to its end there" in note
        for note in summary["notes"]
    )
    assert steps(of, ["a"], PLAN, "returned")["a"]["step"] == "stranded"
    assert batch(of, ["a"])["healed"] == ["a"] and not batch(of, ["a"])["fenced"]
    assert batch({"a": host(**HOME, back_switch=bad("lock_lost"))}, ["a"])["fenced"]
    assert batch({"a": host(**HOME, back_stop={"failed": True, "results": [{}, bad("lock_lost")]})}, ["a"])["fenced"]


def test_a_hook_that_failed_on_the_way_back_is_told_and_keeps_nobody_out() -> None:
    of = {"a": host(**HOME, back_hook="Run the hook after_return: no")}
    assert summarize({**of, "b": host()}, PLAN)["reason"].endswith(
        "answers 503 and then, on the way back: Run the hook after_return: no"
    )
    assert batch(of, ["a"])["healed"] == ["a"]


def test_a_setting_that_ended_a_node_later_makes_no_ghost() -> None:
    down = {"running": False, "why": "** (RuntimeError) environment variable A is missing"}
    for misconfigured in (False, True):
        found = summarize(
            {"a": host(activate={}, restart=ok(), confirm={**down, "misconfigured": misconfigured}), "b": MOVED},
            PLAN,
        )
        assert (
            found["blame"] is not misconfigured
            and "does not run any more: ** (RuntimeError) environment variable A is missing" in found["reason"]
        )


def test_the_verdict_ends_in_the_next_step() -> None:
    found = bad("misconfigured", notes=["A.Endpoint does not listen."])
    found["error"]["next"] = "give A_URL in beam_env"
    summary = summarize({"a": host(activate={}, restart=found), "b": host()}, PLAN)
    assert (
        not summary["blame"]
        and summary["next"] == "give A_URL in beam_env"
        and "On a: A.Endpoint does not listen." in summary["notes"]
    )
    assert (
        ". On a: beacon 0.2.0 does not become healthy: answers 503. Give A_URL in beam_env. Now running:"
        in summary["verdict"]
    )
    locked = {
        "failed": True,
        "error": {"code": "locked", "what": "the lock of beacon is held", "why": "root@vm holds it", "next": "Wait"},
    }
    summary = summarize({"a": host(), "b": host()}, PLAN, refused=locked)
    assert "was not rolled out. The lock of beacon is held: root@vm holds it. Wait. Now running" in summary["verdict"]


@pytest.mark.parametrize(
    "code",
    [
        "capacity_floor",
        "not_joined",
        "unit_masked",
        "lock_lost",
        "disk_full",
        "host_stopping",
        "instance_terminating",
        "canary_lost",
    ],
)
def test_what_is_no_fault_of_the_release_makes_no_ghost(code: str) -> None:
    assert not summarize({"a": MOVED, "b": host(activate={}, restart=bad(code))}, PLAN)["blame"]


DIED = {"running": True, "pid": 10}
BOOT = {"after": {"version": "0.2.0", "pid": 9}, "boot_id": "one"}


@pytest.mark.parametrize(
    ("confirmed", "blame", "words"),
    [
        ({**DIED, "boot_id": "one"}, True, "process 9 ended, and 10 took its place"),
        ({**DIED, "boot_id": "two"}, False, "10 took its place (its server was started again)"),
        ({"running": False, "boot_id": "one"}, True, "does not run any more"),
        (
            {"running": False, "boot_id": "one", "ending": "this server is shutting down"},
            False,
            "does not run any more (this server is shutting down)",
        ),
        (
            {
                "running": True,
                "pid": 9,
                "boot_id": "one",
                "ending": "this instance leaves",
                "health": {"passed": False},
            },
            False,
            "(this instance leaves)",
        ),
        (bad("systemd_unreachable"), False, "could not be asked again"),
    ],
)
def test_after_its_batch_a_release_is_blamed_for_its_node_and_not_for_its_server(
    confirmed: dict, blame: bool, words: str
) -> None:
    summary = summarize({"a": MOVED, "b": host(activate={}, restart={**ok(), **BOOT}, confirm=confirmed)}, PLAN)
    assert not summary["succeeded"] and summary["blame"] is blame and words in summary["reason"]


def test_what_limit_left_out_is_drift() -> None:
    outside = [
        {"item": "c", "running": True, "version": "0.1.0"},
        {"item": "d", "running": True, "version": "0.2.0"},
        {"item": "e", "unreachable": True},
    ]
    summary = summarize({"a": MOVED, "b": MOVED}, PLAN, outside=outside)
    assert summary["succeeded"] and [d["host"] for d in summary["drift"]] == ["c", "e"]
    assert "c is not in scope; runs 0.1.0." in summary["notes"]


def test_who_takes_no_lock_says_who_has_it() -> None:
    held = {"held": True, "owner": "deploy@build1", "since": "12:00", "purpose": "rollout of 0.3.0", "renewed": "12:01"}
    home = {
        "a": {"rollout_look": {"seen": {"running": True, "version": "0.2.0"}}},
        "b": {"rollout_look": {"seen": {"running": True, "version": "0.2.0"}}},
    }
    rows = [{"host": name, "healthy": True, "from": "0.2.0"} for name in home]
    plan = {**PLAN, "rows": rows, "idle": True, "lock": held}
    assert summarize(home, plan)["notes"] == [
        "Locked by deploy@build1 since 12:00 for a rollout of 0.3.0; last sign of life 12:01."
    ]
    assert not summarize(home, {**plan, "lock": {**held, "held": False}})["notes"]
    assert not summarize({"a": MOVED, "b": MOVED}, {**PLAN, "lock": held})["notes"]  # taken by this one meanwhile


FULL = {
    "failed": True,
    "msg": "x",
    "error": {"code": "disk_full", "what": "current was not switched", "why": "the disk is full"},
}


@pytest.mark.parametrize(
    ("registers", "steps"),
    [
        ({"restart": {**ok(), "pointed": {"changed": True}}}, {"activate": True, "restart": True}),
        ({"restart": {**bad(), "pointed": {"changed": True}}}, {"activate": True, "restart": False}),
        ({"restart": {**FULL, "pointed": FULL}}, {"activate": False}),
        # Without an answer of the call nobody knows how far it came.
        ({"restart": LOST}, {"activate": False}),
        ({"restart": {"failed": True, "msg": "MODULE FAILURE"}}, {"activate": False}),
        # A hook between them makes two calls.
        ({"activate": {"changed": True}, "restart": bad()}, {"activate": True, "restart": False}),
        ({"activate": {"changed": True}, "restart": LOST}, {"activate": True, "restart": False}),
        (
            {"activate": {"skipped": True}, "restart": {**ok(), "pointed": {"changed": True}}},
            {"activate": True, "restart": True},
        ),
        (
            {"back_restart": {**ok("0.1.0"), "pointed": {"changed": True}}},
            {"back_point": True, "back_restart": True},
        ),
        ({"back_restart": {**FULL, "pointed": FULL}}, {"back_point": False}),
        ({"back_restart": LOST}, {"back_point": False}),
    ],
)
def test_two_steps_in_one_call_are_told_apart(registers: dict, steps: dict) -> None:
    assert {found.step: found.ok for found in record(registers).results} == steps


def test_a_batch_is_read_from_its_hosts() -> None:
    found = batch(
        {
            "a": host(leave={"changed": True}, activate={}, restart=ok(), join={"changed": True}),
            "b": host(note_leaving=bad("lock_lost")),
        },
        ["a", "b"],
    )
    assert (
        found["failed"]
        and found["fenced"]
        and found["unsettled"] == ["a"]
        and found["serving"] == found["moved"] == ["a"]
    )
    returned = host(activate={"changed": True}, restart=bad(), back_point={"changed": True}, back_restart=ok("0.1.0"))
    nothing_before = host(
        activate={"changed": True}, restart=bad(), back_point={"changed": True}, back_restart=ok(None)
    )
    found = batch({"a": returned, "b": nothing_before}, ["a", "b"])
    assert found["healed"] == ["a"] and found["unsettled"] == []


def test_what_the_journal_is_told() -> None:
    both = ["a", "b"]
    leaving = steps({}, both, PLAN, "leaving")
    assert leaving == {
        "a": {"step": "leaving", "from": "0.1.0", "out": True},
        "b": {"step": "leaving", "from": "0.1.0", "out": False},
    }
    moved = steps({"a": MOVED, "b": host(activate={}, restart=bad())}, both, PLAN, "moved")
    assert (moved["a"]["step"], moved["b"]["step"], moved["b"]["error"]) == (
        "moved",
        "failed",
        "beacon 0.2.0 does not become healthy: answers 503",
    )
    assert steps({}, both, PLAN, "joined")["a"] == {"step": "joined", "out": False}


def test_a_timeline_has_the_steps_in_their_order() -> None:
    moved = host(
        staged={"began": 1, "seconds": {"total": 2}, "bytes": {"fetched": 3}},
        leave={"members": {"a": {"began": 4, "seconds": 0.5}}},
        activate={"began": 4.5, "seconds": {"total": 0.1}},
        restart={**ok(), "health": {"seconds": 0.5, "passed": True}},
    )
    row = summarize({"a": moved, "b": MOVED}, PLAN)["rows"][0]
    assert [(s["step"], s["start"], s["seconds"]) for s in row["steps"]] == [
        ("stage", 1.0, 2.0),
        ("drain", 4.0, 0.5),
        ("activate", 4.5, 0.1),
        ("stop", 5.0, 1.0),
        ("boot", 6.0, 1.5),
        ("gate", 7.5, 0.5),
    ]


def test_a_node_that_was_upgraded_without_a_restart_was_never_away() -> None:
    done = {"action": "hot", "began": 5, "suspended_ms": 2.34, "seconds": {"total": 2.5}, "health": {"seconds": 2.0}}
    old = [{"module": "Elixir.Shop.Cart", "count": 2}]
    after = {"version": PLAN["version"], "pid": 9}
    said = {"a": host(restart={**done, "after": after, "old_code": old}), "b": host(restart={**done, "after": after})}
    report = summarize(said, PLAN)
    assert [(s["step"], s["start"], s["seconds"]) for s in report["rows"][0]["steps"]] == [
        ("activate", 5.0, 0.5),
        ("gate", 5.5, 2.0),
    ]
    assert [row["outage"] for row in report["rows"]] == [0.0, 0.0]
    assert report["notes"][0] == "Upgraded without a restart: a, b. Processes were suspended for at most 2.3 ms."
    assert "On a, processes still use the code from before: Elixir.Shop.Cart (2)." in report["notes"][1]


PROOF: dict[str, t.Any] = {
    "boot_id": "one",
    "running": True,
    "pid": 9,
    "restarts": 0,
    "rss": 100 * 1048576,
    "health": {"passed": True},
}


@pytest.mark.parametrize(
    ("canary", "why"),
    [
        (PROOF, ""),
        ({**PROOF, "pid": 10}, "ended, and 10 took its place"),
        ({**PROOF, "restarts": 2}, "restarted it 2 times"),
        ({**PROOF, "running": False}, "does not run any more"),
        ({**PROOF, "health": {"passed": False, "reason": "answers 503"}}, "answers 503"),
        ({**PROOF, "rss": 400 * 1048576}, "400 MiB of memory"),
        ({**PROOF, "rss": 150 * 1048576}, ""),
    ],
)
def test_a_canary_is_judged(canary: dict, why: str) -> None:
    found = judge_canary(canary)
    assert (
        "failed" not in found
        if not why
        else (found["failed"] and found["error"]["code"] == "canary_worse" and why in found["msg"])
    )


def judge_canary(canary: dict, baked: dict | None = None, limits: dict | None = None) -> dict:
    of = {
        **host(restart={**ok(), **BOOT}, look=canary, watch=baked or {}),
        "rollout_look": {"seen": {"running": True, "rss": 100 * 1048576}},
    }
    return judge({"a": of}, "a", {**PLAN, "order": ["a"]}, limits)


@pytest.mark.parametrize(
    ("canary", "why"),
    [
        ({"unreachable": True, "msg": "no route"}, "could not be asked: no route"),
        ({}, "could not be asked"),
        (bad("systemd_unreachable"), "could not be asked"),
        (
            {**PROOF, "running": False, "ending": "this server is shutting down"},
            "this server is shutting down; it does not run any more",
        ),
        ({**PROOF, "pid": 10, "boot_id": "two"}, "its server was started again; its process 9 ended"),
    ],
)
def test_a_canary_whose_server_is_gone_can_not_be_judged_whatever_the_balancer_saw(canary: dict, why: str) -> None:
    for baked in ({}, {**bad("canary_worse"), "failed": False}):
        found = judge_canary(canary, baked)
        assert (
            found["failed"]
            and found["error"]["code"] == "canary_lost"
            and why.partition(";")[0] in found["msg"]
            and (baked or why in found["msg"])
        )


@pytest.mark.parametrize(
    ("code", "canary"),
    [("canary_worse", PROOF), ("canary_worse", {**PROOF, "running": False}), ("balancer_denied", {})],
)
def test_what_the_balancer_said_of_a_canary_stays(code: str, canary: dict) -> None:
    baked = {**bad(code), "failed": False}  # the task may not fail before the canary's server was asked, too
    found = judge_canary(canary, baked)
    assert found.pop("bake")["compared"] is False and found == bad(code)


def compared(verdict: str, canary: int = 400, rest: int = 900, *reasons: str) -> dict[str, t.Any]:
    sides = {
        name: {"hosts": [host], "requests": count, "errors": 0, "error_rate": 0.0, "response_ms": 20.0}
        for name, host, count in (("canary", "a", canary), ("rest", "b", rest))
    }
    return {
        "verdict": verdict,
        "compared": verdict == "same",
        "reasons": list(reasons),
        **sides,
        "limits": {"min_requests": 100},
        "began": 9.0,
        "seconds": 60.0,
        "began_again": [],
    }


FEW = compared("not enough traffic", 0, 900, "the canary had 0 requests, and it takes 100 to judge")
SILENT = compared("not counted", 0, 0, "tg tells no counters")
ALONE = compared("not counted", 0, 0, "no balancer was asked")
KNOWN = {"members": {"a": {"before": "in"}}}


@pytest.mark.parametrize(
    ("comparison", "balancers", "plan", "why"),
    [
        (compared("same"), ["lb"], {}, ""),
        (FEW, ["lb"], {}, "the canary had 0 requests, and it takes 100 to judge"),
        (SILENT, ["tg"], {}, "tg tells no counters"),
        (ALONE, [], {}, "there is no balancer (beam_balancers)"),
        (ALONE, [], {"balanced": KNOWN}, "a is out of the balancer, and got no requests"),
    ],
)
@pytest.mark.parametrize(
    ("given", "stable"),
    [
        ({}, False),
        ({"on_no_traffic": "pass"}, False),
        ({"on_no_traffic": "fail"}, False),
        ({"on_no_traffic": "fail"}, True),
    ],
)
def test_a_canary_that_nothing_was_compared_of_says_so(
    comparison: dict, balancers: list, plan: dict, why: str, given: dict, stable: bool
) -> None:
    plan = {**PLAN, **plan, "homecoming": stable}
    of = host(
        activate={},
        restart={**ok(), **BOOT},
        look=PROOF,
        watch={"changed": False, "comparison": comparison, "balancers": balancers},
    )
    of["bake"] = judge({"a": of}, "a", plan, given)
    summary = summarize({"a": of, "b": MOVED}, plan)
    bake, notes = summary["bake"], " ".join(summary["notes"])
    assert (bake["seconds"], bake["compared"], bake["verdict"], bake["hosts"]) == (
        60.0,
        not why,
        comparison["verdict"],
        ["a"],
    )
    assert (
        bake["canary"]["requests"] == comparison["canary"]["requests"]
        and bake["rest"]["hosts"] == ["b"]
        and bake["limits"]["min_requests"] == 100
    )
    if why and given.get("on_no_traffic") == "fail" and not stable:
        assert (
            not summary["succeeded"]
            and not bake["passed"]
            and not summary["blame"]
            and why in bake["reasons"][0]
            and not notes
        )
        assert (
            "Nothing was compared while the canary a served: %s, and beam_canary says on_no_traffic: fail" % why
            in summary["reason"]
        )
        assert "beam_bake" in summary["next"] and summary["next"] in summary["verdict"]
        return
    assert summary["succeeded"] and bake["passed"] and bake["on_no_traffic"] == given.get("on_no_traffic", "pass")
    assert (
        notes == ""
        if not why
        else ("Nothing was compared while the canary a served for 60 s: %s. It passed on its process" % why) in notes
    )
    assert not why or ("0.2.0 is stable already" if stable else "say beam_canary: {on_no_traffic: fail}") in notes
    assert bake["reasons"] == ([why] if why else [])
    assert (
        summary["rows"][0]["steps"][-1] == {"step": "bake", "start": 9.0, "seconds": 60.0, "ok": True}
        and summary["rows"][1]["steps"][-1]["step"] != "bake"
    )


def test_a_canary_that_was_worse_is_told_with_what_was_compared() -> None:
    worse = {**compared("worse", 400, 900, "5.00 % of the canary's 400 requests failed"), "compared": True}
    baked = {**bad("canary_worse"), "failed": False, "comparison": worse, "balancers": ["lb"]}
    baked["error"] = {**baked["error"], "why": worse["reasons"][0]}
    of = host(activate={}, restart={**ok(), **BOOT}, look=PROOF, watch=baked)
    of["bake"] = judge({"a": of}, "a", PLAN, {"on_no_traffic": "fail"})
    bake = summarize({"a": of, "b": host()}, PLAN)["bake"]
    assert (
        not bake["passed"]
        and bake["compared"]
        and worse["reasons"][0] in bake["reasons"][0]
        and bake["canary"]["requests"] == 400
    )


def test_a_rollout_without_a_canary_tells_of_no_bake() -> None:
    assert summarize({"a": MOVED, "b": MOVED}, PLAN)["bake"] is None


def test_without_a_balancer_too_a_canary_that_dies_speaks_against_its_release() -> None:
    """What it registers must not look like a task that was skipped."""
    baked = {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}
    of = host(activate={}, restart={**ok(), **BOOT}, look={**PROOF, "running": False}, bake=baked)
    of["bake"] = judge({"a": of}, "a", PLAN)
    assert summarize({"a": of, "b": host()}, PLAN)["blame"]


def test_what_speaks_against_a_release_is_its_nodes_end_and_no_others() -> None:
    assert BLAMING == ("unhealthy", "node_died", "boot_timeout", "canary_worse") and not set(ENDINGS) & set(BLAMING)


def test_table_leaves_empty_columns_out() -> None:
    rows = [
        {"host": "a", "now": "0.2.0", "boot": 1.234, "error": ""},
        {"host": "bb", "now": None, "boot": 2, "error": ""},
    ]
    assert render(rows, ["host", "now", "boot", "error"]) == [
        "host  now    boot",
        "a     0.2.0  1.23",
        "bb    -      2",
    ]


RUNNING = {
    "running": True,
    "version": "0.2.0",
    "started": "2026-01-01T00:00:00Z",
    "current": {"version": "0.2.0"},
    "answers": True,
    "booted": True,
}
CHANNEL = {"stable": {"version": "0.2.0"}}


@pytest.mark.parametrize(
    ("info", "health", "note"),
    [
        (RUNNING, "up", ""),
        ({**RUNNING, "booted": False}, "booting", ""),
        ({**RUNNING, "answers": False, "problem": "hung"}, "silent", "hung"),
        ({**RUNNING, "health": {"passed": True, "reason": ""}}, "healthy", ""),
        ({**RUNNING, "health": {"passed": False, "reason": "answers 503"}}, "unhealthy", "answers 503"),
        (
            {**RUNNING, "version": "0.1.0", "drift": True},
            "up",
            "runs another version than current; not what the channel says",
        ),
        ({**RUNNING, "running": False}, "down", "not running"),
        ({**RUNNING, "running": False, "why": "** (A) b c"}, "down", "not running: ** (A) b c"),
        ({"unreachable": True, "msg": "no route"}, "unreachable", "no route"),
        ({"failed": True, "msg": "denied"}, "unknown", "denied"),
        ({}, "unknown", "the host said nothing"),
    ],
)
def test_status_of_a_host(info: dict, health: str, note: str) -> None:
    head, line = fleet_status({"a": {"rollout_look": {"seen": info} if "running" in info else info}}, ["a"], CHANNEL)
    assert health in line.split() and line.endswith(note)
    assert head.startswith("host")


def test_status_tells_who_rolls_out_and_what_was_interrupted() -> None:
    lock = {
        "held": True,
        "dead": False,
        "owner": "ann@desk",
        "purpose": "rollout of 0.2.0",
        "since": "S",
        "renewed": "R",
    }
    journal = {"id": "j1", "kind": "rollout", "version": "0.2.0"}
    held = {"lock": lock, "journal": journal, "unfinished": True, "interrupted_hosts": ["a"]}
    assert fleet_status({}, [], CHANNEL, held)[1:] == [
        "Locked by ann@desk since S for a rollout of 0.2.0; last sign of life R."
    ]
    said = fleet_status({}, [], CHANNEL, {**held, "lock": {**lock, "dead": True}})
    assert "known to be gone" in said[1] and "j1 of 0.2.0 was interrupted; left half way: a." in said[2]
    assert fleet_status({}, [], CHANNEL, {"lock": None, "journal": None, "unfinished": False})[1:] == []


def test_a_look_that_failed_is_the_answer_to_the_part_that_it_did_not_come_to() -> None:
    staged, seen = {"current": "1"}, {"running": True}
    lost = {**LOST, "staged": staged}
    assert looked({"rollout_look": LOST}, "staged") == LOST and looked({"rollout_look": LOST}, "seen") == {}
    assert looked({"rollout_look": lost}, "staged") == staged and looked({"rollout_look": lost}, "seen") == lost
    whole = {"rollout_look": {"staged": staged, "seen": seen}}
    assert [looked(whole, part) for part in ("staged", "seen", "foreseen", "ready")] == [staged, seen, {}, {}]
    assert looked({"rollout_look": {"skipped": True}}, "seen") == looked({}, "seen") == {}

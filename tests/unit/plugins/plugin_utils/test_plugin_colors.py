# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of two nodes is to serve, told by what runs: also after a rollout that was cut off anywhere."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import turns
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.plugin_utils._plan import made_of, preview
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_time import timeline
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.told import members_of, plan_of, summarize

OLD, NEW = {"version": "0.1.0", "digest": "a" * 64}, {"version": "0.2.0", "digest": "b" * 64}
DRAFT: dict[str, t.Any] = {
    "name": "beacon",
    "channel": "production",
    **NEW,
    "homecoming": False,
    "kind": "rollout",
    "strategy": "blue_green",
    "colors": ["blue", "green"],
    "batch_sizes": [1],
    "min_healthy": "100%",
    "stable": OLD,
    "candidate": None,
    "interrupted": {},
    "hosts": ["a"],
    "balanced": {},
}
NOTHING = {"running": False, "version": None, "enabled": False}


def host(
    live: str | None,
    runs: dict[str, str],
    kept: str = "restart",
    foreseen: str = "start",
    plain: bool = False,
    current: str = "0.1.0",
) -> dict[str, t.Any]:
    """live: the colour that beam_info says. runs: versions by colour. kept: what beam_restart would do to live, foreseen: to the other one."""
    colors = {
        c: {"running": True, "version": runs[c], "enabled": c == live} if c in runs else dict(NOTHING)
        for c in DRAFT["colors"]
    }
    idle = next(c for c in ("blue", "green") if c != live)
    version = runs.get(live or "current")
    seen = {
        "running": bool(version),
        "version": version,
        "enabled": bool(version),
        "live": live,
        "idle": idle,
        "colors": colors,
        "health": {"passed": True},
        "plain": {"running": plain, "enabled": plain},
        "restart": {"action": kept if version else "start"},
    }
    look = {"seen": seen, "staged": {"current": current}}
    if kept != "none" or not version:
        look["foreseen"] = {"action": foreseen, "reason": "it does not run"}
    return {"rollout_look": look}


JOURNAL = {"id": "j", "version": "0.2.0", "hosts": {"a": {"step": "moved", "from": "0.1.0", "out": True}}}


@pytest.mark.parametrize(
    ("seen", "journal", "expected"),
    [
        # Nothing runs, and nothing ever did.
        (host(None, {}, current=""), {}, ("", "blue", "", None, ["green"], True, "switch")),
        # Stopped on purpose: what ran is still current.
        (host(None, {}), {}, ("", "blue", "green", "0.1.0", ["green"], True, "switch")),
        # The one node from before, and the first colour.
        (
            host(None, {"current": "0.1.0"}, plain=True),
            {},
            ("current", "blue", "current", "0.1.0", ["current", "green"], True, "switch"),
        ),
        (host("blue", {"blue": "0.1.0"}), {}, ("blue", "green", "blue", "0.1.0", ["blue"], True, "switch")),
        # Nothing to do, unless the other one runs still.
        (
            host("green", {"green": "0.2.0"}, kept="none"),
            {},
            ("green", "green", "green", "0.2.0", ["blue"], False, "none"),
        ),
        (
            host("green", {"green": "0.2.0", "blue": "0.1.0"}, kept="none"),
            {},
            ("green", "green", "green", "0.2.0", ["blue"], False, "tidy"),
        ),
        (
            host("green", {"green": "0.2.0"}, kept="none", plain=True),
            {},
            ("green", "green", "green", "0.2.0", ["current", "blue"], False, "tidy"),
        ),
        # Cut off with both: green runs already, so it is neither cleared nor started; blue serves, and is what to go back to.
        (
            host("blue", {"blue": "0.1.0", "green": "0.2.0"}, foreseen="none"),
            JOURNAL,
            ("blue", "green", "blue", "0.1.0", ["blue"], False, "switch"),
        ),
        # Cut off after green had been enabled: going back means blue again, with what ran before the interrupted rollout.
        (
            host("green", {"green": "0.2.0"}, kept="none"),
            JOURNAL,
            ("green", "green", "blue", "0.1.0", ["blue"], False, "none"),
        ),
    ],
)
def test_who_serves_and_who_shall(
    seen: dict[str, t.Any], journal: dict[str, t.Any], expected: tuple[t.Any, ...]
) -> None:
    side = plan_of({**DRAFT, "interrupted": journal}, {"a": seen})["sides"]["a"]
    assert tuple(side[key] for key in ("live", "to", "back", "from", "others", "starts", "action")) == expected


def test_a_restart_switches_to_the_same_version() -> None:
    seen = host("green", {"green": "0.2.0"}, kept="none")
    seen["rollout_look"]["foreseen"] = {"action": "start"}
    side = plan_of({**DRAFT, "kind": "restart"}, {"a": seen})["sides"]["a"]
    assert (side["to"], side["back"], side["from"], side["action"]) == ("blue", "green", "0.2.0", "switch")


def test_nothing_to_do() -> None:
    draft = {**DRAFT, "homecoming": True}
    home = host("green", {"green": "0.2.0"}, kept="none", current="0.2.0")
    assert plan_of(draft, {"a": home})["idle"]
    spoiled = (
        host("green", {"green": "0.2.0", "blue": "0.2.0"}, kept="none", current="0.2.0"),
        host("green", {"green": "0.2.0"}, kept="none"),
    )
    assert not any(
        plan_of(draft, {"a": each})["idle"] for each in (*spoiled, host("green", {"green": "0.2.0"}, current="0.2.0"))
    )


@pytest.mark.parametrize(
    "wrong",
    [{"colors": []}, {"colors": ["blue"]}, {"strategy": "rolling"}, {"ready": True}, {"hosts": ["a", "a-blue"]}],
)
def test_colours_and_strategies_that_do_not_fit_are_refused(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(BeamError):
        plan_of({**DRAFT, **wrong}, {"a": host("blue", {"blue": "0.1.0"})})


def rotations(**known: str) -> dict[str, t.Any]:
    found = {name.replace("_", "-"): {"before": before, "healthy": before == "in"} for name, before in known.items()}
    return {"members": found, "balancers": ["haproxy x app"]}


def test_turns_at_the_balancer() -> None:
    balanced = rotations(a="unknown", a_blue="in", a_green="out")
    draft, hostvars = {**DRAFT, "balanced": balanced}, {"a": host("blue", {"blue": "0.1.0"})}
    plan, made = plan_of(draft, hostvars), made_of(draft, hostvars)
    assert plan["leaves"] == ["a"] and made.found[0].serves
    assert preview(made)[0]["does"] == "start green, green joins, blue leaves, stop blue"
    expected = {
        "clear": ["green"],
        "rejoin": None,
        "join": ["green"],
        "leave": ["blue"],
        "back_clear": None,
        "back_join": ["blue"],
        "back_leave": ["green"],
    }
    assert {step: turns(parse_plan(plan), ["a"], step).get("a") for step in expected} == expected


def test_a_rollout_that_left_only_the_new_one_in_the_balancer_and_another_version_now() -> None:
    """Green has to be started anew, so blue comes back first: at no time the host is out."""
    seen = host("blue", {"blue": "0.1.0", "green": "0.1.9"}, foreseen="restart")
    balanced = rotations(a="unknown", a_blue="out", a_green="in")
    plan = plan_of({**DRAFT, "balanced": balanced, "interrupted": {**JOURNAL, "version": "0.1.9"}}, {"a": seen})
    assert (
        plan["absent"] == []
        and turns(parse_plan(plan), ["a"], "rejoin") == {"a": ["blue"]}
        and turns(parse_plan(plan), ["a"], "clear") == {"a": ["green"]}
    )


def test_a_host_that_somebody_took_out_stays_out() -> None:
    plan = plan_of(
        {**DRAFT, "balanced": rotations(a_blue="out", a_green="in"), "min_healthy": 0},
        {"a": host("blue", {"blue": "0.1.0"})},
    )
    assert plan["absent"] == ["a"] and turns(parse_plan(plan), ["a"], "join") == {}
    assert turns(parse_plan(plan), ["a"], "clear") == {"a": ["green"]}, "it must not be asked as soon as it runs"


def test_a_balancer_that_does_not_know_the_colour_is_told_by_its_name() -> None:
    with pytest.raises(BeamError, match="a-green can't be taken out"):
        plan_of(
            {**DRAFT, "balanced": rotations(a_blue="in", a_green="unknown")}, {"a": host("blue", {"blue": "0.1.0"})}
        )


def test_members_of_both_kinds_of_balancers() -> None:
    seen = host("blue", {"blue": "0.1.0"})
    given = {
        "a": {
            **seen,
            "beam_member": {"target": "i-0", "server": "x", "blue": {"port": 1}, "green": {"port": 2, "server": "y"}},
        }
    }
    assert members_of(given, ["a"], (), DRAFT["colors"]) == {
        "a-blue": {"target": "i-0", "port": 1},
        "a-green": {"target": "i-0", "port": 2, "server": "y", "left": True},
    }
    assert members_of(given, {"a": ["current"]}, (), DRAFT["colors"]) == {
        "a": {"target": "i-0", "server": "x", "left": True}
    }


def process(version: str, action: str, pid: int) -> dict[str, t.Any]:
    seconds = {"stop": None, "boot": 1.0, "gate": 1.0, "outage": None, "total": 2.0}
    after = {"version": version, "pid": pid}
    return {
        "changed": action != "none",
        "action": action,
        "after": after,
        "began": 5.0,
        "seconds": seconds,
        "health": {"seconds": 1.0},
    }


def test_rows_tell_of_both_nodes() -> None:
    before = host("blue", {"blue": "0.1.0"})
    plan = plan_of(DRAFT, {"a": before})
    done = {
        **before,
        "activate": {"changed": True},
        "restart": process("0.2.0", "start", 8),
        "switch": {"changed": True},
        "join": {"members": {"a-green": {"began": 8.0, "seconds": 0.5}}},
        "leave": {"members": {"a-blue": {"began": 9.0, "seconds": 2.0, "cut": 1}}},
        "stop": {"results": [{"began": 12.0, "seconds": {"stop": 0.7}}]},
    }
    row = summarize({"a": done}, plan)["rows"][0]
    assert [
        row[key] for key in ("outcome", "color", "color_before", "now", "pid", "outage", "drain", "join", "stop", "cut")
    ] == [
        "moved",
        "green",
        "blue",
        "0.2.0",
        8,
        0.0,
        2.0,
        0.5,
        0.7,
        1,
    ]
    assert [step["step"] for step in row["steps"]] == ["boot", "gate", "join", "drain", "stop"]
    bad = {
        "failed": True,
        "msg": "One or more items failed",
        "results": [{"failed": True, "error": {"code": "x", "what": "blue is masked"}}],
    }
    kept = {**done, "disable": bad}
    assert (
        summarize({"a": kept}, plan)["rows"][0]["outcome"] == "failed"
        and "blue is masked" in summarize({"a": kept}, plan)["reason"]
    )
    back = {**kept, "back_restart": {**process("0.1.0", "none", 7), "pointed": {"changed": False}}}
    row = summarize({"a": back}, plan)["rows"][0]
    assert [row[key] for key in ("outcome", "color", "now", "pid")] == ["returned", "blue", "0.1.0", 7]
    both = {**back, "back_leave": {"failed": True, "msg": "the balancer does not answer"}}
    assert summarize({"a": both}, plan)["rows"][0]["outcome"] == "kept"


def test_the_timeline_takes_no_switch_for_a_clock_that_is_wrong() -> None:
    """The new node starts before the former one drains; with one node that would be a clock that is behind."""
    order = ("activate", "boot", "join", "drain", "stop")
    steps = [{"step": step, "start": 1e9 + 5.0 * index, "seconds": 5.0, "ok": True} for index, step in enumerate(order)]
    shifts = []
    for row in ({"host": "a", "steps": steps}, {"host": "a", "steps": steps, "color": "green"}):
        found = timeline({"rows": [row]})
        assert found
        shifts.append(found.bands[0].lanes[0].shift)
    assert shifts == [20.0, 0.0]


def test_status_names_the_colour_and_what_runs_beside_it() -> None:
    seen = host("blue", {"blue": "0.1.0", "green": "0.2.0"})
    table = fleet_status({"a": seen}, ["a"], {"stable": OLD})
    assert table[1].split()[:3] == ["a", "blue", "0.1.0"] and "green runs beside it" in table[1]

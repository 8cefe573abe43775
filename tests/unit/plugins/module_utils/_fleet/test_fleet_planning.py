# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a rollout: who moves in which order, who leaves a balancer, what is refused; by tables, and what holds of all plans, by many of them."""

from __future__ import annotations

import random
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.balanced import Balanced, Member
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import member_name
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Draft, Plan, parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.planning import Made, make, unsettled
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.sight import Sight
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.way_back import Past
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Target
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import STEPS, Host

OLD, NEW = Target("0.1.0", "a" * 64), Target("0.2.0", "b" * 64)
HOSTS = ("a", "b", "c", "d")
Sights = dict[str, Sight]


def past(state: str = "running", **hosts: Host) -> dict[str, t.Any]:
    """What an interrupted rollout to NEW has left."""
    return {"interrupted": True, "past": Past(NEW.version, OLD.version, id="j", state=state, hosts=hosts)}


def draft(**more: t.Any) -> Draft:
    given: dict[str, t.Any] = {
        "stable": OLD,
        "hosts": HOSTS,
        "batch_sizes": [1, "50%"],
        "past": Past(NEW.version),
        **more,
    }
    return Draft("beacon", "production", NEW.version, NEW.digest, **given)


def balanced(*hosts: str, **states: str) -> Balanced:
    """In and healthy, unless it says otherwise; `lame` is in and is not healthy."""
    told = {host: states.get(host, "in") for host in (hosts or HOSTS)}
    return Balanced(
        {
            host: Member("in" if state == "lame" else state, state == "in", () if state in ("in", "lame") else ("lb1",))
            for host, state in told.items()
        },
        ("lb1", "lb2"),
    )


def seen(
    version: str | None = OLD.version, action: str = "restart", healthy: bool = True, current: str | None = OLD.version
) -> Sight:
    return Sight(
        staged={"current": current, "changed": current != NEW.version, "bytes": {"fetched": 5}},
        seen={
            "running": version is not None,
            "version": version,
            "health": {"passed": healthy},
            "restart": {"action": action, "reason": "it runs another version"},
        },
    )


HOME = seen(NEW.version, "none", current=NEW.version)


def sights(all_of_them: Sight | None = None, **changed: Sight) -> Sights:
    return {host: changed.get(host) or all_of_them or seen() for host in HOSTS}


def plan_of(given: Draft, found: Sights | None = None) -> Plan:
    return make(given, found or sights()).plan


def refusal(given: Draft, found: Sights | None = None) -> str:
    with pytest.raises(BeamError) as refused:
        make(given, found or sights())
    return refused.value.message


def test_a_plan_says_who_moves_in_which_order() -> None:
    plan = plan_of(draft())
    assert (plan.order, plan.batches, plan.floor, plan.idle) == (HOSTS, (("a",), ("b", "c"), ("d",)), 2, False)
    assert (
        plan.moves == set(HOSTS)
        and not plan.leaves
        and not plan.canary
        and [plan.before(host) for host in HOSTS] == [OLD.version] * 4
    )


@pytest.mark.parametrize(
    "spoiled",
    [past(), {"candidate": OLD}, {"homecoming": False}, {"kind": "restart"}],
    ids=["interrupted", "candidate", "new", "restart"],
)
def test_there_is_something_to_do_where_more_is_asked_for(spoiled: dict[str, t.Any]) -> None:
    home: dict[str, t.Any] = {"homecoming": True, "stable": NEW}
    assert plan_of(draft(**home), sights(HOME)).idle
    assert not plan_of(draft(**{**home, **spoiled}), sights(HOME)).idle


@pytest.mark.parametrize(
    "host",
    [
        seen(NEW.version, "none", healthy=False, current=NEW.version),
        seen(NEW.version, "restart", current=NEW.version),
        seen(OLD.version),
        seen(None, "start"),
        replace(HOME, staged={**HOME.staged, "changed": True}),
    ],
    ids=["sick", "settings", "former", "down", "staged"],
)
def test_there_is_something_to_do_where_one_is_not_home(host: Sight) -> None:
    plan = plan_of(draft(homecoming=True, stable=NEW), sights(HOME, c=replace(host, ready={"rotation": "out"})))
    assert not plan.idle and not plan.unready


def test_a_readiness_file_that_is_missing_is_told_where_nothing_moves() -> None:
    plan = plan_of(draft(homecoming=True, stable=NEW), sights(HOME, c=replace(HOME, ready={"rotation": "out"})))
    assert plan.idle and plan.unready == ("c",)


def test_what_was_left_half_way_comes_first_and_remembers_what_ran_before() -> None:
    left = past(a=Host("joined", "0.1.0"), c=Host("moved", "0.0.9", out=True), d=Host("planned", "0.1.0"))
    plan = plan_of(draft(**left), sights(c=HOME))
    assert plan.order == ("c", "a", "b", "d") and plan.batches == (("c",), ("a",), ("b",), ("d",))
    assert plan.recovers == {"c"} and (plan.before("c"), plan.before("d")) == ("0.0.9", "0.1.0")


@pytest.mark.parametrize("step", STEPS)
def test_who_was_left_half_way(step: str) -> None:
    """Whoever may be out of a balancer, and whoever was not dealt with to the end."""
    settled = step in ("planned", "skipped", "joined", "returned")
    assert plan_of(draft(**past(b=Host(step)))).recovers == (set() if settled else {"b"})
    assert plan_of(draft(**past(b=Host(step, out=True)))).recovers == {"b"}


def test_hosts_that_somebody_else_took_out_stay_out() -> None:
    given = draft(
        balanced=balanced(b="out", c="draining", d="partly"),
        min_healthy=1,
        **past(c=Host("leaving", OLD.version, out=True)),
    )
    plan = plan_of(given)
    assert plan.absent == {"b"} and plan.leaves == {"a", "c", "d"} and plan.aside == {"b": ("lb1",), "d": ("lb1",)}


def test_a_host_that_its_balancer_does_not_know_is_refused() -> None:
    said = refusal(draft(balanced=balanced(b="unknown", c="unknown")))
    assert "b, c can't be taken out of the balancer: lb1 and lb2 does not know them" in said
    left = past(b=Host("leaving", OLD.version, out=True), c=Host("leaving", OLD.version, out=True))
    assert plan_of(draft(balanced=balanced(b="unknown", c="unknown"), **left)).leaves == set(HOSTS)


def test_a_plan_below_the_floor_is_refused_and_what_does_not_serve_is_not_counted() -> None:
    assert "have to stay in service" in refusal(draft(batch_sizes=[3]))
    first = plan_of(draft(batch_sizes=["100%"]), sights(seen(None, "start", current=None)))
    assert (first.batches, first.floor) == ((HOSTS,), 0)
    assert plan_of(draft(batch_sizes=[3], strategy="blue_green", colors=("blue", "green"))).floor == 2


def test_a_floor_that_who_serves_now_can_not_hold_is_known_before_anything_is_staged() -> None:
    """By what the balancer says alone, all servers move. Those that run it already do not, which they tell themselves."""
    given = draft(balanced=balanced(c="out", d="out"), batch_sizes=[1])
    nobody = sights(Sight())
    assert "1 of 2 healthy hosts would leave, and 2 have to stay" in refusal(given, nobody)
    assert plan_of(replace(given, min_healthy=1), nobody).floor == 1
    there = Sight(seen={**HOME.seen, "current": {"version": NEW.version}})
    assert plan_of(given, {**nobody, "a": there, "b": there}).moves == {"c", "d"}
    assert "would leave" in refusal(given, {**nobody, "a": there})
    # Without a balancer it is who runs and is healthy. Where none does, there is nothing to hold.
    runs = Sight(seen=seen().seen)
    assert "1 of 2 healthy hosts would leave" in refusal(
        draft(batch_sizes=[1], strategy="canary"), {**nobody, "a": runs, "b": runs}
    )
    assert plan_of(draft(batch_sizes=[4]), nobody).floor == 0


def test_a_fleet_that_grows_begins_with_those_that_do_not_serve_yet() -> None:
    down = seen(None, "start", current=None)
    grown = sights(b=down, c=down, d=down)
    plan = plan_of(draft(), grown)
    assert plan.batches == (("b",), ("c", "d"), ("a",)) and plan.floor == 2
    # A canary needs requests to be judged by; what is stable already is not judged.
    assert "1 of 1 healthy hosts would leave" in refusal(draft(strategy="canary"), grown)
    assert plan_of(draft(strategy="canary", homecoming=True), grown).canary == "b"


def test_what_was_left_half_way_serves_again_before_others_leave() -> None:
    left = past(c=Host("leaving", OLD.version, out=True))
    plan = plan_of(draft(balanced=balanced(c="out"), min_healthy=3, batch_sizes=[1], strategy="canary", **left))
    assert plan.batches == (("c",), ("a",), ("b",), ("d",)) and (plan.floor, plan.canary) == (3, "a")


def test_who_was_left_half_way_may_leave_whatever_the_floor_is() -> None:
    """It is not known to serve, be it in or not."""
    left = past(a=Host("failed", OLD.version), b=Host("stranded", OLD.version))
    assert plan_of(draft(min_healthy=3, batch_sizes=[1], **left)).batches == (("a", "b"), ("c",), ("d",))


def test_a_host_that_runs_it_and_would_start_another_moves_too() -> None:
    plan = plan_of(draft(), sights(HOME, b=seen(NEW.version, "none")))
    assert plan.moves == {"b"} and (plan.row("b").action, plan.row("b").activate) == ("none", True)


def test_who_was_left_half_way_and_taken_out_by_hand_since_does_not_serve_again() -> None:
    given = draft(balanced=balanced(c="out"), batch_sizes=[1], min_healthy=3, **past(c=Host("failed", OLD.version)))
    assert "1 of 3 healthy hosts would leave, and 3 have to stay" in refusal(given)
    assert plan_of(replace(given, min_healthy=2)).absent == {"c"}


def test_what_limit_leaves_out_counts_for_the_floor() -> None:
    everyone = (*HOSTS, *"efgh")
    limited = draft(everyone=everyone, min_healthy=6, batch_sizes=[1])
    plan = plan_of(limited)
    assert (plan.floor, plan.order, plan.fleet) == (6, HOSTS, everyone)
    assert plan_of(replace(limited, balanced=balanced(*everyone))).floor == 6
    # Two that are out of scope do not serve: six do, and one of them would leave.
    lame = replace(limited, balanced=balanced(*everyone, g="out", h="lame"))
    assert "1 of 6 healthy hosts would leave, and 6 have to stay" in refusal(lame)
    assert plan_of(replace(limited, balanced=balanced(*everyone, h="unknown"))).fleet == everyone[:-1]
    # Where nobody serves in scope, but others do, it holds. Where nobody does, there is nothing to hold.
    down = {"balanced": balanced(*everyone, **dict.fromkeys(HOSTS, "out"))}
    assert plan_of(replace(limited, **down, min_healthy=4)).floor == 4
    assert plan_of(replace(limited, **down, min_healthy=3, everyone=HOSTS)).floor == 0


def test_why_a_host_could_not_be_asked_is_the_reason_of_its_row() -> None:
    lost = Sight(staged=seen().staged, seen={"failed": True}, faults={"seen": "no route"})
    (found, *_others) = make(draft(), sights(a=lost)).found
    assert (found.host, found.row.action, found.reason, found.running) == ("a", "restart", "no route", "")


def blue(**more: t.Any) -> Sight:
    """A host with two nodes, of which blue serves."""
    nodes = {"blue": {"running": True}, "green": {"running": False}}
    told = {"live": "blue", "idle": "green", "colors": nodes, "restart": {"action": "restart", "reason": "of blue"}}
    return replace(seen(), seen={**seen().seen, **told}, foreseen={"action": "start", "reason": "of green"}, **more)


def green(**states: str) -> Draft:
    names = [member_name(host, color) for host in HOSTS for color in ("blue", "green")]
    told = {name.replace("_", "-"): state for name, state in states.items()}
    out = {name: "out" for name in names if name.endswith("green")}
    return draft(strategy="blue_green", colors=("blue", "green"), balanced=balanced(*names, **{**out, **told}))


def test_a_host_with_two_nodes_is_what_its_serving_node_is() -> None:
    pointed = blue(staged={"current": "0.0.9", "previous": None})
    made = make(green(b_blue="out", c_blue="lame"), sights(blue(), d=pointed))
    found = {one.host: one for one in made.found}
    assert made.plan.order == HOSTS, "one of two nodes serves all the time, so that nobody comes first"
    assert {host: one.serves for host, one in found.items()} == {"a": True, "b": False, "c": False, "d": True}
    assert made.plan.absent == {"b"} and made.plan.aside == {"b": ("lb1",)} and made.plan.leaves == {"a", "c", "d"}
    # What runs there is what it goes back to, whatever `current` is.
    assert found["d"].row.before == OLD.version and made.plan.sides["d"].back == "blue"


def test_why_a_host_with_two_nodes_is_to_switch() -> None:
    lost = blue(faults={"foreseen": "its unit is masked"})
    made = make(
        green(), sights(blue(), b=lost, c=replace(blue(), seen={**blue().seen, "restart": {"action": "restart"}}))
    )
    assert [one.reason for one in made.found] == ["of blue", "its unit is masked", "of green", "of blue"]


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
    given = draft(balanced=balanced(b=rotation), min_healthy=1, **past(state, b=Host(step, OLD.version)))
    plan = plan_of(given, sights(b=HOME))
    assert unsettled(given.past, plan.absent) is expected


@pytest.mark.parametrize(
    ("state", "why", "expected"),
    [("running", "capacity_floor", True), ("running", "batches_invalid", False), ("", "capacity_floor", False)],
)
def test_a_floor_that_does_not_hold_may_be_its_work_too(state: str, why: str, expected: bool) -> None:
    assert unsettled(Past(NEW.version, state=state), (), why) is expected


# What holds of every plan.


class Fleet:
    """A draft, and what was seen of its servers, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        one = self.random.choice
        self.colors = one([(), (), ("blue", "green")])
        hosts = tuple(self.random.sample(HOSTS, one([1, 2, 3, 4])))
        everyone = (*hosts, *(host for host in "xyz" if self.rare(0.3)))
        self.given = draft(
            hosts=hosts,
            everyone=everyone,
            colors=self.colors,
            strategy="blue_green" if self.colors else one(["rolling", "canary", "all_at_once"]),
            homecoming=self.rare(0.4),
            kind=one(["rollout", "rollout", "restart", "rollback"]),
            ready=not self.colors and self.rare(0.3),
            batch_sizes=one([[1], [1, "50%"], "1, 50%", 2, ["100%"]]),
            min_healthy=one(["auto", 0, 1, "50%"]),
            interrupted=True,
            past=Past(
                NEW.version,
                OLD.version,
                frozenset(["0.3.0"] if self.rare(0.3) else []),
                "j",
                one(["running", "reverting", "finished"]),
                {host: self.left() for host in everyone if self.rare(0.4)},
            ),
            balanced=self.balanced(everyone) if self.rare(0.7) else None,
        )
        if self.rare(0.5):
            self.given = replace(self.given, interrupted=False, past=Past(NEW.version, OLD.version))
        self.sights = {host: self.sight() for host in hosts}

    def rare(self, share: float) -> bool:
        return self.random.random() < share

    def left(self) -> Host:
        return Host(self.random.choice(STEPS), self.random.choice([None, "0.0.9", OLD.version]), self.rare(0.5))

    def balanced(self, everyone: t.Sequence[str]) -> Balanced:
        names = [member_name(host, color) for host in everyone for color in self.colors or ("current",)]
        states = ["in"] * 12 + ["out", "draining", "partly", "unknown"]
        return balanced(*names, **{name: self.random.choice(states) for name in names})

    def sight(self) -> Sight:
        one = self.random.choice
        if self.rare(0.1):
            return Sight(faults={"staged": "no route"})
        found = seen(
            one([OLD.version, NEW.version, None]),
            one(["none", "restart", "start"]),
            current=one([OLD.version, NEW.version]),
        )
        if not self.colors:
            return found
        live = one(self.colors) if found.runs else None
        nodes = {color: {"running": color == live or self.rare(0.2)} for color in self.colors}
        told = {"live": live, "idle": one([color for color in self.colors if color != live]), "colors": nodes}
        return replace(found, seen={**found.seen, **told}, foreseen={"action": one(["start", "restart", "none"])})


def plans() -> t.Iterator[tuple[Fleet, Made]]:
    for seed in range(1500):
        fleet = Fleet(seed)
        try:
            yield fleet, make(fleet.given, fleet.sights)
        except BeamError as exc:
            assert exc.code in ("member_unknown", "capacity_floor", "floor_too_high"), exc


def test_what_holds_of_every_plan() -> None:
    made = list(plans())
    assert len(made) > 700
    for fleet, found in made:
        plan, given = found.plan, fleet.given
        assert sorted(plan.order) == sorted(given.hosts) and plan.order == sum(plan.batches, ())
        assert [one.host for one in found.found] == [row.host for row in plan.rows] == list(plan.order)
        assert plan.fleet[: len(plan.order)] == plan.order and set(plan.fleet) <= set(given.everyone)
        # Whom an interrupted rollout took out is nobody else's doing, and comes first; nobody else's doing is undone.
        ours = {host for host in plan.order if given.past.took_out(host)}
        assert ours <= plan.recovers and not plan.absent & (plan.leaves | ours)
        assert set(plan.order[: len(plan.recovers)]) == plan.recovers
        assert not plan.recovers or set(plan.batches[0]) == plan.recovers
        assert not plan.leaves or given.balanced
        if plan.idle:
            assert not plan.moves and not plan.recovers and given.homecoming
        if given.colors:
            assert all(side.to in given.colors and side.to not in side.others for side in plan.sides.values())


def test_the_floor_holds_as_the_batches_of_every_plan_go() -> None:
    """Where all goes well. Of two nodes, one serves all the time."""
    for fleet, made in plans():
        plan, rows = made.plan, {one.host: one for one in made.found}
        if plan.idle or fleet.given.colors:
            continue
        others = set(plan.fleet) - set(plan.order)
        lb = fleet.given.balanced
        serving = {one.host for one in made.found if one.serves} | {
            host for host in others if not lb or lb.of(host).serves
        }
        for batch in plan.batches:
            gone = {host for host in batch if rows[host].row.moves and host not in plan.recovers} & serving
            assert not gone or len(serving) - len(gone) >= plan.floor
            serving |= set(batch) - plan.absent


def test_every_plan_is_read_from_its_document_as_it_was_written() -> None:
    named = {"name": "beacon", "channel": "production", "version": NEW.version, "digest": NEW.digest}
    for _fleet, made in plans():
        again = parse_plan({**named, **made.plan.as_document()})
        assert replace(again, draft=made.plan.draft) == made.plan
        assert again.draft.colors == made.plan.draft.colors


def test_new_settings_restart_only_whom_they_change() -> None:
    same = seen(NEW.version, "none", current=NEW.version)
    changed = replace(same, settings=("/etc/beacon/env: new: TOKEN",))
    sights = {"a": same, "b": changed, "c": same, "d": changed}
    known: dict[str, t.Any] = {"kind": "restart", "settings": True, "homecoming": True, "stable": NEW}
    sights = {host: replace(one, staged={**one.staged, "changed": False}) for host, one in sights.items()}
    found = make(draft(**known), sights)
    assert found.plan.moves == {"b", "d"} and not found.plan.idle
    assert {one.host: one.reason for one in found.found if one.row.moves} == dict.fromkeys(
        "bd", "/etc/beacon/env: new: TOKEN"
    )
    assert make(draft(**known), dict.fromkeys(HOSTS, sights["a"])).plan.idle
    # A run that was cut had written them, and the node says itself that it is behind.
    behind = replace(sights["a"], seen={**same.seen, "restart": {"action": "restart", "reason": "it changed"}})
    assert make(draft(**known), {**sights, "a": behind}).plan.moves == {"a", "b", "d"}

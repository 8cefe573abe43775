# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What to do to bring members out or in, and whether the others can carry the load. Pure: it judges what was seen."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .base import DRAINING, IN, OUT, PARTLY, UNKNOWN, Balancer, Looks, MemberState

Pair = tuple[str, str]  # label of the place, host


@dataclass(frozen=True)
class Capacity:
    """Hosts of the fleet that get requests and are healthy: now, and without those that leave."""

    before: int
    after: int
    floor: t.Optional[int]
    fleet: int
    refusal: str = ""

    def facts(self) -> dict[str, t.Any]:
        return {"before": self.before, "after": self.after, "floor": self.floor, "fleet": self.fleet}


@dataclass(frozen=True)
class Plan:
    verb: str  # drained | joined
    steps: tuple[Pair, ...]  # what is to be changed
    pairs: tuple[Pair, ...]  # what has to be seen in the wanted state
    capacity: Capacity
    looks: Looks  # before

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    def diff(self) -> dict[str, str]:
        after = OUT if self.verb == "drained" else IN
        lines = [(label, name, self.looks[label][name].rotation) for label, name in sorted(self.pairs)]
        changing = set(self.steps)
        return {
            "before": "".join("%s in %s: %s\n" % (name, label, rotation) for label, name, rotation in lines),
            "after": "".join(
                "%s in %s: %s\n" % (name, label, after if (label, name) in changing else rotation)
                for label, name, rotation in lines
            ),
        }


def rotation_of(states: t.Collection[MemberState]) -> str:
    """Of a host over its places."""
    found = {state.rotation for state in states}
    if len(found) == 1:
        return found.pop()
    if not found or UNKNOWN in found:
        return UNKNOWN
    return PARTLY if IN in found else DRAINING


def states_of(looks: Looks, name: str) -> dict[str, MemberState]:
    return {label: look[name] for label, look in looks.items() if name in look}


def serves(looks: Looks, name: str) -> bool:
    """In service and healthy wherever it is known. If a host is out of one of two balancers, nobody knows whether half the load is enough."""
    known = [state for state in states_of(looks, name).values() if state.rotation != UNKNOWN]
    return bool(known) and all(state.serves for state in known)


def fleet_of(looks: Looks, fleet: t.Optional[t.Collection[str]]) -> set[str]:
    return set(fleet) if fleet is not None else {name for look in looks.values() for name in look}


def capacity(
    places: t.Sequence[Balancer],
    looks: Looks,
    leaving: t.Collection[str],
    fleet: t.Optional[t.Collection[str]],
    floor: t.Optional[int],
) -> Capacity:
    everyone = fleet_of(looks, fleet)
    now = {name for name in everyone if serves(looks, name)}
    after = now - set(leaving)
    refusal = _refusal(places, looks, set(leaving), now, after, floor) if floor else ""
    return Capacity(len(now), len(after), floor, len(everyone), refusal)


def _refusal(
    places: t.Sequence[Balancer], looks: Looks, leaving: set[str], now: set[str], after: set[str], floor: int
) -> str:
    going = {name for name in leaving if any(state.serves for state in states_of(looks, name).values())}
    if going and len(after) < floor:
        return "%d of the fleet are in and healthy now, %d would be without %s, and min_healthy is %d" % (
            len(now),
            len(after),
            ", ".join(sorted(leaving)),
            floor,
        )
    for place in places:
        look = looks[place.label]
        serving = {name for name, state in look.items() if state.serves}
        inside = {name for name, state in look.items() if state.rotation == IN}
        if place.sees_all and serving & leaving and not serving - leaving:
            return "nobody else is in and healthy in %s (%d members, %d in, %d healthy), and min_healthy is %d" % (
                place.label,
                len(look),
                len(inside),
                len(serving),
                floor,
            )
        if place.fails_open and inside & leaving and not serving:
            return (
                "none of the %d members of %s is healthy, so it sends requests to all of them, healthy or not, and each that leaves is missed"
                % (
                    len(inside),
                    place.label,
                )
            )
    return ""


def plan_drain(
    places: t.Sequence[Balancer],
    looks: Looks,
    members: t.Collection[str],
    fleet: t.Optional[t.Collection[str]] = None,
    floor: t.Optional[int] = None,
) -> Plan:
    pairs = tuple((place.label, name) for place in places for name in sorted(members))
    steps = tuple((label, name) for label, name in pairs if looks[label][name].rotation == IN)
    if floor and not any(place.sees_all for place in places):
        raise BeamError(
            "capacity_unseen",
            "%s may not leave" % ", ".join(sorted(members)),
            "%s shows no other server, so min_healthy can't be judged" % ", ".join(place.label for place in places),
            "Add a balancer of kind haproxy or alb, or set min_healthy (in an inventory beam_min_healthy) to 0",
            changed=False,
        )
    seen = capacity(places, looks, members, fleet, floor)
    return Plan("drained", steps, pairs, seen, looks)


def plan_join(
    places: t.Sequence[Balancer],
    looks: Looks,
    members: t.Collection[str],
    fleet: t.Optional[t.Collection[str]] = None,
    only: t.Optional[t.Mapping[str, t.Collection[str]]] = None,
) -> Plan:
    """only: of a host, the labels of the places that it is to be in; the others are left as they are."""
    wanted = {name: set((only or {}).get(name) or [place.label for place in places]) for name in members}
    pairs = tuple((place.label, name) for place in places for name in sorted(members) if place.label in wanted[name])
    steps = tuple(
        (label, name) for label, name in pairs if looks[label][name].rotation != IN or looks[label][name].half
    )
    return Plan("joined", steps, pairs, capacity(places, looks, (), fleet, None), looks)


def check_known(places: t.Sequence[Balancer], looks: Looks, members: t.Collection[str], joining: bool) -> None:
    """A member that a place does not know is never taken for drained."""
    missing = [
        (name, place, looks[place.label][name])
        for place in places
        for name in sorted(members)
        if looks[place.label][name].rotation == UNKNOWN
    ]
    missing = [(name, place, state) for name, place, state in missing if not (joining and place.adds)]
    if missing:
        name, place, state = missing[0]
        why = state.note or "it has no such member"
        if len(missing) > 1:
            why += " (and %d more)" % (len(missing) - 1)
        details = {
            each: {"left": UNKNOWN, "note": "%s: %s" % (where.label, said.note)} for each, where, said in missing
        }
        hint = "Nothing was changed. Correct the balancer's options or the host's entry in members"
        raise BeamError(
            "member_unknown", "%s is unknown to %s" % (name, place.label), why, hint, changed=False, members=details
        )


def check_capacity(plan: Plan) -> None:
    if plan.capacity.refusal:
        raise BeamError(
            "capacity_floor",
            "%s may not leave" % ", ".join(sorted({name for _label, name in plan.pairs})),
            plan.capacity.refusal,
            "Nothing was changed. Bring more hosts into service first, make the batch smaller (beam_batches), or lower min_healthy (beam_min_healthy)",
            changed=False,
            healthy=plan.capacity.facts(),
        )

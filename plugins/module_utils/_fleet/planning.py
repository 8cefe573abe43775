# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The plan of a rollout, made from a draft (what was asked for, what the store says) and from what every server was seen to run. Pure.

It says in which order and batches the hosts move, which of them leave a balancer, and whether there is anything to do.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._errors import BeamError
from .balanced import UNKNOWN, Member
from .batches import cut, floor, refuse_below, sizes
from .colors import check_colors, kept, rotation, side
from .hot import in_place, refuse_blocked
from .nodes import member_name
from .plan import Draft, Plan, Row, Side
from .sight import Sight
from .way_back import Past, came_from, doubt

Hosts = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A host, with what was seen of it and matters only to the plan and its reader."""

    row: Row
    running: str = ""  # the version
    reason: str = ""  # why it will be restarted, or why that could not be found out
    fetch: int | None = None  # bytes; None where nothing was staged
    serves: bool = False
    rotation: str = ""  # as its balancers say; empty if none was asked about it
    strange: Hosts = ()  # its nodes that are missing in a balancer

    @property
    def host(self) -> str:
        return self.row.host


@dataclass(frozen=True)
class Made:
    """found: in the order of the plan. doubts: a sentence for each journal that is not believed."""

    plan: Plan
    found: tuple[Found, ...] = ()
    doubts: tuple[str, ...] = ()


def make(draft: Draft, sights: t.Mapping[str, Sight]) -> Made:
    """Raises BeamError if the batches make no sense or would take too many hosts away at once. sights: of all hosts of the draft."""
    check_colors(draft.strategy, draft.colors, draft.hosts, draft.ready)
    sides = {
        host: side(
            host, sights[host], draft.past, draft.colors, "restart" if _forced(draft, sights[host]) else "rollout"
        )
        for host in draft.hosts
        if draft.colors
    }
    by_host = {host: _found(host, sights[host], draft, sides.get(host)) for host in draft.hosts}
    first = tuple(host for host in draft.hosts if draft.past.left_half_way(host))
    rest = _in_turn(draft, by_host, first)
    order = (*first, *rest)
    found = tuple(by_host[host] for host in order)
    batches, beside = _batches(draft, first, rest), _beside(draft)
    lowest = _floor(draft, found, beside)
    absent = frozenset(one.host for one in found if _by_hand(draft, one, "out", "draining"))
    _refuse_strangers(draft, found)
    refuse_blocked(draft, [(one.host, one.reason) for one in found if one.row.action == "restart"])
    idle = _idle(draft, found, sights)
    plan = Plan(
        draft=draft,
        order=order,
        batches=batches,
        rows=tuple(one.row for one in found),
        sides={host: sides[host] for host in order if host in sides},
        fleet=(*order, *beside),
        floor=lowest,
        idle=idle,
        moves=frozenset(one.host for one in found if one.row.moves),
        leaves=frozenset(one.host for one in found if one.rotation and one.host not in absent),
        absent=absent,
        aside=_aside(draft, found, sides),
        # If nothing moves, nothing puts a readiness file back.
        unready=tuple(host for host in order if idle and sights[host].unready),
        recovers=frozenset(first),
        canary=rest[0] if draft.strategy == "canary" and rest else "",
    )
    _refuse_too_few(plan, found, beside)
    return Made(plan, found, _doubts(plan, sights))


def _found(host: str, sight: Sight, draft: Draft, mine: Side | None) -> Found:
    """What a host runs, and what will be done to it. mine: the nodes of a host with two."""
    action, reason = _foreseen(sight, colored=mine is not None)
    action = action or ("none" if sight.running == draft.version else "restart")
    if _forced(draft, sight) and action == "none":
        action = "restart"
    if action == "restart":
        action, reason = in_place(draft, sight, reason)
    if draft.settings and sight.settings:
        reason = "; ".join(sight.settings)
    member = draft.balanced.of(host) if draft.balanced else Member()
    row = Row(
        host=host,
        before=came_from(sight, draft.past, host),
        current=sight.on_disk,
        action=action,
        activate=sight.on_disk != draft.version,
        healthy=sight.healthy,
    )
    found = Found(
        row=row,
        running=sight.running,
        reason=reason,
        fetch=(sight.staged.get("bytes") or {}).get("fetched"),
        serves=member.serves if draft.balanced else sight.healthy,
        rotation=member.before,
    )
    return found if mine is None else _colored(found, sight, draft, mine)


def _forced(draft: Draft, sight: Sight) -> bool:
    """Whether it is restarted although it runs the version of the plan."""
    return draft.kind == "restart" and (bool(sight.settings) if draft.settings else True)


def _foreseen(sight: Sight, colored: bool) -> tuple[str, str]:
    """What a restart would do, and why. With two nodes, another node is started than the one that serves."""
    part, told = ("foreseen", sight.foreseen) if colored else ("seen", sight.restart)
    if part in sight.faults:
        return "", sight.faults[part]
    return str(told.get("action") or ""), str(told.get("reason") or "")


def _colored(found: Found, sight: Sight, draft: Draft, mine: Side) -> Found:
    """For a host with two nodes: the node that serves is not touched, so it is the way back."""
    at = rotation(found.host, sight, draft.colors, mine, draft.balanced)
    why = "" if "foreseen" in sight.faults else str(kept(sight).get("reason") or "")
    return replace(
        found,
        row=replace(found.row, before=mine.before, action=mine.action),
        reason=why or found.reason,
        serves=at.serves if draft.balanced else found.serves,
        rotation=at.state,
        strange=at.strange,
    )


def _in_turn(draft: Draft, found: t.Mapping[str, Found], first: Hosts) -> Hosts:
    """The order after those that an interrupted rollout left half way. These may be out of the balancer already, so they are first and cost no capacity.

    Hosts that do not serve are next: they cost nothing, and are capacity for those that follow. But a canary is judged by its requests, so it has to serve,
    unless its version is stable already and not judged. With two nodes, one serves all the time.
    """
    left = frozenset(first)
    rest = [host for host in draft.hosts if host not in left]
    if not draft.colors and (draft.strategy != "canary" or draft.homecoming):
        rest.sort(key=lambda host: found[host].serves)
    return tuple(rest)


def _batches(draft: Draft, first: Hosts, rest: Hosts) -> tuple[Hosts, ...]:
    """Those that were left half way are a batch of their own."""
    lengths = [len(first)] if first else []
    if rest or not first:
        lengths += sizes(draft.strategy, draft.batch_sizes, len(rest))
    return tuple(tuple(batch) for batch in cut((*first, *rest), lengths))


def _beside(draft: Draft) -> Hosts:
    """Hosts that --limit leaves out carry load, too, unless they are not in the balancer."""
    moving = frozenset(draft.hosts)
    others = [host for host in draft.everyone if host not in moving]
    return tuple(host for host in others if not draft.balanced or draft.balanced.of(host).known)


def _carrying(draft: Draft, beside: Hosts) -> frozenset[str]:
    """Which of these serve. Without a balancer that is not known: all of them count as serving."""
    return frozenset(host for host in beside if not draft.balanced or draft.balanced.of(host).serves)


def _floor(draft: Draft, found: t.Sequence[Found], beside: Hosts) -> int:
    lowest = floor(draft.min_healthy, draft.strategy, len(found) + len(beside))
    if any(one.serves for one in found) or (draft.balanced and _carrying(draft, beside)):
        return lowest
    return 0  # a first deploy, or everything is down: there is no capacity to hold


def _by_hand(draft: Draft, one: Found, *states: str) -> bool:
    """Whether somebody took a host out of its balancers, so that it stays out. One that an interrupted rollout took out comes back."""
    return one.rotation in states and not draft.past.took_out(one.host)


def _refuse_strangers(draft: Draft, found: t.Sequence[Found]) -> None:
    unknown = [one for one in found if _by_hand(draft, one, UNKNOWN)]
    if not unknown or not draft.balanced:
        return
    raise BeamError(
        "member_unknown",
        "%s can't be taken out of the balancer"
        % ", ".join(name for one in unknown for name in one.strange or (one.host,)),
        "%s does not know them" % " and ".join(draft.balanced.balancers or ("the balancer",)),
        "Add them there, or say in beam_member what it calls them (server, target, port). A target that was taken out of its group by hand comes back with"
        " alchemist.beam.join",
    )


def _idle(draft: Draft, found: t.Sequence[Found], sights: t.Mapping[str, Sight]) -> bool:
    """Whether there is nothing to do: all hosts run what is stable already, and no other rollout left anything."""
    home = draft.homecoming and not draft.interrupted and draft.candidate is None
    return home and all(
        not one.row.moves and one.row.healthy and not sights[one.host].staged.get("changed") for one in found
    )


def _aside(draft: Draft, found: t.Sequence[Found], sides: t.Mapping[str, Side]) -> dict[str, Hosts]:
    """The hosts that somebody took out of all their balancers or of some, with the places that send them no requests."""
    out: dict[str, Hosts] = {}
    for one in found:
        if draft.balanced and _by_hand(draft, one, "out", "draining", "partly"):
            live = sides[one.host].live if one.host in sides else ""
            out[one.host] = draft.balanced.of(member_name(one.host, live) if live else one.host).out_of
    return out


def _refuse_too_few(plan: Plan, found: t.Sequence[Found], beside: Hosts) -> None:
    """With two nodes, one serves all the time."""
    if plan.idle or plan.draft.strategy == "blue_green":
        return
    # Hosts that were left half way serve again before any other leaves, except those that somebody has taken out since.
    again = plan.recovers - plan.absent
    serving = {one.host for one in found if one.serves} | again | _carrying(plan.draft, beside)
    leaving = frozenset(host for host in plan.moves - plan.recovers if not plan.stays(host))
    refuse_below(
        plan.floor, [[host for host in batch if host in leaving] for batch in plan.batches], serving, plan.absent
    )


def _doubts(plan: Plan, sights: t.Mapping[str, Sight]) -> tuple[str, ...]:
    told = (doubt(sights[host], plan.draft.past, host) for host in plan.order)
    return tuple(text for text in told if text)


def unsettled(past: Past, absent: t.Iterable[str], why: str = "") -> bool:
    """Whether the controller of an interrupted rollout may still be at work: hosts that it had moved are out of the balancer now and its journal does not
    know that, or too few are in. A controller that has lost the store brings back what it can, and shows by nothing else.

    why: the code of the reason if there can be no plan.
    """
    if past.finished or not past.state:
        return False
    return why == "capacity_floor" or not past.touched.isdisjoint(absent)

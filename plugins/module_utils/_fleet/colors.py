# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Two nodes on one host: which of them will serve, which one leaves, and which one is the way back. Pure.

A node is named by its colour, which is also its pointer; `current` is the only node of a host that has no colours yet. Behind a balancer, the node
`green` of the host h1 is h1-green, unless beam_member says otherwise.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .balanced import UNKNOWN, Balanced, Member
from .nodes import CURRENT, member_name
from .plan import Side
from .sight import Doc, Sight
from .way_back import Past, came_from, unfinished_from


def check_colors(strategy: str, colors: t.Sequence[str], hosts: t.Collection[str], ready: bool) -> None:
    """Raises if the colours and the strategy do not fit."""
    green = strategy == "blue_green"
    if green and len(colors) < 2:
        raise BeamError(
            "colors_missing",
            "the strategy blue_green can't be used",
            "there are no colours to switch between",
            "Say beam_colors: [blue, green], and give service_colors to the role service",
        )
    if colors and not green:
        raise BeamError(
            "colors_strategy",
            "the strategy %s can't be used" % strategy,
            "the hosts have the nodes %s" % ", ".join(colors),
            "Use the strategy blue_green, or take beam_colors away and go back to one node",
        )
    if colors and ready:
        raise BeamError(
            "colors_ready",
            "beam_ready can't be used with colours",
            "one file can't tell two nodes apart",
            "Use a balancer of kind haproxy or alb",
        )
    twice = {member_name(host, color) for host in hosts for color in colors} & set(hosts)
    if twice:
        raise BeamError(
            "colors_name",
            "%s is two things" % min(twice),
            "a host is called like the colour of another one",
            "Rename the host or the colour",
        )


def live_of(seen: Doc) -> str:
    """The node that serves; empty if none runs."""
    return str(seen.get("live") or (CURRENT if seen.get("running") else ""))


def kept(sight: Sight) -> Doc:
    """What would be done to the node that serves if it stayed; empty if none runs. It is never restarted."""
    return sight.restart if sight.runs else {}


def side(host: str, sight: Sight, past: Past, colors: t.Sequence[str], kind: str) -> Side:
    seen = sight.seen
    live, facts, plain = live_of(seen), seen.get("colors") or {}, seen.get("plain") or {}
    stays = bool(live) and kind != "restart" and kept(sight).get("action") == "none"
    idle = str(seen.get("idle") or next(color for color in colors if color != live))
    to = live if stays else idle
    spare = idle if stays else next(color for color in colors if color != to)
    broken = unfinished_from(sight, past, host)
    if stays and broken:
        version, back = broken, spare  # an earlier rollout had switched this host already
    elif live:
        version, back = str(seen.get("version") or came_from(sight, past, host)), live
    else:
        version = came_from(sight, past, host)
        back = spare if version else ""
    others = tuple(
        color
        for color in (CURRENT, *colors)
        if color != to and (color != CURRENT or plain.get("running") or plain.get("enabled"))
    )
    spoiled = [
        color
        for color in others
        if any((plain if color == CURRENT else facts.get(color) or {}).get(key) for key in ("running", "enabled"))
    ]
    return Side(
        live=live,
        to=to,
        back=back,
        before=version,
        others=others,
        starts=not stays and sight.foreseen.get("action") != "none",
        action="switch" if not stays else "tidy" if spoiled or seen.get("enabled") is False else "none",
    )


def nodes(sight: Sight, colors: t.Sequence[str]) -> list[str]:
    """All nodes of a host that may be in a balancer."""
    return [*([CURRENT] if (sight.seen.get("plain") or {}).get("running") else []), *colors]


@dataclass(frozen=True)
class Rotation:
    """What the balancer says about a host with two nodes, as if it were one node. state is empty without a balancer."""

    state: str = ""
    serves: bool = False
    strange: tuple[str, ...] = ()  # members that the balancer does not know


def rotation(host: str, sight: Sight, colors: t.Sequence[str], mine: Side, balanced: Balanced | None) -> Rotation:
    if balanced is None:
        return Rotation()
    found = {color: balanced.of(member_name(host, color)) for color in nodes(sight, colors)}
    wanted = [color for color in (mine.live, mine.to) if color]
    strange = tuple(member_name(host, color) for color in wanted if not found.get(color, Member()).known)
    inside = [color for color, member in found.items() if member.before in ("in", "partly")]
    running = [
        color
        for color in inside
        if color == mine.live or ((sight.seen.get("colors") or {}).get(color) or {}).get("running")
    ]
    state = "in"
    if strange:
        state = UNKNOWN
    elif mine.live and not running:
        state = found[mine.live].before  # somebody has taken it out
    return Rotation(state, any(found[color].healthy for color in inside), strange)

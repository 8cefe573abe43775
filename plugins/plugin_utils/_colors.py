# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Two nodes on one host: which of them is to serve, which is to go, and which of them to go back to. Pure.

A node is named by its colour, which is also its pointer; `current` is the one node that a host had before it had colours. Behind a balancer, the node
`green` of the host h1 is h1-green, unless beam_member says otherwise.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT, member_name, nodes_at
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import came_from, result, unfinished_from

Vars = t.Mapping[str, t.Any]
Turn = dict[str, list[str]]


def check(draft: Vars) -> list[str]:
    """The colours of a plan; raises where they and the strategy do not fit."""
    colors = [str(color) for color in draft.get("colors") or ()]
    green = draft["strategy"] == "blue_green"
    if green and len(colors) < 2:
        raise BeamError(
            "colors_missing", "the strategy blue_green can't be used", "there are no colours to switch between",
            "Say beam_colors: [blue, green], and give service_colors to the role service",
        )
    if colors and not green:
        raise BeamError(
            "colors_strategy", "the strategy %s can't be used" % draft["strategy"], "the hosts have the nodes %s" % ", ".join(colors),
            "Use the strategy blue_green, or take beam_colors away and go back to one node",
        )
    if colors and draft.get("ready"):
        raise BeamError(
            "colors_ready", "beam_ready can't be used with colours", "one file can't tell two nodes apart", "Use a balancer of kind haproxy or alb",
        )
    twice = {member_name(host, color) for host in draft["hosts"] for color in colors} & set(draft["hosts"])
    if twice:
        raise BeamError("colors_name", "%s is two things" % min(twice), "a host is called like the colour of another one", "Rename the host or the colour")
    return colors


def live_of(seen: Vars) -> str:
    """The node that serves; empty where none runs."""
    return str(seen.get("live") or (CURRENT if seen.get("running") else ""))


def kept(of: Vars) -> Vars:
    """What would be done to the one that serves, if it stayed the one; empty where none runs. It is never started anew."""
    live = result(of, "rollout_live")
    return (live.get("restart") or {}) if live.get("running") else {}


def side(host: str, of: Vars, draft: Vars) -> dict[str, t.Any]:
    """`live` serves, `to` shall, `others` are to be out and stopped in the end; `back` and `from`: the node and the version to go back to."""
    seen, colors = result(of, "rollout_seen"), list(draft["colors"])
    live, facts, plain = live_of(seen), seen.get("colors") or {}, seen.get("plain") or {}
    stays = bool(live) and draft.get("kind") != "restart" and kept(of).get("action") == "none"
    idle = str(seen.get("idle") or next(color for color in colors if color != live))
    to = live if stays else idle
    spare = idle if stays else next(color for color in colors if color != to)
    broken = unfinished_from(of, draft, host)
    if stays and broken:
        version, back = broken, spare  # an earlier rollout had switched this host already
    elif live:
        version, back = seen.get("version") or came_from(of, draft, host), live
    else:
        version = came_from(of, draft, host)
        back = spare if version else ""
    others = [color for color in (CURRENT, *colors) if color != to and (color != CURRENT or plain.get("running") or plain.get("enabled"))]
    spoiled = [color for color in others if any((plain if color == CURRENT else facts.get(color) or {}).get(key) for key in ("running", "enabled"))]
    return {
        "live": live, "to": to, "back": back, "from": version or None, "others": others,
        "starts": not stays and result(of, "rollout_foreseen").get("action") != "none",
        "action": "switch" if not stays else "tidy" if spoiled or seen.get("enabled") is False else "none",
    }


def nodes(of: Vars, colors: t.Sequence[str]) -> list[str]:
    """All nodes of a host that a balancer may know."""
    plain = result(of, "rollout_live").get("plain") or {}
    return [*([CURRENT] if plain.get("running") else []), *colors]


def rotation(host: str, of: Vars, draft: Vars, mine: Vars) -> dict[str, t.Any]:
    """What the balancer makes of a host with two nodes, as if it were one: `rotation`, `serves`, and who is `strange` to it."""
    members = (draft.get("balanced") or {}).get("members") or {}
    found = {color: members.get(member_name(host, color)) or {} for color in nodes(of, draft["colors"])}
    wanted = [color for color in (mine["live"], mine["to"]) if color]
    strange = [member_name(host, color) for color in wanted if (found.get(color) or {}).get("before") in (None, "unknown")]
    inside = [color for color, member in found.items() if member.get("before") in ("in", "partly")]
    seen = result(of, "rollout_seen")
    running = [color for color in inside if color == mine["live"] or ((seen.get("colors") or {}).get(color) or {}).get("running")]
    if not draft.get("balanced"):
        state = None
    elif strange:
        state = "unknown"
    elif mine["live"] and not running:
        state = (found.get(mine["live"]) or {}).get("before")  # somebody took it out
    else:
        state = "in"
    return {"rotation": state, "serves": any(found[color].get("healthy") for color in inside), "strange": strange}


def turn(plan: Vars, hosts: t.Iterable[str], step: str) -> Turn:
    """By host, the nodes whose turn it is to join or to leave the balancer at a step of the batch."""
    parsed = parse_plan(plan)
    found = {host: nodes_at(parsed, host, step) for host in hosts}
    return {host: nodes for host, nodes in found.items() if nodes}

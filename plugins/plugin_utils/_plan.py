# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The plan of a rollout, made from a draft (what was asked for, what the store says) and from what every server was seen to run.

It says in which order the hosts move and in which batches, who leaves a balancer, and whether there is anything to do at all.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.batches import cut, floor, refuse_below, sizes
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.colors import check_colors, kept, rotation, side
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Side, side_doc
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.way_back import (
    Past,
    Sight,
    came_from,
    doubt,
    parse_past,
)
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._advice import advice
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error, failed, member_of, sight
from ansible_collections.alchemist.beam.plugins.plugin_utils._rotation import places_out, unready
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]

# A host that an interrupted rollout left in one of these was dealt with to the end.
SETTLED = ("planned", "skipped", "joined", "returned")


def _rotation(plan: Vars, host: str) -> Vars:
    return ((plan.get("balanced") or {}).get("members") or {}).get(host) or {}


def _colored(row: Vars, host: str, sight: Sight, draft: Vars, mine: Side) -> dict[str, t.Any]:
    """The row of a host with two nodes: the one that serves is not touched, so it is what ran before."""
    balanced = rotation(host, sight, draft["colors"], mine, draft.get("balanced") or {})
    reason = row["reason"] if failed(sight.foreseen) else kept(sight).get("reason") or row["reason"]
    return {
        **row,
        "from": mine.before or None,
        "action": mine.action,
        "reason": reason,
        "rotation": balanced.state or None,
        "strange": list(balanced.strange),
        "serves": balanced.serves if draft.get("balanced") else row["serves"],
        "live": mine.live,
        "to": mine.to,
    }


def _row(host: str, sight: Sight, draft: Vars, past: Past) -> dict[str, t.Any]:
    staged, seen = sight.staged, sight.seen
    # The node that would be started is another one than that which serves, where a host has two.
    foreseen = sight.foreseen if draft.get("colors") else seen if failed(seen) else seen.get("restart") or {}
    rotation = _rotation(draft, host)
    health = seen.get("health")
    # Before anything is staged, the server alone has said what is current.
    current = staged["current"] if "current" in staged else (seen.get("current") or {}).get("version")
    runs = bool(seen.get("running"))
    serves = runs and (not health or bool(health.get("passed")))
    if draft.get("balanced"):
        serves = rotation.get("before") == "in" and bool(rotation.get("healthy"))
    action = foreseen.get("action") or ("none" if runs and seen.get("version") == draft["version"] else "restart")
    if draft.get("kind") == "restart" and action == "none":
        action = "restart"
    return {
        "host": host,
        "running": seen.get("version") if runs else None,
        "current": current,
        "target": draft["version"],
        "from": came_from(sight, past, host) or None,
        "action": action,
        "reason": error(foreseen) if failed(foreseen) else foreseen.get("reason") or "",
        "fetch": (staged.get("bytes") or {}).get("fetched"),
        "activate": current != draft["version"],
        "healthy": runs and (not health or bool(health.get("passed"))),
        "serves": serves,
        "rotation": rotation.get("before"),
    }


def make(draft: Vars, hostvars: Vars) -> dict[str, t.Any]:
    """Raises BeamError where the batches make no sense or would take too many hosts away at once."""
    hosts, colors = list(draft["hosts"]), [str(color) for color in draft.get("colors") or ()]
    check_colors(draft["strategy"], colors, hosts, bool(draft.get("ready")))
    past, sights = parse_past(draft), {host: sight(hostvars.get(host) or {}) for host in hosts}
    broken = (draft.get("interrupted") or {}).get("hosts") or {}
    # Whoever an interrupted rollout left half way comes first: those hosts may be out of the balancer, and taking them costs no capacity.
    first = [h for h in hosts if h in broken and (broken[h].get("out") or broken[h].get("step") not in SETTLED)]
    rest = [h for h in hosts if h not in first]
    found = {host: _row(host, sights[host], draft, past) for host in hosts}
    if not colors and (draft["strategy"] != "canary" or draft["homecoming"]):
        # Who does not serve is next: it costs nobody anything, and is capacity for those that follow. A canary needs requests to be judged by; what is
        # stable already is not judged.
        rest.sort(key=lambda host: bool(found[host]["serves"]))
    order = first + rest
    rows = [found[host] for host in order]
    sides = (
        {host: side(host, sights[host], past, colors, draft.get("kind") or "rollout") for host in order}
        if colors
        else {}
    )
    if colors:
        rows = [_colored(row, row["host"], sights[row["host"]], draft, sides[row["host"]]) for row in rows]
    lengths = ([len(first)] if first else []) + (
        sizes(draft["strategy"], draft["batch_sizes"], len(rest)) if rest or not first else []
    )
    batches = cut(order, lengths)
    # What --limit leaves out carries load, too. Without a balancer nobody has asked those hosts: they are taken to serve.
    beside = [h for h in draft.get("everyone") or () if h not in hosts]
    carrying = set(beside)
    if draft.get("balanced"):
        beside = [h for h in beside if _rotation(draft, h).get("before") not in (None, "unknown")]
        carrying = {
            h for h in beside if _rotation(draft, h).get("before") == "in" and _rotation(draft, h).get("healthy")
        }
    lowest = floor(draft["min_healthy"], draft["strategy"], len(order) + len(beside))
    if not any(row["serves"] for row in rows) and not (draft.get("balanced") and carrying):
        lowest = 0  # a first deploy, or everything is down: there is no capacity to hold
    moves = [row["host"] for row in rows if row["action"] != "none" or row["activate"]]
    idle = (
        not draft.get("interrupted")
        and draft["homecoming"]
        and not draft.get("candidate")
        and not moves
        and all(row["healthy"] for row in rows)
        and all(not sights[h].staged.get("changed") for h in order)
    )
    # Hosts that somebody took out before us stay out. Those that an interrupted rollout took out come back.
    absent = [
        row["host"]
        for row in rows
        if row["rotation"] in ("out", "draining") and not (broken.get(row["host"]) or {}).get("out")
    ]
    unknown = [row for row in rows if row["rotation"] == "unknown" and not (broken.get(row["host"]) or {}).get("out")]
    strangers = [name for row in unknown for name in row.get("strange") or [row["host"]]]
    if strangers:
        raise BeamError(
            "member_unknown",
            "%s can't be taken out of the balancer" % ", ".join(strangers),
            "%s does not know them" % " and ".join(draft["balanced"].get("balancers") or ["the balancer"]),
            "Add them there, or say in beam_member what it calls them (server, target, port). A target that was taken out of its group by hand comes back with"
            " alchemist.beam.join",
        )
    halves = [
        row["host"] for row in rows if row["rotation"] == "partly" and not (broken.get(row["host"]) or {}).get("out")
    ]
    aside = {
        host: places_out(member_of(draft.get("balanced") or {}, host, sides[host].live if host in sides else None))
        for host in order
        if host in absent or host in halves
    }
    leaves = [
        row["host"]
        for row in rows
        if draft.get("balanced") and row["rotation"] is not None and row["host"] not in absent
    ]
    if not idle and draft["strategy"] != "blue_green":
        # Those that were left half way serve again before anybody else leaves.
        serving = {row["host"] for row in rows if row["serves"]}.union(first, carrying)
        refuse_below(
            lowest, [[h for h in batch if h in moves and h not in first] for batch in batches], serving, absent
        )
    known = {**draft, "order": order, "idle": idle}
    doubts = [told for told in (doubt(sights[host], past, host) for host in order) if told]
    return {
        **draft,
        "advice": [*doubts, *advice(known, hostvars)],
        "order": order,
        # Whose variables say how it went: newcomers, for whom there is a plan of their own, have not heard what was said to these.
        "judges": list(draft.get("judges") or order),
        "fleet": order + beside,
        "batches": lengths,
        "members": batches,
        "floor": lowest,
        "idle": idle,
        "moves": moves,
        "leaves": leaves,
        "absent": absent,
        "aside": aside,
        "hidden": [host for host in order if idle and unready(hostvars.get(host) or {})],
        "recovers": first,
        "rows": rows,
        "sides": {host: side_doc(one) for host, one in sides.items()},
        "colors": colors,
        "froms": {row["host"]: row["from"] for row in rows},
        "origins": {row["host"]: {"from": row["from"]} for row in rows},
        "canary": rest[0] if draft["strategy"] == "canary" and rest else "",
    }


def planned(draft: Vars, hostvars: Vars) -> dict[str, t.Any]:
    """The plan; or the draft with the reason in `refused`, which may be looked at again later."""
    try:
        plan = make(draft, hostvars)
    except BeamError as exc:
        return {**draft, "refused": NOTHING_NAMED.text(exc.message), "unsettled": unsettled(draft, exc.code)}
    return {**plan, "refused": "", "unsettled": unsettled(plan)}


def unsettled(plan: Vars, why: str = "") -> bool:
    """Whether the controller of an interrupted rollout may still be at work, as far as can be seen: what it had moved is out of the balancer now, and its
    journal does not know that; or too few are in. One that has lost the store brings back what it can, and is not seen otherwise.

    plan: or the draft, where there can be no plan. why: the code of the reason.
    """
    interrupted = plan.get("interrupted") or {}
    if interrupted.get("state", "finished") == "finished":
        return False
    hosts = interrupted.get("hosts") or {}
    moved = {host for host, one in hosts.items() if one.get("step") not in ("planned", "skipped")}
    return why == "capacity_floor" or bool(moved.intersection(plan.get("absent") or ()))


def _switch(row: Vars, balanced: bool) -> list[str]:
    former = "" if not row["live"] else "the former node" if row["live"] == CURRENT else str(row["live"])
    join, leave = (["%s joins" % row["to"]], ["%s leaves" % former]) if balanced else ([], [])
    return ["start %s" % row["to"], *join, *([*leave, "stop %s" % former] if former else [])]


def preview(plan: Vars) -> list[dict[str, t.Any]]:
    """The rows that a person reads before the first host moves, and all of a rehearsal."""
    found = []
    for number, batch in enumerate(plan["members"], 1):
        for host in batch:
            row = next(r for r in plan["rows"] if r["host"] == host)
            will = (
                []
                if row["action"] == "none" and not row["activate"]
                else [row["action"] if row["action"] != "none" else "activate"]
            )
            if row["action"] == "switch":
                will = _switch(row, host in plan["leaves"])
            elif host in plan["leaves"] and will:
                will = ["leave", *will, "join"]
            if host in plan["recovers"]:
                will.append("left half way by %s" % plan["interrupted"]["id"])
            if host in plan["absent"]:
                will.append("stays out of the balancer")
            found.append(
                {
                    "batch": number,
                    "host": host,
                    "running": row["running"],
                    "target": row["target"],
                    "fetch": row["fetch"],
                    "does": ", ".join(will) or "nothing",
                    "because": row["reason"],
                }
            )
    return found


def preview_lines(plan: Vars) -> list[str]:
    return render(preview(plan), ("batch", "host", "running", "target", "fetch", "does", "because")) + list(
        plan.get("advice") or ()
    )

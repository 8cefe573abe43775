# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The plan of a rollout at its edge: what the role knows becomes values, the plan becomes what the role remembers, and lines for a person."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Plan, Side, parse_draft, parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.planning import Found, Made, make, unsettled
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._advice import advice
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import sight
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]
COLUMNS = ("batch", "host", "running", "target", "fetch", "does", "because")


@dataclass(frozen=True)
class Planned:
    """document: as the role remembers it; the draft's where there is no plan, and then `refused` says why.

    unsettled: the controller of an interrupted rollout may still be at work, so that a later look may see more. lines: what a person reads before the first
    host moves.
    """

    document: dict[str, t.Any]
    lines: tuple[str, ...] = ()
    refused: str = ""
    unsettled: bool = False


def planned(draft: Vars, hostvars: Vars) -> Planned:
    """draft: rollout_plan, with what the balancers said."""
    try:
        made = made_of(draft, hostvars)
    except BeamError as exc:
        before = parse_plan(draft)
        again = unsettled(before.draft.past, before.absent, exc.code)
        return Planned(dict(draft), refused=NOTHING_NAMED.text(exc.message), unsettled=again)
    found = document(draft, made, hostvars)
    lines = (*render(preview(made), COLUMNS), *found["advice"])
    return Planned(found, lines, unsettled=unsettled(made.plan.draft.past, made.plan.absent))


def made_of(draft: Vars, hostvars: Vars) -> Made:
    """Raises BeamError where there can be no plan."""
    parsed = parse_draft(draft)
    return make(parsed, {host: sight(hostvars.get(host) or {}) for host in parsed.hosts})


def document(draft: Vars, made: Made, hostvars: Vars) -> dict[str, t.Any]:
    """What the role remembers as rollout_plan."""
    found = {**draft, **made.plan.as_document()}
    # Whose variables say how it went: newcomers, for whom there is a plan of their own, have not heard what was said to these.
    judges = list(draft.get("judges") or found["order"])
    return {**found, "advice": [*made.doubts, *advice(found, hostvars)], "judges": judges}


def _switch(side: Side, balanced: bool) -> list[str]:
    former = "" if not side.live else "the former node" if side.live == CURRENT else side.live
    join, leave = (["%s joins" % side.to], ["%s leaves" % former]) if balanced else ([], [])
    return ["start %s" % side.to, *join, *([*leave, "stop %s" % former] if former else [])]


def _does(plan: Plan, found: Found) -> list[str]:
    host, row = found.host, found.row
    will = [] if not row.moves else [row.action if row.action != "none" else "activate"]
    if row.action == "switch":
        will = _switch(plan.sides[host], host in plan.leaves)
    elif plan.stays(host):
        will = ["upgrade without a restart"]
    elif host in plan.leaves and will:
        will = ["leave", *will, "join"]
    if host in plan.recovers:
        will.append("left half way by %s" % plan.draft.past.id)
    if host in plan.absent:
        will.append("stays out of the balancer")
    return will


def preview(made: Made) -> list[dict[str, t.Any]]:
    """The rows that a person reads before the first host moves, and all of a rehearsal."""
    numbers = {host: number for number, batch in enumerate(made.plan.batches, 1) for host in batch}
    return [
        {
            "batch": numbers[found.host],
            "host": found.host,
            "running": found.running or None,
            "target": made.plan.draft.version,
            "fetch": found.fetch,
            "does": ", ".join(_does(made.plan, found)) or "nothing",
            "because": found.reason,
        }
        for found in made.found
    ]

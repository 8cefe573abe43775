# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is decided for a whole rollout: whether it succeeded, what becomes of its candidate, which serial a promotion expects. Pure."""

from __future__ import annotations

import typing as t

from .nodes import CURRENT
from .plan import Plan
from .record import HostRecord

Doc = t.Mapping[str, t.Any]
GHOST, WITHDRAW, STAY = "ghost", "withdraw", "stay"


def proven(plan: Plan, host: str, record: HostRecord) -> bool:
    """Whether a host is proven to run the plan's version: a process of it was started, passed the gate, and still ran when last asked."""
    return record.outcome == "moved" and (record["restart"].told("after").get("version")) == plan.draft.version


def succeeded(plan: Plan, records: t.Mapping[str, HostRecord]) -> bool:
    """A rollout succeeds on all hosts of its plan, or not at all."""
    return bool(plan.order) and all(proven(plan, host, records.get(host, HostRecord())) for host in plan.order)


def blames(records: t.Mapping[str, HostRecord]) -> bool:
    return any(record.blames for record in records.values())


def plan_holds(planned_stable: str, planned_journal: Doc, stable: str, journal: Doc | None) -> bool:
    """Whether what the plan was made from is still so, once the lock is ours. stable: digests. What ran before, and who serves, was seen while others
    may have moved them, so the journal has to be the same also where a version was named.
    """
    return stable == planned_stable and journal_key(journal) == planned_journal


def journal_key(journal: Doc | None) -> dict[str, t.Any]:
    return {key: value for key, value in (journal or {}).items() if key in ("id", "state", "hosts")}


def migrates(plan: Plan, expression: str) -> bool:
    return bool(expression) and plan.draft.kind == "rollout" and not plan.draft.homecoming


def migration_node(plan: Plan, host: str) -> str:
    """The node whose environment the migration gets. Of two nodes it is the one that will serve."""
    return (plan.sides[host].to if host in plan.sides else "") or CURRENT


def promotion_serial(check_mode: bool, *channels: Doc | None) -> int | None:
    """The serial that the channel must still have: if somebody moved the channel meanwhile, they win. channels: as this run saw it, newest first: where the
    candidate was named, rolled back, locked, looked at again. None in a rehearsal, which names nothing.
    """
    if check_mode:
        return None
    return next((int(channel["serial"]) for channel in channels if channel), None)


def candidate_fate(plan: Plan, success: bool, blame: bool, *, fenced: bool, promoted: bool, named: bool) -> str:
    """ghost, withdraw or stay. named: this rollout has put its candidate on the channel. A fenced deployer leaves it alone: the channel is another's now."""
    if success or plan.draft.homecoming or plan.idle or fenced or promoted:
        return STAY
    if blame:
        return GHOST
    return WITHDRAW if named else STAY

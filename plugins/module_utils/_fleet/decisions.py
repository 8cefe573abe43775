# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a rollout decides about the whole of it: whether it succeeded, what becomes of its candidate, which serial a promotion expects. Pure."""

from __future__ import annotations

import typing as t

from .nodes import CURRENT
from .plan import Plan
from .record import HostRecord

Doc = t.Mapping[str, t.Any]
GHOST, WITHDRAW, STAY = "ghost", "withdraw", "stay"


def proven(plan: Plan, host: str, record: HostRecord) -> bool:
    """Whether a host is known to run the version of the plan: a process was started from it, passed the gate, and was so when last asked."""
    return record.outcome == "moved" and (record["restart"].told("after").get("version")) == plan.draft.version


def succeeded(plan: Plan, records: t.Mapping[str, HostRecord]) -> bool:
    """Success is said of all hosts of the plan, or not at all."""
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
    """With which node of a host the release is asked to migrate: of two, the one that is to serve."""
    return (plan.sides[host].to if host in plan.sides else "") or CURRENT


def promotion_serial(check_mode: bool, *channels: Doc | None) -> int | None:
    """The serial that the channel has to have still, so that whoever moved it meanwhile wins. channels: as this run saw it, the newest first: where the
    candidate was named, rolled back, locked, looked at again. None: a rehearsal has named nothing.
    """
    if check_mode:
        return None
    return next((int(channel["serial"]) for channel in channels if channel), None)


def candidate_fate(plan: Plan, success: bool, blame: bool, *, fenced: bool, promoted: bool, named: bool) -> str:
    """ghost, withdraw or stay. named: this rollout has put its candidate on the channel. A fenced deployer says nothing of it: another one owns the channel."""
    if success or plan.draft.homecoming or plan.idle or fenced or promoted:
        return STAY
    if blame:
        return GHOST
    return WITHDRAW if named else STAY

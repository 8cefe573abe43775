# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the journal is told about the hosts of a batch, before and after each part. Pure."""

from __future__ import annotations

import typing as t

from .._node.boot_words import cut
from .._rollout.journal import MAX_ERROR, Step
from .nodes import CURRENT, member_name
from .plan import Plan
from .record import HostRecord


def note(record: HostRecord, host: str, plan: Plan, phase: str) -> Step:
    if phase == "leaving":
        return Step("leaving", plan.before(host) or None, plan.hidden(host) and not plan.stays(host))
    if phase == "returning":
        return Step("returning", out=plan.hidden(host))
    if phase == "joined":
        return Step("joined", out=False)
    outcome = record.outcome
    again = phase == "returned" and outcome == "returned" and in_again(record, host, plan)
    # The journal has no word for `kept`: the host serves, and could not be taken out to go back.
    return Step(
        "failed" if outcome == "kept" else outcome,
        None,
        False if again else None,
        record.seconds,
        cut(record.reason, MAX_ERROR),
    )


def in_again(record: HostRecord, host: str, plan: Plan) -> bool:
    """Whether a host that goes back was seen in its balancers again. One that had nothing to go back to was not."""
    joined = record["back_join"].told("members")
    balanced = host not in plan.leaves or any(
        member_name(host, color) in joined for color in (CURRENT, *plan.draft.colors)
    )
    return balanced and (not plan.draft.ready or "back_show" in record)


def notes(records: t.Mapping[str, HostRecord], hosts: t.Iterable[str], plan: Plan, phase: str) -> dict[str, Step]:
    return {host: note(records.get(host, HostRecord()), host, plan, phase) for host in hosts}

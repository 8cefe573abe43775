# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Hosts that came into the inventory while a rollout ran: which they are, the plan that brings them to its version, and how they count. Pure."""

from __future__ import annotations

import typing as t

Doc = t.Mapping[str, t.Any]
_WHOLE = ("order", "members", "rows")  # the hosts of a plan, in the order of its batches


def sweeps(promoted: bool, check_mode: bool) -> bool:
    """Whether to look for newcomers: only a promotion leaves them behind."""
    return promoted and not check_mode


def newcomers(everyone: t.Iterable[str], inventory: t.Iterable[str], on_their_way: t.Iterable[str]) -> list[str]:
    """The hosts that came since the plan was made. One that is on its way into a group is none: it looks at the channel itself before it serves."""
    known = {*everyone, *on_their_way}
    return [host for host in inventory if host not in known]


def is_on_its_way(lifecycle_state: str) -> bool:
    """Whether a member of an auto scaling group is not in service yet. Pending:Proceed has looked at the channel for the last time."""
    return lifecycle_state.startswith("Pending") and lifecycle_state != "Pending:Proceed"


def all_arrived(lifecycle_states: t.Iterable[str]) -> bool:
    """Whether no member is on its way in. One in Pending:Proceed may have looked at the channel already, so it is waited for, too."""
    return not any(state.startswith("Pending") for state in lifecycle_states)


def sweep(plan: Doc, hosts: t.Sequence[str]) -> dict[str, t.Any]:
    """The draft that brings newcomers home. The version is stable by then: nothing is proposed, and nothing is held against the release."""
    return {
        **plan,
        "hosts": list(hosts),
        "order": list(hosts),
        "why": "swept",
        "strategy": "blue_green" if plan["strategy"] == "blue_green" else "rolling",
        "homecoming": True,
        "candidate": None,
        "interrupted": {},
        "min_healthy": 0,
        **{key: [] for key in ("members", "rows", "moves", "leaves")},
    }


def counted(plan: Doc, swept: Doc | None) -> dict[str, t.Any]:
    """The plan that the verdict is about, with the newcomers if there were some. swept: their plan, or its draft."""
    if not swept:
        return dict(plan)
    return {**plan, **{key: [*plan[key], *swept[key]] for key in _WHOLE}, "born": list(swept["order"])}


def outside(plan: Doc) -> list[str]:
    """The hosts of the playbook that --limit left out, in the order of the inventory."""
    moving = frozenset(plan["order"])
    return [host for host in plan.get("everyone") or () if host not in moving]

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The nodes of a host: which one joins or leaves the balancer at a step, and its name there. Pure.

A node is named by its colour, which is also its pointer; `current` is the one node of a host that has no colours.
"""

from __future__ import annotations

import typing as t

from .plan import Plan

CURRENT = "current"


def member_name(host: str, color: str) -> str:
    """The name of a member of a balancer."""
    return host if color == CURRENT else "%s-%s" % (host, color)


def nodes_at(plan: Plan, host: str, step: str) -> list[str]:
    """Of a host with two nodes, those that join or leave the balancer at a step of its batch."""
    side, leaves = plan.sides[host], host in plan.leaves
    there = [color for color in (CURRENT, *plan.draft.colors) if member_name(host, color) in plan.known]
    if step == "clear":
        # A node that is about to start gets no requests before it is proven.
        return [side.to] if side.starts else []
    if step == "rejoin":
        # An interrupted rollout may have left in the balancer only the node that we are about to restart.
        return (
            [side.live]
            if side.starts and side.live and leaves and host in plan.recovers and plan.row(host).healthy
            else []
        )
    if step == "join":
        return [side.to] if leaves else []
    if step == "leave":
        return [color for color in side.others if color in there]
    if step == "back_clear":
        return [side.to] if not side.back else [side.back] if side.back != side.live else []
    if step == "back_join":
        return [side.back] if side.back and leaves else []
    return [color for color in there if color != side.back]


def turns(plan: Plan, hosts: t.Iterable[str], step: str) -> dict[str, list[str]]:
    """By host, the nodes whose turn it is; without the hosts that have none."""
    found = {host: nodes_at(plan, host, step) for host in hosts}
    return {host: nodes for host, nodes in found.items() if nodes}

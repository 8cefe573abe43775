# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Hosts as balancer_member wants them: what the inventory says of each in beam_member. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.colors import live_of, nodes
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT, member_name
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import looked, member_of, said_of, sight

Vars = t.Mapping[str, t.Any]


def members_of(
    hostvars: Vars, hosts: t.Any, left: t.Iterable[str] = (), colors: t.Sequence[str] = (), live: bool = False
) -> dict[str, t.Any]:
    """hosts: a list, or {host: [node]}. left: those that this or an interrupted rollout took out. live: of two nodes, the one that serves."""
    out = set(left)
    if colors:
        if live:
            hosts = {host: [live_of(looked(hostvars.get(host) or {}, "seen")) or CURRENT] for host in hosts}
        return _nodes(hostvars, hosts, out, colors)
    return {host: _member(hostvars.get(host) or {}, host, host in out) for host in hosts}


def _member(of: Vars, host: str, left: bool) -> dict[str, t.Any]:
    found = {**(of.get("beam_member") or {}), **({"left": True} if left else {})}
    if not left:
        return found
    # Where it was out of some of its balancers before, and by no rollout, it comes back into the others.
    first = member_of(said_of(of, "leave"), host)
    return (
        {**found, "places": list(first["taken"])} if first.get("before") == "partly" and first.get("taken") else found
    )


def _nodes(hostvars: Vars, hosts: t.Any, left: t.Container[str], colors: t.Sequence[str]) -> dict[str, t.Any]:
    """Of hosts with two nodes. A list of hosts stands for all nodes of each."""
    found = {}
    for host in hosts:
        of = hostvars.get(host) or {}
        given = of.get("beam_member") or {}
        common = {key: value for key, value in given.items() if key not in colors}
        for color in hosts[host] if isinstance(hosts, t.Mapping) else nodes(sight(of), colors):
            own = (
                common
                if color == CURRENT
                else {**{key: value for key, value in common.items() if key != "server"}, **(given.get(color) or {})}
            )
            # A node that does not serve has been taken out by us, now or with an earlier version.
            out = host in left or color != live_of(looked(of, "seen"))
            found[member_name(host, color)] = {**own, **({"left": True} if out else {})}
    return found

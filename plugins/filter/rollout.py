# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What the role `rollout` decides between its tasks. Each filter is documented in the file of its name beside this one.

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT
from ansible_collections.alchemist.beam.plugins.plugin_utils._canary import judge
from ansible_collections.alchemist.beam.plugins.plugin_utils._colors import live_of, members, turn
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import batch, member_of, result, steps
from ansible_collections.alchemist.beam.plugins.plugin_utils._plan import aim, make, preview, unsettled
from ansible_collections.alchemist.beam.plugins.plugin_utils._rollout import summarize
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]


def rollout_aim(known: Vars, named: bool = False, resume: str = "auto") -> dict[str, t.Any]:
    return aim(known.get("journal"), bool(known.get("unfinished")), known["channel"], named, resume)


def rollout_plan(draft: Vars, hostvars: Vars) -> dict[str, t.Any]:
    """The plan; or the draft with the reason in `refused`, for a task of its own to say: an error of a template is hard to read."""
    try:
        plan = make(draft, hostvars)
    except BeamError as exc:
        return {**draft, "refused": exc.message, "unsettled": unsettled(draft, exc.code)}
    return {**plan, "refused": "", "unsettled": unsettled(plan)}


def rollout_preview(plan: Vars) -> list[str]:
    return render(preview(plan), ["batch", "host", "running", "target", "fetch", "does", "because"]) + list(plan.get("advice") or ())


def rollout_members(hostvars: Vars, hosts: t.Iterable[str], left: t.Iterable[str] = (), colors: t.Sequence[str] = (), live: bool = False) -> dict[str, t.Any]:
    """Hosts as balancer_member wants them: what the inventory says of each in beam_member. left: those that this or an interrupted rollout took out."""
    out = set(left)
    if colors:
        if live:
            hosts = {host: [live_of(result(hostvars.get(host) or {}, "rollout_live")) or CURRENT] for host in hosts}
        return members(hostvars, hosts, out, colors)
    return {host: _member(hostvars.get(host) or {}, host, host in out) for host in hosts}


def _member(of: Vars, host: str, left: bool) -> dict[str, t.Any]:
    found = {**(of.get("beam_member") or {}), **({"left": True} if left else {})}
    # Where it was out of some of its balancers before, and by no rollout, it comes back into the others.
    first = member_of(result(of, "rollout_left"), host)
    return {**found, "places": list(first["taken"])} if left and first.get("before") == "partly" and first.get("taken") else found


def rollout_urls(documents: Vars, layers: Vars, lacks: t.Iterable[str]) -> dict[str, str]:
    """The URLs that one server needs: of the documents, and of the layers that it lacks."""
    wanted = set(lacks)
    mine = {key: url for key, url in layers.items() if key.rsplit("/", 1)[-1].split(".", 1)[0] in wanted}
    return {**documents, **mine}


def _told(work: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(work)
    def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return work(*args, **kwargs)
        except BeamError as exc:
            raise AnsibleFilterError(exc.message) from exc

    return wrapped


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        found: dict[str, t.Callable[..., t.Any]] = {
            "rollout_aim": rollout_aim, "rollout_plan": rollout_plan, "rollout_preview": rollout_preview, "rollout_steps": steps, "rollout_batch": batch,
            "rollout_members": rollout_members, "rollout_turn": turn, "rollout_urls": rollout_urls, "rollout_canary": judge, "rollout_summary": summarize,
        }
        return {name: _told(work) for name, work in found.items()}

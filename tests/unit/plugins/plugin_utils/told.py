# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of hosts and what the steps of a rollout said of them, written as one table: the names of steps, and of what tasks registered."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import ORDER, HostRecord, batch_state
from ansible_collections.alchemist.beam.plugins.plugin_utils import _canary, _members, _outcome, _plan, _rollout
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import RECORD

Vars = t.Mapping[str, t.Any]


def of(said: Vars) -> dict[str, t.Any]:
    """A host. What was said under `pointed` was said by the step before."""
    steps: dict[str, t.Any] = {}
    for name, found in said.items():
        if isinstance(found, str) and name in ORDER:  # of a hook that failed
            found = {"failed": True, "msg": found}
        if name not in ORDER or not found or found.get("skipped"):
            continue
        first = {"restart": "activate", "back_restart": "back_point"}.get(name)
        if first and isinstance(found.get("pointed"), t.Mapping):
            steps[first] = found["pointed"]
            if found["pointed"].get("failed"):
                continue
        elif first and _outcome.failed(found) and not found.get("error") and not said.get(first):
            steps[first] = found  # without an answer nobody knows how far it came
            continue
        if name in ("watch", "look") and "found" not in found:  # what they see fails nothing by itself
            found = {"found": found}
        steps[name] = {key: value for key, value in found.items() if key != "pointed"}
    own = {name: value for name, value in said.items() if name not in ORDER}
    return {**own, **({RECORD: steps} if steps else {})}


def hosts(said: t.Mapping[str, Vars]) -> dict[str, dict[str, t.Any]]:
    return {host: of(found) for host, found in said.items()}


def batch(said: t.Mapping[str, Vars], names: t.Sequence[str]) -> dict[str, t.Any]:
    found = batch_state({host: _outcome.record(known) for host, known in hosts(said).items()}, names)
    lists = {name: list(getattr(found, name)) for name in ("moved", "unsettled", "serving", "healed")}
    taken = _outcome.by_host(found.taken, names)
    return {"failed": found.failed, "fenced": found.fenced, "states": dict(found.states), "taken": taken, **lists}


def record(said: Vars) -> HostRecord:
    return _outcome.record(of(said))


def plan_of(draft: Vars, hostvars: Vars) -> dict[str, t.Any]:
    """What the role remembers as rollout_plan. Raises where there can be no plan."""
    return _plan.document(draft, _plan.made_of(draft, hostvars), hostvars)


def origins(plan: Vars) -> dict[str, t.Any]:
    """The version that each host goes back to."""
    return {row["host"]: row["from"] for row in plan["rows"]}


def steps(said: t.Mapping[str, Vars], names: t.Sequence[str], plan: Vars, phase: str) -> dict[str, dict[str, t.Any]]:
    records = {host: _outcome.record(known) for host, known in hosts(said).items()}
    return _outcome.steps(records, names, parse_plan(plan), phase)


def summarize(said: t.Mapping[str, Vars], *more: t.Any, **options: t.Any) -> dict[str, t.Any]:
    return _rollout.summarize(hosts(said), *more, **options)


def judge(said: t.Mapping[str, Vars], *more: t.Any) -> dict[str, t.Any]:
    return _canary.judge(hosts(said), *more)


def members_of(said: t.Mapping[str, Vars], *more: t.Any, **options: t.Any) -> dict[str, t.Any]:
    return _members.members_of(hosts(said), *more, **options)

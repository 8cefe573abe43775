# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The record of a host, read from what its tasks registered; and what is read from that. This is the only place that knows the registers of the role.

A host whose tasks say nothing is `skipped` while the rollout goes on, and `lost` at its end.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT, member_name
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.notes import notes
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import HostRecord, StepResult, batch_state
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.way_back import Sight
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import Step

Vars = t.Mapping[str, t.Any]

# The registers of a rollout, and the steps that they are of; tasks/stage.yml of the role resets them before each.
STEPS = {
    "rollout_leaving": "note_leaving",
    "rollout_rejoined": "rejoin",
    "rollout_cleared": "clear",
    "rollout_left": "leave",
    "rollout_unready": "hide",
    "rollout_activated": "activate",
    "rollout_restarted": "restart",
    "rollout_moved": "note_moved",
    "rollout_ready_again": "show",
    "rollout_joined": "join",
    "rollout_baked": "bake",
    "rollout_switched": "switch",
    "rollout_enabled": "enable",
    "rollout_disabled": "disable",
    "rollout_stopped": "stop",
    "rollout_in": "note_joined",
    "rollout_confirmed": "confirm",
    "rollout_returning": "note_returning",
    "rollout_back_cleared": "back_clear",
    "rollout_back_left": "back_leave",
    "rollout_returned": "back_restart",
    "rollout_back_joined": "back_join",
    "rollout_back_ready": "back_show",
    "rollout_back_switched": "back_switch",
    "rollout_back_enabled": "back_enable",
    "rollout_back_disabled": "back_disable",
    "rollout_back_stopped": "back_stop",
    "rollout_back_removed": "back_remove",
    "rollout_back_unlisted": "back_unlist",
}
# The first of two steps that are one call, by the register of both; the call tells under `pointed` what the first one said.
FIRST = {"rollout_restarted": "activate", "rollout_returned": "back_point"}
# Texts that the role keeps of a hook that failed.
HOOKS = {"rollout_hook_error": "hook", "rollout_back_hook_error": "back_hook"}
REGISTERS = (*STEPS, *HOOKS)
# What the look at a server registers, and the parts of its answer in the order in which they are asked for.
LOOK = "rollout_look"
PARTS = ("staged", "seen", "foreseen", "ready")


def record(hostvars: Vars) -> HostRecord:
    said = [(step, result(hostvars, name)) for name, step in STEPS.items()] + [
        (step, pointed(hostvars, name)) for name, step in FIRST.items()
    ]
    found = [_step(step, told) for step, told in said if told]
    hooks = [
        StepResult(step, False, text=NOTHING_NAMED.text(str(hostvars[name])))
        for name, step in HOOKS.items()
        if hostvars.get(name)
    ]
    return HostRecord((*found, *hooks))


def _step(step: str, found: Vars) -> StepResult:
    seconds = found.get("seconds")
    # The last look does not fail, so that all are asked.
    bad = failed(found) or bool(found.get("error")) or step == "confirm" and "running" not in found
    return StepResult(
        step,
        ok=not failed(found),
        code=code(found),
        text=error(found) if bad else "",
        hint=next_step(found),
        lost=bool(found.get("unreachable")),
        began=found.get("began"),
        seconds=(seconds or {}).get("total") if isinstance(seconds, t.Mapping) else seconds,
        facts=found,
    )


def result(hostvars: Vars, name: str) -> Vars:
    """What a task registered; empty where it was skipped or never ran, or where the step before it in the same call failed."""
    found = _registered(hostvars, name)
    return {} if name in FIRST and failed(pointed(hostvars, name)) else found


def pointed(hostvars: Vars, name: str) -> Vars:
    """What the first step of a call said; empty where the call had one step only. A call that never came to an answer failed with its first step: whether
    it came to the second one is not known.
    """
    found = _registered(hostvars, name)
    if isinstance(found.get("pointed"), t.Mapping):
        return t.cast("Vars", found["pointed"])
    alone = FIRST[name] == "activate" and _registered(hostvars, "rollout_activated")
    return found if failed(found) and not found.get("error") and not alone else {}


def _registered(hostvars: Vars, name: str) -> Vars:
    found = hostvars.get(name)
    return found if isinstance(found, t.Mapping) and not found.get("skipped") else {}


def parts(found: Vars) -> list[Vars]:
    """What a task with a loop registered, item by item; what one without a loop registered, as the only one."""
    items = found.get("results")
    return [item for item in items if not item.get("skipped")] if isinstance(items, list) else [found] if found else []


def error(found: Vars) -> str:
    """What went wrong, as reports and journals keep it: whatever a task of a user says is masked by its shape."""
    return NOTHING_NAMED.text(_error(found))


def _error(found: Vars) -> str:
    found = next((item for item in parts(found) if failed(item)), found)
    said = found.get("error")
    if isinstance(said, t.Mapping) and said.get("what"):
        return "%s: %s" % (said["what"], said["why"]) if said.get("why") else str(said["what"])
    return str(found.get("msg") or "failed without a message").strip()


def next_step(found: Vars) -> str:
    """What its user can do about a failure; empty where the task said nothing of it."""
    said = next((item for item in parts(found) if failed(item)), found).get("error")
    return str(said.get("next") or "").strip() if isinstance(said, t.Mapping) else ""


def sentence(text: str) -> str:
    """It begins with a capital, unless its first word is a name that would be another one then."""
    word = text.split(" ", 1)[0]
    return text if not word.isalpha() else text[:1].upper() + text[1:]


def failed(found: Vars) -> bool:
    return bool(found.get("failed")) or bool(found.get("unreachable"))


def code(found: Vars) -> str:
    said = next((item for item in parts(found) if failed(item)), found).get("error")
    return str(said.get("code") or "") if isinstance(said, t.Mapping) else ""


def batch(hostvars: Vars, hosts: t.Sequence[str]) -> dict[str, t.Any]:
    """How a batch fared: `failed`, `fenced` (another deployer took over), and which of its hosts are `moved`, `unsettled`, `serving` and `healed`.

    taken: of each host, the nodes that were taken out of a balancer and not put back.
    """
    found = batch_state({host: record(hostvars.get(host) or {}) for host in hosts}, hosts)
    lists = {name: list(getattr(found, name)) for name in ("moved", "unsettled", "serving", "healed")}
    return {
        "failed": found.failed,
        "fenced": found.fenced,
        "states": dict(found.states),
        "taken": _nodes(found.taken, hosts),
        **lists,
    }


def _nodes(members: t.Iterable[str], hosts: t.Sequence[str]) -> dict[str, list[str]]:
    """The nodes, by host, that a balancer's members are."""
    found: dict[str, list[str]] = {}
    for name in members:
        host = name if name in hosts else next((one for one in hosts if name.startswith(one + "-")), "")
        if host:
            found.setdefault(host, []).append(name[len(host) + 1 :] or CURRENT)
    return found


def sight(hostvars: Vars) -> Sight:
    """What the tasks of the role saw of a host before anything moved."""
    return Sight(**{part: looked(hostvars, part) for part in ("staged", "seen", "foreseen")})


def looked(hostvars: Vars, part: str) -> Vars:
    """One part of what a server said when it was looked at. A look that failed is the answer to the part after the last one that is there."""
    found = _registered(hostvars, LOOK)
    said = found.get(part)
    if isinstance(said, t.Mapping):
        return said
    last = max((number for number, name in enumerate(PARTS) if name in found), default=-1)
    return found if failed(found) and (part,) == PARTS[last + 1 : last + 2] else {}


def member_of(found: Vars, host: str, *colors: t.Any) -> Vars:
    """What balancer_member said of a host; of one with two nodes, of the first of these that took part."""
    members = found.get("members") or {}
    names = [member_name(host, color) for color in colors if color] or [host]
    return next((members[name] for name in names if name in members), {})


def steps(hostvars: Vars, hosts: t.Sequence[str], plan: Vars, phase: str) -> dict[str, dict[str, t.Any]]:
    """What the journal is told of a batch. phase: leaving, moved, joined, returning or returned."""
    found = notes({host: record(hostvars.get(host) or {}) for host in hosts}, hosts, parse_plan(plan), phase)
    return {host: _row(step, phase) for host, step in found.items()}


def _row(step: Step, phase: str) -> dict[str, t.Any]:
    """As rollout_journal takes it: what is not given stays as it was."""
    row: dict[str, t.Any] = {"step": step.step, **({} if step.out is None else {"out": step.out})}
    if phase == "leaving":
        row["from"] = step.before
    return {**row, "error": step.error, "seconds": step.seconds} if phase in ("moved", "returned") else row

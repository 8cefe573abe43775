# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is known of a host in a rollout: what the looks before it registered, and the record of its steps, which the fleet's memory keeps.

A host whose steps say nothing is `skipped` while the rollout goes on, and `lost` at its end.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT, member_name
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.notes import notes
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import HostRecord, StepResult
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.sight import Sight
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import Step

Vars = t.Mapping[str, t.Any]

# Beside a host's variables: what each step of the rollout said of it, by its name.
RECORD = "rollout_record"
# What the look at a server registers, and the parts of its answer in the order in which they are asked for.
LOOK = "rollout_look"
# What the comparison of a server's settings with the inventory registers.
DRIFT = "service_drifted"
PARTS = ("staged", "seen", "foreseen", "ready", "hot")


def record(of: Vars) -> HostRecord:
    """of: the variables of a host, with its record beside them."""
    return HostRecord(tuple(step_result(step, found) for step, found in (of.get(RECORD) or {}).items() if found))


def step_result(step: str, found: Vars) -> StepResult:
    """found: what the module said that did the step."""
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


def newest(found: HostRecord) -> dict[str, Vars]:
    """What was said last, as the memory keeps it. Of a hook that failed, only its text is known."""
    one = found.results[-1]
    return {one.step: one.facts if one.facts or one.ok else {"failed": True, "msg": one.text}}


def said_of(of: Vars, step: str) -> Vars:
    """What a step of the rollout said of a host; empty where it has not been."""
    return (of.get(RECORD) or {}).get(step) or {}


def result(hostvars: Vars, name: str) -> Vars:
    """What a task registered; empty where it was skipped or never ran."""
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
    """What the user can do about a failure; empty if the task does not say."""
    said = next((item for item in parts(found) if failed(item)), found).get("error")
    return str(said.get("next") or "").strip() if isinstance(said, t.Mapping) else ""


def sentence(text: str) -> str:
    """It begins with a capital, unless its first word is a name that would be another one then."""
    word = text.split(" ", 1)[0]
    return text if not word.isalpha() else text[:1].upper() + text[1:]


def failed(found: Vars) -> bool:
    return bool(found.get("failed")) or bool(found.get("unreachable"))


def plain(found: Vars) -> dict[str, t.Any]:
    """That it failed, and why, without anything else that it said."""
    return {key: found[key] for key in ("failed", "unreachable", "msg", "error") if key in found}


def code(found: Vars) -> str:
    said = next((item for item in parts(found) if failed(item)), found).get("error")
    return str(said.get("code") or "") if isinstance(said, t.Mapping) else ""


def by_host(members: t.Iterable[str], hosts: t.Sequence[str]) -> dict[str, list[str]]:
    """The nodes, by host, that a balancer's members are."""
    found: dict[str, list[str]] = {}
    known = frozenset(hosts)
    for name in members:
        words = name.split("-")
        # A host's own name may have a dash, so the longest counts.
        host = next((one for one in ("-".join(words[:end]) for end in range(len(words), 0, -1)) if one in known), "")
        if host:
            found.setdefault(host, []).append(name[len(host) + 1 :] or CURRENT)
    return found


def sight(hostvars: Vars) -> Sight:
    """What the tasks of the role saw of a host before anything moved."""
    said = {part: looked(hostvars, part) for part in PARTS}
    changes = [text for item in parts(result(hostvars, DRIFT)) for text in item.get("settings") or ()]
    return Sight(
        **said, settings=tuple(changes), faults={part: error(found) for part, found in said.items() if failed(found)}
    )


def files_of(hostvars: Vars) -> list[str]:
    """The environment files of a host, as the comparison of its settings has named them."""
    return [path for item in parts(result(hostvars, DRIFT)) for path in item.get("env_files") or ()]


def looked(hostvars: Vars, part: str) -> Vars:
    """One part of what a server said when it was looked at. A look that failed is the answer to the part after the last one that is there."""
    found = result(hostvars, LOOK)
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


def steps(
    records: t.Mapping[str, HostRecord], hosts: t.Sequence[str], plan: Plan, phase: str
) -> dict[str, dict[str, t.Any]]:
    """What the journal is told of a batch. phase: leaving, moved, joined, returning or returned."""
    return {host: _row(step, phase) for host, step in notes(records, hosts, plan, phase).items()}


def _row(step: Step, phase: str) -> dict[str, t.Any]:
    """As rollout_journal takes it: what is not given stays as it was."""
    row: dict[str, t.Any] = {"step": step.step, **({} if step.out is None else {"out": step.out})}
    if phase == "leaving":
        row["from"] = step.before
    return {**row, "error": step.error, "seconds": step.seconds} if phase in ("moved", "returned") else row

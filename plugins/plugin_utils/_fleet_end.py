# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is done when the batches are over: the promotion, the newcomers, the verdict."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import decisions
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import newcomers as born
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import LOCK_LOST
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import SKIPPED, Fleet, Result, Vars, unlock
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import code
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_files import keep_report
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import masked_page
from ansible_collections.alchemist.beam.plugins.plugin_utils._rollout import COLUMNS, disclaim, summarize
from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import hosts_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render


def judge(fleet: Fleet) -> Result:
    """Whether the candidate is promoted: every host of the plan is proven to run it, or would be."""
    plan = fleet.plan
    proven = not plan["idle"] and not fleet.known("rollout_halted") and _report(fleet, plan)["succeeded"]
    return {"changed": False, "promotes": bool(proven)}


def promote(fleet: Fleet) -> Result:
    """The candidate becomes stable. Whoever moved the channel meanwhile wins: the fleet follows with the next rollout."""
    if not judge(fleet)["promotes"]:
        return dict(SKIPPED)
    seen = (fleet.told("propose").get("channel"), fleet.rolled_back, fleet.told("begin").get("channel"))
    serial = decisions.promotion_serial(fleet.check_mode, *seen)
    return fleet.move(
        "promoted",
        digest=fleet.plan["digest"],
        force=fleet.ask("rollout_force"),
        serial=serial,
        break_glass=fleet.ask("rollout_break_glass") or None,
    )


def newcomers(fleet: Fleet, hosts: t.Sequence[str]) -> Result:
    """Who is in the inventory now and was not when the plan was made, and the plan for them. hosts: all servers that the playbook is meant for."""
    if not born.sweeps("channel" in fleet.told("promote"), fleet.check_mode):
        return dict(SKIPPED)
    plan, members = fleet.plan, fleet.told("members").get("members") or ()
    late = [member for member in members if born.is_on_its_way(member["lifecycle_state"])]
    found = born.newcomers(plan["everyone"], hosts, hosts_of(late, fleet.hostvars, hosts))
    main = {**plan, "arriving": [member["instance_id"] for member in late]}
    return {"changed": False, "hosts": found, "plan": born.sweep(main, found) if found else main, "main": main}


def _whole(fleet: Fleet) -> Vars:
    """What the verdict is about: the plan, with the newcomers."""
    main = fleet.known("rollout_main")
    return born.counted(main, fleet.plan) if main and fleet.known("rollout_born") else fleet.plan


def count(fleet: Fleet) -> Result:
    """Whom the plan left out, and what the balancers counted since it was made."""
    plan = _whole(fleet)
    balancers: Vars = {}
    if fleet.ask("rollout_balancers") and not plan["idle"]:
        members = members_of(fleet.hostvars, plan["order"], (), fleet.ask("rollout_colors") or ())
        balancers = fleet.at_balancers(members)
    return {"changed": False, "outside": born.outside(plan), "balanced": balancers}


def verdict(fleet: Fleet) -> Result:
    """What is said in the end: the fate of the candidate, the journal with its report, the lock. Each is tried, and the verdict is told in any case."""
    plan = _whole(fleet)
    report, promoted = _report(fleet, plan), fleet.told("promote")
    fate = decisions.candidate_fate(
        parse_plan(plan),
        report["succeeded"],
        report["blame"],
        fenced=fleet.memory.fenced,
        promoted="channel" in promoted,
        named="channel" in fleet.told("propose"),
    )
    said = []
    if fate == decisions.GHOST:
        said.append(fleet.move("ghosted", digest=plan["digest"], reason=report["reason"]))
    elif fate == decisions.WITHDRAW:
        said.append(fleet.move("withdrawn"))
    if fleet.held.get("mine") and "journal" in fleet.told("begin"):
        outcome = "succeeded" if report["succeeded"] else "failed"
        closed = fleet.note("closed", fleet.held, outcome=outcome, report=report, html=masked_page(report))
        said.append(closed)
        if report["succeeded"] and code(closed) == LOCK_LOST:
            report = disclaim(report, closed["msg"])
    if fleet.held.get("mine"):
        said.append(unlock(fleet, fleet.held))
    unwritten = [one["msg"] for one in said if "error" in one or one.get("unreachable")]
    lost = _keep(fleet, report)
    diffs = [one["diff"] for one in said if "diff" in one]
    return {
        "changed": any(one.get("changed") for one in said),
        "machinery": fate == decisions.STAY,
        "idle": bool(plan["idle"]),
        "rollout_result": report,
        "lines": [*render(report["rows"], COLUMNS), *report["notes"], *unwritten, *lost, report["verdict"]],
        "unwritten": [*unwritten, *lost],
        "failure": " ".join(lost) if report["succeeded"] else report["verdict"],
        **({"diff": diffs} if diffs else {}),
    }


def _keep(fleet: Fleet, report: Vars) -> list[str]:
    """The report, where it was asked for. Why it could not be written, if so: the fleet is where it is, but what was asked for is not there."""
    path = fleet.ask("rollout_report")
    if not path or fleet.check_mode:
        return []
    try:
        keep_report(path, report)
    except BeamError as exc:
        return [NOTHING_NAMED.text(exc.message)]
    return []


def _report(fleet: Fleet, plan: Vars) -> Result:
    seen = [fleet.told(step).get("channel") or {} for step in ("promote", "propose")]
    return summarize(
        fleet.hostvars,
        plan,
        fleet.check_mode,
        outside=fleet.registered("rollout_outside").get("results") or (),
        refused=fleet.known("rollout_refused") or {},
        closing=fleet.told("promote"),
        opened=fleet.told("begin").get("journal"),
        balanced=fleet.told("count").get("balanced"),
        glass=next((one["glass"] for one in (*seen, fleet.rolled_back) if one.get("glass")), None),
    )

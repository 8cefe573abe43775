# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is done when the batches are over: the promotion, the newcomers, the verdict."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet import decisions
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import LOCK_LOST
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet, Result, unlock
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import code
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import masked_page
from ansible_collections.alchemist.beam.plugins.plugin_utils._rollout import COLUMNS, disclaim, summarize
from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import hosts_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render


def promote(fleet: Fleet) -> Result:
    """The candidate becomes stable. Whoever moved the channel meanwhile wins: the fleet follows with the next rollout."""
    seen = (fleet.told(name).get("channel") for name in ("rollout_candidate", "rollout_rolled_back", "rollout_opened"))
    serial = decisions.promotion_serial(fleet.check_mode, *seen)
    return fleet.move("promoted", digest=fleet.plan["digest"], force=fleet.ask("rollout_force"), serial=serial)


def newcomers(fleet: Fleet, hosts: t.Sequence[str]) -> Result:
    """Who is in the inventory now and was not when the plan was made. hosts: all servers that the playbook is meant for."""
    if not decisions.sweeps("channel" in fleet.told("rollout_promoted"), fleet.check_mode):
        return {"changed": False, "hosts": [], "arriving": []}
    members = fleet.told("rollout_scaling").get("members") or ()
    late = [member for member in members if decisions.is_on_its_way(member["lifecycle_state"])]
    found = decisions.newcomers(fleet.plan["everyone"], hosts, hosts_of(late, fleet.hostvars, hosts))
    return {"changed": False, "hosts": found, "arriving": [member["instance_id"] for member in late]}


def verdict(fleet: Fleet) -> Result:
    """What is said in the end: the fate of the candidate, the journal with its report, the lock. Each is tried, and the verdict is told in any case."""
    report, promoted = _report(fleet), fleet.told("rollout_promoted")
    fate = decisions.candidate_fate(
        parse_plan(fleet.plan),
        report["succeeded"],
        report["blame"],
        fenced=bool(fleet.known("rollout_fenced")),
        promoted="channel" in promoted,
        named="channel" in fleet.told("rollout_candidate"),
    )
    said = []
    if fate == decisions.GHOST:
        said.append(fleet.move("ghosted", digest=fleet.plan["digest"], reason=report["reason"]))
    elif fate == decisions.WITHDRAW:
        said.append(fleet.move("withdrawn"))
    if fleet.held.get("mine") and "journal" in fleet.told("rollout_opened"):
        outcome = "succeeded" if report["succeeded"] else "failed"
        closed = fleet.note("closed", fleet.held, outcome=outcome, report=report, html=masked_page(report))
        said.append(closed)
        if report["succeeded"] and code(closed) == LOCK_LOST:
            report = disclaim(report, closed["msg"])
    if fleet.held.get("mine"):
        said.append(unlock(fleet, fleet.held))
    diffs = [one["diff"] for one in said if "diff" in one]
    lines = [*render(report["rows"], COLUMNS), *report["notes"], report["verdict"]]
    return {
        "changed": any(one.get("changed") for one in said),
        "machinery": fate == decisions.STAY,
        "rollout_result": report,
        "lines": lines,
        "unwritten": [one["msg"] for one in said if "error" in one or one.get("unreachable")],
        **({"diff": diffs} if diffs else {}),
    }


def _report(fleet: Fleet) -> Result:
    return summarize(
        fleet.hostvars,
        fleet.plan,
        fleet.check_mode,
        outside=fleet.told("rollout_outside").get("results") or (),
        refused=fleet.known("rollout_refused") or {},
        closing=fleet.told("rollout_promoted"),
        balanced=fleet.told("rollout_balanced_after"),
    )

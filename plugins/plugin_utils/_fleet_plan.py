# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How the draft becomes the plan: what every server was seen to run, and who the balancers say is in service."""

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import PAUSE, Fleet, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed, looked
from ansible_collections.alchemist.beam.plugins.plugin_utils._plan import Planned, planned


def _in_service(fleet: Fleet) -> Result:
    """What the balancers say of all servers, also of those that --limit leaves out: they carry load. Empty where there are none."""
    hosts = fleet.ask("ansible_play_hosts_all")
    if not fleet.ask("rollout_balancers"):
        return {}
    members = members_of(
        fleet.hostvars, list(dict.fromkeys((*hosts, *fleet.plan["everyone"]))), (), fleet.ask("rollout_colors") or ()
    )
    return fleet.at_balancers(members, timeout=fleet.ask("rollout_join_timeout"))


def has_floor(plan: Vars) -> bool:
    """Whether some servers have to stay in service. plan: a draft. Two nodes on a host are capacity of their own; where all move at once, or there is one
    server, there is no floor.
    """
    if plan["strategy"] == "blue_green" or (plan["strategy"] == "all_at_once" and str(plan["min_healthy"]) == "auto"):
        return False
    return len({*plan["hosts"], *plan["everyone"]}) > 1


def foresee(fleet: Fleet) -> Result:
    """Whether the floor can hold if all servers move, before anything is staged. blind: that can't be told without a look at each."""
    balanced = _in_service(fleet)
    if failed(balanced):
        return balanced
    # Whatever an earlier rollout of this run saw is not looked at: all of them are taken to move.
    blind = not balanced or bool(_ahead(fleet, balanced, {}).refused)
    return {"changed": False, "balanced": balanced, "blind": blind}


def foresee_again(fleet: Fleet) -> Result:
    """The same, where it was seen what each of them would do. One that could not be asked fails when all is looked at, with its reason."""
    seen = [looked(fleet.hostvars.get(host) or {}, "seen") for host in fleet.ask("ansible_play_hosts_all")]
    if not all("running" in one for one in seen):
        return {"changed": False}
    plan = _ahead(fleet, fleet.told("foresee").get("balanced") or {}, fleet.hostvars)
    # What an interrupted rollout has taken out may come back meanwhile, by its own hand: that is looked at later, for a while.
    return {"changed": False} if plan.unsettled else _refused(plan) or {"changed": False}


def _ahead(fleet: Fleet, balanced: Vars, hostvars: Vars) -> Planned:
    return planned({**fleet.plan, "balanced": balanced}, hostvars)


def _refused(plan: Planned) -> Result:
    """The failure that a plan is which makes no sense, or would take too many servers away."""
    return {"failed": True, "msg": plan.refused} if plan.refused else {}


def make_plan(fleet: Fleet) -> Result:
    """The plan. again: the controller of an interrupted rollout may still be there, and bring back what it had moved, so that a later look sees more."""
    balanced = _in_service(fleet)
    if failed(balanced):
        return balanced
    plan = _ahead(fleet, balanced, fleet.hostvars)
    again = plan.unsettled and fleet.memory.looks < fleet.ask("rollout_most_looks")
    if again:
        fleet.memory.looks += 1
        fleet.sleep(PAUSE)
    elif plan.refused:
        return _refused(plan)
    return {"changed": False, "plan": plan.document, "again": again, "lines": list(plan.lines)}

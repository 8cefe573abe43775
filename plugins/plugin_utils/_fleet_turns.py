# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A turn that is done once for a batch: a note in the journal, what the balancers do, the judgement of a canary."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.driver import Batch
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import turns
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import LOCK_LOST, batch_state
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.rollout import Turn
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._canary import judge
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import SKIPPED, Fleet, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import by_host, code, failed, steps

DRAINS = ("clear", "leave", "back_clear", "back_leave")
# Of the limits of a canary, what is not judged by its balancer.
OURS = ("memory_ratio", "on_no_traffic")
# How long a deployer who was overtaken waits for the other one, before it puts back what it took out.
LOOKS = 120


def take(fleet: Fleet, batch: Batch, turn: Turn) -> dict[str, Result]:
    """The answer of the step, under the name "", or of each host where the step has one for each. It is an answer in any case."""
    name = turn.step.name
    try:
        if name == "bake":
            limits = fleet.ask("rollout_canary")
            return {host: judge(fleet.hostvars, host, fleet.plan, limits) for host in turn.hosts}
        return {"": _do(fleet, batch, turn)}
    except Exception as exc:
        # What was done before this is known, and has to be kept.
        found = {"failed": True, "msg": NOTHING_NAMED.text("%s: %s: %s" % (name, type(exc).__name__, exc))}
        return dict.fromkeys(("",) if turn.step.once else turn.hosts, found)


def _do(fleet: Fleet, batch: Batch, turn: Turn) -> Result:
    name = turn.step.name
    if name.startswith("note_"):
        return _note(fleet, batch, turn, name[len("note_") :])
    if name == "watch":
        return _watch(fleet, turn)
    if name == "stand_by":
        return _stand_by(fleet)
    if name == "give_way":
        return _give_way(fleet, batch, turn)
    return _balance(fleet, batch, turn)


def _note(fleet: Fleet, batch: Batch, turn: Turn, phase: str) -> Result:
    """What the journal is told of a batch. A rehearsal writes none."""
    if fleet.check_mode:
        return dict(SKIPPED)
    rows = steps(batch.now.records, turn.hosts, batch.now.plan, phase)
    found = fleet.note("recorded", fleet.held, hosts=rows, reverting=turn.back)
    # All of the fleet, which nobody reads here. It would be kept with each note.
    found.pop("journal", None)
    # A store that is away for a while must not keep hosts out of service, nor from going back: the note is written with the next one. Who was overtaken
    # stops; in the end the verdict tells it.
    matters = phase == "leaving" or (code(found) == LOCK_LOST and phase != "returned")
    return {"machinery": True, **found} if matters else {"machinery": True, **found, "failed": False}


def _balance(fleet: Fleet, batch: Batch, turn: Turn) -> Result:
    """A batch leaves the balancers, or joins them, and that is waited for."""
    if not fleet.ask("rollout_balancers"):
        return dict(SKIPPED)
    name, colors, plan = turn.step.name, fleet.ask("rollout_colors") or (), fleet.plan
    chosen: t.Any = turns(batch.now.plan, turn.hosts, name) if colors else turn.hosts
    # Who leaves serves, unless an interrupted rollout took it out. Who joins was taken out by this one.
    members = members_of(fleet.hostvars, chosen, plan["recovers"] if name == "leave" else chosen, colors)
    if name not in DRAINS:
        return _join(fleet, members)
    # To ask Ansible for a thousand hosts takes more than a second.
    everyone = fleet.memory.once("fleet", plan["order" if colors else "fleet"], lambda: _everyone(fleet, colors))
    # In a rehearsal the new nodes have not joined, so nobody would be left.
    floor = 0 if colors and name == "leave" and fleet.check_mode else plan["floor"]
    waits = {"timeout": fleet.ask("rollout_drain_timeout"), "quiet": fleet.ask("rollout_drain_quiet")}
    return fleet.at_balancers(members, state="drained", fleet=everyone, min_healthy=floor, **waits)


def _everyone(fleet: Fleet, colors: t.Sequence[str]) -> Result:
    order = fleet.plan["order"]
    return (
        members_of(fleet.hostvars, order, order, colors) if colors else members_of(fleet.hostvars, fleet.plan["fleet"])
    )


def _join(fleet: Fleet, members: Vars) -> Result:
    return fleet.at_balancers(members, state="joined", timeout=fleet.ask("rollout_join_timeout"))


def _watch(fleet: Fleet, turn: Turn) -> Result:
    """What the balancer counts while a canary serves. It fails nothing: it is judged together with what the canary's server says."""
    plan, limits = fleet.plan, fleet.ask("rollout_canary") or {}
    # Whom somebody else took out of a balancer gets no requests, or not all: that says nothing of the release.
    compared = [host for host in turn.hosts if host in plan["leaves"] and host not in plan["aside"]]
    # Who was left half way by an interrupted rollout has moved already.
    rest = [host for host in plan["fleet"] if host not in plan["recovers"]]
    found = fleet.at_balancers(
        members_of(fleet.hostvars, compared or turn.hosts),
        state="watched",
        fleet=members_of(fleet.hostvars, rest),
        bake=fleet.ask("rollout_bake"),
        limits={key: value for key, value in limits.items() if key not in OURS},
        **({} if compared else {"balancers": []}),
    )
    return {"changed": False, "found": found}


def _stand_by(fleet: Fleet) -> Result:
    """Until the deployer who has taken over is done."""

    def done(found: Result) -> bool:
        lock = found.get("lock") or {}
        return not failed(found) and (not lock.get("held") or bool(lock.get("dead")))

    fleet.look_until(done, lambda: fleet.run("rollout_info", history=0), LOOKS)
    return {"changed": False}


def _give_way(fleet: Fleet, batch: Batch, turn: Turn) -> Result:
    """What was taken out of a balancer when another deployer had taken over already is put back. Where that fails, the report says it."""
    taken = by_host(batch_state(batch.now.records, turn.batch).taken, turn.batch)
    members = members_of(fleet.hostvars, taken, taken, fleet.ask("rollout_colors") or ())
    found = {**_join(fleet, members), "failed": False}
    fleet.memory.give_way(turn.batch, found)
    return found

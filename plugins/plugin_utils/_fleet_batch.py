# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is done once for a batch: the notes in the journal, and what the balancers do. Who takes part is told by the table of the strategy."""

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import turns
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import BACKWARD, LOCK_LOST
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.rollout import (
    Options,
    Progress,
    Scene,
    participants,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import SKIPPED, Fleet, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import batch, code, record, steps

DRAINS = ("clear", "leave", "back_clear", "back_leave")


def _of_batch(fleet: Fleet, name: str) -> tuple[str, ...]:
    """Who takes part in a step of the table of the strategy."""
    hosts = tuple(fleet.ask("ansible_play_batch"))
    now = Progress(
        parse_plan(fleet.plan),
        Options(fleet.ask("rollout_on_failure")),
        {host: record(fleet.hostvars.get(host) or {}) for host in hosts},
    )
    back = fleet.ask("rollout_back") if name in BACKWARD or name == "note_returned" else None
    # Who returns was kept: going back changes what it is read from.
    return participants(
        now, Scene(hosts, True, tuple(back["hosts"]), tuple(back.get("serving") or ())) if back else Scene(hosts), name
    )


def note(fleet: Fleet, name: str) -> Result:
    """What the journal is told of a batch. A rehearsal writes none."""
    hosts = () if fleet.check_mode else _of_batch(fleet, name)
    if not hosts:
        return dict(SKIPPED)
    phase = name[len("note_") :]
    back = phase in ("returning", "returned")
    found = fleet.note("recorded", fleet.held, hosts=steps(fleet.hostvars, hosts, fleet.plan, phase), reverting=back)
    # A store that is away for a while must not keep hosts out of service, nor from going back: the note is written with the next one. Who was overtaken
    # stops; in the end the verdict tells it.
    matters = phase == "leaving" or (code(found) == LOCK_LOST and phase != "returned")
    return {"machinery": True, **found} if matters else {"machinery": True, **found, "failed": False}


def balance(fleet: Fleet, name: str) -> Result:
    """A batch leaves the balancers, or joins them, and that is waited for."""
    hosts = _of_batch(fleet, name) if fleet.ask("rollout_balancers") else ()
    if not hosts:
        return dict(SKIPPED)
    colors, plan = fleet.ask("rollout_colors") or (), fleet.plan
    chosen = turns(parse_plan(plan), hosts, name) if colors else hosts
    # Who leaves serves, unless an interrupted rollout took it out. Who joins was taken out by this one.
    members = members_of(fleet.hostvars, chosen, plan["recovers"] if name == "leave" else chosen, colors)
    if name in DRAINS:
        everyone = (
            members_of(fleet.hostvars, plan["order"], plan["order"], colors)
            if colors
            else members_of(fleet.hostvars, plan["fleet"])
        )
        # In a rehearsal the new nodes have not joined, so nobody would be left.
        floor = 0 if colors and name == "leave" and fleet.check_mode else plan["floor"]
        return _rotate(
            fleet,
            members,
            "drained",
            {"fleet": everyone, "min_healthy": floor, "quiet": fleet.ask("rollout_drain_quiet")},
        )
    return _rotate(fleet, members, "joined")


def _rotate(fleet: Fleet, members: Vars, state: str, more: Vars | None = None) -> Result:
    timeout = fleet.ask("rollout_drain_timeout" if state == "drained" else "rollout_join_timeout")
    return fleet.call(
        "balancer_member",
        {
            "balancers": fleet.ask("rollout_balancers"),
            "members": members,
            "state": state,
            "timeout": timeout,
            **(more or {}),
        },
    )


def give_way(fleet: Fleet) -> Result:
    """What was taken out of a balancer when another deployer had taken over already is put back. Where that fails, the report says it."""
    taken = batch(fleet.hostvars, fleet.ask("ansible_play_batch"))["taken"]
    return {
        **_rotate(fleet, members_of(fleet.hostvars, taken, taken, fleet.ask("rollout_colors") or ()), "joined"),
        "failed": False,
    }

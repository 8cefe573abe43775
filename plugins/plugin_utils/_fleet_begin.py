# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is done before any server is touched: what to roll out, the lock, the journal, the candidate."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet import decisions
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.draft import (
    Asked,
    Known,
    aim,
    check_aim,
    homecoming,
    left_behind,
    parse_known,
    proposal,
    target_of,
    unpublished,
    waits,
)
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Target
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_plan import has_floor
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import (
    NO_LOCK,
    SKIPPED,
    Fleet,
    Result,
    Vars,
    lock,
    refusing,
    unlock,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed


def _rehearsed(fleet: Fleet) -> Vars:
    """What would have been published in this run; empty where something is in the store."""
    return (fleet.known("distribute_rehearsed") or {}) if fleet.check_mode else {}


def read(fleet: Fleet) -> Result:
    """The channel, and whether an earlier rollout was interrupted. waits: whether another one goes on, which is waited for."""
    if _rehearsed(fleet):
        return dict(SKIPPED)
    found = fleet.run("rollout_info", history=0)
    seconds = int(fleet.ask("rollout_wait") or 0)
    return {**found, "waits": waits(found.get("lock"), seconds, fleet.check_mode, bool(fleet.rolled_back))}


def _asked(fleet: Fleet) -> Asked:
    """After a rollback it is what is stable now."""
    digest = fleet.rolled_back["stable"]["digest"] if fleet.rolled_back else fleet.ask("rollout_digest") or ""
    return Asked(fleet.ask("rollout_version") or "", digest, fleet.ask("rollout_resume"))


def wait(fleet: Fleet) -> Result:
    """Whoever waits for another rollout plans from what that leaves, under the lock."""
    asked = _asked(fleet)
    what = asked.version or asked.digest[:12] or "what is stable"
    locked, held = lock(fleet, "%s of %s" % (fleet.ask("rollout_kind"), what))
    return {**(locked if failed(locked) else fleet.run("rollout_info", history=0)), "held": held}


@refusing
def make_draft(fleet: Fleet, hosts: t.Sequence[str]) -> Result:
    """What was asked for and what the store says, before any server is looked at. hosts: all servers that the playbook is meant for."""
    rehearsed = _rehearsed(fleet)
    if rehearsed:
        return {
            "changed": False,
            "held": dict(NO_LOCK),
            "plan": _no_plan(fleet),
            "foresees": False,
            "line": unpublished(fleet.ask("rollout_name"), rehearsed),
        }
    said = fleet.told("read")
    held = said.get("held") or {**NO_LOCK, **fleet.held}
    asked, known = _asked(fleet), parse_known(said)
    aimed = aim(known, asked)
    check_aim(asked, aimed, fleet.ask("rollout_channel"))
    wanted, target = proposal(known, asked, aimed), aimed.target or known.stable
    if wanted:
        # Resolves the version, and is refused for a ghost, before anything moves.
        proposed = fleet.run(
            "release_channel",
            rehearse=True,
            state="proposed",
            force=fleet.ask("rollout_force"),
            break_glass=fleet.ask("rollout_break_glass") or None,
            **wanted,
        )
        if failed(proposed):
            return proposed
        target = target_of(proposed["channel"]["candidate"])
    # What was named is what is stable, or the store has told it.
    plan = _draft(fleet, said, known, aimed.why, t.cast("Target", target), list(hosts))
    others = {} if held.get("mine") else said.get("lock") or {}
    return {"changed": False, "plan": {**plan, "lock": others}, "held": held, "foresees": has_floor(plan)}


def _no_plan(fleet: Fleet) -> Result:
    hosts = list(fleet.ask("ansible_play_hosts_all"))
    return {"digest": "", "batches": [1], "order": hosts, "judges": hosts, "idle": True}


def _draft(fleet: Fleet, said: Vars, known: Known, why: str, target: Target, everyone: list[str]) -> Result:
    hosts, channel = list(fleet.ask("ansible_play_hosts_all")), said["channel"]
    settings = ("name", "channel", "strategy", "colors", "min_healthy")
    return {
        **{key: fleet.ask("rollout_" + key) for key in settings},
        "kind": "rollback" if fleet.rolled_back else fleet.ask("rollout_kind"),
        "version": target.version,
        "digest": target.digest,
        "why": why,
        "homecoming": homecoming(known, target),
        "stable": channel["stable"],
        "candidate": channel["candidate"],
        "ghosts": channel.get("ghosts") or [],
        "interrupted": left_behind(known, hosts),
        # What has to be the same once the lock is taken, or others have rolled out meanwhile.
        "journal": decisions.journal_key(known.journal),
        "hosts": hosts,
        "order": hosts,
        "batches": [1],
        "batch_sizes": fleet.ask("rollout_batches"),
        "balanced": {},
        "ready": bool(fleet.ask("rollout_ready")),
        "begun": fleet.now(),
        "idle": False,
        **({"settings": True} if fleet.ask("rollout_settings") and not fleet.rolled_back else {}),
        # Whether the gate asks what a user of the application would notice.
        "watched": bool({"http", "tcp"} & set(fleet.ask("rollout_health") or ())),
        # What --limit leaves out is told, not forgotten.
        "everyone": everyone,
    }


def roll_back(fleet: Fleet) -> Result:
    """The channel goes back first, under the lock that the rollout after it goes on with."""
    move = functools.partial(
        fleet.run,
        "release_channel",
        state="rolled_back",
        version=fleet.ask("rollout_version") or None,
        force=fleet.ask("rollout_force"),
        break_glass=fleet.ask("rollout_break_glass") or None,
    )
    # What would be refused is refused before anybody is kept waiting for a lock.
    rehearsed = move(rehearse=True)
    if failed(rehearsed):
        return rehearsed
    locked, held = lock(fleet, "rollback")
    if failed(locked):
        return {**locked, "held": held}
    moved = move(fence=held.get("fence"))
    if failed(moved) and held["mine"]:
        unlock(fleet, held)
    return {**moved, "held": held}


def begin(fleet: Fleet) -> Result:
    """The lock, unless it is ours already; that the plan still holds; the journal. What fails here has touched no server."""
    held, now, plan = dict(fleet.held), None, fleet.plan
    if not held.get("mine"):
        now, held = lock(fleet, "%s of %s" % (plan["kind"], plan["version"]))
    elif not fleet.rolled_back:
        now = fleet.run("rollout_info", history=0)
    refused = now if now and failed(now) else _other_rollout(fleet, now) if now and held["mine"] else None
    opened = {} if refused or fleet.check_mode else _open(fleet, held)
    kept = {"held": held, **({"channel": now["channel"]} if now and "channel" in now else {})}
    if refused or failed(opened):
        return {**(refused or opened), **kept}
    parsed = parse_plan(plan)
    host = fleet.ask("rollout_migrate_host") or fleet.ask("inventory_hostname")
    return {
        "changed": not fleet.check_mode,
        "machinery": True,
        **kept,
        "migrates": decisions.migrates(parsed, fleet.ask("rollout_migrate") or ""),
        "color": decisions.migration_node(parsed, host),
        **({"journal": opened["journal"]} if opened else {}),
    }


def _other_rollout(fleet: Fleet, now: Vars) -> Result | None:
    """The refusal, where somebody else rolled out between the plan and the lock."""
    stable, planned = (now.get("channel") or {}).get("stable") or {}, fleet.plan.get("stable") or {}
    if decisions.plan_holds(
        planned.get("digest") or "", fleet.plan["journal"], stable.get("digest") or "", now.get("journal")
    ):
        return None
    text = "Another rollout went on while this one was being staged: %s is stable on the channel %s now. Run it again."
    return {"failed": True, "msg": text % (stable.get("version") or "nothing", fleet.plan["channel"])}


def _open(fleet: Fleet, held: Vars) -> Result:
    plan = fleet.plan
    named = {key: plan[key] for key in ("kind", "version", "digest", "strategy")}
    hosts = {row["host"]: {"from": row["from"]} for row in plan["rows"]}
    return fleet.note("opened", held, **named, stable=plan.get("stable") or {}, hosts=hosts)


def propose(fleet: Fleet) -> Result:
    """The candidate is named on the channel. What is stable already needs none."""
    if fleet.plan["homecoming"]:
        return dict(SKIPPED)
    return fleet.move(
        "proposed",
        digest=fleet.plan["digest"],
        force=fleet.ask("rollout_force"),
        break_glass=fleet.ask("rollout_break_glass") or None,
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The steps that a rollout does once for all of its servers: the options of the modules made from the plan, the modules called, the decisions asked for.

What is decided is in module_utils/_fleet/decisions.py, and what the modules do in themselves; here is in which order, and what of it is remembered.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from ansible_collections.alchemist.beam.plugins.module_utils._fleet import decisions
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import BACKWARD, LOCK_LOST
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.rollout import Options, Progress, Scene, participants
from ansible_collections.alchemist.beam.plugins.plugin_utils._colors import turn
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import batch, code, failed, record, steps
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import masked_page
from ansible_collections.alchemist.beam.plugins.plugin_utils._rollout import COLUMNS, disclaim, summarize
from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import hosts_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


@dataclass(frozen=True)
class Fleet:
    """What the role knows. `ask` gives one of its variables, `call` runs a module with options, where the task runs; it rehearses it where told to."""

    ask: t.Callable[[str], t.Any]
    hostvars: Vars
    call: t.Callable[..., Result]
    check_mode: bool = False

    def known(self, name: str) -> t.Any:
        """What is remembered for the whole rollout."""
        return (self.hostvars.get("localhost") or {}).get(name)

    def told(self, register: str) -> Vars:
        """What an earlier step said; empty where it was skipped or has not been."""
        found = self.ask(register)
        return found if isinstance(found, t.Mapping) else {}

    @property
    def plan(self) -> Vars:
        return t.cast("Vars", self.known("rollout_plan"))

    @property
    def held(self) -> Vars:
        return self.known("rollout_held") or {}

    def run(self, module: str, rehearse: bool = False, **options: t.Any) -> Result:
        """A module that works in the store, on the channel. An option that is None is left to its default."""
        where = {"store": self.ask("rollout_store"), "name": self.ask("rollout_name"), "channel": self.ask("rollout_channel")}
        given = {**(self.ask("rollout_store_options") or {}), **where, **options}
        return self.call(module, {key: value for key, value in given.items() if value is not None}, rehearse)

    def move(self, state: str, **options: t.Any) -> Result:
        """The channel, under our lock where there is one: a rehearsal holds none."""
        return self.run("release_channel", state=state, fence=self.held.get("fence"), **options)

    def note(self, state: str, held: Vars, **options: t.Any) -> Result:
        """The journal, which the holder of the lock alone writes."""
        return self.run("rollout_journal", state=state, fence=held.get("fence"), token=held.get("token"), **options)


SKIPPED: Vars = {"changed": False, "skipped": True}
NO_LOCK: Vars = {"mine": False}


def _lock(fleet: Fleet, purpose: str) -> tuple[Result, Result]:
    """What was said, and the lock as it is remembered. A rehearsal holds none."""
    found = fleet.run("rollout_lock", state="held", purpose=purpose, wait=fleet.ask("rollout_wait"), ttl=fleet.ask("rollout_lock_ttl"))
    if failed(found) or fleet.check_mode:
        return found, dict(NO_LOCK)
    return found, {"mine": True, "token": found["lock"]["token"], "fence": found["lock"]["serial"]}


def _unlock(fleet: Fleet, held: Vars) -> Result:
    return fleet.run("rollout_lock", state="released", token=held["token"])


def wait(fleet: Fleet) -> Result:
    """Whoever waits for another rollout plans from what that leaves, under the lock."""
    digest = fleet.ask("rollout_digest") or ""
    what = fleet.ask("rollout_version") or digest[:12] or "what is stable"
    locked, held = _lock(fleet, "%s of %s" % (fleet.ask("rollout_kind"), what))
    return {**(locked if failed(locked) else fleet.run("rollout_info", history=0)), "held": held}


def roll_back(fleet: Fleet) -> Result:
    """The channel goes back first, under the lock that the rollout after it goes on with."""
    move = functools.partial(
        fleet.run, "release_channel", state="rolled_back", version=fleet.ask("rollout_version") or None, force=fleet.ask("rollout_force"),
    )  # fmt: skip
    # What would be refused is refused before anybody is kept waiting for a lock.
    rehearsed = move(rehearse=True)
    if failed(rehearsed):
        return rehearsed
    locked, held = _lock(fleet, "rollback")
    if failed(locked):
        return {**locked, "held": held}
    moved = move(fence=held.get("fence"))
    if failed(moved) and held["mine"]:
        _unlock(fleet, held)
    return {**moved, "held": held}


def begin(fleet: Fleet) -> Result:
    """The lock, unless it is ours already; that the plan still holds; the journal. What fails here has touched no server."""
    held, now, plan = dict(fleet.held), None, fleet.plan
    if not held.get("mine"):
        now, held = _lock(fleet, "%s of %s" % (plan["kind"], plan["version"]))
    elif "channel" not in fleet.told("rollout_rolled_back"):
        now = fleet.run("rollout_info", history=0)
    refused = now if now and failed(now) else _other_rollout(fleet, now) if now and held["mine"] else None
    opened = {} if refused or fleet.check_mode else _open(fleet, held)
    kept = {"held": held, **({"channel": now["channel"]} if now and "channel" in now else {})}
    if refused or failed(opened):
        return {**(refused or opened), **kept}
    migrates = decisions.migrates(parse_plan(plan), fleet.ask("rollout_migrate") or "")
    return {"changed": not fleet.check_mode, **kept, "migrates": migrates, **({"journal": opened["journal"]} if opened else {})}


def _other_rollout(fleet: Fleet, now: Vars) -> Result | None:
    """The refusal, where somebody else rolled out between the plan and the lock."""
    stable, planned = (now.get("channel") or {}).get("stable") or {}, fleet.plan.get("stable") or {}
    if decisions.plan_holds(planned.get("digest") or "", fleet.plan["journal"], stable.get("digest") or "", now.get("journal")):
        return None
    text = "Another rollout went on while this one was being staged: %s is stable on the channel %s now. Run it again."
    return {"failed": True, "msg": text % (stable.get("version") or "nothing", fleet.plan["channel"])}


def _open(fleet: Fleet, held: Vars) -> Result:
    plan = fleet.plan
    named = {key: plan[key] for key in ("kind", "version", "digest", "strategy")}
    return fleet.note("opened", held, **named, stable=plan.get("stable") or {}, hosts=plan["origins"])


def propose(fleet: Fleet) -> Result:
    """The candidate is named on the channel."""
    return fleet.move("proposed", digest=fleet.plan["digest"], force=fleet.ask("rollout_force"))


def promote(fleet: Fleet) -> Result:
    """The candidate becomes stable. Whoever moved the channel meanwhile wins: the fleet follows with the next rollout."""
    seen = (fleet.told(name).get("channel") for name in ("rollout_candidate", "rollout_rolled_back", "rollout_opened"))
    serial = decisions.promotion_serial(fleet.check_mode, *seen)
    return fleet.move("promoted", digest=fleet.plan["digest"], force=fleet.ask("rollout_force"), serial=serial)


def _of_batch(fleet: Fleet, name: str) -> tuple[str, ...]:
    """Who takes part in a step of the table of the strategy."""
    batch = tuple(fleet.ask("ansible_play_batch"))
    now = Progress(parse_plan(fleet.plan), Options(fleet.ask("rollout_on_failure")), {host: record(fleet.hostvars.get(host) or {}) for host in batch})
    back = fleet.ask("rollout_back") if name in BACKWARD or name == "note_returned" else None
    # Who returns was kept: going back changes what it is read from.
    return participants(now, Scene(batch, True, tuple(back["hosts"]), tuple(back.get("serving") or ())) if back else Scene(batch), name)


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
    return found if matters else {**found, "failed": False}


def balance(fleet: Fleet, name: str) -> Result:
    """A batch leaves the balancers, or joins them, and that is waited for."""
    hosts = _of_batch(fleet, name) if fleet.ask("rollout_balancers") else ()
    if not hosts:
        return dict(SKIPPED)
    colors, plan = fleet.ask("rollout_colors") or (), fleet.plan
    chosen = turn(plan, hosts, name) if colors else hosts
    # Who leaves serves, unless an interrupted rollout took it out. Who joins was taken out by this one.
    members = members_of(fleet.hostvars, chosen, plan["recovers"] if name == "leave" else chosen, colors)
    if name in DRAINS:
        everyone = members_of(fleet.hostvars, plan["order"], plan["order"], colors) if colors else members_of(fleet.hostvars, plan["fleet"])
        # In a rehearsal the new nodes have not joined, so nobody would be left.
        floor = 0 if colors and name == "leave" and fleet.check_mode else plan["floor"]
        return _rotate(fleet, members, "drained", {"fleet": everyone, "min_healthy": floor, "quiet": fleet.ask("rollout_drain_quiet")})
    return _rotate(fleet, members, "joined")


def _rotate(fleet: Fleet, members: Vars, state: str, more: Vars | None = None) -> Result:
    timeout = fleet.ask("rollout_drain_timeout" if state == "drained" else "rollout_join_timeout")
    return fleet.call("balancer_member", {"balancers": fleet.ask("rollout_balancers"), "members": members, "state": state, "timeout": timeout, **(more or {})})


def give_way(fleet: Fleet) -> Result:
    """What was taken out of a balancer when another deployer had taken over already is put back. Where that fails, the report says it."""
    taken = batch(fleet.hostvars, fleet.ask("ansible_play_batch"))["taken"]
    return {**_rotate(fleet, members_of(fleet.hostvars, taken, taken, fleet.ask("rollout_colors") or ()), "joined"), "failed": False}


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
        parse_plan(fleet.plan), report["succeeded"], report["blame"],
        fenced=bool(fleet.known("rollout_fenced")), promoted="channel" in promoted, named="channel" in fleet.told("rollout_candidate"),
    )  # fmt: skip
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
        said.append(_unlock(fleet, fleet.held))
    diffs = [one["diff"] for one in said if "diff" in one]
    lines = [*render(report["rows"], COLUMNS), *report["notes"], report["verdict"]]
    return {
        "changed": any(one.get("changed") for one in said), "rollout_result": report, "lines": lines,
        "unwritten": [one["msg"] for one in said if "error" in one or one.get("unreachable")], **({"diff": diffs} if diffs else {}),
    }  # fmt: skip


def _report(fleet: Fleet) -> Result:
    return summarize(
        fleet.hostvars, fleet.plan, fleet.check_mode, outside=fleet.told("rollout_outside").get("results") or (), refused=fleet.known("rollout_refused") or {},
        closing=fleet.told("rollout_promoted"), balanced=fleet.told("rollout_balanced_after"),
    )


NOTES = ("note_leaving", "note_moved", "note_joined", "note_returning", "note_returned")
DRAINS = ("clear", "leave", "back_clear", "back_leave")
JOINS = ("rejoin", "join", "back_join")
STEPS: t.Mapping[str, t.Callable[..., Result]] = {
    "wait": wait, "roll_back": roll_back, "begin": begin, "propose": propose, "promote": promote, "newcomers": newcomers, "verdict": verdict,
    "give_way": give_way, **{name: functools.partial(note, name=name) for name in NOTES},
    **{name: functools.partial(balance, name=name) for name in (*DRAINS, *JOINS)},
}  # fmt: skip

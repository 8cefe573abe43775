# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A batch on its way through the table of its strategy: what is done once for it is done here, until a server or a hook has its turn."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet import driver
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.rollout import Options, Progress, Turn
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.strategies import BALANCER, HOOK, SERVER
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_turns import take
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import (
    RECORD,
    failed,
    newest,
    plain,
    record,
    step_result,
)

ON_ITS_WAY = "rollout_turn"  # what the role remembers of the task before
DONE = "rollout_done"  # what a server, or a hook on it, has said to its turn


def begin(fleet: Fleet, part: str) -> Result:
    """part: move, confirm or take_back."""
    memory, hosts = fleet.memory, list(fleet.ask("ansible_play_batch"))
    halted = bool(fleet.known("rollout_halted"))
    if fleet.plan["idle"] or (part == "move" and halted) or (part == "confirm" and fleet.check_mode):
        return {"changed": False, "over": True, "halted": halted, "fenced": memory.fenced}
    memory.begin(part, hosts, halted)
    return _go_on(fleet, _batch(fleet))


def go_on(fleet: Fleet) -> Result:
    """After the servers, or a hook, have had their turn."""
    batch = _batch(fleet)
    _hear(fleet, batch, fleet.registered(ON_ITS_WAY))
    return _go_on(fleet, batch)


def _batch(fleet: Fleet) -> driver.Batch:
    """Where it is, by what was answered."""
    memory, part = fleet.memory, fleet.memory.now
    begun = Progress(
        parse_plan(fleet.plan),
        Options(
            fleet.ask("rollout_on_failure"),
            hooks=frozenset() if fleet.check_mode else frozenset(fleet.ask("rollout_hooks") or ()),
            rehearsal=fleet.check_mode,
        ),
        {host: record({RECORD: memory.record(host, before=True)}) for host in part.batch},
        halted=part.halted,
        fenced=part.fenced_before,
    )
    one_place = fleet.ask("rollout_store_host") == fleet.ask("rollout_balancer_host")
    found = driver.Batch(begun, tuple(part.batch), part.name, one_place)
    for answers in part.answered:
        turn = t.cast(Turn, found.turn)
        found.answer({key: step_result(turn.step.name, said) for key, said in answers.items()})
    return found


def _answer(fleet: Fleet, batch: driver.Batch, answers: Vars) -> None:
    """Kept before anything else is done."""
    turn, before = t.cast(Turn, batch.turn), dict(batch.now.records)
    batch.answer({key: step_result(turn.step.name, said) for key, said in answers.items()})
    fresh = {host: of for host, of in batch.now.records.items() if of is not before.get(host)}
    fleet.memory.keep(answers, {host: newest(of) for host, of in fresh.items()}, batch.now.fenced)


def _hear(fleet: Fleet, batch: driver.Batch, due: Vars) -> None:
    """What the servers, or a hook on them, have said to their turn."""
    turn = batch.turn
    if turn is None or turn.step.where not in (SERVER, HOOK):
        return
    said = {host: _said(fleet.hostvars.get(host) or {}, due) for host in turn.hosts}
    for step in due["steps"]:
        turn = batch.turn
        if turn is None or turn.step.name != step:
            return  # whoever failed takes no part in it
        _answer(fleet, batch, {host: said[host][step] for host in turn.hosts if step in said[host]})


def _said(of: Vars, due: Vars) -> dict[str, t.Any]:
    """By step. A call that never came to an answer has failed with its first step: whether it came to the next is not known."""
    done = of.get(DONE) or {}
    if done.get("turn") == due["turn"]:
        return dict(done["answers"])
    return {due["steps"][0]: plain(done)} if failed(done) else {}


def _go_on(fleet: Fleet, batch: driver.Batch) -> Result:
    """What is done once, until somebody else has his turn, or until there is something new to wait for, which is told before."""
    said, where, waited = [], "", ""
    while batch.turn is not None:
        turn = batch.turn
        place, waits = batch.place(turn), driver.WAITS.get(turn.step.name, "")
        if place in (SERVER, HOOK) or place != (where or place) or (waits and waited):
            break
        where, waited = place, waits or waited
        answers = take(fleet, batch, turn)
        _answer(fleet, batch, answers)
        said += [(waits, found) for found in answers.values()]
    return {**_summed(said), **_next(fleet, batch), "halted": batch.now.halted, "fenced": batch.now.fenced}


def _summed(said: t.Sequence[tuple[str, Vars]]) -> Result:
    """What is shown of the steps that were done: the first that failed, as if it had been alone."""
    bad: tuple[str, Vars] = next(((waits, found) for waits, found in said if failed(found)), ("", {}))
    diffs = [found["diff"] for _waits, found in said if found.get("diff")]
    return {
        "changed": any(found.get("changed") for _waits, found in said),
        "machinery": all(found.get("machinery") for _waits, found in said),
        **plain(bad[1]),
        **({"failed_while": bad[0]} if bad[1] else {}),
        **({"diff": diffs} if diffs else {}),
    }


def _next(fleet: Fleet, batch: driver.Batch) -> Result:
    """Who has his turn, as the tasks of the role read it."""
    turn = batch.turn
    if turn is None:
        return {"over": True}
    where = turn.step.where if turn.step.where in (SERVER, HOOK) else ""
    due = batch.due()
    waits = driver.waits(due)
    at = batch.next_place() if where else batch.place(turn)
    return {
        "over": False,
        "where": where,
        # Another part of the same batch counts anew.
        "turn": "%s %d" % (fleet.memory.now.name, len(fleet.memory.now.answered) + 1),
        "steps": [one.step.name for one in due] if where else [turn.step.name],
        "hosts": list(turn.hosts),
        "back": turn.back,
        "waits": waits,
        "title": "run the hook %s" % turn.step.name if where == HOOK else driver.TITLES[waits],
        "at": fleet.ask("rollout_balancer_host" if at == BALANCER else "rollout_store_host"),
        "expected": driver.expected(batch.now, turn),
        "nodes": driver.nodes(batch.now, turn),
        "others": driver.others(batch.now, turn),
    }

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What comes next in a rollout, given the answers so far. Pure: it yields turns, is sent their answers, and does nothing itself.

The same answers lead to the same turn. So another process can go on from the answers that were kept: see `next_turn`.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from . import decisions
from .nodes import nodes_at
from .plan import Plan
from .record import LOCK_LOST, HostRecord, StepResult, batch_state
from .strategies import BALANCER, HOOK, JOURNAL, SERVER, STRATEGIES, Group, Step

# Steps of the whole rollout.
STORE, FLEET = "store", "fleet"
STAND_BY, GIVE_WAY = Step("stand_by", JOURNAL), Step("give_way", BALANCER)
Answers = t.Mapping[str, StepResult]


@dataclass(frozen=True)
class Options:
    on_failure: str = "revert"  # or halt
    migrate: str = ""
    hooks: frozenset[str] = frozenset()
    rehearsal: bool = False


@dataclass(frozen=True)
class Turn:
    """One step. hosts: those that take part. batch: whose step it is; for a step that is done once, its answer is sent under the name ""."""

    step: Step
    hosts: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    back: bool = False


@dataclass
class Progress:
    """All answers up to now."""

    plan: Plan
    options: Options = field(default_factory=Options)
    records: dict[str, HostRecord] = field(default_factory=dict)
    fleet: HostRecord = field(default_factory=HostRecord)  # the steps of the whole rollout
    halted: bool = False
    fenced: bool = False

    def of(self, host: str) -> HostRecord:
        return self.records.get(host, HostRecord())

    def take(self, host: str, result: StepResult) -> None:
        self.records[host] = self.of(host).with_result(result)


@dataclass(frozen=True)
class Scene:
    """A batch; on the way back with the hosts that return, as they were when it began, because its steps change the record that this is read from."""

    batch: tuple[str, ...]
    back: bool = False
    returning: tuple[str, ...] = ()
    serving: tuple[str, ...] = ()


Turns = t.Generator[Turn, Answers, None]
Chooser = t.Callable[[Progress, Scene, t.Sequence[str]], t.Iterable[str]]


def _settled(now: Progress, scene: Scene) -> t.Sequence[str]:
    """If one host of the batch failed, all of it goes back and none of it joins, unless what moved may stay."""
    state = batch_state(now.records, scene.batch)
    return state.moved if now.options.on_failure == "halt" or not state.failed else ()


def _unharmed(now: Progress, scene: Scene, hosts: t.Sequence[str]) -> t.Sequence[str]:
    return () if batch_state(now.records, scene.batch).failed else hosts


def _canary(now: Progress, scene: Scene, hosts: t.Sequence[str]) -> t.Sequence[str]:
    bakes = now.plan.draft.strategy == "canary" and not now.options.rehearsal
    return _unharmed(now, scene, hosts) if bakes and scene.batch[0] == now.plan.canary else ()


def _leaving(now: Progress, scene: Scene, hosts: t.Sequence[str]) -> t.Sequence[str]:
    return [host for host in hosts if not now.plan.stays(host)]


def _not_back_hot(now: Progress, scene: Scene, hosts: t.Sequence[str]) -> t.Sequence[str]:
    return [host for host in hosts if not now.of(host).back_hot]


def _fallen(now: Progress, scene: Scene, hosts: t.Sequence[str]) -> t.Sequence[str]:
    """Hosts that serve and will be restarted, also those that could not go back hot."""
    serving = [host for host in scene.returning if host in scene.serving or now.plan.stays(host)]
    return [host for host in _not_back_hot(now, scene, serving) if host in now.plan.leaves]


def _nodes(step: str) -> Chooser:
    return lambda now, scene, hosts: [host for host in hosts if nodes_at(now.plan, host, step)]


# Which of the hosts that are there take part in a step, or in a group of steps.
WHO: t.Mapping[str, Chooser] = {
    "all": lambda now, scene, hosts: hosts,
    "leavers": lambda now, scene, hosts: [
        host for host in _leaving(now, scene, hosts) if host in now.plan.leaves and host in now.plan.moves
    ],
    "hidden": lambda now, scene, hosts: [
        host for host in _leaving(now, scene, hosts) if now.plan.draft.ready and host in now.plan.moves
    ],
    "leaving": _leaving,
    "hot": lambda now, scene, hosts: [host for host in hosts if now.plan.row(host).hot],
    "cold": lambda now, scene, hosts: [host for host in hosts if not now.plan.row(host).hot],
    "not_back_hot": _not_back_hot,
    "fallen": _fallen,
    "had_one_and_fell": lambda now, scene, hosts: [
        host for host in _not_back_hot(now, scene, hosts) if now.plan.before(host)
    ],
    "ready": lambda now, scene, hosts: hosts if now.plan.draft.ready else (),
    "settled": lambda now, scene, hosts: _settled(now, scene),
    "joiners": lambda now, scene, hosts: [host for host in _settled(now, scene) if host in now.plan.leaves],
    "canary": _canary,
    "unharmed": _unharmed,
    "returning": lambda now, scene, hosts: scene.returning,
    "serving": lambda now, scene, hosts: [host for host in scene.serving if host in now.plan.leaves],
    "had_one": lambda now, scene, hosts: [host for host in hosts if now.plan.before(host)],
    "had_none": lambda now, scene, hosts: [host for host in scene.returning if not now.plan.before(host)],
    "shown_again": lambda now, scene, hosts: [host for host in hosts if now.plan.draft.ready and now.plan.before(host)],
    "healed": lambda now, scene, hosts: batch_state(now.records, scene.returning).healed,
    "back_joiners": lambda now, scene, hosts: [host for host in hosts if host in now.plan.leaves],
    **{step: _nodes(step) for step in ("clear", "rejoin", "join", "leave", "back_clear", "back_join", "back_leave")},
}


def _walk(now: Progress, groups: t.Sequence[Group], scene: Scene) -> Turns:
    """A batch goes through a table. A host that fails takes no further part: on the way forward not at all, on the way back not in the same group."""
    out: set[str] = set()
    for group in groups:
        members = list(WHO[group.who](now, scene, scene.batch))
        if scene.back:
            out = set()
        for step in group.steps:
            active = [host for host in members if host not in out]
            if not active or (step.where == HOOK and step.name not in now.options.hooks):
                continue
            # A step for the whole batch is done as long as one host of it is there.
            hosts = tuple(WHO[step.who](now, scene, members if step.once else active))
            if hosts:
                answers = yield Turn(step, hosts, scene.batch, scene.back)
                if not group.tolerant:
                    out |= _taken(now, step, hosts, scene, answers)


def _taken(now: Progress, step: Step, hosts: t.Sequence[str], scene: Scene, answers: Answers) -> set[str]:
    """Keeps the answers, and returns the hosts that failed."""
    out = set()
    for host in scene.batch if step.once else hosts:
        result = answers.get(
            "" if step.once else host, StepResult(step.name, False, text="%s said nothing" % step.name)
        )
        if step.where != HOOK and not result.facts.get("skipped"):
            now.take(host, replace(result, step=step.keeps) if step.keeps else result)
        elif step.where == HOOK and not result.ok:
            now.take(host, StepResult("back_hook" if scene.back else "hook", False, text=result.text))
        if not result.ok:
            out.add(host)
    return out


def forward(now: Progress, batch: tuple[str, ...]) -> Turns:
    yield from _walk(now, STRATEGIES[now.plan.draft.strategy].forward, Scene(batch))


def backward(now: Progress, batch: tuple[str, ...]) -> Turns:
    state = batch_state(now.records, batch)
    yield from _walk(now, STRATEGIES[now.plan.draft.strategy].back, Scene(batch, True, state.unsettled, state.serving))
    # A controller that was frozen on the way back may have lost its lock there, too.
    now.fenced = batch_state(now.records, batch).fenced
    if now.fenced:
        yield from _give_way(now, batch)


def _give_way(now: Progress, batch: tuple[str, ...]) -> Turns:
    """A balancer knows no fence. What we took out just then is put back after the other deployer is done: only that one knows what may serve meanwhile."""
    if batch_state(now.records, batch).taken:
        for step in STAND_BY, GIVE_WAY:
            answers = yield Turn(step, batch, batch)
            now.fleet = now.fleet.with_result(answers.get("", StepResult(step.name, False)))


def _once(now: Progress, name: str, where: str = STORE) -> t.Generator[Turn, Answers, bool]:
    """A step of the whole rollout; whether it succeeded."""
    answers = yield Turn(Step(name, where))
    result = answers.get("", StepResult(name, False))
    now.fleet = now.fleet.with_result(result)
    return result.ok


def _begin(now: Progress) -> t.Generator[Turn, Answers, bool]:
    """A failure here has not touched a server."""
    draft = now.plan.draft
    if not (yield from _once(now, "lock")) or not (yield from _once(now, "open", JOURNAL)):
        return False
    if "before_rollout" in now.options.hooks and not (yield from _once(now, "before_rollout", HOOK)):
        return False
    if not draft.homecoming and not (yield from _once(now, "propose")):
        return False
    return not decisions.migrates(now.plan, now.options.migrate) or (yield from _once(now, "migrate", FLEET))


def rollout(now: Progress) -> Turns:
    """A whole rollout, from acquiring its lock to releasing it. `now` has all answers."""
    if now.plan.idle:
        return
    now.halted = not (yield from _begin(now))
    for batch in now.plan.batches:
        if now.halted:
            break
        yield from move(now, batch)
    yield from confirm(now)
    for batch in now.plan.batches:
        yield from take_back(now, batch)
    yield from _end(now)


def move(now: Progress, batch: tuple[str, ...]) -> Turns:
    """Moves a batch. If one of its hosts fails, this batch goes back and no further one moves."""
    yield from forward(now, batch)
    state = batch_state(now.records, batch)
    if not state.failed:
        return
    now.halted, now.fenced = True, state.fenced
    if now.fenced:
        yield from _give_way(now, batch)
    elif now.options.on_failure == "revert":
        yield from backward(now, batch)


def take_back(now: Progress, batch: tuple[str, ...]) -> Turns:
    """Takes back a batch that had moved, after the rollout failed elsewhere."""
    wanted = now.halted and not now.fenced and now.options.on_failure == "revert"
    if wanted and batch_state(now.records, batch).unsettled:
        yield from backward(now, batch)


def confirm(now: Progress, _batch: tuple[str, ...] = ()) -> Turns:
    """The last look, at all hosts at once: what was healthy in its batch may have died since."""
    moved = tuple(host for host in now.plan.order if "after" in now.of(host)["restart"].facts)
    if now.halted or not moved:
        return
    answers = yield Turn(Step("confirm", SERVER), moved, now.plan.order)
    for host, result in answers.items():
        now.take(host, result)
    now.halted = batch_state(now.records, now.plan.order).failed


def _end(now: Progress) -> Turns:
    success, promoted = not now.halted and decisions.succeeded(now.plan, now.records), False
    if success and ("before_promote" not in now.options.hooks or (yield from _once(now, "before_promote", HOOK))):
        promoted = yield from _once(now, "promote")
    success = success and promoted
    named = "propose" in now.fleet and now.fleet["propose"].ok
    fate = decisions.candidate_fate(
        now.plan, success, decisions.blames(now.records), fenced=now.fenced, promoted=promoted, named=named
    )
    if fate != decisions.STAY:
        yield from _once(now, fate)
    if "open" in now.fleet and now.fleet["open"].ok:
        yield from _once(now, "close", JOURNAL)
    if now.fleet["lock"].ok:
        yield from _once(now, "release")


def next_turn(plan: Plan, options: Options, answered: t.Iterable[Answers]) -> tuple[Turn | None, Progress]:
    """The turn that follows all answers since the rollout began, and what is known by then. None if the rollout is over."""
    now = Progress(plan, options)
    turns = rollout(now)
    turn = next(turns, None)
    try:
        for answers in answered:
            turn = turns.send(answers)
    except StopIteration:
        return None, now
    return turn, now


def claims_success(now: Progress) -> bool:
    """Whether the report may say that it succeeded. A run that lost the lock before it closed the journal claims nothing."""
    promoted = "promote" in now.fleet and now.fleet["promote"].ok
    return promoted and decisions.succeeded(now.plan, now.records) and now.fleet["close"].code != LOCK_LOST

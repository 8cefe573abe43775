# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that can go wrong in a rollout, at each of its steps: the transitions and the readers of _fleet, the plan and the journal, on a model of the rest.

At each step something goes wrong on each of its hosts, or with the step: it fails and blames the release, or does not, or the server does not answer, with the
step done or not; another deployer takes the lock and rolls out; the controller is killed before the step or after it. After each of these histories the next
runs, in which nothing goes wrong, have to bring every server home. What a history leaves behind is looked at once, whichever way led there.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import record as fleet_record
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import rollout as fleet_rollout
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.draft import Asked, aim, parse_known
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import CONFIRM, ORDER, HostRecord, StepResult
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.rollout import (
    Options,
    Progress,
    Turn,
    claims_success,
    rollout,
)
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Target
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.fleet_world import (
    COLORS,
    DIGESTS,
    NEW,
    OLD,
    Run,
    Server,
    World,
    answer,
    balanced,
    hostvars,
    proven_at,
)
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.told import origins, plan_of

RUNS = 3  # until all is home: one may go on to a version that turns out to be bad, the next goes back
LEAVING = {"leave", "clear", "back_leave", "back_clear"}
KILLS = ("killed_before", "killed_after")


class Killed(Exception):
    pass


@dataclass
class Search:
    """Runs a story with every sequence of choices, depth first, from its start each time; no history has more than `most` faults."""

    most: int
    prefix: list[int] = field(default_factory=list)
    made: list[tuple[int, int]] = field(default_factory=list)
    histories: int = 0
    left: int = 0
    homes: set[t.Any] = field(default_factory=set)  # states that the next runs were seen to mend

    def choose(self, options: t.Sequence[str]) -> str:
        if not self.left:
            return options[0]
        at = len(self.made)
        choice = self.prefix[at] if at < len(self.prefix) else 0
        self.made.append((choice, len(options)))
        self.left -= choice > 0
        return options[choice]

    def all(self, story: t.Callable[[Search], None]) -> int:
        while True:
            self.made, self.left = [], self.most
            self.histories += 1
            story(self)
            while self.made and self.made[-1][0] + 1 == self.made[-1][1]:
                self.made.pop()
            if not self.made:
                return self.histories
            self.prefix = [choice for choice, _options in self.made]
            self.prefix[-1] += 1


def faults(turn: Turn, host: str) -> list[str]:
    """What can happen to a step on one host, or to a step that is done once. The first is that it goes well."""
    name, where = turn.step.name, turn.step.where
    if where == "hook":
        return ["", "other"]
    if name in ("watch", "look", "stand_by"):
        return [""]  # what they see fails nothing by itself
    found = ["", "other", "answer_lost"]
    if where == "server":
        found.append("lost")
    if name in ("restart", "back_restart", "upgrade", "back_upgrade"):
        found.append("node_died")
    if name == "bake":
        found.append("canary_worse")
    if name == CONFIRM:
        found = ["", "node_died", "lost"]
    return found


def planned(world: World, strategy: str, named: str = NEW, **more: t.Any) -> dict[str, t.Any]:
    journal, hosts = world.journal, list(world.servers)
    broken = journal.unfinished or bool(set(journal.interrupted_hosts()) & set(hosts))
    stable, candidate = (
        {"version": one, "digest": DIGESTS[one]} if one else None for one in (world.stable, world.candidate)
    )
    version = named
    if not named:
        channel = {
            "stable": stable,
            "candidate": candidate,
            "ghosts": [{"digest": DIGESTS[ghost]} for ghost in world.ghosts],
        }
        aimed = aim(
            parse_known({"journal": journal.document(), "unfinished": journal.unfinished, "channel": channel}), Asked()
        )
        version = t.cast(Target, aimed.target).version
    draft: dict[str, t.Any] = {
        "name": "beacon",
        "channel": "production",
        "version": version,
        "digest": DIGESTS[version],
        "homecoming": version == world.stable,
        "kind": "rollout",
        "strategy": strategy,
        "colors": list(COLORS) if world.colored else [],
        "batch_sizes": more.pop("batches", [1]),
        "min_healthy": "auto",
        "stable": stable,
        "candidate": candidate,
        "hosts": hosts,
        "everyone": hosts,
        "interrupted": journal.document() if broken else {},
        "balanced": balanced(world),
    }
    return plan_of({**draft, **more}, hostvars(world, version))


@dataclass
class Story:
    """One history: a run in which things go wrong, and the runs after it."""

    search: Search
    world: World
    strategy: str
    options: Options
    batches: t.Sequence[t.Any]
    then: str = ""  # the version that the next run is told; what it finds decides where it is told none
    overtaken: bool = False
    # A note that could not be written does not stop the way back. Until the next one, the journal does not know who is out.
    blind: bool = False
    ended: bool = False  # not killed
    gone: set[str] = field(default_factory=set)  # the steps that failed
    log: list[str] = field(default_factory=list)

    def tell(self) -> None:
        try:
            with contextlib.suppress(Killed):
                self.run(planned(self.world, self.strategy, batches=self.batches))
            self.mend()
        except AssertionError as error:
            raise AssertionError("%s; after: %s" % (error, " ".join(self.log))) from error

    def run(self, doc: dict[str, t.Any], flawless: bool = False) -> Progress:
        now = Progress(parse_plan(doc), self.options)
        one = Run(self.world, now, origins(doc))
        turns, failed = rollout(now), []
        turn = next(turns, None)
        while turn is not None:
            self.before(one, turn)
            answers = self.answers(one, turn, flawless)
            failed += [(host, turn, result) for host, result in answers.items() if not result.ok]
            self.safe(one, turn)
            try:
                turn = turns.send(answers)
            except StopIteration:
                break
        self.gone |= {turn.step.name for _host, turn, _result in failed}
        self.ended = not flawless
        self.judge(one, failed)
        return now

    def answers(self, one: Run, turn: Turn, flawless: bool) -> dict[str, StepResult]:
        hosts = ("",) if turn.step.once or not turn.hosts else turn.hosts
        self.log.append(turn.step.name)
        if flawless:
            return {host: answer(one, turn, host, "") for host in hosts}
        moments = ["", *KILLS, *(["overtaken"] if not self.overtaken and turn.step.name != "lock" else [])]
        moment = self.search.choose(moments)
        self.log += [moment] if moment else []
        if moment == "killed_before":
            raise Killed
        if moment == "overtaken":
            self.overtaken = True
            self.another()
        chosen = {host: self.search.choose(faults(turn, host)) for host in hosts}
        self.log += ["(%s %s)" % (fault, host) for host, fault in chosen.items() if fault]
        found = {host: answer(one, turn, host, fault) for host, fault in chosen.items()}
        self.blind |= turn.step.where == "journal" and any(result.ok and result.code for result in found.values())
        if moment == "killed_after":
            raise Killed
        return found

    def another(self) -> None:
        """Another deployer takes the lock, and rolls out what is stable, or what was interrupted, while this one is frozen."""
        with contextlib.suppress(Killed):
            self.run(planned(self.world, self.strategy, ""), flawless=True)

    # What has to be true.

    def before(self, one: Run, turn: Turn) -> None:
        now, step = one.now, turn.step
        self.serving = self.world.serving()
        if now.fenced:
            assert step.name in ("stand_by", "give_way", "close", "release"), "a fenced deployer does %s" % step.name
        if (
            self.world.balanced
            and step.name in ("restart", "back_restart")
            and not self.world.colored
            and not self.overtaken
        ):
            # What runs already what it ought to is not restarted.
            wanted = {host: now.plan.before(host) if turn.back else now.plan.draft.version for host in turn.hosts}
            hit = [
                host
                for host in turn.hosts
                if host in self.serving and self.world.servers[host].nodes[CURRENT] != wanted[host]
            ]
            assert not hit, "%s under load on %s" % (step.name, hit)

    def safe(self, one: Run, turn: Turn) -> None:
        """After each step."""
        serving = self.world.serving()
        if turn.step.name not in ("confirm", "restart", "back_restart") and len(serving) < len(self.serving):
            assert len(serving) >= one.plan.floor or self.overtaken, "%s left %s in service" % (
                turn.step.name,
                sorted(serving),
            )
        told = {host for host, row in self.world.journal.hosts.items() if row.out}
        assert self.world.out() <= told or self.overtaken or self.blind, "out, and not in the journal: %s" % sorted(
            self.world.out() - told
        )

    def judge(self, one: Run, failed: t.Sequence[tuple[str, Turn, StepResult]]) -> None:
        """What is said in the end."""
        now, overtaken = one.now, self.overtaken and one.serial < self.world.serial
        for host in now.plan.order:
            record, outcome = now.of(host), now.of(host).outcome
            if overtaken:
                continue  # what is so now is another deployer's doing
            if outcome == "moved" and not now.plan.idle:
                assert self.world.servers[host].current in (now.plan.draft.version, OLD) and record[
                    "restart"
                ].facts.get("after")
                if not now.halted:
                    assert proven_at(self.world, host, now.plan.draft.version, now.plan), "moved, and is not: %s" % host
            if outcome == "returned":
                assert proven_at(self.world, host, now.plan.before(host), now.plan), "returned, and is not: %s" % host
        self.told(now, failed)
        if claims_success(now):
            assert not failed or {turn.step.name for _host, turn, _result in failed} <= {"close", "release"}, (
                "success, and failed: %s" % failed
            )
            for host in () if overtaken else now.plan.order:
                assert proven_at(self.world, host, now.plan.draft.version, now.plan)
                assert not self.world.balanced or host in self.world.serving()
            assert overtaken or self.world.stable == now.plan.draft.version

    def told(self, now: Progress, failed: t.Sequence[tuple[str, Turn, StepResult]]) -> None:
        """No step that failed is left out of the report, and none is made up."""
        for host, turn, result in failed:
            kept = turn.step.keeps or turn.step.name
            for name in [host] if host else turn.batch:
                if kept in ORDER or turn.step.where == "hook":
                    record = now.of(name)
                    if turn.back and record[kept].ok and kept in record:
                        continue  # the way back was tried again
                    assert record.reason, "%s failed on %s, and nothing is said of it" % (turn.step.name, name)
                    wrong = ("moved", "returned") if turn.back else ("moved",)
                    assert record.outcome not in wrong, "%s failed on %s, which is said to have %s" % (
                        turn.step.name,
                        name,
                        record.outcome,
                    )
                    assert not turn.back or "on the way back" in record.reason or record.reason == result.text, (
                        record.reason
                    )
            assert (
                kept in ORDER
                or turn.step.where == "hook"
                or turn.step.name in now.fleet
                or turn.step.name == "note_returned"
            )

    def mend(self) -> None:
        key = self.world.key()
        # What could not be put back after another deployer took over is in the report, with the command. Nobody puts back what one took out who was frozen,
        # overtaken and then killed: the status names it.
        # So it does whom he took out at that moment where the balancer's answer was lost, too.
        alone = (
            self.blind or "give_way" in self.gone or (self.overtaken and not (self.ended and not LEAVING & self.gone))
        )
        if (key, alone) in self.search.homes:
            return
        self.search.homes.add((key, alone))
        for run in range(RUNS):
            self.overtaken = False
            named = "" if run else self.then
            now = self.run(planned(self.world, self.strategy, named, batches=self.batches), flawless=True)
            if now.plan.idle:
                break
        world = self.world
        assert alone or not world.out() and not world.journal.interrupted_hosts(), "out for good: %s" % sorted(
            world.out()
        )
        for host in world.servers:
            assert proven_at(world, host, world.stable, now.plan), "%s is not home: %s" % (host, world.servers[host])


def explore(
    strategy: str,
    hosts: int,
    most: int = 1,
    sick: bool = False,
    batches: t.Sequence[t.Any] = (1,),
    lb: bool = True,
    hooks: t.Iterable[str] = (),
    on_failure: str = "revert",
    then: str = "",
    blocked: str = "",
    one_way: bool = False,
) -> int:
    search, names = Search(most), "abcd"[:hosts]
    colored = strategy == "blue_green"

    def story(one: Search) -> None:
        def server() -> Server:
            return (
                Server(OLD, {"blue": OLD}, {"blue": OLD}, {"blue"})
                if colored
                else Server(OLD, {}, {CURRENT: OLD}, {CURRENT})
            )

        world = World({name: server() for name in names}, colored, lb, frozenset([NEW] if sick else []))
        world.blocked, world.one_way = frozenset(blocked), one_way
        world.inside = {world.members(name)[0] for name in names} if lb else set()
        Story(one, world, strategy, Options(on_failure, hooks=frozenset(hooks)), batches, then).tell()

    return search.all(story)


CURRENT = "current"
HOOKS = (
    "before_batch",
    "leave",
    "before_restart",
    "after_restart",
    "join",
    "after_batch",
    "before_return",
    "after_return",
)
ALL = ("rolling", "canary", "blue_green", "all_at_once", "hot")


@pytest.mark.parametrize("sick", [False, True], ids=["good", "sick"])
@pytest.mark.parametrize("hosts", [1, 2, 3, 4])
@pytest.mark.parametrize("strategy", ALL)
def test_whatever_goes_wrong_once(strategy: str, hosts: int, sick: bool) -> None:
    assert explore(strategy, hosts, sick=sick) > 40


@pytest.mark.parametrize("strategy", ALL)
def test_whatever_goes_wrong_in_a_batch_of_two(strategy: str) -> None:
    assert explore(strategy, 3, batches=(2,), sick=True) > 50


# One batch is the same with rolling and all_at_once.
@pytest.mark.parametrize("strategy", ["rolling", "canary", "blue_green", "hot"])
def test_whatever_goes_wrong_twice(strategy: str) -> None:
    assert explore(strategy, 1, most=2) > 800


@pytest.mark.parametrize("strategy", ALL)
def test_hooks_fail_too(strategy: str) -> None:
    assert explore(strategy, 2, hooks=HOOKS, sick=True) > 40


@pytest.mark.parametrize("strategy", ALL)
def test_without_a_balancer(strategy: str) -> None:
    assert explore(strategy, 2, lb=False) > 40


@pytest.mark.parametrize("strategy", ALL)
def test_what_moved_stays_where_that_is_wanted(strategy: str) -> None:
    assert explore(strategy, 2, on_failure="halt") > 40


@pytest.mark.parametrize("then", [OLD, NEW], ids=["back", "on"])
@pytest.mark.parametrize("strategy", ALL)
def test_the_next_run_is_told_where_to_go(strategy: str, then: str) -> None:
    """On to the version that was interrupted, or back to the one before: wherever the controller was killed."""
    assert explore(strategy, 2, then=then) > 40


@pytest.mark.parametrize("sick", [False, True], ids=["good", "sick"])
def test_some_are_upgraded_and_some_are_restarted(sick: bool) -> None:
    """In one batch, too."""
    assert explore("auto", 3, sick=sick, batches=(1, 2), blocked="b") > 70


@pytest.mark.parametrize("strategy", ["hot", "auto"])
def test_who_cannot_go_back_hot_leaves_before_it_is_restarted(strategy: str) -> None:
    assert explore(strategy, 2, one_way=True) > 40
    assert explore(strategy, 1, most=2, one_way=True) > 800


# The model can see what it is there to see.


def test_a_pointer_that_was_not_put_back_is_found_where_nobody_looks_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it was: neither switched, enabled, disabled nor stopped counted on the way back."""
    monkeypatch.setattr(fleet_record, "BACK_ENDS", ())
    with pytest.raises(AssertionError, match="returned, and is not|is said to have returned"):
        explore("blue_green", 1, most=2)


def test_a_register_that_is_overwritten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so it was: the twin of a step, which was skipped for a host that had a version before, overwrote what that step had said."""
    kept = HostRecord.with_result

    def overwritten(record: HostRecord, result: StepResult) -> HostRecord:
        return record if result.step in ("back_switch", "back_disable") else kept(record, result)

    monkeypatch.setattr(HostRecord, "with_result", overwritten)
    with pytest.raises(AssertionError, match="nothing is said of it|returned, and is not|is said to have returned"):
        explore("blue_green", 1, most=2)


def test_a_report_that_forgets_a_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_record, "FORWARD", tuple(step for step in fleet_record.FORWARD if step != "join"))
    with pytest.raises(AssertionError):
        explore("rolling", 1)


def test_a_restart_under_load_on_the_way_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could not go back hot has to leave the balancers first."""
    monkeypatch.setitem(t.cast("dict[str, t.Any]", fleet_rollout.WHO), "fallen", lambda _now, _scene, _hosts: ())
    with pytest.raises(AssertionError, match="back_restart under load"):
        explore("hot", 2, one_way=True)


def test_a_journal_that_is_not_told_who_leaves_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan.Plan.hidden", lambda plan, host: False
    )
    with pytest.raises(AssertionError, match="not in the journal"):
        explore("rolling", 1)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All interleavings of a launch with what others do meanwhile: the protocol itself, on a model of the store, the group and the node.

Between any two steps of the bootstrap, the others (rollouts, rollbacks, sweeps) may do any number of theirs, the server may reboot, and the group may give
it up. Every such history is run. At the end of each, a server in service must run what the channel says; and none may ever complete its launch without
a gate that it passed on the very digest that it had read last.

A step is what happens at one moment: a read of the channel, the switch of the symlink, a restart. What the bootstrap knows depends on the answers it got
alone, so that two histories that led to the same answers and the same state go on alike, and only the first of them is followed.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import protocol
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.protocol import Pointer
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import ENDINGS

ROUNDS = 6
RETRIES = 3  # of a bootstrap that failed while it was in service already: systemd starts it again

Step = t.Callable[["State"], None]


@dataclass
class State:
    """What is true, whoever knows it."""

    stable: str = "A"
    serial: int = 1
    current: str = ""
    running: str = ""
    switches: int = 0  # of current
    group: str = "Pending"  # InService, Terminated
    sick: frozenset[str] = frozenset()  # releases that never become healthy
    members: bool = False  # whether the deploy that is at work has this server on its list
    blamed: frozenset[str] = frozenset()  # releases that a record speaks against
    sees_pending: bool = True  # whether a sweep can reach a server that is not in service yet

    def facts(self) -> tuple[t.Any, ...]:
        return self.stable, self.serial, self.current, self.running, self.group, self.members, self.blamed

    def switch(self, version: str) -> None:
        self.switches += self.current != version
        self.current = version


# What the others do, a step each.


def promote(version: str) -> Step:
    def step(state: State) -> None:
        state.stable, state.serial = version, state.serial + 1

    return step


def list_members(state: State) -> None:
    """A server of the group that runs nothing yet can't be moved: there is nobody to ask on it."""
    state.members = state.group == "InService" or (
        state.group == "Pending" and state.sees_pending and bool(state.running)
    )


def activate(version: str | None = None) -> Step:
    """None: what is stable."""

    def step(state: State) -> None:
        if state.members:
            state.switch(version or state.stable)

    return step


def restart(state: State) -> None:
    if state.members:
        state.running = state.current


SWEEP: list[Step] = [list_members, activate(), restart]


def rollout(version: str) -> list[Step]:
    """The server is moved in a batch if it is a member when the rollout begins; then the promotion, and the sweep for whoever was born meanwhile."""
    return [list_members, activate(version), restart, promote(version), *SWEEP]


def failed_rollout(version: str, back: str) -> list[Step]:
    return [list_members, activate(version), restart, activate(back), restart]


def rollback(version: str) -> list[Step]:
    return [promote(version), *SWEEP]


# The search.


class Reboot(Exception):
    pass


class Pruned(Exception):
    """Another history came by here, in the same state and with the same answers."""


@dataclass
class Search:
    """Runs `story` with every sequence of choices there is, depth first, from the start each time."""

    seen: set[t.Any] = field(default_factory=set)
    prefix: list[int] = field(default_factory=list)
    made: list[tuple[int, int]] = field(default_factory=list)  # what was chosen, of how many

    def choose(self, options: int, key: t.Any) -> int:
        at = len(self.made)
        if at < len(self.prefix):
            choice = self.prefix[at]
        else:
            if key in self.seen:
                raise Pruned
            self.seen.add(key)
            choice = 0
        self.made.append((choice, options))
        return choice

    def all(self, story: t.Callable[[Search], None]) -> int:
        """How many different moments there are."""
        while True:
            self.made = []
            with contextlib.suppress(Pruned):
                story(self)
            while self.made and self.made[-1][0] + 1 == self.made[-1][1]:
                self.made.pop()
            if not self.made:
                return len(self.seen)
            self.prefix = [choice for choice, _options in self.made]
            self.prefix[-1] += 1


class ModelWorld:
    def __init__(
        self, search: Search, state: State, others: t.Sequence[Step], reboots: int, shutdowns: int, freezes: int
    ) -> None:
        self.search, self.state, self.others, self.reboots, self.shutdowns = (
            search,
            state,
            list(others),
            reboots,
            shutdowns,
        )
        self.freezes = freezes
        self.stopping = False
        self.late = False  # what is waited for has run out of time
        self.excused = False
        self.answers: list[t.Any] = []  # to the bootstrap of this boot
        self.read = self.gated = ""  # last
        self.switches = 0  # when it had installed
        self.round = 0
        self.completed = False

    def moment(self, name: str) -> None:
        """Between two steps: the others go on, or the server reboots, or neither. A shutdown takes the node first, and the bootstrap sees that."""
        while True:
            options: list[t.Callable[[], None] | None] = [None]
            if self.others:
                options.append(self.others_step)
            if self.reboots:
                options.append(self._reboot)
            if self.shutdowns:
                options.append(self._shutdown)
            if self.freezes:
                options.append(self._freeze)
            ahead = (
                len(self.others),
                self.reboots,
                self.shutdowns,
                self.stopping,
                self.freezes,
                self.late,
                self.excused,
            )
            key = (
                name,
                tuple(self.answers),
                self.state.facts(),
                ahead,
                self.read,
                self.gated,
                self.state.switches != self.switches,
            )
            chosen = options[self.search.choose(len(options), key)]
            if chosen is None:
                return
            chosen()

    def others_step(self) -> None:
        self.others.pop(0)(self.state)

    def _reboot(self) -> None:
        self.reboots -= 1
        self.state.running = ""
        raise Reboot

    def _shutdown(self) -> None:
        self.shutdowns -= 1
        self.stopping, self.state.running = True, ""

    def _freeze(self) -> None:
        self.freezes -= 1
        self.late = True

    def _said(self, answer: t.Any) -> t.Any:
        self.answers.append(answer)
        return answer

    # The world of the protocol.

    def look(self) -> Pointer:
        self.moment("look")
        if self.stopping:
            raise BeamError("store_unreachable", self._said("the network is down"))
        self.read = self.state.stable
        return self._said(Pointer(0, self.state.stable, self.state.stable))

    def install(self) -> Pointer:
        # Of a round that is over, the protocol remembers how it ended, and nothing else.
        self.round += 1
        self.answers = ["round", self.round, self.completed, *self.answers[-2:]]
        self.moment("read")
        wanted = self.state.stable
        self.answers.append(wanted)
        self.moment("activate")
        self.state.switch(wanted)
        self.switches = self.state.switches
        self.read = wanted
        return self._said(Pointer(0, wanted, wanted))

    def prove(self, pointer: Pointer) -> None:
        try:
            self._prove(pointer)
        except BeamError as error:
            excuse = "host_stopping" if self.stopping else "host_frozen" if self.late else ""
            self.late = False
            raise (BeamError(excuse, error.what) if excuse and error.code == "unhealthy" else error) from None

    def _prove(self, pointer: Pointer) -> None:
        state = self.state
        self.moment("resolve")
        if state.current != pointer.version:
            raise BeamError("version_on_disk", self._said("current is not what was activated"))
        if state.running != pointer.version:
            self.answers.append("to be started")
            self.moment("start")
            if self.stopping:
                raise BeamError("unhealthy", self._said("nothing is started any more"))
            state.running = state.current  # what a start runs is what the symlink says at that moment
            if state.running != pointer.version:
                raise BeamError("wrong_release", self._said("it was switched before the start"))
        self.answers.append("started")
        self.moment("gate")
        if self.late:
            raise BeamError("unhealthy", self._said("no time is left"))
        if state.running != pointer.version or pointer.version in state.sick:
            raise BeamError(
                *self._said(("displaced" if state.switches != self.switches else "unhealthy", "not healthy"))
            )
        self.gated = pointer.version
        self.answers.append("healthy")

    def complete(self, result: str) -> None:
        self.moment("complete")
        if self.state.group == "Pending":
            if result == "CONTINUE":
                assert self.gated == self.read, "completed on %s, the channel said %s" % (self.gated, self.read)
                self.state.group = "InService"
            elif not self.stopping and not self.excused:
                self.state.group = "Terminated"
        self.answers.append(result)
        self.round, self.completed = 0, True

    def failed(self, error: BeamError, pointer: Pointer | None) -> float:
        self.excused = error.code == "host_frozen"
        if not self.stopping and error.code not in ENDINGS and pointer is not None:
            self.state.blamed |= {pointer.version}
        return 0.0

    def pause(self, seconds: float) -> None:
        self.moment("pause")

    def say(self, text: str) -> None:
        pass


Protocol = t.Callable[[protocol.World, int], t.Any]


def live(world: ModelWorld, bring_up: Protocol) -> None:
    """The server's life until nothing happens any more: boots, and what systemd starts again after a failure."""
    for _start in range(RETRIES):
        if boot(world, bring_up):
            break
    else:
        while world.others:
            world.others_step()
        boot(world, bring_up) or boot(world, bring_up)  # the first may be cut short by a reboot
    while world.others:
        world.others_step()


def boot(world: ModelWorld, bring_up: Protocol) -> bool:
    if world.stopping:
        world.state.running, world.stopping = "", False
    world.answers, world.round, world.completed = [("start", world.state.group)], 0, False
    try:
        if world.state.group != "Terminated":
            bring_up(world, ROUNDS)
    except (BeamError, Reboot):
        return False
    return True


def histories(
    others: t.Sequence[Step],
    judge: t.Callable[[State], None],
    bring_up: Protocol = protocol.bring_up,
    reboots: int = 0,
    shutdowns: int = 0,
    freezes: int = 0,
    **state: t.Any,
) -> int:
    search = Search()

    def story(one: Search) -> None:
        world = ModelWorld(one, State(**state), others, reboots, shutdowns, freezes)
        live(world, bring_up)
        judge(world.state)

    return search.all(story)


def on_the_channel(state: State) -> None:
    if state.group == "InService":
        assert (state.running, state.current) == (state.stable, state.stable), state.facts()


def came_into_service(state: State) -> None:
    on_the_channel(state)
    assert state.group == "InService", state.facts()


STORIES: dict[str, list[Step]] = {
    "nothing else happens": [],
    "a rollout": rollout("B"),
    "a rollback": rollback("B"),
    "a failed rollout": failed_rollout("B", "A"),
    "a failed rollout, then another one": [*failed_rollout("B", "A"), *rollout("C")],
    "two rollouts": [*rollout("B"), *rollout("C")],
    "a rollout and its rollback": [*rollout("B"), *rollback("A")],
    "there and back before anybody sweeps": [promote("B"), promote("A"), *SWEEP],
    "two rollouts and a rollback": [*rollout("B"), *rollout("C"), *rollback("B")],
}


@pytest.mark.parametrize("reaches", [True, False], ids=["sweeps reach pending servers", "sweeps do not"])
@pytest.mark.parametrize("story", STORIES)
def test_whatever_happens_a_launch_ends_in_service_on_the_channel(story: str, reaches: bool) -> None:
    assert histories(STORIES[story], came_into_service, sees_pending=reaches) > 7 * len(STORIES[story])


@pytest.mark.parametrize("story", STORIES)
def test_the_same_when_the_server_reboots_or_loses_its_power_at_any_moment(story: str) -> None:
    assert histories(STORIES[story], blamed_nobody, reboots=1) > 7 * (1 + len(STORIES[story]))


def blamed_nobody(state: State) -> None:
    came_into_service(state)
    assert not state.blamed, state.facts()


@pytest.mark.parametrize(
    "story", ["nothing else happens", "a rollout", "a failed rollout", "a rollout and its rollback"]
)
def test_a_freeze_at_any_moment_blames_no_release_and_its_next_start_goes_on(story: str) -> None:
    assert histories(STORIES[story], blamed_nobody, freezes=1) > 7 * (1 + len(STORIES[story]))


@pytest.mark.parametrize("story", STORIES)
def test_a_shutdown_at_any_moment_blames_no_release_and_its_next_boot_goes_on(story: str) -> None:
    assert histories(STORIES[story], blamed_nobody, shutdowns=1) > 7 * (1 + len(STORIES[story]))


def test_a_sick_release_is_blamed_all_the_same() -> None:
    ends = set()

    def judge(state: State) -> None:
        ends.add((state.group, state.blamed))

    histories([], judge, sick=frozenset("A"), shutdowns=1)
    assert ends == {("Terminated", frozenset("A"))}


@pytest.mark.parametrize("story", STORIES)
def test_a_reboot_of_a_server_in_service_reconciles(story: str) -> None:
    assert histories(STORIES[story], came_into_service, reboots=1, group="InService", current="A")


def test_a_server_that_missed_promotions_while_it_was_off_follows() -> None:
    assert histories([], came_into_service, group="InService", current="OLD")


def test_a_sick_release_never_comes_into_service() -> None:
    ends = set()

    def judge(state: State) -> None:
        ends.add(state.group)

    histories([], judge, sick=frozenset("A"))
    assert ends == {"Terminated"}


def test_a_sick_release_that_is_rolled_back_while_it_is_tried_costs_no_instance_once_the_channel_moved() -> None:
    ends = set()

    def judge(state: State) -> None:
        on_the_channel(state)
        ends.add(state.group)

    histories(rollback("OK"), judge, sick=frozenset("A"))
    # Given up where the channel moved too late for it, saved where it moved in time.
    assert ends == {"Terminated", "InService"}


@pytest.mark.parametrize("others", [rollout("B"), rollback("B")], ids=["rollout", "rollback"])
def test_a_sick_release_that_is_promoted_and_rolled_back(others: list[Step]) -> None:
    assert histories([*others, *rollback("A")], on_the_channel, sick=frozenset("B"), reboots=1)


# The model can see what it is there to see: without any of its parts, the protocol fails in it.


def no_look_after(world: protocol.World, rounds: int) -> None:
    """Looks again before it completes, and not after."""
    protocol.converge(world, rounds, [])
    world.complete(protocol.CONTINUE)


def no_look_at_all(world: protocol.World, rounds: int) -> None:
    """Download what is stable, start it, report: what everybody does."""
    world.prove(world.install())
    world.complete(protocol.CONTINUE)


def look_only_before_the_install(world: protocol.World, rounds: int) -> None:
    world.look()
    no_look_at_all(world, rounds)


@pytest.mark.parametrize("broken", [no_look_after, no_look_at_all, look_only_before_the_install])
def test_without_the_second_look_a_rollout_leaves_a_server_behind(broken: Protocol) -> None:
    with pytest.raises(AssertionError):
        histories(rollout("B"), on_the_channel, broken, sees_pending=False)


@pytest.mark.parametrize("reaches", [True, False])
def test_without_the_sweep_a_rollout_leaves_a_server_behind(reaches: bool) -> None:
    with pytest.raises(AssertionError):
        histories([promote("B")], on_the_channel, sees_pending=reaches)


def test_a_sweep_before_the_promotion_is_none() -> None:
    with pytest.raises(AssertionError):
        histories([*SWEEP, promote("B")], on_the_channel)


def test_a_launch_that_completes_without_a_gate_is_seen() -> None:
    def careless(world: protocol.World, rounds: int) -> None:
        world.install()
        world.complete(protocol.CONTINUE)

    with pytest.raises(AssertionError, match="completed on"):
        histories([], on_the_channel, careless)

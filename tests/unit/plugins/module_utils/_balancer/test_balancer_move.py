# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mover against a balancer that lags, lies, throttles and refuses, on a clock of its own."""

from __future__ import annotations

import types
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils import _deadline
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import move
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.base import IN, OUT
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Row, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.plan import plan_drain, plan_join
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.undo import Undo
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._balancer.fake_balancer import (
    Clock,
    FakePlace,
    busy,
    denied,
)


class World:
    def __init__(self, *labels: str, hosts: str = "abc") -> None:
        self.clock = Clock()
        self.places = [FakePlace(self.clock, hosts, label) for label in labels or ("fake",)]
        self.place = self.places[0]

    def mover(self, **timing: t.Any) -> Mover:
        return Mover(
            self.places,
            Timing(**{"timeout": 30.0, "quiet": 2.0, **timing}),
            self.clock,
            self.clock.sleep,
            lambda: 1.5e9 + self.clock(),
        )

    def drain(self, members: str = "a", **timing: t.Any) -> dict[str, Row]:
        mover = self.mover(**timing)
        return mover.drain(plan_drain(self.places, mover.look(), set(members)))

    def join(self, members: str = "a", **timing: t.Any) -> dict[str, Row]:
        mover = self.mover(**timing)
        return mover.join(plan_join(self.places, mover.look(), set(members)))

    def verbs(self, verb: str) -> list[str]:
        return [name for place in self.places for each, name in place.commands if each == verb]


def fails(work: t.Callable[[], t.Any], code: str) -> BeamError:
    with pytest.raises(BeamError) as caught:
        work()
    assert caught.value.code == code, caught.value.message
    return caught.value


def test_out_and_in() -> None:
    world = World()
    row = world.drain()["a"]
    assert (
        (row.before, row.after, row.cut, row.taken) == ("in", "out", 0, ("fake",))
        and 2.0 <= row.seconds <= 3.5
        and row.began > 1.5e9
    )
    assert world.place.commands == [("leave", "a"), ("shut", "a")] and world.place.rotation == {
        "a": OUT,
        "b": IN,
        "c": IN,
    }
    row = world.join()["a"]
    assert (row.before, row.after) == ("out", "in") and world.place.rotation["a"] == IN


def test_a_second_run_writes_nothing() -> None:
    world = World()
    world.drain()
    count = len(world.place.commands)
    row = world.drain()["a"]
    assert (row.before, row.taken, row.note) == ("out", (), "was out before") and len(world.place.commands) == count
    world.join()
    count = len(world.place.commands)
    world.join()
    assert len(world.place.commands) == count


def test_a_balancer_that_lags_ten_seconds_is_waited_for() -> None:
    world = World()
    world.place.lag = 10.0
    world.place.keeps["a"] = world.clock() + 10
    row = world.drain()["a"]
    assert row.after == "out" and 12.0 <= row.seconds < 14


def test_out_but_it_still_sends_then_quiet_starts_anew() -> None:
    world = World()
    world.place.keeps["a"] = world.clock() + 8  # says out at once
    row = world.drain()["a"]
    assert row.seconds >= 10.0 and row.cut == 0


def test_sessions_that_appear_again_start_quiet_anew() -> None:
    world = World()
    start = world.clock()
    normal = world.place.look

    def look() -> t.Any:
        world.place.sessions = {"a": [start + 6]} if 1.4 < world.clock() - start else {}
        return normal()

    world.place.look = look  # type: ignore[method-assign]
    assert world.drain()["a"].seconds >= 8.0


def test_out_with_sessions_is_not_drained() -> None:
    world = World()
    world.place.curt = True
    world.place.sessions = {"a": [world.clock() + 9]}
    assert world.drain()["a"].seconds >= 11


def test_open_sessions_at_the_deadline_are_told_and_are_no_error() -> None:
    world = World()
    world.place.sessions = {"a": [world.clock() + 5, world.clock() + 500, world.clock() + 500]}
    rows = world.drain("ab")
    assert (rows["a"].cut, rows["b"].cut) == (2, 0) and "2 sessions" in rows["a"].note
    assert rows["a"].seconds == pytest.approx(30, abs=1) and rows["b"].seconds < 4
    assert sorted(world.verbs("shut")) == ["a", "b"]


def test_still_draining_and_it_does_not_say_how_much_is_in_flight() -> None:
    world = World()
    world.place.silent = True
    world.place.sessions = {"a": [world.clock() + 500]}
    row = world.drain()["a"]
    assert row.cut is None and "draining" in row.note


def test_a_balancer_that_answers_and_does_nothing() -> None:
    world = World()
    world.place.never = {"leave"}
    error = fails(world.drain, "not_drained")
    assert "a is in in fake" in error.why and error.details["members"]["a"] == {
        "before": "in",
        "left": "in",
        "put_back": True,
        "places": [],
    }
    assert error.details["changed"] is False and not world.verbs("shut")


def test_a_command_that_takes_effect_after_the_deadline_is_undone_too() -> None:
    world = World()
    world.place.lag = 40.0
    error = fails(world.drain, "not_drained")
    world.clock.sleep(100)
    assert world.place.look()["a"].rotation == IN and error.details["members"]["a"]["put_back"] is True


def test_every_balancer_has_to_let_go_and_to_take_back() -> None:
    world = World("one", "two")
    world.places[1].lag = 7.0
    row = world.drain()["a"]
    assert (
        row.taken == ("one", "two") and row.seconds >= 9 and all(place.rotation["a"] == OUT for place in world.places)
    )
    row = world.join()["a"]
    assert row.after == "in" and row.seconds >= 7 and all(place.rotation["a"] == IN for place in world.places)


def test_one_of_two_refuses_then_the_other_is_put_back() -> None:
    world = World("one", "two")
    world.places[1].fail = lambda verb, name: denied() if verb == "leave" else None
    error = fails(lambda: world.drain("ab"), "balancer_denied")
    assert "put back: a" in error.why and error.details["changed"] is False
    assert error.details["members"]["a"]["left"] == "in" and world.places[0].rotation == {"a": IN, "b": IN, "c": IN}


def test_refused_on_the_way_back_too_says_what_is_out() -> None:
    world = World("one", "two")
    world.places[1].fail = lambda verb, name: denied() if verb == "leave" else None
    world.places[0].fail = lambda verb, name: denied() if verb == "join" else None
    error = fails(world.drain, "balancer_denied")
    assert "NOT put back: a (out in one)" in error.why and error.details["changed"] is True
    assert error.details["members"]["a"] == {"before": "in", "left": "partly", "put_back": False, "places": ["one"]}


def test_throttled_for_a_while_is_no_failure() -> None:
    world = World()
    until = world.clock() + 6
    world.place.fail = lambda verb, name: busy() if world.clock() < until else None
    mover = world.mover()
    row = mover.drain(plan_drain(world.places, mover.look(), {"a"}))["a"]
    assert row.after == "out"


def test_an_answer_that_is_lost_may_have_been_obeyed() -> None:
    """leave times out each time, and has worked: it counts as taken, and is shut."""
    world = World()
    world.place.fail = lambda verb, name: (
        busy("balancer_unreachable") if verb == "leave" and not world.place.rotation.update({"a": OUT}) else None
    )
    row = world.drain()["a"]
    assert row.taken == ("fake",) and row.after == "out" and world.verbs("shut") == ["a"]


def test_unreachable_for_too_long_gives_up_and_puts_back_when_it_answers_again() -> None:
    world = World()
    start = world.clock()
    # Away from second 1 to 19 after the command: longer than the patience, shorter than the time for putting back.
    world.place.fail = lambda verb, name: busy("balancer_unreachable") if 1 <= world.clock() - start < 19 else None
    world.place.sessions = {"a": [start + 100]}
    error = fails(world.drain, "balancer_unreachable")
    assert "(for 15 s)" in error.why and "put back: a" in error.why and world.place.rotation["a"] == IN


def test_unreachable_for_good_says_what_may_be_out() -> None:
    world = World()
    start = world.clock()
    world.place.fail = lambda verb, name: busy("balancer_unreachable") if world.clock() - start >= 0.4 else None
    error = fails(world.drain, "balancer_unreachable")
    assert (
        "NOT put back: a" in error.why
        and error.details["members"]["a"]["put_back"] is False
        and error.details["changed"] is True
    )
    assert world.clock() - start < 60


def test_never_healthy_is_not_joined_and_the_others_stay_in() -> None:
    world = World()
    world.drain("ab")
    world.place.healthy["a"] = False
    error = fails(lambda: world.join("ab"), "not_joined")
    assert error.what.startswith("a did not come back") and "a is in and not healthy in fake" in error.why
    assert (
        error.details["members"]["b"]["left"] == "in"
        and error.details["members"]["a"]["healthy"] is False
        and error.details["changed"] is True
    )


def test_who_refuses_the_balancer_is_asked_where_it_listens() -> None:
    world = World()
    world.drain("a")
    world.place.healthy["a"] = False
    normal = world.place.look
    world.place.look = lambda: {
        name: replace(state, note="DOWN, Connection refused") for name, state in normal().items()
    }  # type: ignore[method-assign]
    error = fails(lambda: world.join("a"), "not_joined")
    assert error.hint.startswith("Does it listen where the balancer reaches it?") and "beam_env" in error.hint


def test_healthy_only_now_and_then_is_not_joined() -> None:
    world = World()
    world.drain()
    normal = world.place.look
    flip = {"n": 0}

    def look() -> t.Any:
        flip["n"] += 1
        world.place.healthy["a"] = flip["n"] % 2 == 0
        return normal()

    world.place.look = look  # type: ignore[method-assign]
    fails(world.join, "not_joined")


def test_denied_between_leaving_and_joining_says_how_each_was_left() -> None:
    world = World()
    world.drain("ab")
    world.place.fail = lambda verb, name: denied() if (verb, name) == ("join", "b") else None
    error = fails(lambda: world.join("ab"), "balancer_denied")
    assert {name: own["left"] for name, own in error.details["members"].items()}["b"] == "out"


def test_somebody_puts_it_back_while_it_drains() -> None:
    """HAProxy that is reloaded forgets: it is taken out again."""
    world = World()
    start = world.clock()
    normal = world.place.look
    done = []

    def look() -> t.Any:
        if world.clock() - start > 1.2 and not done:
            done.append(world.place.rotation.update({"a": IN}))
        return normal()

    world.place.look = look  # type: ignore[method-assign]
    assert world.drain()["a"].after == "out" and world.verbs("leave") == ["a", "a"]


def test_looking_again_until_the_others_are_back() -> None:
    world = World()
    world.place.healthy["b"] = False
    start = world.clock()
    normal = world.place.look

    def look() -> t.Any:
        world.place.healthy["b"] = world.clock() - start > 1
        return normal()

    world.place.look = look  # type: ignore[method-assign]
    looks = world.mover().until(lambda seen: seen["fake"]["b"].healthy, 3.0)
    assert looks["fake"]["b"].healthy and 1 < world.clock() - start < 3


class Hanging(World):
    """From a moment on, no place answers before the limit that it is asked under."""

    def __init__(self, patch: pytest.MonkeyPatch, *labels: str, after: float = 0.0, verbs: str = "look shut") -> None:
        super().__init__(*labels)
        patch.setattr(_deadline, "time", types.SimpleNamespace(monotonic=self.clock))
        self.start, self.after, self.hanging = self.clock(), after, verbs.split()
        self.given_up = 0.0  # when it began to put back
        for place in self.places:
            place.fail = self.hang
            place.sessions = {"a": [self.start + 500]}

        def undo(*args: t.Any) -> Undo:
            self.given_up = self.spent
            return Undo(*args)

        patch.setattr(move, "Undo", undo)

    def hang(self, verb: str, _name: str) -> t.Optional[BeamError]:
        if self.spent < self.after or verb not in self.hanging:
            return None
        limit = _deadline.current()
        assert limit is not None
        self.clock.now += max(0.0, limit.left())
        return busy("balancer_unreachable")

    @property
    def spent(self) -> float:
        return self.clock() - self.start


@pytest.mark.parametrize("after", [20.0, 29.0, 29.9, 30.0])
@pytest.mark.parametrize("labels", [("one",), ("one", "two", "three")])
def test_a_drain_ends_in_time_when_the_balancer_stops_answering_at_its_end(
    labels: tuple[str, ...], after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Hanging(monkeypatch, *labels, after=after)
    fails(world.drain, "balancer_unreachable")
    assert after <= world.given_up <= 31
    assert world.spent <= world.given_up + 31  # the time for putting back


def test_a_command_that_hangs_at_the_end_of_a_drain_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Hanging(monkeypatch, verbs="shut")
    error = fails(world.drain, "balancer_unreachable")
    assert 30 <= world.given_up <= 31 and "put back: a" in error.why


@pytest.mark.parametrize("labels", [("one",), ("one", "two", "three")])
def test_a_join_ends_in_time_when_the_balancer_stops_answering_at_its_end(
    labels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Hanging(monkeypatch, *labels, after=29.9)
    for place in world.places:
        place.healthy["a"] = False
    fails(world.join, "balancer_unreachable")
    assert world.spent <= 31


@pytest.mark.parametrize("labels", [("one",), ("one", "two", "three")])
def test_places_that_fail_are_waited_for_together(labels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for as long as one may fail, one after the other."""
    world = Hanging(monkeypatch, *labels)
    fails(lambda: world.mover(interval=4.0).look(), "balancer_unreachable")
    assert 15 <= world.spent <= 16

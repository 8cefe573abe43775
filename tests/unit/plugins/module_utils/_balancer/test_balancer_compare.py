# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.base import Counters, MemberState
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.compare import (
    Delta,
    Limits,
    delta,
    judge,
    mean_since,
    total,
)
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import work
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.watch import Tally, watch
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._balancer.fake_balancer import Clock, FakePlace

GOOD = Delta(requests=4000, errors=4, response_ms=40.0)


@pytest.mark.parametrize(
    ("canary", "rest", "verdict", "said"),
    [
        (Delta(1000, 1, response_ms=40), GOOD, "same", ""),
        (
            Delta(1000, 300, response_ms=40),
            GOOD,
            "worse",
            "30.00 % of the canary's 1000 requests failed, and 0.10 % of the rest's 4000",
        ),
        # Twice the rest's rate, and still what chance does.
        (Delta(1000, 2, response_ms=40), GOOD, "same", ""),
        (Delta(1000, 9, response_ms=40), GOOD, "worse", "0.90 % of the canary's 1000 requests failed"),
        # 0.6 % against 0.3 %: with few requests it is chance, with many it is not.
        (Delta(1000, 6), Delta(4000, 12), "same", ""),
        (Delta(20000, 120), Delta(80000, 240), "worse", "0.60 % of the canary's 20000 requests failed"),
        # 3 % against 2 % of few, where chance alone goes beyond any margin.
        (Delta(100, 5), Delta(400, 8), "same", ""),
        # No chance, and less than a tenth of a percentage point.
        (Delta(10**6, 1000), Delta(4 * 10**6, 1000), "same", ""),
        # Beyond the margin, and not beyond the ratio: the whole fleet has a bad day.
        (Delta(1000, 130, response_ms=40), Delta(4000, 400, response_ms=40), "same", ""),
        (Delta(1000, 230, response_ms=40), Delta(4000, 400, response_ms=40), "worse", "23.00 %"),
        # The canary may do better.
        (Delta(1000, 0, response_ms=1), Delta(4000, 4000, response_ms=900), "same", ""),
        (Delta(1000, 1, response_ms=300), GOOD, "worse", "the canary answers after 300 ms, the rest after 40 ms"),
        (Delta(1000, 1, response_ms=89), GOOD, "same", ""),  # more than twice as long, and not by 50 ms
        (Delta(1000, 1, response_ms=199), Delta(4000, 4, response_ms=100), "same", ""),
        (Delta(1000, 300, response_ms=None), Delta(4000, 0, response_ms=40), "worse", "30.00 %"),
        (
            Delta(99, 99, response_ms=900),
            GOOD,
            "not enough traffic",
            "the canary had 99 requests, and it takes 100 to judge",
        ),
        (Delta(1000, 500), Delta(99, 0), "not enough traffic", "the rest had 99 requests"),
        (Delta(), Delta(), "not enough traffic", "the canary had 0"),
    ],
)
def test_judge(canary: Delta, rest: Delta, verdict: str, said: str) -> None:
    judged = judge(canary, rest, Limits())
    assert judged.verdict == verdict
    assert "; ".join(judged.reasons).startswith(said) and bool(judged.reasons) == bool(said)


def test_limits_are_used() -> None:
    canary, rest = Delta(20, 7, response_ms=60), Delta(20, 0, response_ms=50)
    assert judge(canary, rest, Limits()).verdict == "not enough traffic"
    assert (
        judge(canary, rest, Limits(min_requests=20)).reasons
        and judge(canary, rest, Limits(min_requests=20)).verdict == "worse"
    )
    assert judge(canary, rest, Limits(min_requests=20, error_margin=0.4)).verdict == "same"
    assert judge(canary, rest, Limits(20, 0.4, 2, 5, 1.1)).verdict == "worse"
    assert judge(canary, rest, Limits(min_requests=20), 0.0001).verdict == "same"  # p is 0.004


def test_delta_counts_what_failed_and_not_who_went_away() -> None:
    before = Counters(1000, 1000, responses_5xx=10, connect_errors=1, response_errors=2, aborted=3, response_ms=10)
    after = Counters(1300, 1280, responses_5xx=15, connect_errors=3, response_errors=5, aborted=50, response_ms=10)
    found = delta(before, after)
    assert (
        found.requests,
        found.errors,
        found.responses_5xx,
        found.connect_errors,
        found.response_errors,
        found.aborted,
    ) == (280, 10, 5, 2, 3, 47)
    assert found.facts()["error_rate"] == round(10 / 280, 5)


def test_delta_over_a_restart_of_the_balancer_counts_from_nothing() -> None:
    found = delta(Counters(9000, 9000, responses_5xx=50), Counters(30, 30, responses_5xx=2))
    assert (found.requests, found.errors) == (30, 2)


def test_total_weighs_times_by_requests() -> None:
    found = total([Delta(300, 3, response_ms=10), Delta(100, 1, response_ms=90), Delta(0, 0, response_ms=None)])
    assert (found.requests, found.errors, found.response_ms) == (400, 4, 30.0)
    assert total([]).response_ms is None


class Sliding:
    """A server's mean as HAProxy keeps it: each value replaces its window's part of the sum, told as a whole number, rounded up."""

    def __init__(self, window: int = 512) -> None:
        self.window, self.sum, self.count = window, 0, 0

    def add(self, value: int, times: int) -> None:
        for _unused in range(times):
            self.sum = self.sum - (self.sum + self.window - 1) // self.window + value
            self.count += 1

    def counters(self) -> Counters:
        window = min(self.window, self.count) or 1
        return Counters(self.count, self.count, response_ms=float((self.sum + window - 1) // window))


@pytest.mark.parametrize(
    ("before", "requests"), [(0, 100), (50, 100), (600, 100), (5000, 100), (5000, 500), (5000, 4000)]
)
@pytest.mark.parametrize("value", [3, 100, 400])
def test_mean_of_the_requests_in_between(before: int, requests: int, value: int) -> None:
    server = Sliding()
    server.add(20, before)
    first = server.counters()
    server.add(value, requests)
    mean = mean_since(first, server.counters())
    allowed = 1 / (1 - (1 - 1 / 512) ** requests) + 2
    assert mean is not None and abs(mean - value) <= allowed, (mean, allowed)


def test_no_requests_no_mean() -> None:
    assert mean_since(Counters(5, 5), Counters(5, 5)) is None


class Served(FakePlace):
    """Requests per look, and failures and milliseconds of the host a."""

    def __init__(self, clock: Clock, failing: int = 0, rate: int = 50, millis: int = 20) -> None:
        super().__init__(clock, "abc")
        self.rate, self.failing = rate, failing
        self.times = {name: Sliding() for name in "abc"}
        self.failed = dict.fromkeys("abc", 7)
        self.millis = {"a": millis, "b": 20, "c": 20}
        self.none = False

    def look(self) -> dict[str, MemberState]:
        found = {}
        for name, state in super().look().items():
            self.times[name].add(self.millis[name], self.rate)
            self.failed[name] += self.failing if name == "a" else 0
            seen = self.times[name].counters()
            counters = Counters(
                seen.total, seen.requests, responses_5xx=self.failed[name], response_ms=seen.response_ms
            )
            found[name] = MemberState(state.rotation, state.healthy, 0, "", None if self.none else counters)
        return found


def watched(clock: Clock, place: FakePlace, **limits: t.Any) -> t.Any:
    return watch(
        Mover([place], Timing(), clock, clock.sleep), {"a"}, None, 60.0, 1.0, Limits(**limits), clock, clock.sleep
    )


def test_watching_a_good_canary_takes_all_the_time() -> None:
    clock = Clock()
    start = clock()
    verdict = watched(clock, Served(clock))
    assert (
        verdict.verdict == "same"
        and clock() - start >= 60
        and verdict.rest.requests == 2 * verdict.canary.requests > 5000
    )


@pytest.mark.parametrize(("options", "said"), [({"failing": 10}, "20.00 %"), ({"millis": 200}, "answers after 2")])
def test_watching_a_bad_canary_ends_early_with_figures(options: dict[str, int], said: str) -> None:
    clock = Clock()
    start = clock()
    with pytest.raises(BeamError) as caught:
        watched(clock, Served(clock, **options))
    assert caught.value.code == "canary_worse" and said in caught.value.why and clock() - start < 10
    assert caught.value.details["comparison"]["verdict"] == "worse"


def test_what_chance_does_once_in_two_hundred_is_worse_only_at_the_end() -> None:
    """1.7 % against 0.8 %: p is 0.018 after 48 looks, and 0.008 after 60."""
    clock = Clock()
    place, start = Served(clock, rate=10), clock()
    look = place.look
    looks = 0

    def counted() -> dict[str, MemberState]:
        nonlocal looks
        looks += 1
        if looks % 6 == 0:
            place.failed["a"] += 1
        if looks % 12 == 0:
            place.failed["b"] += 1
        return look()

    place.look = counted  # type: ignore[method-assign]
    with pytest.raises(BeamError) as caught:
        watched(clock, place)
    assert clock() - start >= 60 and "percentage points more" in caught.value.why


def test_watching_ends_when_the_canary_is_no_longer_healthy() -> None:
    clock = Clock()
    place = Served(clock)
    place.healthy["a"] = False
    with pytest.raises(BeamError) as caught:
        watched(clock, place)
    assert caught.value.code == "canary_worse" and "a: in in fake" in caught.value.why


def test_watching_without_enough_traffic_passes_no_judgement() -> None:
    clock = Clock()
    verdict = watched(clock, Served(clock, failing=1, rate=1))
    assert verdict.verdict == "not enough traffic" and verdict.canary.errors > 50


def test_watching_a_balancer_that_counts_nothing_says_so() -> None:
    clock = Clock()
    place = Served(clock)
    place.none = True
    assert watched(clock, place).verdict == "not counted"


def test_tally_goes_on_over_a_restart_of_the_balancer() -> None:
    tally = Tally()
    for counted, failed in ((1000, 5), (1100, 6), (20, 1), (50, 2)):
        tally.feed({"lb": {"a": MemberState("in", True, 0, "", Counters(counted, counted, responses_5xx=failed))}})
    found = tally.of({"a"})
    assert (found.requests, found.errors) == (150, 3)


def test_mean_of_uneven_times() -> None:
    source = random.Random(7)
    server = Sliding()
    server.add(15, 2000)
    first = server.counters()
    values = [source.randint(1, 300) for _unused in range(3000)]
    for value in values:
        server.add(value, 1)
    mean = mean_since(first, server.counters())
    recent = sum(values[-512:]) / 512
    assert mean is not None and abs(mean - recent) < 25


def watched_over(
    looks: t.Sequence[t.Mapping[str, t.Mapping[str, int | None]]], fleet: t.Collection[str] = "abc"
) -> t.Any:
    """looks: of each place what it counted of each host, look by look; None of a host that it does not count. It bakes for as many looks as there are."""
    clock, told = Clock(), iter(looks)

    class Places(Mover):
        def look(self) -> t.Any:
            clock.now += 1
            return {
                label: {
                    name: MemberState(
                        "in", True, 0, "", None if number is None else Counters(number, number, response_ms=20)
                    )
                    for name, number in members.items()
                }
                for label, members in next(told).items()
            }

    mover = Places([FakePlace(clock, "abc", label) for label in looks[0]], Timing(), clock, clock.sleep)
    return watch(
        mover, {"a"}, fleet, float(len(looks)) - 0.5, 0.01, Limits(), clock, lambda _seconds: None, lambda: 1795367105.0
    )


# What two balancers, or one, say of a, which is the canary, and of b and c: first, and at the end.
@pytest.mark.parametrize(
    ("looks", "verdict", "requests", "said"),
    [
        (
            [{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 500, "b": 500}}],
            "not enough traffic",
            (0, 0),
            "the canary had 0 requests",
        ),
        (
            [{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 500, "b": 900}}],
            "not enough traffic",
            (0, 400),
            "the canary had 0 requests",
        ),
        (
            [{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 900, "b": 500}}],
            "not enough traffic",
            (400, 0),
            "the rest had 0 requests",
        ),
        (
            [{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 599, "b": 900}}],
            "not enough traffic",
            (99, 400),
            "the canary had 99 requests, and it takes 100",
        ),
        ([{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 700, "b": 900}}], "same", (200, 400), None),
        # It was not there before: it came into the inventory with this rollout.
        (
            [{"lb": {"a": 0, "b": 500}}, {"lb": {"a": 0, "b": 900}}],
            "not enough traffic",
            (0, 400),
            "the canary had 0 requests",
        ),
        (
            [{"lb": {"a": 500}}, {"lb": {"a": 700}}],
            "not enough traffic",
            (200, 0),
            "no other server was in and healthy",
        ),
        # Each of two balancers saw too few of its own.
        (
            [{"lb": {"a": 0, "b": 0}, "lc": {"a": 0, "b": 0}}, {"lb": {"a": 60, "b": 60}, "lc": {"a": 60, "b": 60}}],
            "same",
            (120, 120),
            None,
        ),
        # One that does not count, such as a target group, beside one that does; and alone.
        (
            [
                {"lb": {"a": 0, "b": 0}, "tg": {"a": None, "b": None}},
                {"lb": {"a": 60, "b": 900}, "tg": {"a": None, "b": None}},
            ],
            "not enough traffic",
            (60, 900),
            "the canary had 60 requests",
        ),
        (
            [{"tg": {"a": None, "b": None}}, {"tg": {"a": None, "b": None}}],
            "not counted",
            (0, 0),
            "tg tells no counters",
        ),
        # It was reloaded, and counts from nothing: what it counted before and after is added.
        (
            [{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 560, "b": 560}}, {"lb": {"a": 50, "b": 50}}],
            "same",
            (110, 110),
            None,
        ),
        (
            [{"lb": {"a": 500, "b": 500}}, {"lb": {"a": 0, "b": 0}}, {"lb": {"a": 0, "b": 0}}],
            "not enough traffic",
            (0, 0),
            "the canary had 0 requests",
        ),
    ],
)
def test_what_was_compared_while_it_was_watched(
    looks: t.Any, verdict: str, requests: tuple[int, int], said: str | None
) -> None:
    found = watched_over(looks).facts()
    assert (found["verdict"], found["compared"]) == (verdict, verdict == "same")
    assert (found["canary"]["requests"], found["rest"]["requests"]) == requests and found["canary"]["hosts"] == ["a"]
    assert found["rest"]["hosts"] == [name for name in "bc" if any(name in members for members in looks[0].values())]
    assert found["reasons"] == [] if said is None else said in found["reasons"][0]
    assert found["began_again"] == (["lb"] if len(looks) == 3 else [])
    assert found["limits"]["min_requests"] == 100 and found["began"] == 1795367105.0 and found["seconds"] > 0


def test_whom_nobody_balances_bakes_all_the_same() -> None:
    clock = Clock()
    found = watch(Mover([], Timing(), clock, clock.sleep), {"a"}, None, 60.0, 1.0, Limits(), clock, clock.sleep).facts()
    assert (found["verdict"], found["compared"], found["seconds"], found["reasons"]) == (
        "not counted",
        False,
        60.0,
        ["no balancer was asked"],
    )


def test_a_module_without_balancers_only_watches() -> None:
    given = {
        "balancers": [],
        "members": ["a"],
        "fleet": ["a", "b"],
        "timeout": 1.0,
        "quiet": 0.0,
        "interval": None,
        "bake": 0.0,
        "min_healthy": None,
    }
    given["limits"] = {}
    said = work({**given, "state": "watched"}, False)
    assert said["comparison"]["verdict"] == "not counted" and said["balancers"] == [] and not said["changed"]
    assert work({**given, "state": "watched"}, True)["comparison"] is None
    for state in (None, "drained", "joined"):
        with pytest.raises(BeamError) as caught:
            work({**given, "state": state}, False)
        assert caught.value.code == "balancer_option" and "there is none" in caught.value.why

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._stats.finding import Limits, Names
from ansible_collections.alchemist.beam.plugins.module_utils._stats.sample import (
    Latencies,
    Sample,
    of_buckets,
    of_values,
)
from ansible_collections.alchemist.beam.plugins.module_utils._stats.tail import (
    compare_tail,
    drawn_p99s,
    p99_ratio,
    slower_by_chance,
    slowest,
)

INF = math.inf


def some(source: random.Random, count: int, times: float = 1.0, slow: float = 0.0) -> Latencies:
    return of_values(
        source.lognormvariate(3, 0.35) * times * (10 if source.random() < slow else 1) for _i in range(count)
    )


@pytest.mark.parametrize("count", [500, 800])
def test_the_ranks_that_are_drawn_are_those_of_a_bootstrap(count: int) -> None:
    """The p99 of a sample that is drawn anew is at most the value of rank j if at least k of its values are."""
    found = of_values(range(1, count + 1))
    draws = drawn_p99s(found, random.Random(5), 20000)
    rank = found.rank_of(0.99)
    for below in range(rank - 6, count + 1, 2):
        share = below / count
        exact = math.fsum(math.comb(count, n) * share**n * (1 - share) ** (count - n) for n in range(rank, count + 1))
        assert sum(draw <= below for draw in draws) / 20000 == pytest.approx(exact, abs=0.015)


def test_the_ratio_with_its_interval() -> None:
    source = random.Random(1)
    ours, theirs = some(source, 800, 1.6), some(source, 1500)
    ratio = p99_ratio(ours, theirs)
    assert ratio is not None and ratio == p99_ratio(ours, theirs)  # the same figures, the same answer
    assert ratio.value == ours.quantile(0.99) / theirs.quantile(0.99) and 1.25 < ratio.low < 1.6 < ratio.high < 2.2
    turned = p99_ratio(ours=theirs, theirs=ours)
    assert turned is not None and turned.value == pytest.approx(1 / ratio.value)
    assert (turned.low, turned.high) == pytest.approx((1 / ratio.high, 1 / ratio.low), rel=0.1)


def test_the_interval_holds_the_truth() -> None:
    source, held = random.Random(2), 0
    for _case in range(100):
        ratio = p99_ratio(some(source, 1000, 1.5), some(source, 1500))
        assert ratio is not None
        held += ratio.low <= 1.5 <= ratio.high
    assert held >= 95


@pytest.mark.parametrize(
    ("ours", "theirs", "cut", "found"),
    [
        (range(100), range(100, 200), 0.01, (0, 2)),
        (range(100, 200), range(100), 0.05, (10, 0)),
        (range(200), range(200), 0.01, (2, 2)),
        ([1] * 99 + [5], [1] * 100, 0.01, (1, 0)),
        # Three that gave up at the limit, beside none: the tie is as near to two of 200 as can be.
        ([1] * 97 + [5] * 3, [1] * 100, 0.01, (3, 0)),
        ([1] * 100, [1] * 100, 0.01, (0, 0)),
        ([1] * 40 + [9] * 60, [1] * 100, 0.01, (60, 0)),
    ],
)
def test_who_has_the_slowest(ours: list[int], theirs: list[int], cut: float, found: tuple[int, int]) -> None:
    assert slowest(of_values(ours), of_values(theirs), cut) == found


def test_chance_is_right_where_nothing_differs() -> None:
    """Fewer than one of a hundred is below 0.01, whatever the shape, also with ties."""
    source, below = random.Random(4), {"smooth": 0, "heavy": 0, "ties": 0}
    for _case in range(300):
        for shape in below:
            sides = [
                of_values(
                    source.paretovariate(1.1)
                    if shape == "heavy"
                    else source.randrange(5)
                    if shape == "ties"
                    else source.random()
                    for _i in range(count)
                )
                for count in (600, 900)
            ]
            below[shape] += min(slower_by_chance(*sides)) < 0.01
    assert all(
        count <= 10 for count in below.values()
    )  # two sides: 6 are expected at the most, more than 12 once in a hundred


def test_a_few_that_are_slow_are_seen() -> None:
    source = random.Random(6)
    found = [
        compare_tail(
            Sample(800, 0, some(source, 800, slow=0.03)),
            Sample(1500, 0, some(source, 1500)),
            Limits(),
            0.01 / 3,
            Names(),
        )
        for _case in range(40)
    ]
    assert sum(one.worse and one.p_worse < 0.01 / 3 for one in found) >= 36
    assert not any(one.lacks or one.better for one in found)


def test_the_least_ratio_is_seen_four_times_of_five() -> None:
    source, seen, level = random.Random(7), 0, 0.01 / 3
    for _case in range(60):
        ours, theirs = some(source, 800), some(source, 1500)
        least = compare_tail(Sample(800, 0, ours), Sample(1500, 0, theirs), Limits(), level, Names()).least
        assert least is not None
        slower = of_values(least * value for value in ours.uppers)
        found = compare_tail(Sample(800, 0, slower), Sample(1500, 0, theirs), Limits(), level, Names())
        seen += found.worse and found.p_worse < level
    assert 38 <= seen <= 58


@pytest.mark.parametrize("counts", [(499, 5000), (5000, 499), (20, 20)])
def test_a_p99_needs_five_values_beyond_it(counts: tuple[int, int]) -> None:
    source = random.Random(8)
    ours, theirs = (some(source, count) for count in counts)
    found = compare_tail(Sample(counts[0], 0, ours), Sample(counts[1], 0, theirs), Limits(), 0.01, Names())
    assert found.lacks == "a p99 needs 500 latencies, and the candidate and stable had %d and %d" % counts


def test_buckets() -> None:
    ends = [5, 10, 25, 50, 100, 250, INF]
    stable = of_buckets(ends, [200, 700, 300, 280, 12, 8, 0])
    slow = of_buckets(ends, [100, 350, 150, 150, 20, 30, 0])

    def found(ours: Latencies, theirs: Latencies) -> object:
        one = compare_tail(Sample(ours.total, 0, ours), Sample(theirs.total, 0, theirs), Limits(), 0.01, Names())
        return one.lacks or (one.worse and one.p_worse < 0.01)

    assert found(slow, stable) is True
    # p99 is in the bucket of 50 to 100: less than twice as long is not told apart, whatever the counts say.
    assert found(of_buckets(ends, [100, 350, 150, 150, 50, 0, 0]), stable) is False
    # Longer than the last end that was told.
    gone = of_buckets(ends, [100, 350, 150, 150, 20, 0, 30])
    assert "the p99 of stable is beyond the last bucket" in str(found(slow, gone))
    least = compare_tail(Sample(800, 0, gone), Sample(1500, 0, stable), Limits(), 0.01, Names())
    assert least.worse and least.p_worse < 0.01 and "times" in least.said and least.said.endswith("at least")
    assert "the p99 of the candidate is beyond the last bucket" in least.lacks


def test_times_that_are_zero_are_too_coarse() -> None:
    zero = of_values([0.0] * 600)
    assert compare_tail(Sample(600, 0, zero), Sample(600, 0, zero), Limits(), 0.01, Names()).lacks == (
        "a p99 is 0: the times are too coarse"
    )

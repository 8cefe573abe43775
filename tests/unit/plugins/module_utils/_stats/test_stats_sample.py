# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._stats.sample import (
    MOST,
    MOST_VALUES,
    Latencies,
    Sample,
    Unfit,
    aligned,
    merged,
    of_buckets,
    of_values,
)

INF = math.inf


def test_values_are_counted() -> None:
    found = of_values([3, 1, 2, 3.0, 3])
    assert found == Latencies((1.0, 2.0, 3.0), (1, 1, 3)) and found.total == 5
    assert [found.ranked(rank) for rank in range(1, 6)] == [1, 2, 3, 3, 3]
    assert of_values([]).total == 0


@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 1000])
def test_a_quantile_is_the_value_of_its_rank(count: int) -> None:
    values = [float(value) for value in range(1, count + 1)]
    random.Random(1).shuffle(values)
    found = of_values(values)
    for percent in (1, 50, 99, 100):
        assert found.quantile(percent / 100) == max(1, -(-count * percent // 100))


def test_values_of_a_bucket_lie_evenly() -> None:
    found = of_buckets([10, 20, INF], [4, 10, 2])
    assert [found.ranked(rank) for rank in (1, 4, 5, 14)] == [1.25, 8.75, 10.5, 19.5]
    assert found.ranked(16) == 20 and found.is_open(0.99) and not found.is_open(0.5)


def test_cumulative_buckets_are_those_of_prometheus() -> None:
    assert of_buckets([0.1, 0.5, INF], [3, 10, 12], cumulative=True) == of_buckets([0.1, 0.5, INF], [3, 7, 2])


def test_values_fall_into_the_buckets_of_the_other_side() -> None:
    buckets = of_buckets([10, 20, INF], [1, 1, 1])
    values = of_values([0, 10, 10.5, 20, 21, 400])
    for one, other in (aligned(values, buckets), reversed(aligned(buckets, values))):
        assert one == of_buckets([10, 20, INF], [2, 2, 2]) and other == buckets
    assert aligned(values, values) == (values, values)


@pytest.mark.parametrize("downwards", [False, True])
def test_merged_has_each_value_once(downwards: bool) -> None:
    one, other = of_values([1, 1, 2, 5]), of_values([2, 3, 5, 5])
    rows = [(1, 2, 0), (2, 1, 1), (3, 0, 1), (5, 1, 2)]
    assert list(merged(one, other, downwards)) == (rows[::-1] if downwards else rows)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Sample(-1), "-1 is no number of requests from 0 to 1000000000"),
        (lambda: Sample(MOST + 1), "1000000001 is no number of requests"),
        (lambda: Sample(t.cast("int", 10.0)), "10.0 is no number of requests"),
        (lambda: Sample(True), "True is no number"),
        (lambda: Sample(10, -1), "-1 is no number"),
        (lambda: Sample(10, 11), "11 of 10 requests failed"),
        (lambda: Sample(2, 0, of_values([1, 2, 3])), "2 requests took 3 times"),
        (lambda: of_values([1, math.nan]), "nan is no latency"),
        (lambda: of_values([1, INF]), "inf is no latency"),
        (lambda: of_values([-0.5]), "-0.5 is no latency"),
        (lambda: of_values(1.0 for _i in range(MOST_VALUES + 5)), "more than 2000000 latencies"),
        (lambda: of_buckets([], []), "0 buckets and 0 counts"),
        (lambda: of_buckets([1, 2], [1]), "2 buckets and 1 counts"),
        (lambda: of_buckets([2, 1], [1, 1]), "have to grow"),
        (lambda: of_buckets([0, 1], [1, 1]), "have to grow, from above 0"),
        (lambda: of_buckets([1, math.nan], [1, 1]), "have to grow"),
        (lambda: of_buckets([1, 2], [1, -1]), "less than nothing"),
        (lambda: of_buckets([1, 2], [5, 3], cumulative=True), "less than nothing"),
        (lambda: of_buckets([1, 2], [1, t.cast("int", 1.5)]), "no whole number"),
        (lambda: of_buckets([1, 2], [MOST, 1]), "more than 1000000000 latencies"),
        (lambda: aligned(of_buckets([1, 2], [1, 1]), of_buckets([1, 3], [1, 1])), "different buckets"),
        (lambda: aligned(of_values([7]), of_buckets([1, 2], [1, 1])), "a value of 7 is above the last bucket, 2"),
    ],
)
def test_what_is_no_figure_is_refused(make: t.Callable[[], object], said: str) -> None:
    with pytest.raises(Unfit) as caught:
        make()
    assert said in caught.value.why and caught.value.hint and caught.value.why in str(caught.value)

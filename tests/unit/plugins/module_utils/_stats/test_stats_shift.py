# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._stats.sample import Latencies, of_buckets, of_values
from ansible_collections.alchemist.beam.plugins.module_utils._stats.shift import (
    least_superior,
    mann_whitney,
    slower_by,
    superior_interval,
)

Made = tuple[int, int, int, float]


def made(count: int, seed: int, spread: int, scale: float) -> list[float]:
    """Whole numbers from 10 on, times the scale: the same ones wherever they are made."""
    values, state = [], seed
    for _index in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(scale * (10 + state % spread))
    return values


# scipy.stats.mannwhitneyu(made(*ours), made(*theirs), method="asymptotic"): its statistic, and p for "greater" and "less".
@pytest.mark.parametrize(
    ("ours", "theirs", "statistic", "longer", "shorter"),
    [
        ((20, 1, 1000, 1.0), (40, 2, 1000, 1.0), 453.0, 0.205175209173168, 0.7992537276041576),
        ((20, 1, 1000, 1.0), (1500, 4, 1000, 1.0), 16510.5, 0.21935893631692754, 0.7807926224503616),
        ((20, 1, 1000, 1.0), (100, 6, 40, 1.0), 1976.5, 3.092108594762428e-12, 0.999999999997057),
        ((50, 3, 40, 1.0), (40, 2, 1000, 1.0), 10.5, 0.9999999999999996, 4.7993998483509e-16),
        ((50, 3, 40, 1.0), (1500, 4, 1000, 1.0), 1608.5, 1.0, 4.78675438138e-31),
        ((50, 3, 40, 1.0), (100, 6, 40, 1.0), 2847.0, 0.08346053082197646, 0.9171500387511219),
        ((300, 5, 1000, 1.0), (40, 2, 1000, 1.0), 6251.5, 0.33365887592406435, 0.666963791300824),
        ((300, 5, 1000, 1.0), (1500, 4, 1000, 1.0), 223941.5, 0.5512664803795241, 0.44878166290825816),
        ((800, 7, 1000, 1.2), (40, 2, 1000, 1.0), 19139.5, 0.018037111146988895, 0.9819924804358792),
        ((800, 7, 1000, 1.2), (1500, 4, 1000, 1.0), 691334.0, 8.664592765722026e-10, 0.9999999991338936),
        ((800, 7, 1000, 1.2), (100, 6, 40, 1.0), 78752.5, 1.2920364771852454e-56, 1.0),
        ((30, 9, 3, 1.0), (40, 2, 1000, 1.0), 0.0, 0.9999999999995958, 4.4094459730082617e-13),
        ((2000, 11, 500, 1.0), (1500, 4, 1000, 1.0), 810918.0, 1.0, 2.676872631083537e-120),
        ((12, 13, 7, 2.0), (100, 6, 40, 1.0), 596.5, 0.5150207326991769, 0.48873328553206463),
    ],
)
def test_the_u_test_is_what_others_compute(
    ours: Made, theirs: Made, statistic: float, longer: float, shorter: float
) -> None:
    found = mann_whitney(of_values(made(*ours)), of_values(made(*theirs)))
    assert found.superior == statistic / (ours[0] * theirs[0])
    assert (found.p_longer, found.p_shorter) == pytest.approx((longer, shorter), rel=1e-9)


@pytest.mark.parametrize("spread", [2, 5, 1000])
def test_the_effect_is_that_of_all_pairs(spread: int) -> None:
    source = random.Random(spread)
    for _case in range(50):
        ours, theirs = ([source.randrange(spread) for _i in range(source.randrange(1, 30))] for _side in "ab")
        pairs = sum((a > b) + (a == b) / 2 for a in ours for b in theirs)
        found = mann_whitney(of_values(ours), of_values(theirs))
        assert found.superior == pytest.approx(pairs / (len(ours) * len(theirs)), abs=1e-12)
        turned = mann_whitney(of_values(theirs), of_values(ours))
        assert turned.superior == pytest.approx(1 - found.superior, abs=1e-12)
        assert turned.p_longer == pytest.approx(found.p_shorter, rel=1e-9)


def test_values_that_are_all_the_same_are_no_difference() -> None:
    found = mann_whitney(of_values([3.0] * 50), of_values([3.0] * 90))
    assert found == (0.5, 1.0, 1.0)
    assert mann_whitney(of_values([1]), of_values([1])) == (0.5, 1.0, 1.0)


def test_buckets_that_tell_all_values_apart_say_the_same() -> None:
    ours, theirs = made(300, 5, 20, 1.0), made(200, 6, 20, 1.0)
    ends = [float(value) for value in range(1, 40)]

    def buckets(values: t.Sequence[float]) -> Latencies:
        return of_buckets(ends, [values.count(end) for end in ends])

    assert mann_whitney(buckets(ours), buckets(theirs)) == mann_whitney(of_values(ours), of_values(theirs))


@pytest.mark.parametrize(("n", "m"), [(20, 20), (100, 400), (800, 1500)])
def test_the_interval_is_around_what_was_seen_and_never_empty(n: int, m: int) -> None:
    for superior in (0.0, 0.02, 0.3, 0.5, 0.77, 1.0):
        low, high = superior_interval(superior, n, m)
        assert 0 <= low <= superior <= high <= 1 and high - low > 1e-3
        assert superior_interval(1 - superior, n, m) == pytest.approx((1 - high, 1 - low), abs=1e-9)
        less, more = superior_interval(superior, 4 * n, 4 * m)
        assert low <= less and more <= high


def test_the_interval_holds_the_truth() -> None:
    source, held = random.Random(11), 0
    truth = 0.6381631950841185  # P(X + 0.5 > Y) of two standard normals
    for _case in range(300):
        ours, theirs = (
            of_values(source.gauss(10.5, 1) for _i in range(50)),
            of_values(source.gauss(10, 1) for _i in range(80)),
        )
        low, high = superior_interval(mann_whitney(ours, theirs).superior, 50, 80)
        held += low <= truth <= high
    assert held >= 293  # 99 % are 297; fewer than 293 come once in a hundred such tests


def test_the_least_shift_is_seen_four_times_of_five() -> None:
    source, seen, level = random.Random(3), 0, 0.01 / 3

    def some(count: int, times: float) -> Latencies:
        return of_values(times * source.lognormvariate(3, 0.35) for _i in range(count))

    least = least_superior(100, 400, level, 0.6)
    times = slower_by(some(4000, 1.0), least)
    assert times is not None and 1.1 < times < 1.3
    for _case in range(200):
        found = mann_whitney(some(100, times), some(400, 1.0))
        seen += found.superior > 0.6 and found.p_longer < level
    assert 140 <= seen <= 185


def test_how_much_slower_is_not_known_where_no_slowness_shows() -> None:
    assert slower_by(of_values([0.0] * 500), 0.6) is None

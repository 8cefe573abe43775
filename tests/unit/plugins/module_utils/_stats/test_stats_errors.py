# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import time
from fractions import Fraction

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._stats.errors import (
    compare_errors,
    difference,
    fisher,
    least_share,
)
from ansible_collections.alchemist.beam.plugins.module_utils._stats.finding import Limits, Names
from ansible_collections.alchemist.beam.plugins.module_utils._stats.sample import Sample
from ansible_collections.alchemist.beam.plugins.module_utils._stats.tails import (
    hypergeometric_tail,
    normal_above,
    normal_point,
    wilson,
)


def exact(errors: int, requests: int, other_errors: int, other_requests: int) -> Fraction:
    """By counting all ways in whole numbers."""
    marked = errors + other_errors
    ways = sum(
        math.comb(requests, mine) * math.comb(other_requests, marked - mine)
        for mine in range(errors, min(requests, marked) + 1)
        if marked - mine <= other_requests
    )
    return Fraction(ways, math.comb(requests + other_requests, marked))


def test_fisher_is_exact_for_all_small_tables() -> None:
    for n in range(1, 8):
        for m in range(1, 8):
            for a in range(n + 1):
                for b in range(m + 1):
                    assert fisher(a, n, b, m) == pytest.approx(float(exact(a, n, b, m)), rel=1e-12), (a, n, b, m)


@pytest.mark.parametrize("table", [(70, 400, 25, 600), (3, 100, 0, 400), (500, 1000, 500, 1000), (5, 1000, 50, 1000)])
def test_fisher_is_exact_for_larger_tables(table: tuple[int, int, int, int]) -> None:
    assert fisher(*table) == pytest.approx(float(exact(*table)), rel=1e-11)


# The chances are SciPy's: hypergeom.sf(errors - 1, all requests, all errors, requests).
@pytest.mark.parametrize(
    ("table", "chance"),
    [
        ((3, 100, 8, 400), 0.3825916720515168),
        ((7, 100, 0, 100), 0.007008882758187659),
        ((10, 10, 0, 10), 5.412544112234515e-06),
        ((120, 20000, 240, 80000), 1.957845832378223e-09),
        ((60, 20000, 240, 80000), 0.5230914660943405),
        ((2, 5, 0, 1000000), 1.999982000054514e-11),
        ((1, 1000000, 0, 1000000), 0.5),
        ((3100, 1000000, 3000, 1000000), 0.10212905681590162),
        ((3300, 1000000, 3000, 1000000), 8.043821178273286e-05),
        ((400000, 1000000, 399000, 1000000), 0.07461823944612894),
        ((6000, 1000000, 3000, 1000000), 8.139100839242435e-225),
    ],
)
def test_fisher_is_what_others_compute(table: tuple[int, int, int, int], chance: float) -> None:
    assert fisher(*table) == pytest.approx(chance, rel=1e-7)


@pytest.mark.parametrize("table", [(12, 300, 40, 900), (0, 10, 0, 10), (300, 1000, 280, 1000), (9, 10**6, 12, 10**6)])
def test_both_sides_together_are_one_and_the_table_itself(table: tuple[int, int, int, int]) -> None:
    a, n, b, m = table
    itself = fisher(a, n, b, m) - fisher(a + 1, n, b - 1, m) if b else 1.0
    assert fisher(a, n, b, m) + fisher(b, m, a, n) == pytest.approx(1 + itself, abs=1e-7)


def test_more_failures_are_never_more_likely() -> None:
    chances = [hypergeometric_tail(least, 5000, 20000, 300) for least in range(302)]
    assert chances[0] == 1.0 and chances[301] == 0.0
    # Where two neighbours are equal but for rounding, near one.
    assert all(after <= before + 1e-9 for before, after in zip(chances, chances[1:]))


def test_a_billion_requests_take_no_time() -> None:
    begun = time.process_time()
    found = compare_errors(Sample(10**9, 3 * 10**8), Sample(10**9, 3 * 10**8 + 9999), Limits(), 0.01, Names())
    assert time.process_time() - begun < 5 and not found.lacks and 0.5 < found.p_worse < 0.8


# scipy.stats.norm.sf
@pytest.mark.parametrize(
    ("z", "chance"), [(0, 0.5), (1, 0.15865525393145707), (10, 7.61985302416047e-24), (30, 4.906713927147908e-198)]
)
def test_normal(z: float, chance: float) -> None:
    assert normal_above(z) == pytest.approx(chance, rel=1e-12)
    if z <= 1:
        assert normal_point(chance) == pytest.approx(z, abs=1e-12)


# binomtest(count, of).proportion_ci(0.95, "wilson")
@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (10, 100, 0.05522913706067508, 0.17436566150491345),
        (0, 100, 0.0, 0.03699349820698568),
        (100, 100, 0.9630065017930143, 1.0),
    ],
)
def test_wilson(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of, normal_point(0.025)) == pytest.approx((low, high), abs=1e-9)


# The cases of Newcombe's paper (Statistics in Medicine 17, 1998), his method 10.
@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference(table: tuple[int, int, int, int], low: float, high: float) -> None:
    assert difference(*table, confidence=0.95)[1:] == pytest.approx((low, high), abs=6e-5)


def at_least(count: int, of: int, share: float) -> float:
    return math.fsum(math.comb(of, n) * share**n * (1 - share) ** (of - n) for n in range(count, of + 1))


@pytest.mark.parametrize("table", [(100, 0, 400), (400, 3, 400), (1000, 3, 1000), (800, 80, 1500)])
def test_the_least_share_is_seen_four_times_of_five(table: tuple[int, int, int]) -> None:
    requests, other_errors, other_requests = table
    share = least_share(*table, 0.01, 1.5)
    called = min(
        errors
        for errors in range(requests + 1)
        if errors * other_requests >= 1.5 * other_errors * requests
        and fisher(errors, requests, other_errors, other_requests) < 0.01
    )
    assert share is not None and at_least(called, requests, share) == pytest.approx(0.8, abs=0.01)


def test_some_failures_could_not_be_seen_at_all() -> None:
    assert least_share(2, 0, 3, 0.01, 1.5) is None  # both of two fail: chance does that in 10 %
    assert least_share(1000, 700, 1000, 0.01, 1.5) is None  # more than all would have to fail

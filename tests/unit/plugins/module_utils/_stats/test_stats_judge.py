# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import random
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._stats.finding import ERRORS, METRICS, Limits, Names
from ansible_collections.alchemist.beam.plugins.module_utils._stats.judge import holm, judge
from ansible_collections.alchemist.beam.plugins.module_utils._stats.sample import (
    Latencies,
    Sample,
    of_buckets,
    of_values,
)


@pytest.mark.parametrize(
    ("found", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5], [0.5]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.9, 0.8, 0.001], [1.0, 1.0, 0.003]),
        # The second is not less likely than the first, although two times 0.011 is.
        ([0.01, 0.011, 0.5], [0.03, 0.03, 0.5]),
    ],
)
def test_holm(found: list[float], corrected: list[float]) -> None:
    assert holm(found) == pytest.approx(corrected)


def some(seed: int, count: int, times: float = 1.0, slow: float = 0.0) -> Latencies:
    source = random.Random(seed)
    return of_values(
        source.lognormvariate(3, 0.35) * times * (10 if source.random() < slow else 1) for _i in range(count)
    )


def side(seed: int, count: int, errors: int = 0, times: float = 1.0, slow: float = 0.0) -> Sample:
    return Sample(count, errors, some(seed, count, times, slow))


STABLE = side(1, 4000, 12)
FEW = Sample(20, 0, some(2, 20))


# The verdict, and those of errors, shift and tail.
@pytest.mark.parametrize(
    ("candidate", "stable", "verdicts"),
    [
        (side(2, 2000, 6), STABLE, ("same", "same", "same", "same")),
        (side(2, 2000, 40), STABLE, ("worse", "worse", "same", "same")),
        (side(2, 2000, 6, 1.35), STABLE, ("worse", "same", "worse", "worse")),
        (side(2, 2000, 6, slow=0.03), STABLE, ("worse", "same", "same", "worse")),
        (side(2, 2000, 5, 0.7), STABLE, ("better", "same", "better", "better")),
        (side(2, 4000, 12), side(3, 4000, 80), ("better", "better", "same", "same")),
        # Faster, since it answers errors: one that is worse is enough.
        (side(2, 2000, 400, 0.3), STABLE, ("worse", "worse", "better", "better")),
        # What nobody could see is not the same, and not better.
        (FEW, STABLE, ("not enough", "not enough", "not enough", "not enough")),
        (Sample(2000, 6), STABLE, ("not enough", "same", "not enough", "not enough")),
        (Sample(2000, 6, some(2, 300)), STABLE, ("not enough", "same", "same", "not enough")),
        (Sample(4000, 12, some(2, 300)), side(3, 4000, 80), ("not enough", "better", "same", "not enough")),
        # But few that all fail are enough to be worse.
        (Sample(20, 20, some(2, 20)), STABLE, ("worse", "worse", "not enough", "not enough")),
        (side(2, 1000, 950), side(3, 1000, 900), ("not enough", "not enough", "same", "same")),
        (Sample(0), Sample(0), ("not enough", "not enough", "not enough", "not enough")),
        (STABLE, Sample(0), ("not enough", "not enough", "not enough", "not enough")),
    ],
)
def test_verdicts(candidate: Sample, stable: Sample, verdicts: tuple[str, ...]) -> None:
    found = judge(candidate, stable)
    assert (found.verdict, *(one.verdict for one in found.findings)) == verdicts
    assert found == judge(candidate, stable)
    # The reasons are the sentences of those that decided.
    assert found.reasons == tuple(one.text for one in found.findings if one.verdict == found.verdict) and found.reasons
    for one in found.findings:
        assert one.text.startswith(one.metric + ": ") and (one.low is None or one.low <= (one.value or 0.0) <= one.high)
    assert json.loads(json.dumps(found.facts(), allow_nan=False))["verdict"] == found.verdict


def test_sentences_for_people() -> None:
    found = judge(Sample(20000, 120), Sample(80000, 240), metrics=(ERRORS,), names=Names("the canary", "the rest"))
    assert found.reasons == (
        "errors: 0.60 % of the canary's 20,000 requests failed, and 0.30 % of the rest's 80,000 (difference +0.30 percentage points, +0.16 to +0.46);"
        " worse, and chance alone does that with p = 2e-09",
    )
    told = judge(side(2, 2000, 6), STABLE)
    assert "no difference that counts; 1.07 % of failures would have been seen" in told.reasons[0]
    assert "takes longer than one of stable with a chance of" in told.reasons[1]
    assert "% slower in all would have been seen" in told.reasons[1]
    assert "times the p99 would have been seen" in told.reasons[2]
    assert judge(Sample(0), STABLE).reasons[0] == "errors: the candidate had no requests"
    assert "less than 18.97 % of failures would not have been seen" in judge(Sample(40), Sample(100, 1)).reasons[0]


def test_counters_of_a_balancer_are_enough_for_errors_alone() -> None:
    assert judge(Sample(2000, 6), Sample(4000, 12), metrics=(ERRORS,)).verdict == "same"
    assert judge(Sample(2000, 6), Sample(4000, 12)).verdict == "not enough"


def test_more_metrics_take_more_to_be_worse() -> None:
    candidate, stable = Sample(1000, 13, some(2, 1000)), Sample(4000, 20, some(3, 4000))
    assert judge(candidate, stable, metrics=(ERRORS,)).findings[0].verdict == "worse"
    assert judge(candidate, stable, metrics=METRICS).findings[0].verdict == "same"


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({}, "worse"),
        ({"error_ratio": 2.5}, "same"),
        ({"p": 1e-12}, "same"),
        ({"p": 1e-12, "blind_error_margin": 0.001, "blind_error_ratio": 1.0}, "not enough"),
    ],
)
def test_limits_are_used(limits: dict[str, t.Any], verdict: str) -> None:
    assert judge(Sample(20000, 120), Sample(80000, 240), Limits(**limits), (ERRORS,)).verdict == verdict


def test_chance_alone_is_hardly_ever_worse() -> None:
    source, alarms = random.Random(5), 0
    for case in range(60):
        errors = [sum(source.random() < 0.01 for _i in range(count)) for count in (600, 900)]
        found = judge(side(2 * case, 600, errors[0]), side(2 * case + 1, 900, errors[1]))
        alarms += found.verdict == "worse"
    assert alarms <= 3  # 0.6 are expected at the most, 4 come once in three hundred such tests


@pytest.mark.parametrize("kind", ["values", "buckets"])
def test_many_requests_take_seconds(kind: str) -> None:
    count = 2 * 10**5 if kind == "values" else 10**6
    if kind == "values":
        values = [1 + (index * 7919 % 1000003) / 1000 for index in range(count)]
        sides = [of_values(values), of_values(value + 0.0005 for value in values)]
    else:
        ends = [float(2**power) for power in range(20)]
        sides = [of_buckets(ends, [count // 20] * 20)] * 2
    begun = time.process_time()
    found = judge(Sample(count, 3000, sides[0]), Sample(count, 3050, sides[1]))
    assert found.verdict == "same" and time.process_time() - begun < 10

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Do the slowest answers of the candidate take longer? The ratio of the p99s with its bootstrap interval, and an exact test of who has the slowest. Pure.

A bootstrap draws each sample again and again, and looks how its p99 moves. The rank in the sample that the p99 of a new one falls on follows a beta
distribution, so that rank is drawn, and not a million values. The seed is fixed: the same figures get the same answer.

Whether chance alone does it is asked of the slowest 1 % and 3 % of both sides together. Without a difference it is chance which side they are from, and that
is Fisher's test. It needs no assumption on the latencies, and sees a slow 2 % of requests that the interval alone misses (docs/judge.md).
"""

from __future__ import annotations

import math
import random
import typing as t

from .errors import fisher
from .finding import CONFIDENCE, POWER, TAIL, Limits, Measured, Names
from .sample import Latencies, Sample, aligned, merged
from .shift import no_times
from .tails import hypergeometric_tail, normal_point, wilson

SHARE = 0.99
# 1 % sees that a few got much slower, 3 % that many got slower, also where the candidate had most of the requests.
CUTS = (0.01, 0.03)
BEYOND = 5  # latencies beyond the p99 that each side needs: 500 in all
DRAWS = 2000
_SEED = 15


class Ratio(t.NamedTuple):
    """The ratio of two p99s, its interval, and the standard error of its logarithm."""

    value: float
    low: float
    high: float
    spread: float


def drawn_p99s(of: Latencies, source: random.Random, draws: int = DRAWS) -> list[float]:
    """The p99s of as many bootstrap samples."""
    total, rank = of.total, of.rank_of(SHARE)
    return [
        of.ranked(min(total, 1 + int(source.betavariate(rank, total - rank + 1) * total))) for _draw in range(draws)
    ]


def p99_ratio(ours: Latencies, theirs: Latencies) -> t.Optional[Ratio]:
    """None if one of the p99s is zero."""
    source = random.Random(_SEED)
    pairs = zip(drawn_p99s(ours, source), drawn_p99s(theirs, source))
    value, other = ours.quantile(SHARE), theirs.quantile(SHARE)
    if not value or not other:
        return None
    logs = sorted(math.log(one / two) if one and two else math.copysign(math.inf, one - two) for one, two in pairs)
    edge = int(DRAWS * (1 - CONFIDENCE) / 2)
    # What lies between the quartiles is 1.349 standard errors of a normal, and no single wild draw counts.
    spread = (logs[3 * DRAWS // 4] - logs[DRAWS // 4]) / 1.349
    return Ratio(value / other, math.exp(logs[edge]), math.exp(logs[-1 - edge]), spread)


def slowest(ours: Latencies, theirs: Latencies, cut: float) -> tuple[int, int]:
    """How many of each are among the slowest of both together: that share of all, or as near to it as ties allow."""
    wanted = cut * (ours.total + theirs.total)
    one = two = 0
    best, far = (0, 0), math.inf
    for _value, a, b in merged(ours, theirs, downwards=True):
        one, two = one + a, two + b
        if one + two == ours.total + theirs.total:
            break  # all of them are nobody's tail
        off = abs(math.log((one + two) / wanted)) if one + two else math.inf
        if off < far:
            best, far = (one, two), off
        elif one + two > wanted:
            break
    return best


def slower_by_chance(ours: Latencies, theirs: Latencies) -> tuple[float, float]:
    """How likely so many of the slowest are ours by chance alone, and theirs; corrected for the number of cuts."""
    found = [slowest(ours, theirs, cut) for cut in CUTS]
    return (
        min(1.0, len(CUTS) * min(fisher(one, ours.total, two, theirs.total) for one, two in found)),
        min(1.0, len(CUTS) * min(fisher(two, theirs.total, one, ours.total) for one, two in found)),
    )


def compare_tail(candidate: Sample, stable: Sample, limits: Limits, level: float, names: Names) -> Measured:
    ours, theirs = aligned(candidate.latencies, stable.latencies)
    n = (ours.total, theirs.total)
    if not all(n):
        return Measured(TAIL, n, "", lacks=no_times(n, names))
    if theirs.is_open(SHARE):
        return Measured(TAIL, n, "", lacks="the p99 of %s is beyond the last bucket that has an end" % names.stable)
    ratio = p99_ratio(ours, theirs)
    if ratio is None:
        return Measured(TAIL, n, "", lacks="a p99 is 0: the times are too coarse")
    # Within one bucket nothing can be told apart: a change has to be wider than that.
    bottom, top = theirs.width(theirs.index(theirs.rank_of(SHARE)))
    large = max(limits.tail_ratio, top / bottom if bottom else limits.tail_ratio)
    least = _least(theirs, ours.total, level, large, ratio.spread)
    said = "the p99 of %s is %.3g, that of %s %.3g: %.2f times (%.2f to %.2f)"
    values = (names.candidate, ours.quantile(SHARE), names.stable, theirs.quantile(SHARE), *ratio[:3])
    return Measured(
        TAIL,
        n,
        said % values + (", at least" if ours.is_open(SHARE) else ""),
        *ratio[:3],
        least,
        "" if least is None else "%.2f times the p99 would have been seen" % least,
        _blind(n, ours, least, limits, names),
        ratio.value >= large,
        ratio.value * large <= 1,
        *slower_by_chance(ours, theirs),
    )


def _least(theirs: Latencies, n: int, level: float, large: float, spread: float) -> t.Optional[float]:
    """From how many times the p99 on it would have been called a change, if all latencies grow alike: one of the tests has to see it, and the ratio that is
    seen then has to be large enough."""
    seen = [times for times in (_seen(theirs, n, cut, level / len(CUTS)) for cut in CUTS) if times is not None]
    return max(min(seen), large * math.exp(normal_point(1 - POWER) * spread)) if seen else None


def _seen(theirs: Latencies, n: int, cut: float, level: float) -> t.Optional[float]:
    m = theirs.total
    marked = max(1, round(cut * (n + m)))
    low, high = 0, min(marked, n)
    if hypergeometric_tail(high, n, m, marked) >= level:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if hypergeometric_tail(middle, n, m, marked) < level else (middle, high)
    # So many of the slowest have to be ours on the average, that at least `high` of them are with this chance.
    share = wilson(high - 0.5, marked, normal_point(1 - POWER))[1]
    ours, others = share * marked / n, (1 - share) * marked / m
    reached = theirs.quantile(1 - ours) if ours < 1 else 0.0
    return theirs.quantile(1 - others) / reached if reached else None


def _blind(n: tuple[int, int], ours: Latencies, least: t.Optional[float], limits: Limits, names: Names) -> str:
    few = [name for name, count in zip((names.candidate, names.stable), n) if count * (1 - SHARE) < BEYOND - 1e-9]
    if few:
        return "a p99 needs %d latencies, and %s had %d and %d" % (
            round(BEYOND / (1 - SHARE)),
            "%s and %s" % (names.candidate, names.stable),
            *n,
        )
    if ours.is_open(SHARE):
        return "the p99 of %s is beyond the last bucket that has an end" % names.candidate
    if least is None or least > limits.blind_tail_ratio:
        return "less than %s the p99 would not have been seen" % (
            "any multiple of" if least is None else "%.1f times" % least
        )
    return ""

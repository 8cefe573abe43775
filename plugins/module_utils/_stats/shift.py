# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Does the candidate answer more slowly in general? The U test of Mann and Whitney, and by how much: the chance that one of its requests takes longer. Pure."""

from __future__ import annotations

import math
import typing as t
from bisect import bisect_left, bisect_right

from .finding import CONFIDENCE, POWER, SHIFT, Limits, Measured, Names
from .sample import Latencies, Sample, aligned, merged
from .tails import normal_above, normal_point

_STEPS = 60  # of a bisection
_GRID = 400  # quantiles that stand for all values where the least change is looked for


class Ranks(t.NamedTuple):
    """superior: the chance that one of ours is the longer one, half of the ties with it. p_longer, p_shorter: of so large a difference by chance alone."""

    superior: float
    p_longer: float
    p_shorter: float


def mann_whitney(ours: Latencies, theirs: Latencies) -> Ranks:
    """By the normal approximation, corrected for ties and for continuity: as SciPy's, from some ten values of each on. They have to be aligned."""
    n, m, below, twice, ties = ours.total, theirs.total, 0, 0, 0
    for _value, a, b in merged(ours, theirs):
        twice += a * (2 * below + b)
        below += b
        ties += (a + b) ** 3 - (a + b)
    total = n + m
    # Whole numbers as long as possible: squares of a million are no matter to Python.
    variance = n * m * (total**3 - total - ties) / (12 * total * (total - 1)) if total > 1 else 0.0
    superior = twice / (2 * n * m)
    if variance <= 0:
        return Ranks(superior, 1.0, 1.0)
    off, spread = (twice - n * m) / 2, math.sqrt(variance)
    return Ranks(superior, normal_above((off - 0.5) / spread), normal_above((-off - 0.5) / spread))


def superior_interval(superior: float, n: int, m: int) -> tuple[float, float]:
    """Newcombe's method 5: the chances that what was seen is not too unlikely for. It holds near 0 and 1 as well."""
    z, half = normal_point((1 - CONFIDENCE) / 2), (n + m) / 2 - 1

    def fits(chance: float) -> bool:
        rest = 1 - chance
        spread = chance * rest * (1 + half * rest / (2 - chance) + half * chance / (1 + chance)) / (n * m)
        return (superior - chance) ** 2 <= z * z * spread

    ends = []
    for edge in (0.0, 1.0):
        inside, outside = superior, edge
        for _step in range(_STEPS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if fits(middle) else (inside, middle)
        ends.append(outside)
    return ends[0], ends[1]


def least_superior(n: int, m: int, level: float, least: float) -> float:
    """From which chance on a change would have been called one."""
    spread = math.sqrt((n + m + 1) / (12 * n * m))
    return max(least, 0.5 + normal_point(level) * spread) + normal_point(1 - POWER) * spread


def slower_by(of: Latencies, superior: float) -> t.Optional[float]:
    """How many times as long all of them have to take until one takes longer than one as it was with this chance."""
    total = of.total
    grid = [of.ranked(max(1, math.ceil((step + 0.5) / _GRID * total))) for step in range(_GRID)]

    def reached(times: float) -> bool:
        found = sum(bisect_left(grid, times * value) + bisect_right(grid, times * value) for value in grid)
        return found / (2 * _GRID * _GRID) >= superior

    low, high = 1.0, 100.0
    if not reached(high):
        return None
    for _step in range(20):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def compare_shift(candidate: Sample, stable: Sample, limits: Limits, level: float, names: Names) -> Measured:
    ours, theirs = aligned(candidate.latencies, stable.latencies)
    n = (ours.total, theirs.total)
    if not all(n):
        return Measured(SHIFT, n, "", lacks=no_times(n, names))
    ranks = mann_whitney(ours, theirs)
    low, high = superior_interval(ranks.superior, *n)
    least = least_superior(*n, level, limits.shift)
    times = slower_by(theirs, least) if least < 1 else None
    said = (
        "a request of %s takes longer than one of %s with a chance of %.0f %% (%.0f to %.0f %%); medians %.3g and %.3g"
    )
    return Measured(
        SHIFT,
        n,
        said
        % (
            names.candidate,
            names.stable,
            100 * ranks.superior,
            100 * low,
            100 * high,
            ours.quantile(0.5),
            theirs.quantile(0.5),
        ),
        ranks.superior,
        low,
        high,
        least if least < 1 else None,
        "" if times is None else "%.0f %% slower in all would have been seen" % (100 * (times - 1)),
        "%d and %d latencies show a large shift only by chance" % n if least > limits.blind_shift else "",
        ranks.superior > limits.shift,
        ranks.superior < 1 - limits.shift,
        ranks.p_longer,
        ranks.p_shorter,
    )


def no_times(n: tuple[int, int], names: Names) -> str:
    silent = " and ".join(name for name, count in zip((names.candidate, names.stable), n) if not count)
    return "it is not known how long the answers of %s took" % silent

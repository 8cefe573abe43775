# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Tails of the distributions that the judge needs, by the standard library alone. Pure.

A tail is summed outwards from its edge, where the terms only shrink, until they no longer count. So it takes some widths of the distribution, which grow with
the square root of the number of requests, and never as many steps as there are requests.
"""

from __future__ import annotations

import math
import typing as t
from statistics import NormalDist

_NEGLIGIBLE = 1e-17  # of the sum so far


def log_choose(of: int, taken: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(taken + 1) - math.lgamma(of - taken + 1)


def normal_above(z: float) -> float:
    """The chance that a standard normal is above z; exact far out, where 1 - cdf would be zero."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def normal_point(chance: float) -> float:
    """The z that a standard normal is above with this chance."""
    return -NormalDist().inv_cdf(chance)


def hypergeometric_tail(least: int, ours: int, others: int, marked: int) -> float:
    """The chance that at least `least` of the marked are ours, if chance alone marks them among ours and others."""
    low, high = max(0, marked - others), min(marked, ours)
    if least <= low:
        return 1.0
    if least > high:
        return 0.0

    def log_term(count: int) -> float:
        return log_choose(ours, count) + log_choose(others, marked - count) - log_choose(ours + others, marked)

    def upwards(count: int) -> float:
        return (ours - count) * (marked - count) / ((count + 1) * (others - marked + count + 1))

    def downwards(count: int) -> float:
        return count * (others - marked + count) / ((ours - count + 1) * (marked - count + 1))

    if least * (ours + others) > marked * ours:  # beyond the mean
        return min(1.0, _summed(math.exp(log_term(least)), range(least, high), upwards))
    return max(0.0, 1.0 - _summed(math.exp(log_term(least - 1)), range(least - 1, low, -1), downwards))


def _summed(first: float, steps: t.Iterable[int], ratio: t.Callable[[int], float]) -> float:
    term = total = first
    for step in steps:
        term *= ratio(step)
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return total


def wilson(count: float, of: int, z: float) -> tuple[float, float]:
    """Wilson's interval of a share: z standard errors to each side."""
    share, square = count / of, z * z
    middle = share + square / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low, high = ((middle + sign * half) / (1 + square / of) for sign in (-1, 1))
    # What rounding leaves of an end that is one.
    return (0.0 if count <= 0 else max(0.0, low)), (1.0 if count >= of else min(1.0, high))

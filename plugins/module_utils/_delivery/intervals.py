# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Numbers with what is known of them: intervals of 95 %, and how much data it takes before there is one. Pure."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass

Z = 1.959963984540054  # of a normal distribution, 95 % lie within
TAIL = 0.025  # on each side of an interval of 95 %
SHARE_NEEDS = 10
_EXACT = (
    2000  # up to here the binomial distribution is summed up; beyond, its normal approximation is closer than a rank
)


@dataclass(frozen=True)
class Quantile:
    """value, low and high are None where there is too little data for an interval."""

    n: int
    needs: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Share:
    """hits of n. The interval is told from the first one on; the value only where there is enough data."""

    hits: int
    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def needs(self) -> int:
        return SHARE_NEEDS


def share(hits: int, n: int) -> Share:
    """With Wilson's interval, which stays within 0 and 1 and is right for few hits, too."""
    if n <= 0:
        return Share(hits, n)
    p, z2 = hits / n, Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(hits, n, p if n >= SHARE_NEEDS else None, low, high)


def quantile_needs(q: float) -> int:
    """The least n for which the smallest and the largest value hold the quantile between them."""
    n = 1
    while max(q, 1 - q) ** n > TAIL:
        n += 1
    return n


def quantile(values: t.Iterable[float], q: float) -> Quantile:
    """The median is the middle, or the mean of both middle ones; any other quantile is the nearest rank. The interval is made of ranks: no shape of
    distribution is assumed.
    """
    ordered = sorted(values)
    n, needs = len(ordered), quantile_needs(q)
    if n < needs:
        return Quantile(n, needs)
    if q == 0.5:
        value = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    else:
        value = ordered[max(math.ceil(q * n), 1) - 1]
    low, high = ranks(n, q)
    return Quantile(n, needs, value, ordered[low - 1], ordered[high - 1])


def ranks(n: int, q: float) -> tuple[int, int]:
    """Of the interval's ends, from 1. n: at least quantile_needs(q)."""
    if n > _EXACT:
        half = Z * math.sqrt(n * q * (1 - q))
        return max(1, math.floor(n * q - half)), min(n, math.ceil(n * q + half) + 1)
    # The chance that fewer than `rank` values lie below the quantile.
    below, low, high = 0.0, 1, n
    for rank in range(n + 1):
        if below <= TAIL:
            low = max(rank, 1)
        if rank > 0 and 1 - below <= TAIL:
            high = rank
            break
        below += _chance(n, rank, q)
    return low, high


def _chance(n: int, k: int, q: float) -> float:
    return math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(q) + (n - k) * math.log(1 - q)
    )

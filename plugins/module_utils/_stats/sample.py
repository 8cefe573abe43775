# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is compared: the requests and failures of one side, and how long its answers took. Pure.

Latencies are values in ascending order with how often each was seen, or buckets with how many fell into each. So a million requests of a load generator and
the twenty buckets of a histogram are the same to the judge; only, nothing is told apart that one bucket holds.
"""

from __future__ import annotations

import functools
import itertools
import math
import typing as t
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

MOST = 10**9  # requests of one side; what a comparison takes grows with their square root
MOST_VALUES = 2 * 10**6  # latencies that are given one by one; more are a histogram
_END: tuple[t.Any, int] = (None, 0)


class Unfit(ValueError):
    """These figures can't be compared. why, hint: as an error for the user has them; whoever read the figures knows what they were, and makes that error."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__("%s. %s." % (why, hint))
        self.why = why
        self.hint = hint


@dataclass(frozen=True)
class Latencies:
    """uppers: ascending values, or the upper ends of buckets, of which the last may be infinite. counts: of each. Any unit, the same on both sides."""

    uppers: tuple[float, ...]
    counts: tuple[int, ...]
    buckets: bool = False

    @functools.cached_property
    def reached(self) -> tuple[int, ...]:
        """How many are in this one and those before."""
        return tuple(itertools.accumulate(self.counts))

    @property
    def total(self) -> int:
        return self.reached[-1] if self.counts else 0

    def width(self, index: int) -> tuple[float, float]:
        """Between what the values of this entry lie. Of a bucket without an upper end only the lower one is known."""
        upper = self.uppers[index]
        if not self.buckets:
            return upper, upper
        lower = self.uppers[index - 1] if index else 0.0
        return lower, lower if math.isinf(upper) else upper

    def index(self, rank: int) -> int:
        return bisect_left(self.reached, rank)

    def ranked(self, rank: int) -> float:
        """The value of this rank, from 1; in a bucket as if its values lay evenly."""
        index = self.index(rank)
        low, high = self.width(index)
        if low == high:
            return low
        within = rank - (self.reached[index] - self.counts[index]) - 0.5
        return low + (high - low) * within / self.counts[index]

    def rank_of(self, share: float) -> int:
        return min(self.total, max(1, math.ceil(share * self.total)))

    def quantile(self, share: float) -> float:
        return self.ranked(self.rank_of(share))

    def is_open(self, share: float) -> bool:
        """Whether this quantile lies in a bucket that has no upper end: it is longer than any that was told."""
        return math.isinf(self.uppers[self.index(self.rank_of(share))])

    def into(self, uppers: t.Sequence[float]) -> Latencies:
        """Values as those buckets would have counted them: a value at an upper end is in that bucket."""
        if self.uppers and self.uppers[-1] > uppers[-1]:
            raise Unfit(
                "a value of %g is above the last bucket, %g" % (self.uppers[-1], uppers[-1]),
                "Give buckets whose last one has no upper end",
            )
        counts = [0] * len(uppers)
        for value, count in zip(self.uppers, self.counts):
            counts[bisect_left(uppers, value)] += count
        return Latencies(tuple(uppers), tuple(counts), buckets=True)


NO_LATENCIES = Latencies((), ())


@dataclass(frozen=True)
class Sample:
    """Requests of one side, how many of them failed, and how long those took that are known: all, or some that were picked by chance."""

    requests: int
    errors: int = 0
    latencies: Latencies = NO_LATENCIES

    def __post_init__(self) -> None:
        for count in (self.requests, self.errors):
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST:
                raise Unfit("%r is no number of requests from 0 to %d" % (count, MOST), "Give whole numbers")
        if self.errors > self.requests:
            raise Unfit("%d of %d requests failed" % (self.errors, self.requests), "Count failures as requests")
        if self.latencies.total > self.requests:
            raise Unfit(
                "%d requests took %d times" % (self.requests, self.latencies.total), "Give one time of each request"
            )


def of_values(values: t.Iterable[float]) -> Latencies:
    """Latencies one by one, in any order: what a load generator writes, or a log of requests."""
    counted = Counter(itertools.islice((float(value) for value in values), MOST_VALUES + 1))
    if sum(counted.values()) > MOST_VALUES:
        raise Unfit("there are more than %d latencies" % MOST_VALUES, "Give a histogram of them")
    for value in counted:
        if not 0 <= value < math.inf:
            raise Unfit("%r is no latency" % value, "Leave out requests whose time isn't known")
    ordered = sorted(counted)
    return Latencies(tuple(ordered), tuple(counted[value] for value in ordered))


def of_buckets(uppers: t.Sequence[float], counts: t.Sequence[int], cumulative: bool = False) -> Latencies:
    """A histogram: upper ends, and how many are in each bucket; cumulative: in it and those below, as Prometheus tells them. The first begins at 0."""
    ends, found = [float(upper) for upper in uppers], list(counts)
    if len(ends) != len(found) or not ends:
        raise Unfit("there are %d buckets and %d counts" % (len(ends), len(found)), "Give one count for each")
    if not all(low < high for low, high in zip([0.0, *ends], ends)):
        raise Unfit("upper ends of buckets have to grow, from above 0", "Sort them")
    if cumulative:
        found = [after - before for before, after in zip([0, *found], found)]
    if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in found):
        raise Unfit("a bucket holds less than nothing, or no whole number", "Say whether they are cumulative")
    if sum(found) > MOST:
        raise Unfit("there are more than %d latencies" % MOST, "Give those of a shorter time")
    return Latencies(tuple(ends), tuple(found), buckets=True)


def aligned(one: Latencies, other: Latencies) -> tuple[Latencies, Latencies]:
    """Both as values, or both in the same buckets."""
    if one.buckets and other.buckets and one.uppers != other.uppers:
        raise Unfit("the two histograms have different buckets", "Give both sides the same upper ends")
    if one.buckets and not other.buckets:
        return one, other.into(one.uppers)
    if other.buckets and not one.buckets:
        return one.into(other.uppers), other
    return one, other


def merged(one: Latencies, other: Latencies, downwards: bool = False) -> t.Iterator[tuple[float, int, int]]:
    """Each value of two that are aligned, upwards or downwards, with how often either has it."""
    turn: t.Callable[[t.Sequence[t.Any]], t.Iterable[t.Any]] = reversed if downwards else iter
    sign = -1 if downwards else 1
    ours, theirs = (zip(turn(side.uppers), turn(side.counts)) for side in (one, other))
    (value, count), (its, its_count) = next(ours, _END), next(theirs, _END)
    while value is not None or its is not None:
        if its is None or value is not None and sign * value < sign * its:
            yield value, count, 0
            value, count = next(ours, _END)
        elif value is None or value != its:
            yield its, 0, its_count
            its, its_count = next(theirs, _END)
        else:
            yield value, count, its_count
            (value, count), (its, its_count) = next(ours, _END), next(theirs, _END)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Is the canary worse than the rest? Pure: differences of counters in, a verdict with figures out.

An error is a response of 5xx, a connection that could not be made, or an answer that broke off; clients that went away are nobody's error. Rates are shares
of the requests (0.01: one in a hundred), times are milliseconds until the head of the answer, means over the requests of the interval.

Shares of failures are compared by Fisher's exact test, which knows how much chance does with so many requests. A mean has no test: it tells nothing of how
much the times differ.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from .._stats.errors import fisher
from .base import Counters

SAME, WORSE, TOO_FEW, NOT_COUNTED = "same", "worse", "not enough traffic", "not counted"
COMPARED = (SAME, WORSE)
CHANCE = 0.01  # how likely failures may be by chance alone to count as worse, when the time is over
# The same for each look before. Whoever looks hundreds of times finds one of a hundred somewhere; docs/balancers.md tells what this comes to.
CHANCE_EARLY = 0.0001


@dataclass(frozen=True)
class Delta:
    """What happened between two looks. response_ms: None if there were no requests to tell it from."""

    requests: int = 0
    errors: int = 0
    responses_5xx: int = 0
    connect_errors: int = 0
    response_errors: int = 0
    aborted: int = 0
    response_ms: t.Optional[float] = None

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    def facts(self) -> dict[str, t.Any]:
        return {
            "requests": self.requests,
            "errors": self.errors,
            "error_rate": round(self.error_rate, 5),
            "responses_5xx": self.responses_5xx,
            "connect_errors": self.connect_errors,
            "response_errors": self.response_errors,
            "aborted": self.aborted,
            "response_ms": None if self.response_ms is None else round(self.response_ms, 1),
        }


@dataclass(frozen=True)
class Limits:
    """error_margin: a share of requests. error_ratio, latency_ratio: times the rest's. latency_margin: milliseconds. Both of a pair have to be exceeded."""

    min_requests: int = 100
    error_margin: float = 0.001
    error_ratio: float = 1.5
    latency_margin: float = 50.0
    latency_ratio: float = 2.0


@dataclass(frozen=True)
class Bake:
    """Which members were compared with which, since when (seconds since 1970) and for how long; and the places whose counters were reset meanwhile."""

    canary: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    began: float = 0.0
    seconds: float = 0.0
    began_again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    verdict: str  # same | worse | not enough traffic | not counted
    reasons: tuple[str, ...]
    canary: Delta = Delta()
    rest: Delta = Delta()
    limits: Limits = Limits()
    bake: Bake = Bake()

    def facts(self) -> dict[str, t.Any]:
        return {
            "verdict": self.verdict,
            "compared": self.verdict in COMPARED,
            "reasons": list(self.reasons),
            "canary": {"hosts": list(self.bake.canary), **self.canary.facts()},
            "rest": {"hosts": list(self.bake.rest), **self.rest.facts()},
            "limits": {**asdict(self.limits), "error_chance": CHANCE},
            "began": round(self.bake.began, 3),
            "seconds": round(self.bake.seconds, 3),
            "began_again": list(self.bake.began_again),
        }


def restarted(before: Counters, after: Counters) -> bool:
    """The balancer counts from nothing again."""
    return after.total < before.total or after.requests < before.requests or after.responses_5xx < before.responses_5xx


def mean_since(before: Counters, after: Counters) -> t.Optional[float]:
    """The mean time of the requests in between, out of two sliding means.

    Each request changes the sum by its time less a window's part of the sum, so that the sum before has decayed by a known factor. Means are told in
    whole milliseconds: after n requests of a window w the error is up to 1/(1 - (1-1/w)^n) ms, 6 ms after 100 and 1.6 ms after 500 of 512.
    """
    count = after.requests - before.requests
    if count <= 0:
        return None
    window = float(after.window)
    kept = (1 - 1 / window) ** count
    sum_before, sum_after = (c.response_ms * min(float(c.requests), window) for c in (before, after))
    return max(0.0, (sum_after - sum_before * kept) / (window * (1 - kept)))


def delta(before: Counters, after: Counters) -> Delta:
    if restarted(before, after):
        before = Counters(0, 0)
    values = {
        key: max(0, getattr(after, key) - getattr(before, key))
        for key in ("requests", "responses_5xx", "connect_errors", "response_errors", "aborted")
    }
    errors = min(values["requests"], values["responses_5xx"] + values["connect_errors"] + values["response_errors"])
    return Delta(errors=errors, response_ms=mean_since(before, after), **values)


def total(deltas: t.Iterable[Delta]) -> Delta:
    """Over members and places; the time weighted by the requests."""
    found = list(deltas)
    timed = [d for d in found if d.response_ms is not None and d.requests]
    weight = sum(d.requests for d in timed)
    mean = sum((d.response_ms or 0.0) * d.requests for d in timed) / weight if weight else None
    keys = ("requests", "errors", "responses_5xx", "connect_errors", "response_errors", "aborted")
    return Delta(response_ms=mean, **{key: sum(getattr(d, key) for d in found) for key in keys})


def judge(canary: Delta, rest: Delta, limits: Limits, chance: float = CHANCE) -> Verdict:
    """chance: how likely failures may be by chance alone to count as worse."""
    few = []
    for who, what in (("the canary", canary), ("the rest", rest)):
        if what.requests < limits.min_requests:
            few.append("%s had %d requests, and it takes %d to judge" % (who, what.requests, limits.min_requests))
    if few:
        return Verdict(TOO_FEW, tuple(few), canary, rest, limits)
    reasons = []
    found = _failing(canary, rest, limits)
    if found < chance:
        reasons.append(
            "%.2f %% of the canary's %d requests failed, and %.2f %% of the rest's %d (allowed: %g times as many, and %.2f percentage points more;"
            " by chance alone it is so with p = %.2g)"
            % (
                100 * canary.error_rate,
                canary.requests,
                100 * rest.error_rate,
                rest.requests,
                limits.error_ratio,
                100 * limits.error_margin,
                found,
            )
        )
    if canary.response_ms is not None and rest.response_ms is not None:
        if (
            canary.response_ms > rest.response_ms + limits.latency_margin
            and canary.response_ms > rest.response_ms * limits.latency_ratio
        ):
            reasons.append(
                "the canary answers after %.0f ms, the rest after %.0f ms (allowed: %g times as long, and %g ms more)"
                % (
                    canary.response_ms,
                    rest.response_ms,
                    limits.latency_ratio,
                    limits.latency_margin,
                )
            )
    return Verdict(WORSE if reasons else SAME, tuple(reasons), canary, rest, limits)


def _failing(canary: Delta, rest: Delta, limits: Limits) -> float:
    """How likely chance alone makes the canary fail so much more often; 1 where that is not more than is allowed."""
    if (
        canary.error_rate <= rest.error_rate + limits.error_margin
        or canary.error_rate <= rest.error_rate * limits.error_ratio
    ):
        return 1.0
    return fisher(canary.errors, canary.requests, rest.errors, rest.requests)

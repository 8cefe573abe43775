# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Does the candidate fail more often? Fisher's exact test on requests and failures: right for any number of them, also for none. Pure."""

from __future__ import annotations

import math
import typing as t

from .finding import CONFIDENCE, ERRORS, POWER, Limits, Measured, Names
from .sample import Sample
from .tails import hypergeometric_tail, normal_point, wilson


def fisher(errors: int, requests: int, other_errors: int, other_requests: int) -> float:
    """The chance that so many of all failures, or more, would be on the first side if it failed as often as the other."""
    return hypergeometric_tail(errors, requests, other_requests, errors + other_errors)


def difference(
    errors: int, requests: int, other_errors: int, other_requests: int, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """The difference of the shares with its interval, by Newcombe's method out of Wilson's."""
    z = normal_point((1 - confidence) / 2)
    share, other = errors / requests, other_errors / other_requests
    (low, high), (other_low, other_high) = wilson(errors, requests, z), wilson(other_errors, other_requests, z)
    return (
        share - other,
        share - other - math.hypot(share - low, other_high - other),
        share - other + math.hypot(high - share, other - other_low),
    )


def least_share(requests: int, other_errors: int, other_requests: int, level: float, ratio: float) -> t.Optional[float]:
    """The least share of failures that would have been called worse beside what the other side had; None if none would have been."""

    def called(errors: int) -> bool:
        return (
            errors * other_requests >= ratio * other_errors * requests
            and fisher(errors, requests, other_errors, other_requests) < level
        )

    if not called(requests):
        return None
    low, high = 0, requests  # no failures at all are never worse
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if called(middle) else (middle, high)
    # Of which share at least that many come with this chance.
    return wilson(high - 0.5, requests, normal_point(1 - POWER))[1]


def percent(share: float) -> str:
    """As many digits as tell it from zero."""
    return "%.*f %%" % (2 if share == 0 or share >= 0.0005 else 4, 100 * share)


def compare_errors(candidate: Sample, stable: Sample, limits: Limits, level: float, names: Names) -> Measured:
    ours, theirs = (candidate.errors, candidate.requests), (stable.errors, stable.requests)
    n = (candidate.requests, stable.requests)
    if not all(n):
        empty = " and ".join(name for name, count in zip((names.candidate, names.stable), n) if not count)
        return Measured(ERRORS, n, "", lacks="%s had no requests" % empty)
    change, low, high = difference(*ours, *theirs)
    share = stable.errors / stable.requests
    least = least_share(candidate.requests, *theirs, level, limits.error_ratio)
    return Measured(
        ERRORS,
        n,
        "%s of %s's %s requests failed, and %s of %s's %s (difference %+.2f percentage points, %+.2f to %+.2f)"
        % (
            percent(candidate.errors / candidate.requests),
            names.candidate,
            format(candidate.requests, ","),
            percent(share),
            names.stable,
            format(stable.requests, ","),
            100 * change,
            100 * low,
            100 * high,
        ),
        change,
        low,
        high,
        None if least is None else least - share,
        "" if least is None else "%s of failures would have been seen" % percent(least),
        _blind(least, share, limits, names),
        ours[0] * theirs[1] >= limits.error_ratio * theirs[0] * ours[1],
        theirs[0] * ours[1] >= limits.error_ratio * ours[0] * theirs[1],
        fisher(*ours, *theirs),
        fisher(*theirs, *ours),
    )


def _blind(least: t.Optional[float], share: float, limits: Limits, names: Names) -> str:
    if limits.error_ratio * share > 1:
        return "%s itself fails too often for anything to be compared with it" % names.stable
    if least is None:
        return "whatever share had failed, so few requests would not have shown it"
    if least > max(share + limits.blind_error_margin, share * limits.blind_error_ratio):
        return "less than %s of failures would not have been seen with so few requests" % percent(least)
    return ""

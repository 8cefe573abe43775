# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Is the candidate worse than what is stable? One judge for a stress run and a canary. Pure: two samples in, a verdict out.

Each metric has to say both: chance alone hardly does this (Holm's correction over the metrics keeps that true of all of them together), and it is large enough
to care. What could not have been seen is not "same" but "not enough": no data is never good.
"""

from __future__ import annotations

import typing as t

from .errors import compare_errors
from .finding import (
    BETTER,
    ERRORS,
    METRICS,
    NOT_ENOUGH,
    SAME,
    SHIFT,
    TAIL,
    WORSE,
    Finding,
    Limits,
    Measured,
    Names,
    Verdict,
)
from .sample import Sample
from .shift import compare_shift
from .tail import compare_tail

LIMITS, NAMES = Limits(), Names()
_COMPARE: t.Mapping[str, t.Callable[[Sample, Sample, Limits, float, Names], Measured]] = {
    ERRORS: compare_errors,
    SHIFT: compare_shift,
    TAIL: compare_tail,
}
# What weighs more: one metric that is worse is enough, and one that nobody could see makes the rest no answer.
_ORDER = (WORSE, NOT_ENOUGH, BETTER, SAME)


def holm(found: t.Sequence[float]) -> list[float]:
    """Chances, corrected by Holm's method for how many there are."""
    corrected, worst = [0.0] * len(found), 0.0
    for place, index in enumerate(sorted(range(len(found)), key=lambda index: found[index])):
        worst = max(worst, min(1.0, (len(found) - place) * found[index]))
        corrected[index] = worst
    return corrected


def judge(
    candidate: Sample,
    stable: Sample,
    limits: Limits = LIMITS,
    metrics: t.Sequence[str] = METRICS,
    names: Names = NAMES,
) -> Verdict:
    """metrics: what has to be known. Counters of a balancer, which tell no latencies, are enough for errors alone."""
    level = limits.p / len(metrics)
    measured = [_COMPARE[metric](candidate, stable, limits, level, names) for metric in metrics]
    worse, better = (holm([getattr(one, name) for one in measured]) for name in ("p_worse", "p_better"))
    findings = tuple(_finding(*row, limits) for row in zip(measured, worse, better))
    verdict = min((finding.verdict for finding in findings), key=_ORDER.index)
    return Verdict(verdict, tuple(one.text for one in findings if one.verdict == verdict), findings, limits)


def _finding(one: Measured, p_worse: float, p_better: float, limits: Limits) -> Finding:
    p = p_worse
    if one.worse and p_worse < limits.p:
        verdict = WORSE
    elif one.lacks:
        verdict = NOT_ENOUGH
    elif one.better and p_better < limits.p:
        verdict, p = BETTER, p_better
    else:
        verdict = SAME
    return Finding(one.metric, verdict, one.n, one.value, one.low, one.high, one.least, p, _text(one, verdict, p))


def _text(one: Measured, verdict: str, p: float) -> str:
    chance = "chance alone does that with p %s" % ("< 1e-100" if p < 1e-100 else "= %.2g" % p)
    end = {
        WORSE: "worse, and " + chance,
        BETTER: "better, and " + chance,
        NOT_ENOUGH: one.lacks,
        SAME: "no difference that counts; " + one.seen if one.seen else "no difference that counts",
    }[verdict]
    return "%s: %s" % (one.metric, "; ".join(filter(None, (one.said, end))))

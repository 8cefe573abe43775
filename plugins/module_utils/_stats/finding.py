# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a comparison of one metric has found, and by which limits it is judged. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

SAME, WORSE, BETTER, NOT_ENOUGH = "same", "worse", "better", "not enough"
ERRORS, SHIFT, TAIL = "errors", "shift", "tail"
METRICS = (ERRORS, SHIFT, TAIL)
POWER = 0.8  # the chance with which the least change would have been seen
CONFIDENCE = 0.99  # of intervals, to both sides


@dataclass(frozen=True)
class Limits:
    """What counts as a change: it has to be unlikely by chance alone, and large enough to care.

    p: the chance of a false alarm, over all metrics together. error_ratio: times the other side's share of failures. shift: the chance that a request takes
    longer than one of the other side; 0.5 is no difference. tail_ratio: times the other side's p99. The rest says when a comparison was too blind to be one:
    if a change of that size would not have been seen.
    """

    p: float = 0.01
    error_ratio: float = 1.5
    shift: float = 0.6
    tail_ratio: float = 1.25
    blind_error_margin: float = 0.05
    blind_error_ratio: float = 2.0
    blind_shift: float = 0.71
    blind_tail_ratio: float = 3.0


@dataclass(frozen=True)
class Names:
    """How sentences call the two sides."""

    candidate: str = "the candidate"
    stable: str = "stable"


@dataclass(frozen=True)
class Measured:
    """One metric before it is judged. worse, better: whether the change is large enough to be that; p_worse, p_better: how likely chance alone is."""

    metric: str
    n: tuple[int, int]
    said: str
    value: t.Optional[float] = None
    low: t.Optional[float] = None
    high: t.Optional[float] = None
    least: t.Optional[float] = None
    seen: str = ""  # what would have been seen, as a sentence
    lacks: str = ""  # why nobody could tell whether it is the same
    worse: bool = False
    better: bool = False
    p_worse: float = 1.0
    p_better: float = 1.0


@dataclass(frozen=True)
class Finding:
    """One metric, judged.

    n: of the candidate and of stable. value, low, high: the change and its interval, None if unknown: errors: the candidate's share of failures less stable's;
    shift: the chance that a request of the candidate takes longer than one of stable; tail: the candidate's p99 in times of stable's. least: the least value of
    the kind that would have been found worse. p: of worse, or of better if it is that, corrected for the number of metrics.
    """

    metric: str
    verdict: str  # same | worse | better | not enough
    n: tuple[int, int]
    value: t.Optional[float]
    low: t.Optional[float]
    high: t.Optional[float]
    least: t.Optional[float]
    p: float
    text: str


@dataclass(frozen=True)
class Verdict:
    """reasons: sentences for people, of those metrics that decided."""

    verdict: str  # same | worse | better | not enough
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    limits: Limits = Limits()

    def facts(self) -> dict[str, t.Any]:
        findings = [{**asdict(finding), "n": list(finding.n)} for finding in self.findings]
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "findings": findings,
            "limits": asdict(self.limits),
        }

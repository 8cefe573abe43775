# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What happened when, on one clock. Pure.

Steps that a server took are stamped by its own clock, and clocks of a fleet differ. A host whose steps can't have been when they say
is moved as a whole to where they fit, and the timeline says by how much.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values

# In the order in which they happen. The balancer's steps are stamped on the machine that speaks with it, the others on the server.
STEPS = ("stage", "drain", "activate", "stop", "boot", "gate", "join", "bake", "return")
BALANCED = ("drain", "join", "bake")
# A row's own figures stand in for steps that were not recorded.
FIGURES = ("drain", "stop", "boot", "gate", "join")

_TOLERANCE = 1.0
_MOST_STEPS = 32
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclasses.dataclass(frozen=True)
class Span:
    step: str
    start: float
    seconds: float
    ok: bool

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclasses.dataclass(frozen=True)
class Lane:
    """One host. shift: by how many seconds its clock was corrected."""

    host: str
    row: dict[str, t.Any]
    spans: tuple[Span, ...]
    shift: float


@dataclasses.dataclass(frozen=True)
class Band:
    """One batch; index None is for hosts that belong to none."""

    index: t.Optional[int]
    batch: dict[str, t.Any]
    lanes: tuple[Lane, ...]
    start: t.Optional[float]
    end: t.Optional[float]


@dataclasses.dataclass(frozen=True)
class Timeline:
    start: float
    length: float
    bands: tuple[Band, ...]

    def at(self, moment: float) -> float:
        """Percent of the length."""
        return min(max((moment - self.start) / self.length * 100, 0.0), 100.0)

    @property
    def ticks(self) -> list[float]:
        step = next((s for s in _TICKS if self.length / s <= 8), self.length / 8)
        return [index * step for index in range(int(self.length / step) + 1)]


def rows(report: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    return values.mappings(report.get("rows"))


def step_seconds(row: t.Mapping[str, t.Any]) -> dict[str, float]:
    """Seconds by step, the sum where a step was taken twice."""
    found: dict[str, float] = {}
    for step in values.mappings(row.get("steps")):
        seconds, name = values.number(step.get("seconds")), values.line(step.get("step"), 20)
        if seconds is not None and name:
            found[name] = found.get(name, 0.0) + seconds
    for name in FIGURES:
        seconds = values.number(row.get(name))
        if seconds is not None:
            found.setdefault(name, seconds)
    return found


def _spans(row: t.Mapping[str, t.Any]) -> list[Span]:
    found = []
    for step in values.mappings(row.get("steps"))[:_MOST_STEPS]:
        start, seconds = values.number(step.get("start")), values.number(step.get("seconds"))
        if start is not None and start > 0:
            found.append(
                Span(
                    values.line(step.get("step"), 20) or "step",
                    start,
                    max(seconds or 0.0, 0.0),
                    step.get("ok") is not False,
                )
            )
    return sorted(found, key=lambda span: span.start)


def _shift(spans: t.Sequence[Span], low: t.Optional[float], high: t.Optional[float], switched: bool = False) -> float:
    """Seconds to add to what the server's clock says. switched: of two nodes, the new one serves before the former one drains and stops."""
    own = [span for span in spans if span.step not in BALANCED]
    if not own:
        return 0.0
    drained = [span.end for span in spans if span.step == "drain" and span.ok]
    after = [span.start for span in own if (span.step == "stop" if switched else span.step not in ("stage", "return"))]
    if drained and after and min(after) < drained[0] - _TOLERANCE:
        return drained[0] - min(after)
    if low is not None and own[0].start < low - _TOLERANCE:
        return low - own[0].start
    last = max(span.end for span in own)
    if high is not None and last > high + _TOLERANCE:
        return high - last
    return 0.0


def _lane(row: dict[str, t.Any], low: t.Optional[float], high: t.Optional[float]) -> Lane:
    spans = _spans(row)
    shift = _shift(spans, low, high, bool(row.get("color")))
    moved = tuple(s if s.step in BALANCED else dataclasses.replace(s, start=s.start + shift) for s in spans)
    return Lane(values.line(row.get("host")) or "?", row, tuple(sorted(moved, key=lambda span: span.start)), shift)


def _batch_of(row: t.Mapping[str, t.Any], batches: t.Sequence[t.Mapping[str, t.Any]]) -> t.Optional[int]:
    """Index of its batch, from 1."""
    index = values.whole(row.get("batch"))
    if index is not None:
        return index
    return next(
        (values.whole(b.get("index")) for b in batches if row.get("host") in values.sequence(b.get("hosts"))), None
    )


def timeline(report: t.Mapping[str, t.Any]) -> t.Optional[Timeline]:
    """None where no host says when it did anything."""
    begun, ended = values.epoch(report.get("begun")), values.epoch(report.get("ended"))
    # Times of the report are whole seconds, and its last step may end in the second that it names.
    lanes = [_lane(row, begun, None if ended is None else ended + 1) for row in rows(report)]
    spans = [span for lane in lanes for span in lane.spans]
    if not spans:
        return None
    start = min(span.start for span in spans)
    end = max(span.end for span in spans)
    if begun is not None and start - 3600 < begun <= start:
        start = begun
    batches = values.mappings(report.get("batches"))
    by_index = {values.whole(batch.get("index")): batch for batch in batches}
    order: dict[t.Optional[int], list[Lane]] = {}
    for lane in lanes:
        order.setdefault(_batch_of(lane.row, batches), []).append(lane)
    bands = []
    for index in sorted(order, key=lambda found: (found is None, found or 0)):
        batch = by_index.get(index) or {}
        last = values.epoch(batch.get("ended"))
        if last is not None:
            # Of whole seconds, cut off: its last steps may end within the second that it names.
            last = max([last] + [span.end for lane in order[index] for span in lane.spans if span.end < last + 1])
        bands.append(Band(index, batch, tuple(order[index]), values.epoch(batch.get("begun")), last))
    return Timeline(start, max(end - start, 0.1), tuple(bands))

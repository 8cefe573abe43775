# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The timeline of a rollout as HTML: a lane per host, a band per batch. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_style import COLOURS, letter
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_time import STEPS, Band, Lane, Timeline, timeline
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import duration, escape, line
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_verdict import tone

Vars = t.Mapping[str, t.Any]


def _percent(value: float) -> str:
    return ("%.2f" % value).rstrip("0").rstrip(".")


def _lane(lane: Lane, of: Timeline) -> str:
    spans = []
    for span in lane.spans:
        left = of.at(span.start)
        spans.append(
            '<i class="%s%s" style=left:%s%%;width:%s%% title="%s %s%s"></i>'
            % (
                letter(span.step),
                "" if span.ok else " x",
                _percent(left),
                _percent(of.at(span.end) - left),
                escape(span.step),
                duration(span.seconds),
                "" if span.ok else ": failed",
            )
        )
    # A host that was lost has no failed step to mark: the outcome itself stands where its steps end.
    lost = tone(lane.row) == "bad" and all(span.ok for span in lane.spans)
    after = " style=left:%s%%" % _percent(min(of.at(lane.spans[-1].end) + 0.5, 85)) if spans else ""
    empty = (
        "<em%s>%s%s</em>" % (after, "✕ " if lost else "", escape(line(lane.row.get("outcome"), 30) or "no data"))
        if lost or not spans
        else ""
    )
    bad = tone(lane.row) == "bad" or bool(line(lane.row.get("error")))
    label = escape(lane.host, 60)
    shifted = (
        ' title="its clock is off: moved by %+.0f s"' % lane.shift
        if lane.shift
        else ' title="%s"' % label
        if len(lane.host) > 16
        else ""
    )
    return "<div class=lane><b%s%s>%s%s</b><div aria-hidden=true>%s%s</div></div>" % (
        " class=bad" if bad else "",
        shifted,
        label,
        " ≈" if lane.shift else "",
        "".join(spans),
        empty,
    )


def _band(band: Band, of: Timeline, total: int) -> str:
    parts = ["in no batch" if band.index is None else "batch %d of %d" % (band.index, total)]
    if band.batch.get("state"):
        parts.append(line(band.batch["state"], 40))
    if band.start is not None and band.end is not None and band.end >= band.start:
        length = round(band.end - band.start)  # it begins at a whole second, more or less
        parts.append("%d s" % length if length < 60 else duration(length))
    waits = band.batch.get("waits")
    waited = values.number(waits)
    if waited:
        parts.append("waited %s" % duration(waited))
    elif waited is None and waits:
        parts.append(
            "; ".join(line(w, 120) for w in (values.sequence(waits) or values.mapping(waits).values() or [waits]))
        )
    area = ""
    if band.start is not None and band.end is not None and band.end > band.start:
        left = of.at(band.start)
        area = "<div class=band aria-hidden=true><i style=left:%s%%;width:%s%%></i></div>" % (
            _percent(left),
            _percent(of.at(band.end) - left),
        )
    return "<div class=batch>%s<p>%s</p>%s</div>" % (
        area,
        escape(" · ".join(parts)),
        "".join(_lane(lane, of) for lane in band.lanes),
    )


def _tick(seconds: float) -> str:
    if seconds < 60:
        return "%g s" % round(seconds, 2)
    return "%d:%02d" % divmod(int(seconds), 60) if seconds < 3600 else "%d:%02d h" % divmod(int(seconds) // 60, 60)


def chart(report: Vars) -> str:
    of = timeline(report)
    if of is None:
        return ""
    taken = {span.step for band in of.bands for lane in band.lanes for span in lane.spans}
    legend = [(step, step) for step in STEPS if step in taken] + [
        ("other", step) for step in sorted(taken - set(STEPS))[:4]
    ]
    keys = "".join("<li><i class=%s></i>%s</li>" % (COLOURS[key][0], escape(name)) for key, name in legend)
    if any(not span.ok for band in of.bands for lane in band.lanes for span in lane.spans):
        keys += "<li><b style=color:var(--bad)>✕</b> failed</li>"
    if any(band.start is not None for band in of.bands):
        keys += "<li><i style=background:var(--band)></i>its batch was being moved</li>"
    if any(lane.shift for band in of.bands for lane in band.lanes):
        keys += "<li>≈ a clock that is off: placed where it fits</li>"
    ticks = "".join(
        "<i style=left:%s%%>%s</i>" % (_percent(of.at(of.start + tick)), _tick(tick))
        for tick in of.ticks
        if tick < of.length * 0.97
    )
    total = max(
        [band.index for band in of.bands if band.index is not None]
        + [values.whole(values.mapping(report.get("totals")).get("batches")) or 0]
    )
    return (
        "<section><h2>Timeline</h2><ul class=legend>%s</ul><div class=chart><div class=grid aria-hidden=true>%s</div>%s</div>"
        "<p class=dim>The table below has the same figures in seconds.</p></section>"
    ) % (keys, ticks, "".join(_band(band, of, total) for band in of.bands))

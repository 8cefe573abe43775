# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The plots of a delivery as SVG: no library, no script. The colours are those of the page, so they follow the reader's choice of light or dark. Pure."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_text import span
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import escape

Vars = t.Mapping[str, t.Any]
WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 84, 12, 10, 26
STYLE = (
    ".plot{width:100%;height:auto;max-width:60rem}.plot text{fill:var(--dim);font-size:11px}.plot line{stroke:var(--line)}"
    ".plot .ok{fill:var(--good)}.plot .ill{fill:var(--bad)}.plot .hit{fill:var(--warn)}.plot .dot{fill:var(--plan);fill-opacity:.55}"
    ".plot .mid{stroke:var(--fg);stroke-dasharray:5 4}.plot .own{fill:var(--fg)}"
)
_MOST_WEEKS, _MOST_DOTS, _MOST_BARS = 104, 600, 60
# Of a logarithmic axis of times.
_TICKS = (
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3600, "1 h"),
    (6 * 3600, "6 h"),
    (86400, "1 day"),
    (7 * 86400, "7 days"),
    (30 * 86400, "30 days"),
    (365 * 86400, "1 year"),
)
# The class of a bar, and what it counts.
_BARS = (("ok", "stayed"), ("ill", "failed"), ("hit", "caught"))


def _frame(title: str, inside: str) -> str:
    return (
        '<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s" xmlns="http://www.w3.org/2000/svg">%s</svg>'
        % (WIDTH, HEIGHT, escape(title), inside)
    )


def _text(x: float, y: float, text: str, anchor: str = "end") -> str:
    return '<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>' % (x, y, anchor, escape(text))


def _line(y: float, kind: str = "") -> str:
    return '<line%s x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>' % (kind, LEFT, WIDTH - RIGHT, y, y)


def _grid(ticks: t.Sequence[tuple[float, str]]) -> str:
    """ticks: y, and what stands there."""
    return "".join(_line(y) + _text(LEFT - 6, y + 4, text) for y, text in ticks)


def _level(part: float) -> float:
    """The y of a part of the height, from 0 to 1."""
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def _dates(first: str, last: str) -> str:
    y = HEIGHT - 6
    return _text(LEFT, y, first, "start") + (_text(WIDTH - RIGHT, y, last) if last != first else "")


def weeks(items: t.Any) -> str:
    """A bar for each week: what was deployed and stayed, what failed, and what was caught."""
    found = values.mappings(items)[-_MOST_WEEKS:]
    if not found:
        return ""
    # What failed before it was stable was no deployment, and people met it all the same.
    counts = [[values.whole(week.get(key)) or 0 for _kind, key in _BARS] for week in found]
    top = max(max(sum(count) for count in counts), 1)
    step = (WIDTH - LEFT - RIGHT) / len(counts)
    bars = []
    for index, count in enumerate(counts):
        base = 0
        for (kind, word), number in zip(_BARS, count):
            if number:
                y, end = _level((base + number) / top), _level(base / top)
                title = "%s: %d %s" % (values.moment(found[index].get("week"))[:10], number, word)
                bars.append(
                    '<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>'
                    % (kind, LEFT + index * step + step * 0.1, y, max(step * 0.8, 1), end - y, escape(title))
                )
            base += number
    marks = sorted({0, top // 2, top})
    dates = [values.moment(found[place].get("week"))[:10] for place in (0, -1)]
    return _frame(
        "Deployments by week",
        _grid([(_level(mark / top), str(mark)) for mark in marks]) + "".join(bars) + _dates(*dates),
    )


def leads(items: t.Any, ended: t.Mapping[str, float], middle: t.Any) -> str:
    """A dot for each commit: when it was deployed, and how long it had waited, on a logarithmic axis. ended: of a deployment, by its id."""
    dots = [
        (ended[str(item.get("id"))], seconds)
        for item in values.mappings(items)
        for seconds in [values.number(item.get("seconds"))]
        if item.get("counted") is True and seconds is not None and str(item.get("id")) in ended
    ][-_MOST_DOTS:]
    if not dots:
        return ""
    scale = [math.log10(max(seconds, 1.0)) for _at, seconds in dots]
    low, high = math.floor(min(scale)), max(math.ceil(max(scale)), math.floor(min(scale)) + 1)
    begin, end = min(at for at, _seconds in dots), max(at for at, _seconds in dots)

    def place(seconds: float) -> float:
        return _level((math.log10(max(seconds, 1.0)) - low) / (high - low))

    def across(at: float) -> float:
        part = (at - begin) / (end - begin) if end > begin else 0.5
        return LEFT + 8 + part * (WIDTH - LEFT - RIGHT - 16)

    ticks = [(place(tick), text) for tick, text in _TICKS if low <= math.log10(tick) <= high]
    drawn = "".join(
        '<circle class="dot" cx="%.1f" cy="%.1f" r="3"/>' % (across(at), place(seconds)) for at, seconds in dots
    )
    median = values.number(middle)
    if median is not None:
        y = place(median)
        drawn += _line(y, ' class="mid"') + _text(WIDTH - RIGHT, y - 4, "median %s" % span(median))
    return _frame("Lead time of commits", _grid(ticks) + drawn + _dates(*(values.moment(x)[:10] for x in (begin, end))))


def recoveries(items: t.Any) -> str:
    """A bar for each failure that is over."""
    found = [
        (values.line(item.get("version"), 30), seconds)
        for item in values.mappings(items)
        for seconds in [values.number(item.get("seconds"))]
        if seconds is not None
    ][-_MOST_BARS:]
    if not found:
        return ""
    top = max(max(seconds for _version, seconds in found), 1.0)
    step = (WIDTH - LEFT - RIGHT) / len(found)
    bars = []
    for index, (version, seconds) in enumerate(found):
        y = _level(seconds / top)
        bars.append(
            '<rect class="ill" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>'
            % (
                LEFT + index * step + step * 0.15,
                y,
                max(min(step * 0.7, 60), 1),
                _level(0) - y,
                escape("%s: %s" % (version, span(seconds))),
            )
        )
    ticks = [(_level(0), "0"), *((_level(part), span(top * part)) for part in (0.5, 1.0))]
    return _frame("Recovery time of each failure", _grid(ticks) + "".join(bars) + _dates(found[0][0], found[-1][0]))

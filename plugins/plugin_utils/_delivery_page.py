# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The figures of a delivery as one page of HTML that needs nothing else: a pure function of what delivery_info returns."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils import _delivery_plots as plots
from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_text import (
    NAMES,
    counted,
    interval_of,
    keys_in,
    notes_in,
    shown,
    span,
    value_of,
    window_in,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_style import css
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import escape, line, moment, table

Vars = t.Mapping[str, t.Any]
_CARDS = ("deployment_frequency", "change_lead_time", "change_fail_rate", "recovery_time", "rework_rate")
_LISTED = 100
_LEGEND = (
    '<ul class=legend><li><i style="background:var(--good)"></i>deployed, and stayed<li><i style="background:var(--bad)"></i>failed'
    '<li><i style="background:var(--warn)"></i>caught before anyone met it</ul>'
)


def delivery_page(found: t.Any) -> str:
    """Of a result of whatever origin, without what looks like a secret."""
    found = values.mapping(NOTHING_NAMED.data(values.plain(found)))
    name = "%s on %s" % (line(found.get("name"), 80) or "delivery", line(found.get("channel"), 80) or "-")
    sections = (_head, _notes, _weeks, _leads, _recovery, _failed, _caught, _rework, _figures)
    return (
        '<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">'
        "<meta name=referrer content=no-referrer><title>Delivery of %s</title><style>%s%s</style></head>\n<body><main>\n%s\n</main>"
        "<footer>Written by alchemist.beam at %s. All times are UTC.</footer></body></html>\n"
    ) % (
        escape(name),
        css(),
        plots.STYLE,
        "\n".join(filter(None, (section(found) for section in sections))),
        escape(moment(found.get("at"))),
    )


def _key(found: Vars, name: str) -> dict[str, t.Any]:
    return values.mapping(values.mapping(found.get("figures")).get(name))


def _items(found: Vars, name: str) -> list[dict[str, t.Any]]:
    return values.mappings(_key(found, name).get("entries"))


def _head(found: Vars) -> str:
    cards = "".join(
        "<div><dt>%s</dt><dd>%s<small>%s%s</small></dd></div>"
        % (
            escape(NAMES[name][0]),
            escape(value_of(key)) if shown(key) else "not enough",
            escape(interval_of(key) + " · " if shown(key) and interval_of(key) else ""),
            escape(counted(name, key) if shown(key) else "%s of %s" % (key.get("n"), key.get("needs"))),
        )
        for name, key in keys_in(found)
        if name in _CARDS
    )
    return (
        "<header class=plan><p class=eyebrow>delivery · channel %s</p><h1>%s</h1><p class=dim>%s</p></header><dl class=cards>%s</dl>"
        % (escape(found.get("channel"), 80), escape(found.get("name"), 80), escape(window_in(found)), cards)
    )


def _notes(found: Vars) -> str:
    return "".join("<p class=note>%s</p>" % escape(note) for note in notes_in(found))


def _section(title: str, inside: str, below: str = "") -> str:
    small = "<p class=dim>%s</p>" % escape(below) if below else ""
    return "<section><h2>%s</h2>%s%s</section>" % (escape(title), inside, small) if inside else ""


def _weeks(found: Vars) -> str:
    drawn = plots.weeks(_items(found, "deployment_frequency"))
    return _section("Deployments by week", _LEGEND + drawn if drawn else "")


def _leads(found: Vars) -> str:
    key = _key(found, "change_lead_time")
    ended = {
        str(one.get("id")): at
        for one in values.mappings(found.get("deployments"))
        for at in [values.epoch(one.get("ended"))]
        if at is not None
    }
    said = []
    unknown, negative = len(values.sequence(key.get("unknown"))), values.whole(key.get("negative")) or 0
    if unknown:
        said.append("Without lead times: %s." % values.plural(unknown, "deployment"))
    if negative:
        said.append("Dated after their deployment, and left out: %s." % values.plural(negative, "commit"))
    return _section(
        "Lead time of each commit", plots.leads(key.get("entries"), ended, key.get("value")), " ".join(said)
    )


def _recovery(found: Vars) -> str:
    return _section("Recovery time of each failure", plots.recoveries(_items(found, "recovery_time")))


def _rows(items: t.Sequence[Vars], cells: t.Callable[[Vars], list[str]]) -> list[list[str]]:
    return [
        [escape(moment(item.get("ended"))), escape(item.get("version"), 60), *cells(item), _id(item)]
        for item in items[-_LISTED:][::-1]
    ]


def _id(item: Vars) -> str:
    return "<span class=m>%s</span>" % escape(item.get("id"), 80)


def _words(value: t.Any) -> str:
    return escape(", ".join(line(one, 100) for one in values.sequence(value)))


def _failed(found: Vars) -> str:
    over = {item.get("id"): item for item in _items(found, "recovery_time")}

    def cells(item: Vars) -> list[str]:
        of = values.mapping(over.get(item.get("id")))
        still = ", ".join(line(host, 60) for host in values.sequence(of.get("still_there"))[:10])
        back = span(of.get("seconds")) or ("still on %s" % still if still else "not known")
        minutes = values.number(of.get("server_minutes"))
        return [_words(item.get("reasons")), escape(back), "" if minutes is None else "%.1f" % minutes]

    items = _items(found, "change_fail_rate")
    head = [
        ("ended", False),
        ("version", False),
        ("why it counts as failed", False),
        ("back after", False),
        ("server minutes", True),
        ("rollout", False),
    ]
    return _section("Failed", table(head, _rows(items, cells), wide=True) if items else "")


def _caught(found: Vars) -> str:
    items = _items(found, "caught_rate")
    head = [("ended", False), ("version", False), ("why", False), ("rollout", False)]
    rows = _rows(items, lambda item: [escape(line(item.get("reason"), 200))])
    return _section("Caught before anyone met it", table(head, rows, wide=True) if items else "")


def _rework(found: Vars) -> str:
    items = _items(found, "rework_rate")
    head = [("ended", False), ("version", False), ("what it repairs", False), ("rollout", False)]
    rows = _rows(items, lambda item: [_words(item.get("repairs"))])
    return _section("Rework", table(head, rows, wide=True) if items else "")


def _figures(found: Vars) -> str:
    rows = [
        [
            escape(NAMES[name][0]),
            escape(value_of(key)),
            escape(interval_of(key)),
            escape(counted(name, key)),
            escape(key.get("definition")),
        ]
        for name, key in keys_in(found)
    ]
    head = [("figure", False), ("value", True), ("95 % interval", True), ("of", True), ("definition", False)]
    return _section("All figures, and what they mean", table(head, rows, wide=True) if rows else "")

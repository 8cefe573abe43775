# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The bake of a canary as HTML: how long it served, what was compared with what, and by which limits. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import count, duration, escape, line, table

Vars = t.Mapping[str, t.Any]
_HEAD = (("", False), ("hosts", False), ("requests", True), ("failed", True), ("share", True), ("mean answer", True))
_NAMED = 6
_LIMITS = ("min_requests", "error_margin", "error_ratio", "latency_margin", "latency_ratio")


def bake(report: Vars) -> str:
    told = values.mapping(report.get("bake"))
    if not told:
        return ""
    colour, word = _standing(told)
    served = (
        "%s served for %s" % (_hosts(told.get("hosts")), duration(told["seconds"]))
        if values.number(told.get("seconds")) is not None
        else ""
    )
    reasons = "; ".join(line(reason, 400) for reason in values.sequence(told.get("reasons"))[:10])
    sides = [(name, values.mapping(told.get(name))) for name in ("canary", "rest")]
    # Where no balancer was asked, zeros are no figures.
    shown = bool(values.sequence(sides[1][1].get("hosts"))) or any(
        values.whole(side.get("requests")) for _name, side in sides
    )
    figures = table(_HEAD, [_side(name, side) for name, side in sides if side]) if shown else ""
    said = ". ".join(filter(None, (served, reasons[:1].upper() + reasons[1:])))
    return "<section><h2>The canary <span class='tag %s'>%s</span></h2><p>%s</p>%s%s</section>" % (
        colour,
        word,
        escape(said + "." if said else ""),
        figures,
        "<p class=dim>%s</p>" % escape(_limits(told)) if _limits(told) else "",
    )


def _standing(told: Vars) -> tuple[str, str]:
    if told.get("passed") is False:
        return "bad", "refused"
    return ("good", "no worse than the rest") if told.get("compared") is True else ("warn", "nothing was compared")


def _hosts(found: t.Any) -> str:
    names = [line(host, 60) for host in values.sequence(found)]
    return ", ".join(names[:_NAMED]) + (" and %d more" % (len(names) - _NAMED) if len(names) > _NAMED else "") or "it"


def _side(name: str, side: Vars) -> list[str]:
    share, mean = values.number(side.get("error_rate")), values.number(side.get("response_ms"))
    return [
        name,
        escape(_hosts(side["hosts"])) if values.sequence(side.get("hosts")) else "nobody",
        count(side.get("requests")),
        count(side.get("errors")),
        "" if share is None or not values.whole(side.get("requests")) else "%.2f %%" % (100 * share),
        "" if mean is None else "%.0f ms" % mean,
    ]


def _limits(told: Vars) -> str:
    found = {key: values.number(value) for key, value in values.mapping(told.get("limits")).items()}
    limits = {key: value for key, value in found.items() if value is not None}
    if not set(_LIMITS) <= set(limits):
        return ""
    again = ", ".join(line(label, 80) for label in values.sequence(told.get("began_again"))[:5])
    return (
        "Compared from %d requests on each side. Worse is a share of failed requests that is more than %g times as high and %g percentage points"
        " above the rest's%s, or a mean answer that takes more than %g times as long and %g ms longer.%s"
    ) % (
        limits["min_requests"],
        limits["error_ratio"],
        100 * limits["error_margin"],
        # Reports of before do not have it, and did not ask for it.
        " and less likely by chance alone than %g" % limits["error_chance"] if "error_chance" in limits else "",
        limits["latency_ratio"],
        limits["latency_margin"],
        " %s counted from nothing again meanwhile." % again if again else "",
    )

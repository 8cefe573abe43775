# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The figures of a delivery as lines for a screen and as Prometheus text. What is not known is said, or left out: it is never a zero. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]
# key -> what a person calls it, and what its n counts.
NAMES: t.Mapping[str, tuple[str, str]] = {
    "deployment_frequency": ("deployments per week", "week"),
    "change_lead_time": ("lead time", "commit"),
    "change_lead_time_p90": ("lead time of nine in ten", "commit"),
    "lead_committed_to_published": ("- commit to store", "commit"),
    "lead_published_to_begun": ("- store to rollout", "commit"),
    "lead_begun_to_first_server": ("- rollout to first server", "commit"),
    "lead_first_server_to_all": ("- first server to all", "commit"),
    "change_fail_rate": ("change fail rate", "deployment"),
    "caught_rate": ("caught before anyone met it", "bad release"),
    "recovery_time": ("recovery time", "failure"),
    "bad_server_minutes": ("server minutes on a bad version", "failure"),
    "rework_rate": ("rework rate", "deployment"),
}
# key -> the metric, what a value is multiplied by for its base unit, and its labels.
METRICS: t.Mapping[str, tuple[str, float, str]] = {
    "deployment_frequency": ("deployments_per_week", 1, ""),
    "change_lead_time": ("lead_time_seconds", 1, 'quantile="0.5"'),
    "change_lead_time_p90": ("lead_time_seconds", 1, 'quantile="0.9"'),
    "lead_committed_to_published": ("lead_stage_seconds", 1, 'stage="committed_to_published"'),
    "lead_published_to_begun": ("lead_stage_seconds", 1, 'stage="published_to_begun"'),
    "lead_begun_to_first_server": ("lead_stage_seconds", 1, 'stage="begun_to_first_server"'),
    "lead_first_server_to_all": ("lead_stage_seconds", 1, 'stage="first_server_to_all"'),
    "change_fail_rate": ("change_fail_ratio", 1, ""),
    "caught_rate": ("caught_ratio", 1, ""),
    "recovery_time": ("recovery_time_seconds", 1, ""),
    "bad_server_minutes": ("bad_server_seconds", 60, ""),
    "rework_rate": ("rework_ratio", 1, ""),
}
_DAY = 86400


def span(seconds: t.Any) -> str:
    """Of commits that wait for days, and of servers that are back in seconds."""
    found = values.number(seconds)
    return values.duration(found) if found is None or abs(found) < 2 * _DAY else "%.1f days" % (found / _DAY)


def shown(key: Vars, which: str = "value") -> str:
    """A number of a key with its unit; empty where it is not known."""
    found = values.number(key.get(which))
    if found is None:
        return ""
    if key.get("unit") == "seconds":
        return span(found)
    if key.get("unit") == "share":
        return "%.1f %%" % (100 * found)
    return ("%.1f" % found).rstrip("0").rstrip(".")


def value_of(key: Vars) -> str:
    return shown(key) or "not enough: %d of %d" % (values.whole(key.get("n")) or 0, values.whole(key.get("needs")) or 0)


def interval_of(key: Vars) -> str:
    low, high = shown(key, "low"), shown(key, "high")
    return "%s to %s" % (low, high) if low and high else ""


def counted(name: str, key: Vars) -> str:
    return values.plural(values.whole(key.get("n")) or 0, NAMES[name][1])


def keys_in(found: Vars) -> list[tuple[str, dict[str, t.Any]]]:
    keys = values.mapping(found.get("figures"))
    return [(name, values.mapping(keys[name])) for name in NAMES if name in keys]


def window_in(found: Vars) -> str:
    since, until = found.get("since"), found.get("before")
    return "%s to %s" % (values.moment(since) if since else "the beginning", values.moment(until) if until else "now")


def lines(found: Vars) -> list[str]:
    """One screen."""
    rows = [
        {"": NAMES[name][0], "value": value_of(key), "95 % interval": interval_of(key), "of": counted(name, key)}
        for name, key in keys_in(found)
    ]
    head = "%s on the channel %s, %s" % (
        values.line(found.get("name"), 80),
        values.line(found.get("channel"), 80),
        window_in(found),
    )
    keys = values.mapping(found.get("figures"))
    failed = [
        "failed: %s (%s): %s" % (_of(item), values.moment(item.get("ended")), _words(item.get("reasons")))
        for item in values.mappings(values.mapping(keys.get("change_fail_rate")).get("entries"))[-10:]
    ]
    return [head, *render(rows, ("", "value", "95 % interval", "of")), *failed, *notes_in(found)]


def _of(item: Vars) -> str:
    return values.line(item.get("version"), 60) or values.line(item.get("id"), 60)


def _words(reasons: t.Any) -> str:
    return ", ".join(values.line(reason, 80) for reason in values.sequence(reasons))


def notes_in(found: Vars) -> list[str]:
    return [values.line(note, 400) for note in values.sequence(found.get("notes"))[:20]]


def prometheus(found: Vars) -> str:
    """For the textfile collector of a node_exporter. A figure without enough data has no sample, so that an alert may ask for its absence."""
    labels = 'name="%s",channel="%s"' % (_label(found.get("name")), _label(found.get("channel")))
    samples: dict[str, list[str]] = {}
    helps: dict[str, str] = {}

    def add(metric: str, about: str, value: t.Any, *more: str) -> None:
        number = values.number(value)
        if number is not None:
            helps.setdefault(metric, about)
            samples.setdefault(metric, []).append(
                "beam_delivery_%s{%s} %s" % (metric, ",".join(filter(None, (labels, *more))), repr(number))
            )

    for name, key in keys_in(found):
        metric, factor, label = METRICS[name]
        about = values.line(key.get("definition"))
        for bound in ("value", "low", "high"):
            number = values.number(key.get(bound))
            if key.get("enough") is True and number is not None:
                add(metric, about, number * factor, label, 'bound="%s"' % bound)
        add("samples", "What each figure was computed from.", key.get("n"), 'key="%s"' % name)
        add(
            "enough",
            "Whether there is enough data for the figure.",
            1 if key.get("enough") is True else 0,
            'key="%s"' % name,
        )
    add("damaged_reports", "Reports that can't be counted.", len(values.sequence(found.get("damaged"))))
    add("computed_timestamp_seconds", "When this was computed.", values.epoch(found.get("at")))
    text = ""
    for metric in sorted(samples):
        text += "# HELP beam_delivery_%s %s\n# TYPE beam_delivery_%s gauge\n" % (metric, _help(helps[metric]), metric)
        text += "".join(sample + "\n" for sample in samples[metric])
    return text


def _label(value: t.Any) -> str:
    return values.line(value, 200).replace("\\", "\\\\").replace('"', '\\"')


def _help(value: str) -> str:
    return value.replace("\\", "\\\\")

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The report of a rollout as one page of HTML that needs nothing else: a pure function of the report.

Every value comes out of a fleet and is escaped. Whatever is missing is left out: the page is made in the hour of need, from whatever there is.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_bake import bake
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_chart import chart
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_style import css
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_time import STEPS, rows, step_seconds
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import (
    count,
    duration,
    escape,
    line,
    moment,
    size,
    table,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_verdict import (
    GOOD,
    rehearsed,
    standing,
    tone,
    versions,
)

Vars = t.Mapping[str, t.Any]

# What a page holds of the logs of all hosts together: the JSON beside it has the rest.
_LOG_LINES, _LOG_WIDTH, _LOGS, _FAULTS = 20, 240, 8000, 25
# Hosts whose requests are listed one by one; of more hosts only those with failed requests.
_LISTED = 12


def _digest(value: t.Any) -> str:
    return '<span class=m title="%s">%s</span>' % (escape(value, 100), escape(line(value)[:12])) if value else ""


def _release(value: t.Any) -> str:
    """Of {version, digest}, or of a version alone."""
    return line(values.mapping(value).get("version") if isinstance(value, t.Mapping) else value, 60)


def _head(report: Vars) -> str:
    kind = "%s · %s" % (
        line(report.get("kind"), 20) or "rollout",
        "channel %s" % line(report.get("channel"), 60) if report.get("channel") else "no channel",
    )
    if report.get("strategy"):
        kind += " · %s" % line(report["strategy"], 30)
    colour, word = standing(report)
    title = ("%s %s" % (line(report.get("name"), 80) or "release", line(report.get("version"), 80))).strip()
    who = []
    if report.get("by"):
        who.append("by %s" % escape(line(report["by"]), 120))
    if report.get("begun"):
        begun, ended = moment(report["begun"]), moment(report.get("ended"))
        if begun[:10] == ended[:10] and ended.endswith(" UTC"):
            begun, ended = begun[: -len(" UTC")], ended[11:]
        who.append("<time>%s</time>%s" % (escape(begun), " to <time>%s</time>" % escape(ended) if ended else ""))
    if report.get("balancers"):
        who.append(
            "behind %s" % ", ".join(escape(line(label), 80) for label in values.sequence(report["balancers"])[:8])
        )
    return (
        "<header class=%s><p class=eyebrow>%s</p><h1>%s <span class=tag>%s</span></h1><p>%s</p><p class=dim>%s</p></header>"
        % (
            colour,
            escape(kind),
            escape(title),
            word,
            escape(line(report.get("verdict"), 1500)),
            " · ".join(who),
        )
    )


def _card(name: str, value: str, below: str = "") -> str:
    return (
        "<div><dt>%s</dt><dd>%s%s</dd></div>" % (name, value, "<small>%s</small>" % below if below else "")
        if value
        else ""
    )


def _cards(report: Vars) -> str:
    totals, hosts = values.mapping(report.get("totals")), rows(report)
    fetched, reused = values.number(totals.get("fetched_bytes")), values.number(totals.get("reused_bytes"))
    share = (
        "%d%% was there already (%s)" % (100 * reused / (fetched + reused), size(reused))
        if fetched is not None and reused and fetched + reused > 0
        else ""
    )
    well = sum(1 for row in hosts if row.get("outcome") in GOOD)
    requests = values.mapping(report.get("requests"))
    before, after = _release(report.get("stable_before")), _release(report.get("stable_after"))
    stable = "" if not (before or after) else escape(after or "nothing")
    failed = count(requests.get("errors"))
    batches = values.whole(totals.get("batches"))
    what = "would move" if rehearsed(report) else "run %s" % (line(report.get("version"), 60) or "it")

    def told(key: str) -> bool:
        """A sum of unknown values is 0, and means nothing."""
        return not rehearsed(report) and any(values.number(row.get(key)) is not None for row in hosts)

    cards = [
        _card(
            "time", escape(duration(report.get("seconds"))), escape(values.plural(batches, "batch")) if batches else ""
        ),
        _card("hosts", "%d of %d" % (well, len(hosts)) if hosts else "", escape(what)),
        _card(
            "stable now",
            stable,
            "was %s" % escape(before or "nothing") if stable and before != after else "as before" if stable else "",
        ),
        _card("longest outage of a host", escape(duration(totals.get("outage_max"))) if told("outage") else ""),
        _card("to fetch" if rehearsed(report) else "fetched", escape(size(fetched)), share),
        _card(
            "failed requests",
            failed,
            "of %s" % count(requests.get("total")) if requests.get("total") is not None else "",
        ),
        _card("sessions cut", count(totals.get("cut")) if told("cut") else ""),
    ]
    return "<dl class=cards>%s</dl>" % "".join(cards)


def _notes(report: Vars) -> str:
    """The notes of the report, without those that the page shows in full anyway."""
    old, found = values.mapping(report.get("interrupted")), []
    told = [line(drift.get("host")) + " is " for drift in values.mappings(report.get("drift"))]
    if old:
        version = "of %s" % line(old["version"], 60) if old.get("version") else ""
        label = " ".join(filter(None, [line(old.get("kind"), 20) or "rollout", line(old.get("id"), 60), version]))
        when = ", begun %s" % moment(old["at"]) if old.get("at") else ""
        who = " by %s" % line(old["by"], 120) if old.get("by") else ""
        found.append("It dealt with what an interrupted rollout had left: the %s%s%s." % (label, who, when))
        told += ["The rollout %s of " % line(old.get("id"))]
    found += [
        note
        for note in (line(note, 400) for note in values.sequence(report.get("notes")))
        if note and not note.startswith(tuple(told))
    ]
    return "".join("<p class=note>%s</p>" % escape(note) for note in found[:20])


def _faults(report: Vars) -> str:
    bad = [row for row in rows(report) if line(row.get("error")) or tone(row) == "bad"]
    # Those that failed by themselves first: what was taken back because of them says less.
    bad.sort(key=lambda row: (tone(row) != "bad" and row.get("outcome") != "returned", not line(row.get("error"))))
    if not bad:
        return ""
    found: list[str] = []
    left = _LOGS
    for row in bad[:_FAULTS]:
        said = row.get("log")
        log = [
            values.text(entry, _LOG_WIDTH)
            for entry in (said.splitlines() if isinstance(said, str) else values.sequence(said))
        ][-_LOG_LINES:]
        kept: list[str] = []
        for entry in reversed(log):
            left -= len(entry) + 1
            if left < 0:
                break
            kept.insert(0, entry)
        shown = ""
        if kept:
            shown = "<details%s><summary>last lines of its log</summary><pre>%s</pre></details>" % (
                "" if found else " open",
                escape("\n".join(kept)),
            )
        elif log:
            shown = "<p class=dim>Its log is in the JSON of this report.</p>"
        name, batch = line(row.get("outcome"), 30) or "unknown", values.whole(row.get("batch"))
        error = line(row.get("error"), 700) or "It said nothing."
        where = " · batch %d" % batch if batch is not None else ""
        if line(row.get("error")) and tone(row) != "bad":
            name = "failed, then %s" % name
        found.append(
            "<div class='fault bad'><p><b>%s</b> <span class=tag>%s</span><span class=dim>%s</span></p><p>%s</p>%s</div>"
            % (
                escape(line(row.get("host"), 100)),
                escape(name),
                where,
                escape(error),
                shown,
            )
        )
    more = (
        "<p class=dim>And %s more; the table has them all.</p>" % values.plural(len(bad) - _FAULTS, "host")
        if len(bad) > _FAULTS
        else ""
    )
    return "<section><h2>What went wrong</h2>%s%s</section>" % ("".join(found), more)


def _remarks(row: Vars) -> str:
    found = []
    if values.whole(row.get("cut")):
        found.append("%s cut" % values.plural(values.whole(row["cut"]) or 0, "session"))
    if row.get("escalated"):
        said = row["escalated"]
        found.append("had to be killed" if said is True else "stopped by %s" % line(said, 40))
    error = line(row.get("error"), 90)
    return escape("; ".join(found + ([error] if error else [])))


def _hosts(report: Vars) -> str:
    every = rows(report)
    if not every:
        return "<section><h2>Hosts</h2><p>No host was in scope.</p></section>"
    taken = [step_seconds(row) for row in every]
    others = sorted({step for found in taken for step in found} - set(STEPS))[:4]
    steps = [*STEPS, *others]
    many = len(every) > 1
    rehearsal = rehearsed(report)
    head = [
        ("batch", True),
        ("host", False),
        ("outcome", False),
        ("before", False),
        ("target" if rehearsal else "now", False),
    ]
    head += [("pid", True), ("outage", True), *[(escape(step), True) for step in steps]]
    head += [("to fetch" if rehearsal else "fetched", True), ("reused", True), ("note", False)]
    lines = []
    for row, seconds in zip(every, taken):
        colour, outcome = tone(row), escape(line(row.get("outcome"), 30) or "unknown")
        now = report.get("version") if row.get("outcome") == "would move" else row.get("now")
        lines.append(
            [
                count(row.get("batch")),
                escape(line(row.get("host"), 100)) or "?",
                "<span class='tag %s'>%s</span>" % (colour, outcome),
                escape(line(row.get("before"), 60)),
                escape(line(now, 60)),
                "" if values.whole(row.get("pid")) is None else str(values.whole(row["pid"])),
                "" if values.number(row.get("outage")) is None else "%.2f" % (values.number(row["outage"]) or 0),
                *["%.2f" % seconds[step] if step in seconds else "" for step in steps],
                size(row.get("fetched")),
                "" if rehearsal else size(row.get("reused")),
                _remarks(row),
            ]
        )
    return "<section><h2>%s</h2>%s<p class=dim>%s</p></section>" % (
        "Hosts" if many else "Host",
        table(head, lines, wide=True),
        escape("Now running: %s. Steps and outage in seconds." % versions(report))
        if not rehearsal
        else "Nothing was touched.",
    )


def _requests(report: Vars) -> str:
    told = values.mapping(report.get("requests"))
    if not told:
        return ""
    lines = [["all", count(told.get("total")), count(told.get("errors")), "", "", ""]]
    hosts = {host: values.mapping(of) for host, of in values.mapping(told.get("hosts")).items()}
    for host, one in hosts.items():
        kinds = [values.whole(one.get(key)) for key in ("responses_5xx", "connect_errors", "response_errors")]
        known = [kind for kind in kinds if kind is not None]
        if len(hosts) > _LISTED and not sum(known):
            continue
        lines.append(
            [
                escape(line(host, 100)),
                count(one.get("requests")),
                count(sum(known)) if known else "",
                *[count(kind) for kind in kinds],
            ]
        )
    head = [
        ("host", False),
        ("requests", True),
        ("failed", True),
        ("answered 5xx", True),
        ("not connected", True),
        ("broken off", True),
    ]
    rest = len(hosts) + 1 - len(lines)
    more = "<p class=dim>%s without a failed request.</p>" % values.plural(rest, "host") if rest > 0 else ""
    return "<section><h2>Requests while it went on, as the balancer counted them</h2>%s%s</section>" % (
        table(head, lines),
        more,
    )


def _migration(report: Vars) -> str:
    done = values.mapping(report.get("migration"))
    if not done:
        return ""
    error = line(done.get("error"), 700)
    told = "on %s%s" % (
        line(done.get("host"), 100) or "?",
        " in %s" % duration(done["seconds"]) if values.number(done.get("seconds")) is not None else "",
    )
    output = [values.text(entry, _LOG_WIDTH) for entry in values.sequence(done.get("output"))][-_LOG_LINES:]
    shown = (
        "<details%s><summary>its last output</summary><pre>%s</pre></details>"
        % (" open" if error else "", escape("\n".join(output)))
        if output
        else ""
    )
    if error:
        return "<section><h2>The migration failed</h2><div class='fault bad'><p>%s</p><p>%s</p>%s</div></section>" % (
            escape(told),
            escape(error),
            shown,
        )
    return "<section><h2>Migration</h2><p>%s</p>%s</section>" % (escape("Ran " + told), shown)


def _drift(report: Vars) -> str:
    found = values.mappings(report.get("drift"))
    if not found:
        return ""
    lines = [
        [escape(line(d.get("host"), 100)), escape(line(d.get("version"), 60)), escape(line(d.get("note"), 300))]
        for d in found[:200]
    ]
    return "<section><h2>Hosts that are on something else</h2>%s</section>" % table(
        [("host", False), ("runs", False), ("note", False)], lines
    )


def _origin(report: Vars) -> str:
    build, published = values.mapping(report.get("build")), values.mapping(report.get("published"))
    took = build.get("seconds")
    took = duration(took.get("total") if isinstance(took, t.Mapping) else took)
    built = (
        ", ".join(filter(None, ["in this run" if build.get("changed") else "before, and reused", took]))
        if build
        else ""
    )
    facts = [
        ("rollout", "<span class=m>%s</span>" % escape(line(report.get("id"), 80)) if report.get("id") else ""),
        ("digest", _digest(report.get("digest"))),
        ("commit", _digest(build.get("git_sha"))),
        ("built", escape(built)),
        (
            "published",
            escape("in this run" if published.get("changed") else "before") if "changed" in published else "",
        ),
        ("to blame", "the release itself" if report.get("blame") else ""),
    ]
    lines = "".join("<dt>%s</dt><dd>%s</dd>" % pair for pair in facts if pair[1])
    return "<section><h2>Where it came from</h2><dl class=facts>%s</dl></section>" % lines if lines else ""


def masked_page(report: t.Any) -> str:
    """Of a report of whatever origin, without what looks like a secret."""
    return page(NOTHING_NAMED.data(values.plain(report)))


def page(report: t.Any) -> str:
    """Any mapping gives a page, also an empty one."""
    report = values.mapping(report)
    title = "%s %s on %s: %s" % (
        report.get("name") or "rollout",
        report.get("version") or "",
        report.get("channel") or "-",
        standing(report)[1][2:],
    )
    sections = [_head, _cards, _notes, _faults, bake, chart, _hosts, _requests, _drift, _migration, _origin]
    if values.mapping(report.get("migration")).get("error"):
        sections.remove(_migration)
        sections.insert(sections.index(_faults), _migration)
    return (
        '<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">'
        "<meta name=referrer content=no-referrer><title>%s</title><style>%s</style></head>\n<body><main>\n%s\n</main>"
        "<footer>Written by alchemist.beam. All times are UTC.</footer></body></html>\n"
    ) % (escape(line(title), 120), css(), "\n".join(filter(None, (section(report) for section in sections))))

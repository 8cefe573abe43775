# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a rollout's report: whole, escaped, small, and there whatever is missing."""

from __future__ import annotations

import copy
import json
import re
import typing as t
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_bake import bake
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import page
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_time import step_seconds, timeline
from ansible_collections.alchemist.beam.tests.unit.plugins.plugin_utils.told import summarize

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "rollout" / "report.json"
KINDS = (
    "one",
    "five",
    "fifty",
    "reverted",
    "halted",
    "canary",
    "quiet",
    "rehearsed",
    "unreachable",
    "empty",
    "fifty_reverted",
    "fifty_returned",
)
# HTML lets these end by themselves.
VOID = {"meta", "br"}
OPTIONAL = {"tr", "td", "th", "thead", "tbody"}


class Seen(HTMLParser):
    """The elements, the text, and whatever is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID | OPTIONAL:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in OPTIONAL:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data + "\n"


def every_value(report: t.Any, make: t.Callable[[t.Any], t.Any]) -> t.Any:
    if isinstance(report, dict):
        return {key: every_value(value, make) for key, value in report.items()}
    if isinstance(report, list):
        return [every_value(value, make) for value in report]
    return make(report)


def leaves(report: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Of the report, of the first batch and of the first row with its first step: all keys there are."""
    items = report.items() if isinstance(report, dict) else enumerate(report[:1]) if isinstance(report, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from leaves(value, (*path, key))


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_whole_and_needs_nothing_else(rollout_reports: t.Any, kind: str) -> None:
    html = page(rollout_reports.all_kinds()[kind])
    seen = Seen(html)
    assert not seen.open and not seen.wrong
    tags = {tag for tag, _attrs in seen.found}
    assert not tags & {"script", "link", "img", "iframe", "base", "form", "object", "a"}
    assert "url(" not in html and "@import" not in html and "http" not in html
    assert len(html.encode()) < 60_000


def test_success_says_who_what_when_and_how_long(rollout_reports: t.Any) -> None:
    text = Seen(page(rollout_reports.make())).text
    wanted = (
        "✓ succeeded",
        "runs on 5 of 5 hosts.",
        "by deploy@ci-3",
        "2026-11-22 17:05:05",
        "3 batches",
        "was 0.1.0",
        "Ran on h1",
        "95% was there already",
    )
    assert not [said for said in wanted if said not in text]
    assert "What went wrong" not in text


def test_example_shows_what_failed_where_and_what_runs_now() -> None:
    seen = Seen(page(json.loads(EXAMPLE.read_text(encoding="utf-8"))))
    assert "failed, then returned" in seen.text and "environment variable DATABASE_URL is missing" in seen.text
    assert "Now running: 0.1.0 on 5 hosts." in seen.text and "not in scope; runs 0.0.9" in seen.text
    failed = [attrs for tag, attrs in seen.found if tag == "i" and attrs.get("class") == "e x"]
    assert [attrs["title"] for attrs in failed] == ["boot 8.31 s: failed"]


def test_page_of_what_the_role_sums_up() -> None:
    plan = {
        "name": "beacon",
        "channel": "production",
        "version": "0.2.0",
        "digest": "d" * 64,
        "hosts": ["a", "b"],
        "members": [["a"], ["b"]],
    }
    moved = {
        "changed": True,
        "after": {"version": "0.2.0", "pid": 4711},
        "seconds": {"stop": 1, "boot": 2, "total": 3},
        "began": 1795367105.0,
    }
    seen = Seen(page(summarize({"a": {"restart": moved}}, plan)))
    assert not seen.open and not seen.wrong
    assert "4711" in seen.text and "✕ failed" in seen.text and "b\n" in seen.text and "lost" in seen.text
    assert [attrs["title"] for tag, attrs in seen.found if tag == "i" and "title" in attrs] == [
        "stop 1.00 s",
        "boot 2.00 s",
    ]


@pytest.mark.parametrize(
    ("kind", "shown", "hidden"),
    [
        ("five", (), ("The canary", "percentage points")),
        (
            "quiet",
            (
                "nothing was compared",
                "h1 served for 1 min 00 s. The canary had 0 requests",
                "h2, h3, h4, h5",
                "from 100 requests on",
            ),
            ("refused",),
        ),
        (
            "canary",
            (
                "refused",
                "h1 does worse than the rest: 3.09 %",
                "4\u202f211",
                "3.09 %",
                "41 ms",
                "16\u202f844",
                "0.00 %",
                "39 ms",
            ),
            ("nothing was",),
        ),
    ],
)
def test_the_bake_of_a_canary_is_told_with_its_figures(
    rollout_reports: t.Any, kind: str, shown: tuple[str, ...], hidden: tuple[str, ...]
) -> None:
    text = Seen(page(rollout_reports.all_kinds()[kind])).text
    assert [said for said in shown if said not in text] == [] and [said for said in hidden if said in text] == []


def test_a_bake_of_before_the_test_of_failures_has_the_limits_that_it_had() -> None:
    limits = {
        "min_requests": 100,
        "error_margin": 0.01,
        "error_ratio": 2.0,
        "latency_margin": 50.0,
        "latency_ratio": 2.0,
    }
    told = "more than 2 times as high and 1 percentage points above the rest&#x27;s"
    assert told + ", or a mean answer" in bake({"bake": {"passed": True, "limits": limits}})
    newer = bake({"bake": {"passed": True, "limits": {**limits, "error_chance": 0.01}}})
    assert told + " and less likely by chance alone than 0.01, or a mean answer" in newer


def test_a_good_bake_and_one_without_a_balancer(rollout_reports: t.Any) -> None:
    report = rollout_reports.all_kinds()["quiet"]
    report["bake"].update(compared=True, verdict="same", reasons=[], began_again=["haproxy app"])
    report["bake"]["canary"].update(requests=4211, response_ms=41.3)
    text = Seen(page(report)).text
    assert (
        "no worse than the rest" in text
        and "h1 served for 1 min 00 s.\n" in text
        and "haproxy app counted from nothing again meanwhile." in text
    )
    report["bake"].update(
        compared=False,
        verdict="not counted",
        reasons=["there is no balancer (beam_balancers)"],
        rest={"hosts": [], "requests": 0},
    )
    report["bake"]["canary"] = {"hosts": ["h1"], "requests": 0}
    text = Seen(page(report)).text
    assert "h1 served for 1 min 00 s. There is no balancer (beam_balancers)." in text and "nobody" not in text


def test_notes_are_told_once(rollout_reports: t.Any) -> None:
    report = rollout_reports.all_kinds()["reverted"]
    report["notes"] += [
        "Out of the balancer before, and left out: h4.",
        "The rollout %s of 0.2.1 had been interrupted; so what." % report["interrupted"]["id"],
    ]
    text = Seen(page(report)).text
    assert "left out: h4." in text and "so what" not in text and "h9 is not in scope" not in text


def test_sum_of_what_nobody_knows_is_not_told(rollout_reports: t.Any) -> None:
    report = rollout_reports.make()
    assert "sessions cut" in page(report) and "longest outage" in page(report)
    for row in report["rows"]:
        row.update(cut=None, outage=None)
    assert "sessions cut" not in page(report) and "longest outage" not in page(report)


def test_batch_ends_with_its_last_step(rollout_reports: t.Any) -> None:
    report = rollout_reports.make()
    ends = [
        max(s["start"] + s["seconds"] for row in report["rows"] if row["batch"] == n for s in row["steps"])
        for n in (1, 2, 3)
    ]
    for batch, end in zip(report["batches"], ends):
        batch["ended"] = rollout_reports.iso(end)
    of = timeline(report)
    assert of and [band.end for band in of.bands] == pytest.approx(ends)


def test_failed_migration_is_told(rollout_reports: t.Any) -> None:
    report = rollout_reports.make()
    report["migration"].update(error="the column exists <already>", output=["one", "two"])
    assert (
        "<h2>The migration failed</h2>" in page(report)
        and "the column exists &lt;already&gt;" in page(report)
        and "<pre>one\ntwo</pre>" in page(report)
    )


def test_of_many_hosts_only_those_with_failed_requests_are_listed(rollout_reports: t.Any) -> None:
    report = rollout_reports.make(50, [50])
    report["requests"].update(errors=3)
    report["requests"]["hosts"]["web07"].update(responses_5xx=1, connect_errors=2)
    html = page(report)
    table = html[html.index("<h2>Requests") :]
    assert re.findall(r"<td>(\w+)<td class=n>([^<]*)<td class=n>(\d+)", table) == [
        ("all", "20\u202f913", "3"),
        ("web07", "418", "3"),
    ]
    assert "49 hosts without a failed request." in table


def test_interrupted_rollout_is_named(rollout_reports: t.Any) -> None:
    text = Seen(page(rollout_reports.all_kinds()["reverted"])).text
    assert "20261122T164412Z-77aa01bc of 0.2.1 by ann@laptop, begun 2026-11-22 16:44:12 UTC." in text


def test_rehearsal_claims_nothing(rollout_reports: t.Any) -> None:
    seen = Seen(page(rollout_reports.make(check=True)))
    assert "◌ rehearsal" in seen.text and "Nothing was touched." in seen.text
    assert re.findall(r"would move\n([0-9.]+)\n([0-9.]+)\n", seen.text) == [("0.1.0", "0.2.0")] * 5
    assert "succeeded" not in seen.text and "Timeline" not in seen.text


def test_every_value_is_escaped(rollout_reports: t.Any) -> None:
    evil = "\"'><script>alert(1)</script><i onclick=x>&amp;"
    plain = Seen(page(rollout_reports.all_kinds()["reverted"]))
    told = {**rollout_reports.all_kinds()["reverted"], "bake": rollout_reports.all_kinds()["canary"]["bake"]}
    hostile = every_value(told, lambda value: evil if isinstance(value, str) else value)
    hostile["requests"]["hosts"] = {evil: {"requests": 1, "responses_5xx": 0}}
    for step in hostile["rows"][0]["steps"]:
        step["step"] = evil
    seen = Seen(page(hostile))
    assert not seen.open and not seen.wrong
    assert {tag for tag, _attrs in seen.found} <= {tag for tag, _attrs in plain.found} | {"p"}
    assert {name for _tag, attrs in seen.found for name in attrs} <= {
        "lang",
        "charset",
        "name",
        "content",
        "class",
        "style",
        "title",
        "scope",
        "aria-hidden",
        "open",
    }
    assert "<script>alert(1)</script>" in seen.text


def test_anything_may_be_missing_or_nonsense(rollout_reports: t.Any) -> None:
    whole = {**rollout_reports.all_kinds()["reverted"], "bake": rollout_reports.all_kinds()["canary"]["bake"]}
    for path in list(leaves(whole)):
        for nonsense in (None, "", "x", [], {}, -1, float("nan"), float("inf"), [None], {"x": None}, True, 10**400):
            report = copy.deepcopy(whole)
            place = report
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = nonsense
            assert "</html>" in page(report), (path, nonsense)
    for report in (
        None,
        [],
        "x",
        {"rows": [None, {}]},
        every_value(whole, lambda _value: None),
        every_value(whole, lambda _value: float("nan")),
    ):
        seen = Seen(page(report))
        assert not seen.open and not seen.wrong


def test_logs_of_a_whole_fleet_do_not_make_the_page_large(rollout_reports: t.Any) -> None:
    report = rollout_reports.make(50, [50])
    report["succeeded"] = False
    for row in report["rows"]:
        row.update(outcome="failed", error="e" * 5000, log=["<" * 1000] * 200)
    html = page(report)
    assert len(html.encode()) < 120_000
    assert "Its log is in the JSON of this report." in html and "And 25 hosts more" in html


def test_log_ends_with_its_last_line(rollout_reports: t.Any) -> None:
    report = rollout_reports.make(fails="h3")
    report["rows"][2]["log"] = ["line %d" % number for number in range(100)]
    shown = re.findall(r"<pre>(.*?)</pre>", page(report), re.S)[0].splitlines()
    assert shown == ["line %d" % number for number in range(80, 100)]
    report["rows"][2]["log"] = "first\nlast"
    assert "<pre>first\nlast</pre>" in page(report)


def test_control_characters_and_escape_sequences_are_gone() -> None:
    assert values.text("\x1b[31mred\x1b[0m \x1b]0;title\x07\u202ebell\x07\r\nnext\tone\ud800") == "red bell\nnext\tone?"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.00 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (86400, "24 h 00 min"),
        (None, ""),
        ("2.5", "2.50 s"),
        (-3, "-3.00 s"),
    ],
)
def test_duration(seconds: t.Any, said: str) -> None:
    assert values.duration(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (31_480_000, "31.5 MB"),
        (5e15, "5000.0 TB"),
        ("x", ""),
    ],
)
def test_size(size: t.Any, said: str) -> None:
    assert values.size(size) == said


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-22T17:05:05Z",
        "2026-11-22T17:05:05.25+00:00",
        "2026-11-22T18:05:05+01:00",
        "2026-11-22T17:05:05",
        1795367105.0,
    ],
)
def test_moment(said: t.Any) -> None:
    assert values.moment(said) == "2026-11-22 17:05:05 UTC"
    assert values.epoch(said) == 1795367105.0


def test_host_with_a_clock_that_is_off_is_placed_where_it_fits(rollout_reports: t.Any) -> None:
    report = rollout_reports.make()
    right = timeline(report)
    for step in report["rows"][2]["steps"]:
        if step["step"] not in ("drain", "join"):
            step["start"] -= 5400
    moved = timeline(report)
    assert right and moved
    lanes = [next(lane for band in of.bands for lane in band.lanes if lane.host == "h3") for of in (right, moved)]
    assert lanes[0].shift == 0 and 5390 < lanes[1].shift < 5410
    assert [span.step for span in lanes[1].spans] == [span.step for span in lanes[0].spans]
    assert abs(moved.length - right.length) < 10


def test_clocks_that_agree_are_left_alone(rollout_reports: t.Any) -> None:
    for report in rollout_reports.all_kinds().values():
        of = timeline(report)
        assert of is None or all(lane.shift == 0 for band in of.bands for lane in band.lanes)


def test_ticks_are_few_and_within(rollout_reports: t.Any) -> None:
    report = rollout_reports.make()
    for factor in (0.001, 1, 60, 3600, 1e6):
        long = copy.deepcopy(report)
        long.update(begun=None, ended=None)
        for row in long["rows"]:
            for step in row["steps"]:
                step.update(
                    start=1795367105.0 + (step["start"] - 1795367105.0) * factor, seconds=step["seconds"] * factor
                )
        of = timeline(long)
        assert of and 1 <= len(of.ticks) <= 9 and of.ticks[-1] <= of.length


def test_figures_of_a_row_stand_in_for_steps_that_were_not_recorded() -> None:
    row = {
        "stop": 1.5,
        "boot": 2,
        "gate": None,
        "steps": [{"step": "stop", "seconds": 1}, {"step": "stop", "seconds": "0.25"}, {"step": "stage"}],
    }
    assert step_seconds(row) == {"stop": 1.25, "boot": 2.0}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a delivery on a screen, as a page and as metrics: what is not known is never shown as a number."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.keys import DEFINITIONS
from ansible_collections.alchemist.beam.plugins.plugin_utils import _known
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_page import delivery_page
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_plots import leads
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_text import METRICS, NAMES, lines, prometheus
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery.histories import (
    BEGIN,
    DAY,
    Told,
    graph,
    iso,
    report,
)

ROOT = Path(__file__).resolve().parents[4]


def shop(deployments: int, **more: t.Any) -> dict[str, t.Any]:
    """One every second day; each fourth fails on servers, each seventh is caught."""
    raw, commits, shas, stable = [], [("c0", BEGIN - DAY, [])], {"1.0": "c0"}, ""
    for number in range(deployments):
        at, version = BEGIN + 2 * DAY * number, "1.%d" % number
        fate = "met" if number % 4 == 3 else "caught" if number % 7 == 6 else "landed"
        raw.append(report(number + 1, version, stable, at, fate))
        if fate == "landed":
            if number:
                for part in range(3):
                    word = "c%d-%d" % (number, part)
                    commits.append((word, at - 3600 * (part + 1), [commits[-1][0]]))
                shas[version] = commits[-1][0]
            stable = version
    told = Told(raw, graph(*commits), shas, now=BEGIN + 2 * DAY * deployments + 7 * DAY)
    attempts = [
        {"id": told.rollouts[v.index].id, "ended": iso(told.rollouts[v.index].ended), "outcome": v.outcome}
        for v in told.verdicts.values()
    ]
    found = {
        "name": "shop",
        "channel": "production",
        "since": None,
        "before": None,
        "at": iso(BEGIN),
        "figures": told.keys,
    }
    return {**found, "deployments": attempts, "damaged": [], "notes": [], **more}


MUCH, LITTLE, NOTHING = shop(40), shop(2), shop(0)


def test_each_figure_has_a_name_a_metric_and_a_definition() -> None:
    assert set(NAMES) == set(METRICS) == set(DEFINITIONS) == set(MUCH["figures"])


def test_the_screen() -> None:
    said = lines(MUCH)
    assert said[0] == "shop on the channel production, the beginning to now"
    assert any(re.match(r"change fail rate +2\d\.\d % +\d+\.\d % to \d+\.\d % +\d+ deployments", line) for line in said)
    assert any(line.startswith("deployments per week ") and line.endswith(" weeks") for line in said)
    assert sum(line.startswith("failed: ") for line in said) == 10
    assert max(map(len, said)) <= 160 and len(said) <= 30


def test_too_little_is_said() -> None:
    said = "\n".join(lines(LITTLE))
    assert re.search(r"change fail rate +not enough: 2 of 10 +0\.0 % to 65\.8 % +2 deployments", said)
    assert re.search(r"recovery time +not enough: 0 of 6", said)


@pytest.mark.parametrize("found", [{}, {"figures": {}}, {"figures": {"rework_rate": None}}, NOTHING])
def test_nothing_at_all_is_shown_and_is_no_number(found: dict[str, t.Any]) -> None:
    rows = [line for line in lines(found) if line.startswith(tuple(name + " " for name, _of in NAMES.values()))]
    assert len(rows) == len(found.get("figures", {})) and all("not enough: 0 of " in line for line in rows)
    assert "<svg" not in delivery_page(found)
    assert not re.search(
        r"^beam_delivery_\w+(seconds|ratio|week)\{(?!.*bound=\"value\").*bound", prometheus(found), re.MULTILINE
    )


SAMPLE = re.compile(r'beam_delivery_[a-z_]+\{name="shop",channel="production"(,[a-z]+="[a-z0-9_.]+")*\} -?[0-9.e+-]+')


@pytest.mark.parametrize("found", [MUCH, LITTLE, NOTHING])
def test_the_text_for_prometheus_is_well_formed(found: dict[str, t.Any]) -> None:
    text, seen, known = prometheus(found), set(), ""
    assert text.endswith("\n")
    for line in text.splitlines():
        kind, name = (line.split()[1], line.split()[2]) if line.startswith("#") else ("", line.partition("{")[0])
        if kind == "HELP":
            assert name not in seen, "its samples are not together"
            seen.add(name)
            known = name
        assert name == known
        assert kind in ("HELP", "TYPE") or SAMPLE.fullmatch(line), line


def test_a_figure_without_enough_data_has_no_sample() -> None:
    text = prometheus(LITTLE)
    assert "change_fail_ratio" not in text and "lead_time_seconds" not in text
    assert 'beam_delivery_enough{name="shop",channel="production",key="change_fail_rate"} 0.0' in text
    assert 'beam_delivery_samples{name="shop",channel="production",key="change_fail_rate"} 2.0' in text
    much = prometheus(MUCH)
    assert re.search(r'beam_delivery_lead_time_seconds\{.*quantile="0\.5",bound="value"\} 7500', much)
    assert len(re.findall(r"beam_delivery_change_fail_ratio\{", much)) == 3


def test_a_label_is_escaped() -> None:
    assert 'name="a\\"b\\\\c d"' in prometheus({"name": 'a"b\\c\nd', "at": iso(BEGIN)})


def test_the_page_has_its_plots_and_tables() -> None:
    page = delivery_page(MUCH)
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 3
    for plot in plots:
        ElementTree.fromstring(plot)
    failed = len(MUCH["figures"]["change_fail_rate"]["entries"])
    bars = sum(week["stayed"] > 0 for week in MUCH["figures"]["deployment_frequency"]["entries"])
    assert plots[0].count('<rect class="ok"') == bars and plots[0].count('<rect class="ill"') > 5
    assert plots[1].count("<circle") == MUCH["figures"]["change_lead_time"]["n"] and "median 2 h 05 min" in plots[1]
    assert plots[2].count("<rect") == failed == page.count("failed on servers that people used")
    assert page.count(DEFINITIONS["rework_rate"]) == 1
    assert "prefers-color-scheme:dark" in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page and len(page) < 60_000


def test_what_others_wrote_is_escaped_and_masked() -> None:
    found = shop(3, name="<b>x", notes=["<script>alert(1)</script>", "at https://me:pw123456@host/"])
    found["figures"]["caught_rate"]["entries"] = [{"id": "<i>", "version": "<u>", "reason": "<a href=x>"}]
    page = delivery_page(found)
    assert not re.search(r"<(script|b>|i>|u>|a )", page) and "&lt;script&gt;" in page
    assert "pw123456" not in page


def test_dots_beyond_what_a_page_holds_are_the_newest() -> None:
    items = [{"id": "r%d" % number, "seconds": 60.0 + number, "counted": True} for number in range(2000)]
    drawn = leads(items, {"r%d" % number: BEGIN + number * DAY for number in range(2000)}, 100)
    assert drawn.count("<circle") == 600 and iso(BEGIN + 1999 * DAY)[:10] in drawn


PLAYBOOK = ROOT / "playbooks" / "delivery.yml"


def test_a_variable_of_the_playbook_that_is_misspelt_is_refused() -> None:
    mine = {name for name in _known.options() if name.startswith("beam_delivery_")}
    assert mine == {
        "beam_delivery_" + name for name in ("since", "before", "repo", "incidents", "json", "html", "prometheus")
    }
    (stray,) = _known.strays({"localhost": {"beam_delivery_sinse": "90d", "beam_delivery_repo": "/srv/shop"}})
    assert (stray.name, stray.near, stray.refused) == ("beam_delivery_sinse", "beam_delivery_since", True)


def test_each_variable_of_the_playbook_is_on_its_page() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    text = PLAYBOOK.read_text(encoding="utf-8")
    assert {name for name in re.findall(r"\bbeam_[a-z_]+", text) if "`%s`" % name not in page} == set()
    assert len(yaml.safe_load(text)) == 1


def test_each_figure_and_each_word_is_on_its_page() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    assert {
        name for name in [*DEFINITIONS, "landed", "met", "caught", "stopped", "unclear"] if "`%s`" % name not in page
    } == set()
    assert {name for name, _factor, _labels in METRICS.values() if "`beam_delivery_%s`" % name not in page} == set()

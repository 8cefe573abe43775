# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each figure against histories whose answer is known by hand; among them one for each complaint about other tools that count the same."""

from __future__ import annotations

import math
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._delivery import intervals, reports, served, verdicts
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.commits import reverted_in
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.keys import week_of
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.verdicts import Ghosted, Incident
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery.histories import (
    BEGIN,
    DAY,
    WEEK,
    Told,
    digest,
    graph,
    iso,
    report,
    rollback,
    sha,
    way_in,
)

# Four days, a deployment each.
A, B, C, D = (BEGIN + DAY * day for day in range(4))
FIRST = report(1, "1.0", "", A)
SECOND = report(2, "1.1", "1.0", B)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (1, 100, 0.0018, 0.0545),
        (10, 10, 0.7225, 1.0),
        (1, 2, 0.0945, 0.9055),
    ],
)
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    found = intervals.share(hits, n)
    assert (round(t.cast("float", found.low), 4), round(t.cast("float", found.high), 4)) == (low, high)
    assert found.value == (hits / n if n >= 10 else None)


def test_a_share_of_nothing_is_not_known() -> None:
    found = intervals.share(0, 0)
    assert (found.value, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize(
    ("n", "q", "low", "high"),
    [(6, 0.5, 1, 6), (10, 0.5, 2, 9), (20, 0.5, 6, 15), (100, 0.5, 40, 61), (36, 0.9, 29, 36), (100, 0.9, 84, 96)],
)
def test_the_ranks_of_an_interval(n: int, q: float, low: int, high: int) -> None:
    assert intervals.ranks(n, q) == (low, high)

    def below(rank: int) -> float:
        return sum(math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(rank))

    assert below(low) <= 0.025 < below(low + 1) and 1 - below(high) <= 0.025 < 1 - below(high - 1)


def test_many_values_take_the_normal_approximation() -> None:
    low, high = intervals.ranks(10000, 0.5)
    assert abs(low - 4902) <= 2 and abs(high - 5099) <= 2


def test_a_median_needs_six_and_nine_in_ten_need_thirty_six() -> None:
    assert (intervals.quantile_needs(0.5), intervals.quantile_needs(0.9)) == (6, 36)
    assert intervals.quantile([1, 2, 3, 4, 5], 0.5).value is None
    assert intervals.quantile([6, 1, 2, 3, 4, 5], 0.5).value == 3.5
    assert intervals.quantile(range(1, 36), 0.9).value is None
    assert intervals.quantile(range(1, 41), 0.9).value == 36


# What became of each attempt


@pytest.mark.parametrize("fate", ["landed", "met", "caught", "stopped", "unclear"])
def test_the_outcome_of_an_attempt(fate: str) -> None:
    assert Told([FIRST, report(2, "1.1", "1.0", B, fate)]).outcomes() == ["landed", fate]


@pytest.mark.parametrize(
    "one",
    [
        report(2, "1.0", "1.0", B),  # hosts come home to what is stable
        report(2, "1.0", "1.0", B, kind="restart"),
        rollback(2, "0.9", B),
        report(2, "1.1", "1.0", B, check=True),
    ],
)
def test_what_is_no_deployment(one: dict[str, t.Any]) -> None:
    assert Told([FIRST, one]).outcomes() == ["landed"]


def test_without_a_balancer_a_node_that_has_booted_is_met() -> None:
    bad = report(2, "1.1", "1.0", B, "caught", hosts=("h1",), balancers=[])
    bad["rows"][0]["steps"] = [step for step in bad["rows"][0]["steps"] if step["step"] not in ("drain", "join")]
    assert Told([FIRST, bad]).outcomes() == ["landed", "met"]
    assert Told([FIRST, {**bad, "strategy": "blue_green"}]).outcomes() == ["landed", "caught"]


@pytest.mark.parametrize(
    ("steps", "at"),
    [
        (way_in(0), 30.0),
        (way_in(0, "join"), None),
        (way_in(0, "gate"), None),
        ([*way_in(0, "boot"), {"step": "join", "start": 40, "seconds": 1, "ok": True}], None),
        (
            [
                *way_in(0, "gate"),
                {"step": "return", "start": 40, "seconds": 1},
                {"step": "join", "start": 41, "seconds": 1},
            ],
            None,
        ),
        ([{"step": "drain", "start": 0, "seconds": 1}, {"step": "join", "start": 41, "seconds": 1}], None),
    ],
)
def test_when_a_server_has_joined(steps: list[dict[str, t.Any]], at: float | None) -> None:
    row = reports.Row("h1", "moved", tuple(reports._span(step) for step in steps))
    assert served.joined_at(row, shielded=True) == at


# The change fail rate


def test_a_failure_counts_once_whatever_names_it() -> None:
    """Other tools count incidents: two of them, or one that was edited, made two failures."""
    incidents = [Incident("i1", "1.1"), Incident("i1", "1.1"), Incident("i2", "1.1")]
    told = Told([FIRST, SECOND, report(3, "1.2", "1.1", C)], incidents=incidents)
    assert told.reasons() == [[], [verdicts.INCIDENT], []]
    rate = told.keys["change_fail_rate"]
    assert (rate["hits"], rate["n"], rate["value"], rate["enough"]) == (1, 3, None, False)
    assert 0 < rate["low"] < 1 / 3 < rate["high"] < 1


def test_a_deployment_that_failed_is_a_failure_without_any_incident() -> None:
    told = Told([FIRST, report(2, "1.1", "1.0", B, "met")])
    assert told.reasons() == [[], [verdicts.BROKE]]
    assert told.keys["change_fail_rate"]["hits"] == 1 and told.keys["caught_rate"]["hits"] == 0


def test_what_nobody_met_is_no_failure_and_stands_apart() -> None:
    told = Told([FIRST, report(2, "1.1", "1.0", B, "caught"), report(3, "1.2", "1.0", C, "stopped")])
    rate = told.keys["change_fail_rate"]
    assert (rate["hits"], rate["n"], rate["caught"], rate["stopped"]) == (0, 1, 1, 1)
    assert (told.keys["caught_rate"]["hits"], told.keys["caught_rate"]["n"]) == (1, 1)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([FIRST, SECOND, rollback(3, "1.0", C)], [[], [verdicts.ROLLED_BACK]]),
        # A -> B -> A
        ([FIRST, SECOND, report(3, "1.0", "1.1", C)], [[], [verdicts.UNDONE], []]),
        # Somebody moved the channel without a rollout.
        ([FIRST, SECOND, report(3, "1.2", "1.0", C)], [[], [verdicts.ROLLED_BACK], []]),
        # Forward is forward, also if nobody told of it.
        ([FIRST, report(3, "1.2", "1.1", C)], [[], []]),
        # Rolled back, and rolled out once more: that is no way back from 1.0.
        ([FIRST, SECOND, rollback(3, "1.0", C), report(4, "1.1", "1.0", D)], [[], [verdicts.ROLLED_BACK], []]),
        # The rollback itself failed: it was wanted all the same.
        ([FIRST, SECOND, rollback(3, "1.0", C, succeeded=False)], [[], [verdicts.ROLLED_BACK]]),
    ],
)
def test_who_went_back_had_failed(raw: list[dict[str, t.Any]], expected: list[list[str]]) -> None:
    assert Told(raw).reasons() == expected


@pytest.mark.parametrize(("at", "failed"), [(iso(C), True), (iso(A), False), ("some day", True)])
def test_a_ghost(at: str, failed: bool) -> None:
    """One that was a ghost before its deployment was picked by force."""
    told = Told([FIRST, SECOND], ghosts=[Ghosted(digest("1.1"), at), Ghosted(digest("7.7"), at)])
    assert told.reasons() == [[], [verdicts.GHOST] if failed else []]


COMMITS = graph(
    ("a", A - 100, []),
    ("b", A + 1000, ["a"]),
    ("c", B + 1000, ["b"], "b"),
    ("d", C + 1000, ["c"]),
)
SHAS = {"1.0": "a", "1.1": "b", "1.2": "c", "1.3": "d"}
THIRD, FOURTH = report(3, "1.2", "1.1", C), report(4, "1.3", "1.2", D)


def test_a_commit_that_was_reverted_later_is_a_failure_of_who_brought_it() -> None:
    told = Told([FIRST, SECOND, THIRD, FOURTH], COMMITS, SHAS)
    assert told.reasons() == [[], [verdicts.REVERTED], [], []]
    assert told.repairs() == [[], [], [verdicts.REVERTS], []]


def test_a_revert_within_one_deployment_met_nobody() -> None:
    told = Told([FIRST, report(3, "1.2", "1.0", C)], COMMITS, SHAS)
    assert told.reasons() == [[], []] and told.repairs() == [[], []]


def test_the_words_of_a_revert() -> None:
    text = 'Revert "Faster"\n\nThis reverts commit %s.\n' % ("ab" * 20)
    assert reverted_in(text) == ("ab" * 20,) and reverted_in("Revert something") == ()


# Rework


@pytest.mark.parametrize(
    ("raw", "incidents", "expected"),
    [
        ([FIRST, SECOND, rollback(3, "1.0", C), report(4, "1.2", "1.0", D)], [], [[], [], [verdicts.FOLLOWS]]),
        ([FIRST, report(2, "1.1", "1.0", B, "met"), report(3, "1.2", "1.0", C)], [], [[], [], [verdicts.FOLLOWS]]),
        ([FIRST, report(2, "1.1", "1.0", B, "caught"), report(3, "1.2", "1.0", C)], [], [[], [], []]),
        ([FIRST, SECOND, report(3, "1.0", "1.1", C)], [], [[], [], [verdicts.RETURNS]]),
        ([FIRST, SECOND, THIRD], [Incident("i", "1.1", fix="1.2")], [[], [], [verdicts.FIXES]]),
    ],
)
def test_what_is_rework(raw: list[dict[str, t.Any]], incidents: list[Incident], expected: list[list[str]]) -> None:
    told = Told(raw, incidents=incidents)
    assert told.repairs() == expected
    assert told.keys["rework_rate"]["hits"] == sum(bool(repairs) for repairs in expected)


# Recovery


def test_recovery_within_a_rollout_is_from_the_first_join_to_the_last_leave() -> None:
    told = Told([FIRST, report(2, "1.1", "1.0", B, "met")])
    (item,) = told.keys["recovery_time"]["entries"]
    # h1 joined after 30 s and was drained after 210 s; h2 never joined.
    assert (item["seconds"], item["servers"], item["server_minutes"]) == (180.0, 1, 3.0)
    assert told.keys["recovery_time"]["value"] is None and told.keys["recovery_time"]["n"] == 1
    assert told.keys["bad_server_minutes"]["value"] == 3.0


def test_of_two_nodes_it_is_the_new_one_that_leaves_last() -> None:
    bad = report(2, "1.1", "1.0", B, "met", hosts=("h1",), strategy="blue_green")
    steps = bad["rows"][0]["steps"]
    bad["rows"][0].update(
        color="blue", steps=[*steps[3:6], {"step": "drain", "start": B + 31, "seconds": 4}, *steps[6:]]
    )
    (item,) = Told([FIRST, bad]).keys["recovery_time"]["entries"]
    assert item["seconds"] == 180.0


def test_recovery_by_a_rollback_is_the_time_of_each_server() -> None:
    told = Told([FIRST, SECOND, rollback(3, "1.0", C)])
    (item,) = told.keys["recovery_time"]["entries"]
    # h1 from B + 30 to C + 5, h2 from B + 60 to C + 35.
    assert (item["first_joined"], item["last_left"]) == (iso(B + 30), iso(C + 35))
    assert (item["seconds"], item["server_minutes"]) == (DAY + 5, round(2 * (DAY - 25) / 60, 3))


def test_what_is_not_over_has_no_recovery_time_and_counts_until_now() -> None:
    told = Told([FIRST, SECOND], incidents=[Incident("i", "1.1")], now=B + 3660)
    key = told.keys["recovery_time"]
    assert (key["n"], key["not_over"], key["entries"][0]["still_there"]) == (0, 1, ["h1", "h2"])
    assert told.keys["bad_server_minutes"]["value"] == round((3630 + 3600) / 60, 3)


@pytest.mark.parametrize(
    ("later", "left"),
    [
        (rollback(3, "1.0", C, hosts=("h1",)), C),  # h2 is no longer in the fleet
        (rollback(3, "1.0", C, hosts=("h1",), drift=[{"host": "h2"}]), None),  # it is, and was left alone
        (rollback(3, "1.0", C, hosts=("h1",), succeeded=False), None),
    ],
)
def test_a_server_that_the_way_back_did_not_touch(later: dict[str, t.Any], left: float | None) -> None:
    told = Told([FIRST, SECOND, later])
    assert {stay.host: stay.left for stay in told.verdicts[1].stays} == {"h1": C + 5, "h2": left}


def test_without_a_deployment_nothing_is_good() -> None:
    told = Told([])
    assert all(key["value"] is None and key["enough"] is False for key in told.keys.values())


def test_a_fault_that_a_later_deployment_still_had_is_over_with_its_revert() -> None:
    raw = [FIRST, SECOND, report(3, "1.15", "1.1", C), report(4, "1.2", "1.15", D)]
    commits = graph(("a", A - 100, []), ("b", A + 1000, ["a"]), ("x", B + 9, ["b"]), ("c", C + 1000, ["x"], "b"))
    told = Told(raw, commits, {"1.0": "a", "1.1": "b", "1.15": "x", "1.2": "c"})
    assert told.reasons()[1] == [verdicts.REVERTED]
    assert [stay.left for stay in told.verdicts[1].stays] == [D + 5, D + 35]


# Frequency


def test_frequency_is_of_whole_weeks_and_those_without_are_zeros() -> None:
    raw, before = [], ""
    for number, at in enumerate((0, 1, 2, 15, 22, 23, 50)):
        version = "1.%d" % number
        raw.append(report(number + 1, version, before, BEGIN + at * DAY))
        before = version
    told = Told(raw, now=BEGIN + 51 * DAY)
    key = told.keys["deployment_frequency"]
    assert [week["deployments"] for week in key["entries"]] == [3, 0, 1, 2, 0, 0, 0]
    assert (key["n"], key["value"], key["low"], key["high"], key["deployments"]) == (7, 0, 0, 3, 7)
    later = Told(raw, since=BEGIN + 3 * DAY, until=BEGIN + 30 * DAY, now=BEGIN + 51 * DAY)
    assert [week["deployments"] for week in later.keys["deployment_frequency"]["entries"]] == [0, 1, 2]


def test_a_week_begins_on_monday() -> None:
    assert week_of(BEGIN) == BEGIN and week_of(BEGIN - 1) == BEGIN - WEEK and week_of(BEGIN + WEEK - 1) == BEGIN


# Lead time


def test_lead_time_is_of_each_commit_with_its_stages() -> None:
    told = Told([FIRST, SECOND], COMMITS, SHAS, published={digest("1.1"): B - 600})
    (item,) = told.keys["change_lead_time"]["entries"]
    assert (item["commit"], item["seconds"]) == (sha("b"), B + 300 - A - 1000)
    assert list(item["stages"].values()) == [B - 600 - A - 1000, 600, 30, 270]
    assert sum(item["stages"].values()) == item["seconds"]


def test_the_first_deployment_has_no_lead_time_and_says_so() -> None:
    """In other tools it gets all that was ever done before."""
    told = Told([FIRST, SECOND], COMMITS, SHAS)
    key = told.keys["change_lead_time"]
    assert key["n"] == 1 and [one["id"] for one in key["unknown"]] == [FIRST["id"]]
    assert "the first one of the channel" in key["unknown"][0]["why"]


def test_a_merge_is_not_counted_and_what_it_brings_is() -> None:
    commits = graph(("a", A, []), ("x", A + 1, ["a"]), ("y", A + 2, ["a"]), ("m", A + 3, ["x", "y"]))
    told = Told([FIRST, SECOND], commits, {"1.0": "a", "1.1": "m"})
    assert [item["commit"] for item in told.keys["change_lead_time"]["entries"]] == [sha("x"), sha("y")]


def test_a_version_that_is_rolled_out_twice_brings_its_commits_once() -> None:
    told = Told([FIRST, SECOND, rollback(3, "1.0", C), report(4, "1.1", "1.0", D)], COMMITS, SHAS)
    assert [(i["commit"], i["id"]) for i in told.keys["change_lead_time"]["entries"]] == [(sha("b"), SECOND["id"])]


def test_enough_commits_have_a_median_with_its_interval() -> None:
    rows: list[tuple[t.Any, ...]] = [("a", A, [])]
    for number in range(40):
        rows.append(("c%02d" % number, B + 300 - 60 * (number + 1), [rows[-1][0]]))
    told = Told([FIRST, SECOND], graph(*rows), {"1.0": "a", "1.1": "c39"})
    key, ninth = told.keys["change_lead_time"], told.keys["change_lead_time_p90"]
    assert (key["n"], key["value"], key["low"], key["high"]) == (40, 60 * 20.5, 60 * 14, 60 * 27)
    assert (ninth["value"], ninth["enough"]) == (60 * 36, True)


# The window


def test_a_verdict_does_not_depend_on_where_the_window_begins() -> None:
    """What began before the window and ended in it belongs to it; what it is compared with may lie before."""
    raw = [FIRST, SECOND, rollback(3, "1.0", C), report(4, "1.3", "1.0", D, "met"), report(5, "1.4", "1.0", D + DAY)]
    commits = graph(("a", A, []), ("b", A + 1, ["a"]), ("e", D, ["a"]))
    shas = {"1.0": "a", "1.1": "b", "1.4": "e"}
    whole = Told(raw, commits, shas)
    seen = 0
    for since in (A + 1, B, B + 150, C, D, D + 150, D + DAY):
        told = Told(raw, commits, shas, since=since)
        assert [vars(v) for v in told.verdicts.values()] == [vars(v) for v in whole.verdicts.values()]
        for name in ("change_fail_rate", "recovery_time", "rework_rate", "change_lead_time"):
            mine = told.keys[name]["entries"]
            assert all(item in whole.keys[name]["entries"] for item in mine)
            seen += len(mine)
    assert seen > 10
    (item,) = Told(raw, commits, shas, since=B + 150, until=C).keys["change_lead_time"]["entries"]
    assert item["id"] == SECOND["id"]


def test_staging_says_nothing_of_production() -> None:
    staging = {**SECOND, "channel": "staging"}
    told = Told([FIRST, staging], COMMITS, SHAS)
    assert told.outcomes() == ["landed"] and told.damaged[0].why == "it is of shop on the channel staging"
    assert told.keys["change_lead_time"]["n"] == 0

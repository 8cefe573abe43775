# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A thousand random histories, told by _delivery and by SQL: no difference."""

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.commits import Commit, Graph, deliver
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.keys import Story, Window, keys_of
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.reports import read_reports, seconds_of
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.verdicts import Ghosted, Incident, judge
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery import histories
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery.histories import BEGIN, DAY, WEEK
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery.told_by_sql import Sql, wilson

HISTORIES = 1000
FATES = ("landed", "landed", "landed", "landed", "met", "caught", "stopped", "unclear")
ALL = tuple("1.%d" % number for number in range(14))
NOW = BEGIN + 12 * WEEK


def steps(chance: random.Random, given: list[dict[str, t.Any]], skew: float) -> list[dict[str, t.Any]]:
    """As a server may tell them: a step that failed or is missing, a clock that is off."""
    found = []
    for step in given:
        if chance.random() < 0.06:
            continue
        own = step["step"] not in ("drain", "join", "bake")
        good = step.get("ok", True) and chance.random() > 0.04
        found.append({**step, "start": step["start"] + (skew if own else 0), "ok": good})
    return found


def one_report(chance: random.Random, pool: t.Sequence[str], number: int, stable: str, at: float) -> dict[str, t.Any]:
    fate, kind = chance.choice(FATES), chance.choices(("rollout", "rollback", "restart"), (8, 2, 1))[0]
    version = chance.choice((chance.choice(pool), pool[min(number, len(pool) - 1)]))
    before = stable if chance.random() > 0.08 else chance.choice(pool)
    if kind == "rollback":
        before = version
    hosts = chance.sample(("h1", "h2", "h3"), chance.randint(1, 3))
    found = histories.report(number, version, before, at, fate, kind, hosts)
    for row in found["rows"]:
        row["steps"] = steps(chance, row["steps"], chance.choice((0, 0, 0, 700, -700)))
        if chance.random() < 0.1:
            row["outcome"] = chance.choice(("unchanged", "kept", "stranded", "returned"))
        if chance.random() < 0.15:
            row["color"] = "blue"
            # Of two nodes, the former one leaves when the new one has joined.
            joined = [place for place, step in enumerate(row["steps"]) if step["step"] == "join"]
            if joined:
                step = row["steps"][joined[0]]
                drain = {"step": "drain", "start": step["start"] + 6.0, "seconds": 5.0, "ok": True}
                row["steps"].insert(joined[0] + 1, drain)
    if chance.random() < 0.2:
        found["balancers"] = []
    if chance.random() < 0.1:
        found["strategy"] = "blue_green"
    if chance.random() < 0.15:
        found["drift"] = [{"host": chance.choice(("h1", "h2", "h3"))}]
    return found


def damage(chance: random.Random, found: dict[str, t.Any]) -> dict[str, t.Any]:
    how = chance.randrange(4)
    if how == 0:
        return {"key": found["key"], "damaged": "it is no JSON"}
    if how == 1:
        return {key: value for key, value in found.items() if key != "digest"}
    return {**found, **({"schema": 2} if how == 2 else {"check": True})}


def a_graph(chance: random.Random) -> list[tuple[str, list[str], float, list[str]]]:
    rows: list[tuple[str, list[str], float, list[str]]] = []
    for number in range(chance.choice((3, 12, 40))):
        former = [row[0] for row in rows]
        near = former[-1:] if chance.random() < 0.7 else former[-4:]
        parents = chance.sample(near, min(len(near), 2 if chance.random() < 0.3 else 1))
        reverts = [chance.choice(former)] if former and chance.random() < 0.1 else []
        rows.append(
            (
                histories.sha("c%02d" % number),
                parents,
                BEGIN + chance.uniform(-3, 3 if chance.random() < 0.9 else 12) * WEEK,
                reverts,
            )
        )
    return rows


def a_history(seed: int) -> dict[str, t.Any]:
    chance = random.Random(seed)
    raw: list[dict[str, t.Any]] = []
    stable, at = chance.choice(("", "1.0")), BEGIN + chance.uniform(0, 3) * WEEK
    pool = ALL[: chance.randint(3, len(ALL))]
    for number in range(chance.choice((4, 8, 12, 24))):
        found = one_report(chance, pool, number, stable, float(int(at)))
        at += chance.choice((900.0, DAY, 5 * DAY))
        if chance.random() < 0.08:
            raw.append(damage(chance, found))
            continue
        if found["kind"] == "rollback":
            stable = found["version"]
        elif found["stable_after"]:
            stable = found["stable_after"]["version"]
        raw.append(found)
        if chance.random() < 0.05:
            raw.append({**found, "key": found["key"] + "2", "blame": not found["blame"]})  # reported under two locks
    commits = a_graph(chance)
    # Mostly, a later version has later commits.
    shas = {
        version: commits[
            min(len(commits) - 1, number * 3) if chance.random() < 0.7 else chance.randrange(len(commits))
        ][0]
        for number, version in enumerate(ALL)
        if chance.random() > 0.1
    }
    if shas and chance.random() < 0.1:
        shas[chance.choice(list(shas))] = "f" * 40  # of a history that was rewritten
    ghosts = [
        (histories.digest(version), chance.choice((histories.iso(BEGIN + chance.uniform(0, 10) * WEEK), "some day")))
        for version in ALL
        if chance.random() < 0.1
    ]
    incidents = [
        (
            "i%d" % number,
            chance.choice((*ALL, "9.9")),
            chance.choice(("", histories.iso(BEGIN + chance.uniform(0, 10) * WEEK))),
            chance.choice(("", *ALL)),
        )
        for number in range(chance.choice((0, 0, 0, 1, 2)))
    ]
    since = chance.choice((None, None, BEGIN + float(int(chance.uniform(0, 5) * WEEK))))
    until = chance.choice((None, None, BEGIN + float(int(chance.uniform(6, 12) * WEEK))))
    return {
        "raw": raw,
        "commits": commits,
        "ghost": ghosts,
        "incident": incidents,
        "sha": [(histories.digest(version), sha) for version, sha in shas.items()],
        "edge": [(sha, parent) for sha, parents, _at, _reverts in commits for parent in parents],
        "made": [(sha, made) for sha, _parents, made, _reverts in commits],
        "revert": [(sha, of) for sha, _parents, _at, reverts in commits for of in reverts],
        "published": [
            (histories.digest(version), BEGIN + chance.uniform(0, 6) * WEEK) for version in ALL if chance.random() > 0.2
        ],
        "win": [(since, until, NOW)],
    }


def by_product(one: dict[str, t.Any]) -> tuple[Story, dict[str, t.Any]]:
    rollouts, _damaged, _twice = read_reports(one["raw"], "shop", "production")
    graph = Graph({sha: Commit(sha, tuple(parents), at, tuple(of)) for sha, parents, at, of in one["commits"]})
    delivered = deliver(rollouts, dict(one["sha"]), {}, graph)
    ghosts, incidents = [Ghosted(*row) for row in one["ghost"]], [Incident(*row) for row in one["incident"]]
    verdicts, _strange = judge(rollouts, ghosts, incidents, graph, delivered)
    story = Story(rollouts, verdicts, delivered, dict(one["published"]))
    return story, keys_of(story, Window(*one["win"][0]))


@pytest.fixture(scope="module")
def world() -> tuple[list[dict[str, t.Any]], list[tuple[Story, dict[str, t.Any]]], Sql]:
    made = [a_history(seed) for seed in range(HISTORIES)]
    return made, [by_product(one) for one in made], Sql(made)


World = tuple[list[dict[str, t.Any]], list[tuple[Story, dict[str, t.Any]]], Sql]


def same(told: t.Callable[[int], t.Any], rows: dict[int, list[tuple[t.Any, ...]]]) -> int:
    """How many rows there were; the first history that differs is named."""
    for number in range(HISTORIES):
        mine, other = sorted(told(number), key=repr), sorted(rows.get(number, []), key=repr)
        assert mine == other, "history %d" % number
    return sum(map(len, rows.values()))


def test_outcomes(world: World) -> None:
    stories = [story for story, _keys in world[1]]
    rows = world[2].rows("select h, id, outcome from v")

    def told(number: int) -> t.Any:
        return [(stories[number].rollouts[v.index].id, v.outcome) for v in stories[number].verdicts.values()]

    assert same(told, rows) > 3000
    assert {row[1] for some in rows.values() for row in some} == {"landed", "met", "caught", "stopped", "unclear"}


def test_why_deployments_failed_and_what_they_repair(world: World) -> None:
    stories = [story for story, _keys in world[1]]
    reasons = world[2].rows(
        "select distinct reason.h, v.id, why from reason join v using (h, i) where outcome in ('landed', 'met')"
    )
    repairs = world[2].rows("select distinct repair.h, v.id, why from repair join v using (h, i)")

    def told(number: int, which: str) -> t.Any:
        of = stories[number]
        verdicts = [v for v in of.verdicts.values() if v.reached]
        return [(of.rollouts[v.index].id, why) for v in verdicts for why in getattr(v, which)]

    assert same(lambda number: told(number, "reasons"), reasons) > 1000
    assert same(lambda number: told(number, "repairs"), repairs) > 500
    assert len({row[1] for some in reasons.values() for row in some}) == 6
    assert len({row[1] for some in repairs.values() for row in some}) == 4


def test_recovery(world: World) -> None:
    stories = [story for story, _keys in world[1]]
    rows = world[2].rows("select l.h, v.id, host, round(came, 3), round(gone, 3) from later l join v using (h, i)")

    def told(number: int) -> t.Any:
        of = stories[number]
        return [
            (of.rollouts[v.index].id, s.host, round(s.joined, 3), None if s.left is None else round(s.left, 3))
            for v in of.verdicts.values()
            for s in v.stays
        ]

    assert same(told, rows) > 1000
    assert any(row[-1] is None for some in rows.values() for row in some)
    minutes = world[2].rows(
        "select l.h, round(sum(max(coalesce(gone, win.now) - came, 0)) / 60, 1) from later l join win using (h)"
        " join inside using (h, i) group by l.h"
    )
    for number, (_story, keys) in enumerate(world[1]):
        found = minutes.get(number, [(0.0,)])[0][0]
        told_minutes = keys["bad_server_minutes"]["value"]
        assert told_minutes is None or abs(told_minutes - found) <= 0.11, number


def test_lead_times(world: World) -> None:
    def part(begin: str, end: str) -> str:
        return f"case when {end} >= {begin} then round({end} - {begin}, 3) end"

    parts = [
        part(a, b) for a, b in zip(("made", "published", "begun", "first"), ("published", "begun", "first", "ended"))
    ]
    rows = world[2].rows("select h, id, sha, round(seconds, 3), %s from lead" % ", ".join(parts))

    def told(number: int) -> t.Any:
        items = world[1][number][1]["change_lead_time"]["entries"]
        return [
            (
                i["id"],
                i["commit"],
                round(i["seconds"], 3),
                *(None if s is None else round(s, 3) for s in i["stages"].values()),
            )
            for i in items
        ]

    assert same(told, rows) > 1400
    assert any(row[2] < 0 for some in rows.values() for row in some)
    middles = world[2].rows(
        "select h, n, avg(seconds) from (select h, seconds, count(*) over (partition by h) as n, row_number() over (partition by h order by seconds) as k"
        " from lead where seconds >= 0) where n >= 6 and k in ((n + 1) / 2, n / 2 + 1) group by h"
    )
    for number, (_story, keys) in enumerate(world[1]):
        key = keys["change_lead_time"]
        assert (key["value"] is None) == (number not in middles), number
        if number in middles:
            n, middle = middles[number][0]
            assert key["n"] == n and abs(key["value"] - middle) < 0.002, number
    assert len(middles) > 50


def test_frequency(world: World) -> None:
    rows = world[2].rows(
        "select v.h, strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', monday, 'unixepoch'), count(*) from"
        " (select *, %f + cast((ended - %f) / 604800 as int) * 604800 as monday from inside where outcome = 'landed') v join win using (h)"
        " where (since is null or monday >= since) and monday + 604800 <= coalesce(until, now) group by v.h, monday"
        % (BEGIN, BEGIN)
    )

    def told(number: int) -> t.Any:
        weeks = world[1][number][1]["deployment_frequency"]["entries"]
        begins = [week["week"] for week in weeks]
        gaps = {seconds_of(b) - seconds_of(a) for a, b in zip(begins, begins[1:])}
        assert gaps <= {WEEK}, "a week is left out"
        return [(week["week"], week["deployments"]) for week in weeks if week["deployments"]]

    assert same(told, rows) > 1000


def test_shares_and_their_intervals(world: World) -> None:
    inside = (
        "select inside.h, sum(outcome in ('landed', 'met')), sum(outcome in ('landed', 'met') and exists (select 1 from failed f where f.h = inside.h"
        " and f.i = inside.i)), sum(outcome in ('caught', 'met')), sum(outcome = 'caught'), sum(outcome = 'landed'), sum(outcome = 'landed' and exists"
        " (select 1 from repair p where p.h = inside.h and p.i = inside.i)) from inside group by inside.h"
    )
    rows = world[2].rows(inside)
    values = 0
    for number, (_story, keys) in enumerate(world[1]):
        counted = rows.get(number, [(0,) * 6])[0]
        for place, name in enumerate(("change_fail_rate", "caught_rate", "rework_rate")):
            n, hits = counted[2 * place : 2 * place + 2]
            key = keys[name]
            assert (key["n"], key["hits"]) == (n, hits), (number, name)
            for bound, wanted in zip(("low", "high"), wilson(hits, n)):
                assert wanted is None and key[bound] is None or abs(key[bound] - wanted) < 1e-5, (number, name)
            assert key["value"] == (round(hits / n, 6) if n >= 10 else None)
            values += n >= 10
    assert values > 50


def test_a_verdict_never_changes_with_the_window(world: World) -> None:
    """What a window shows of a deployment is what the whole history shows of it."""
    for number, (story, keys) in enumerate(world[1]):
        whole = keys_of(story, Window(None, None, NOW))
        for name in ("change_fail_rate", "caught_rate", "recovery_time", "rework_rate", "change_lead_time"):
            seen = whole[name]["entries"]
            assert all(item in seen for item in keys[name]["entries"]), (number, name)
        assert (
            all(week in whole["deployment_frequency"]["entries"] for week in keys["deployment_frequency"]["entries"])
            or keys["deployment_frequency"]["entries"] == []
        ), number

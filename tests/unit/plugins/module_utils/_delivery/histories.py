# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Histories that never happened, as rollouts write them: for tests of what is computed from them."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._delivery.commits import Commit, Graph, deliver
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.keys import Story, Window, keys_of
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.reports import read_reports
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.verdicts import Ghosted, Incident, judge

# A Monday, 00:00 UTC.
BEGIN = 1772409600.0
DAY, WEEK = 86400.0, 7 * 86400.0


def iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(version: str) -> str:
    return version.encode().hex().ljust(64, "0")[:64]


def sha(word: str) -> str:
    return word.encode().hex().ljust(40, "0")[:40]


def target(version: str) -> dict[str, str] | None:
    return {"version": version, "digest": digest(version)} if version else None


def way_in(at: float, bad: str = "") -> list[dict[str, t.Any]]:
    """The steps of a server that leaves, restarts and joins, 5 s each. bad: the step that fails, after which nothing comes."""
    found = []
    for number, step in enumerate(("drain", "activate", "stop", "boot", "gate", "join")):
        found.append({"step": step, "start": at + 5 * number, "seconds": 5.0, "ok": step != bad})
        if step == bad:
            break
    return found


def report(
    number: int,
    version: str,
    before: str,
    at: float,
    fate: str = "landed",
    kind: str = "rollout",
    hosts: t.Sequence[str] = ("h1", "h2"),
    **more: t.Any,
) -> dict[str, t.Any]:
    """fate: landed, met, caught, stopped or unclear. It takes 300 s; the server n begins at 30 n s; what goes back does so after 200 s, in 20 s."""
    rows = []
    for place, host in enumerate(hosts):
        begin = at + 30 * place
        first = place == 0
        steps, outcome = way_in(begin), "moved"
        if fate == "caught":
            steps, outcome = (way_in(begin, "gate"), "returned") if first else ([], "skipped")
        elif fate == "met":
            steps, outcome = (steps, "returned") if first else ((way_in(begin, "gate"), "returned"))
        elif fate == "stopped":
            steps, outcome = [], "unreachable" if first else "skipped"
        if outcome == "returned":
            if fate == "met" and first:
                steps = [*steps, {"step": "drain", "start": at + 200, "seconds": 10.0, "ok": True}]
            steps = [*steps, {"step": "return", "start": at + 210, "seconds": 10.0, "ok": True}]
            steps = [*steps, {"step": "join", "start": at + 220, "seconds": 5.0, "ok": True}]
        rows.append({"host": host, "outcome": outcome, "steps": steps, "color": None})
    after = version if fate in ("landed", "unclear") else before
    return {
        "key": "shop/history/production/%012d-x.json" % number,
        "schema": 1,
        "id": "20260302T000000Z-%08x" % number,
        "name": "shop",
        "channel": "production",
        "version": version,
        "digest": digest(version),
        "kind": kind,
        "strategy": "rolling",
        "begun": iso(at),
        "ended": iso(at + 300),
        "succeeded": fate == "landed",
        "blame": fate in ("met", "caught"),
        "check": False,
        "reason": "" if fate == "landed" else "the gate said no",
        "stable_before": target(before),
        "stable_after": target(after),
        "balancers": ["haproxy app"],
        "drift": [],
        "interrupted": None,
        "rows": rows,
        **more,
    }


def rollback(number: int, version: str, at: float, **more: t.Any) -> dict[str, t.Any]:
    """The channel moved before the plan was made."""
    return report(number, version, version, at, kind="rollback", **more)


def graph(*rows: tuple[t.Any, ...]) -> Graph:
    """rows: word, at, parents, and what it reverts."""
    commits = [Commit(sha(row[0]), tuple(map(sha, row[2])), float(row[1]), tuple(map(sha, row[3:]))) for row in rows]
    return Graph({commit.sha: commit for commit in commits})


class Told:
    """What is computed of raw reports, the oldest first."""

    def __init__(
        self,
        raw: t.Sequence[t.Mapping[str, t.Any]],
        commits: Graph | None = None,
        shas: t.Mapping[str, str] | None = None,
        ghosts: t.Sequence[Ghosted] = (),
        incidents: t.Sequence[Incident] = (),
        since: float | None = None,
        until: float | None = None,
        now: float = BEGIN + 60 * WEEK,
        published: t.Mapping[str, float] | None = None,
    ) -> None:
        """shas: version -> the word of its commit."""
        self.rollouts, self.damaged, self.twice = read_reports(raw, "shop", "production")
        known = {digest(version): sha(word) for version, word in (shas or {}).items()}
        self.delivered = deliver(self.rollouts, known, {}, commits or Graph(why="no repository"))
        self.verdicts, self.strange = judge(
            self.rollouts, ghosts, incidents, commits or Graph(why="no repository"), self.delivered
        )
        self.story = Story(self.rollouts, self.verdicts, self.delivered, published or {})
        self.keys = keys_of(self.story, Window(since, until, now))

    def outcomes(self) -> list[str]:
        return [verdict.outcome for verdict in self.verdicts.values()]

    def reasons(self) -> list[list[str]]:
        """Of each attempt."""
        return [verdict.reasons if verdict.failed else [] for verdict in self.verdicts.values()]

    def repairs(self) -> list[list[str]]:
        return [verdict.repairs for verdict in self.verdicts.values()]

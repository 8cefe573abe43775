# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The keys of a delivery: each with its definition, its n, its interval, and the list that it was computed from. Pure."""

from __future__ import annotations

import datetime
import math
import typing as t
from dataclasses import dataclass

from .commits import Delivered
from .intervals import Quantile, Share, quantile, share
from .reports import Rollout
from .served import joined_at
from .verdicts import CAUGHT, LANDED, MET, Verdict

WEEK = 7 * 86400
_MONDAY = 4 * 86400  # 1970-01-05
STAGES = ("committed_to_published", "published_to_begun", "begun_to_first_server", "first_server_to_all")
DEFINITIONS: t.Mapping[str, str] = {
    "deployment_frequency": "Deployments per week: the median of whole weeks, Monday to Sunday in UTC. A deployment is a rollout that made another release"
    " stable. A week without one is a zero.",
    "change_lead_time": "From the date of the committer of a commit to the end of the deployment that first brought it to the channel: the median of all"
    " commits that are no merges.",
    "change_lead_time_p90": "The same: nine of ten commits took no longer.",
    "lead_committed_to_published": "From the date of the committer to the moment in which the release was in the store: the median of the same commits.",
    "lead_published_to_begun": "From the store to the begin of the rollout: the median of the same commits.",
    "lead_begun_to_first_server": "From the begin of the rollout to the first server that people met: the median of the same commits.",
    "lead_first_server_to_all": "From the first server to the end of the rollout: the median of the same commits.",
    "change_fail_rate": "The share of what people met that failed: it was rolled back, replaced by a former release or made a ghost; or its rollout failed"
    " by its own fault after a server had joined; or an incident names it; or one of its commits was reverted by a later deployment.",
    "caught_rate": "Of the rollouts that failed by the fault of their release, the share that was stopped before a server joined: nobody met these, and they"
    " are no part of the change fail rate.",
    "recovery_time": "Of what failed, from the first server that joined on the bad version to the last one that left it: the median.",
    "bad_server_minutes": "Of what failed, how long servers served the bad version, all servers together. It is at least that much: servers that"
    " were launched meanwhile are in no report. What is not over counts until now.",
    "rework_rate": "The share of deployments that repair: they revert a commit, are the first one after a way back, bring a former release again, or are"
    " named as the fix of an incident.",
}
Item = dict[str, t.Any]


@dataclass(frozen=True)
class Window:
    """Of deployments, by their end. since <= ended < until; None is no bound."""

    since: float | None
    until: float | None
    now: float

    def holds(self, moment: float) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(frozen=True)
class Story:
    """All that is known, whatever the window is. published: digest -> when the store got its manifest."""

    rollouts: tuple[Rollout, ...]
    verdicts: t.Mapping[int, Verdict]
    delivered: Delivered
    published: t.Mapping[str, float]


def iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def keys_of(story: Story, window: Window) -> dict[str, Item]:
    verdicts = [v for v in story.verdicts.values() if window.holds(story.rollouts[v.index].ended)]
    found = {
        **_frequency(story, verdicts, window),
        **_lead(story, verdicts),
        **_failures(story, verdicts),
        **_recovery(story, [v for v in verdicts if v.failed], any(v.reached for v in verdicts), window.now),
        **_rework(story, [v for v in verdicts if v.outcome == LANDED]),
    }
    return {name: {"definition": DEFINITIONS[name], **value} for name, value in found.items()}


def _of_quantile(found: Quantile, unit: str, items: t.Sequence[t.Any], **more: t.Any) -> Item:
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    rounded = {key: None if number is None else round(number, 3) for key, number in numbers.items()}
    return {
        **rounded,
        "unit": unit,
        "n": found.n,
        "needs": found.needs,
        "enough": found.value is not None,
        **more,
        "entries": list(items),
    }


def _of_share(found: Share, items: t.Sequence[t.Any], **more: t.Any) -> Item:
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    rounded = {key: None if number is None else round(number, 6) for key, number in numbers.items()}
    return {
        **rounded,
        "unit": "share",
        "hits": found.hits,
        "n": found.n,
        "needs": found.needs,
        "enough": found.value is not None,
        **more,
        "entries": list(items),
    }


def week_of(moment: float) -> float:
    """Its Monday."""
    return float(math.floor((moment - _MONDAY) / WEEK) * WEEK + _MONDAY)


def _whole_weeks(story: Story, window: Window) -> list[float]:
    """The Mondays of the weeks that lie in the window as a whole: what one of them counts does not depend on where the window begins. Before the week of
    its first rollout, a channel was not there.
    """
    begin = min((rollout.ended for rollout in story.rollouts), default=window.now)
    monday = week_of(begin)
    while window.since is not None and monday < window.since:
        monday += WEEK
    last = week_of(window.now if window.until is None else min(window.until, window.now))
    return [monday + WEEK * number for number in range(max(round((last - monday) / WEEK), 0))]


def _frequency(story: Story, verdicts: t.Sequence[Verdict], window: Window) -> dict[str, Item]:
    counts: dict[float, dict[str, int]] = {
        monday: {"deployments": 0, "stayed": 0, "failed": 0, "caught": 0} for monday in _whole_weeks(story, window)
    }
    for verdict in verdicts:
        week = counts.get(week_of(story.rollouts[verdict.index].ended))
        if week is not None:
            week["deployments"] += verdict.outcome == LANDED
            week["stayed"] += verdict.outcome == LANDED and not verdict.failed
            week["failed"] += verdict.failed
            week["caught"] += verdict.outcome == CAUGHT
    found = quantile([week["deployments"] for week in counts.values()], 0.5)
    items = [{"week": iso(monday), **week} for monday, week in counts.items()]
    landed = sum(verdict.outcome == LANDED for verdict in verdicts)
    return {"deployment_frequency": _of_quantile(found, "deployments per week", items, deployments=landed)}


def _joined_first(rollout: Rollout) -> float | None:
    found = [joined_at(row, rollout.shielded) for row in rollout.rows]
    return min((moment for moment in found if moment is not None), default=None)


def _lead(story: Story, verdicts: t.Sequence[Verdict]) -> dict[str, Item]:
    items: list[Item] = []
    unknown: list[Item] = []
    for verdict in verdicts:
        if verdict.outcome != LANDED:
            continue
        rollout = story.rollouts[verdict.index]
        if verdict.index in story.delivered.unknown:
            unknown.append(
                {"id": rollout.id, "version": rollout.version, "why": story.delivered.unknown[verdict.index]}
            )
            continue
        published, joined = story.published.get(rollout.digest), _joined_first(rollout)
        for commit in sorted(story.delivered.commits[verdict.index], key=lambda one: (one.at, one.sha)):
            marks = (commit.at, published, rollout.begun, joined, rollout.ended)
            lead = rollout.ended - commit.at
            items.append(
                {
                    "commit": commit.sha,
                    "id": rollout.id,
                    "seconds": lead,
                    "counted": lead >= 0,
                    "stages": {name: _stage(a, b) for name, a, b in zip(STAGES, marks, marks[1:])},
                }
            )
    good = [item for item in items if item["counted"]]
    seconds = [item["seconds"] for item in good]
    said = {"unknown": unknown, "negative": len(items) - len(good)}
    found = {
        "change_lead_time": _of_quantile(quantile(seconds, 0.5), "seconds", items, **said),
        "change_lead_time_p90": _of_quantile(quantile(seconds, 0.9), "seconds", (), **said),
    }
    for name in STAGES:
        known = [item["stages"][name] for item in good if item["stages"][name] is not None]
        found["lead_" + name] = _of_quantile(quantile(known, 0.5), "seconds", (), not_known=len(good) - len(known))
    return found


def _stage(begun: float | None, ended: float | None) -> float | None:
    """None where a moment is not known, or where clocks do not agree: a stage never took less than nothing."""
    return round(ended - begun, 3) if begun is not None and ended is not None and ended >= begun else None


def _named(story: Story, verdict: Verdict, **more: t.Any) -> Item:
    rollout = story.rollouts[verdict.index]
    return {"id": rollout.id, "version": rollout.version, "ended": iso(rollout.ended), **more}


def _failures(story: Story, verdicts: t.Sequence[Verdict]) -> dict[str, Item]:
    reached = [v for v in verdicts if v.reached]
    failed = [v for v in reached if v.failed]
    caught = [v for v in verdicts if v.outcome == CAUGHT]
    broken = [v for v in verdicts if v.outcome in (CAUGHT, MET)]
    outcomes = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in (CAUGHT, "stopped", "unclear")}
    return {
        "change_fail_rate": _of_share(
            share(len(failed), len(reached)), [_named(story, v, reasons=list(v.reasons)) for v in failed], **outcomes
        ),
        "caught_rate": _of_share(
            share(len(caught), len(broken)),
            [_named(story, v, reason=story.rollouts[v.index].reason) for v in caught],
        ),
    }


def _recovery(story: Story, failed: t.Sequence[Verdict], any_reached: bool, now: float) -> dict[str, Item]:
    """What is not over counts until now: of a failure that goes on, few minutes would look well."""
    items = []
    for verdict in failed:
        left = [stay.left for stay in verdict.stays]
        begun = min((stay.joined for stay in verdict.stays), default=None)
        ended = max((moment for moment in left if moment is not None), default=None) if None not in left else None
        served = [(now if stay.left is None else stay.left) - stay.joined for stay in verdict.stays]
        items.append(
            _named(
                story,
                verdict,
                first_joined=iso(begun),
                last_left=iso(ended),
                seconds=None if begun is None or ended is None else round(ended - begun, 3),
                servers=len(verdict.stays),
                still_there=sorted(stay.host for stay in verdict.stays if stay.left is None),
                server_minutes=round(sum(max(seconds, 0.0) for seconds in served) / 60, 3),
            )
        )
    seconds = [item["seconds"] for item in items if item["seconds"] is not None]
    minutes = round(sum(item["server_minutes"] for item in items), 3)
    still = sum(bool(item["still_there"]) for item in items)
    blind = sum(not item["servers"] for item in items)
    counted = len(items) - blind
    # Without a deployment that people met, or with none whose servers are known, nothing is known to be good.
    enough = any_reached and not (items and not counted)
    return {
        "recovery_time": _of_quantile(quantile(seconds, 0.5), "seconds", items, not_over=still, not_known=blind),
        "bad_server_minutes": {
            "value": minutes if enough else None,
            "low": None,
            "high": None,
            "unit": "server minutes",
            "n": counted,
            "needs": 1,
            "enough": enough,
            "not_over": still,
            "not_known": blind,
            "entries": [],
        },
    }


def _rework(story: Story, landed: t.Sequence[Verdict]) -> dict[str, Item]:
    repairs = [v for v in landed if v.repairs]
    items = [_named(story, v, repairs=list(v.repairs)) for v in repairs]
    return {"rework_rate": _of_share(share(len(repairs), len(landed)), items)}

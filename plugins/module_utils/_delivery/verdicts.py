# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What became of each deployment, judged over the whole history: a verdict does not depend on where a window begins. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .commits import Delivered, Graph
from .reports import Rollout, seconds_of
from .served import Stay, joined_at, stays

# What became of an attempt to bring another release.
LANDED, MET, CAUGHT, STOPPED, UNCLEAR = "landed", "met", "caught", "stopped", "unclear"
# Why a deployment counts as failed.
ROLLED_BACK, UNDONE, GHOST, BROKE, INCIDENT, REVERTED = (
    "rolled back",
    "replaced by a former release",
    "became a ghost",
    "failed on servers that people used",
    "named by an incident",
    "its commit was reverted",
)
# Why a deployment is a repair.
REVERTS, FOLLOWS, RETURNS, FIXES = (
    "reverts a commit",
    "the first one after a failure",
    "a former release again",
    "the fix of an incident",
)


@dataclass(frozen=True)
class Incident:
    """What somebody else knows to be wrong with a version. at and fix are empty where they are not known."""

    id: str
    version: str
    at: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Ghosted:
    digest: str
    at: str


@dataclass
class Verdict:
    """Of one attempt. repaired: the place in the history of what took it away again; back: of the way back, if it was one."""

    index: int
    outcome: str
    reasons: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    repaired: int | None = None
    back: int | None = None
    stays: list[Stay] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """People met it."""
        return self.outcome in (LANDED, MET)

    @property
    def failed(self) -> bool:
        return self.reached and bool(self.reasons)

    def blame(self, reason: str, repaired: int | None = None) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)
        if repaired is not None and (self.repaired is None or repaired < self.repaired):
            self.repaired = repaired

    def mend(self, why: str) -> None:
        if why not in self.repairs:
            self.repairs.append(why)


def outcome_of(rollout: Rollout) -> str:
    if rollout.landed:
        return LANDED
    if rollout.after != rollout.before:
        return UNCLEAR  # somebody else owned the channel, or the deployer was cut off
    if not rollout.blame:
        return STOPPED
    return MET if any(joined_at(row, rollout.shielded) is not None for row in rollout.rows) else CAUGHT


def judge(
    rollouts: t.Sequence[Rollout],
    ghosts: t.Iterable[Ghosted],
    incidents: t.Iterable[Incident],
    graph: Graph,
    delivered: Delivered,
) -> tuple[dict[int, Verdict], list[str]]:
    """The verdict of each attempt by its place in the history, and the incidents that name nothing, in words."""
    verdicts = {index: Verdict(index, outcome_of(rollout)) for index, rollout in enumerate(rollouts) if rollout.deploys}
    for verdict in verdicts.values():
        if verdict.outcome == MET:
            verdict.blame(BROKE)
    _went_back(rollouts, verdicts)
    for ghost in ghosts:
        _ghosted(rollouts, verdicts, ghost)
    _reverted(verdicts, graph, delivered)
    strange = [said for one in incidents for said in _incident(rollouts, verdicts, one)]
    _follow(rollouts, verdicts)
    for verdict in verdicts.values():
        if verdict.failed:
            # Its own way back is no other rollout; what only followed it may have left its fault where it was.
            later = verdict.index + 1 if verdict.repaired is None else max(verdict.repaired, verdict.index + 1)
            verdict.stays = stays(rollouts[verdict.index], rollouts[later:])
    return verdicts, strange


def _newest(
    verdicts: t.Mapping[int, Verdict], rollouts: t.Sequence[Rollout], digest: str, before: int
) -> Verdict | None:
    """The last deployment of a release in front of a place in the history."""
    found = [v for v in verdicts.values() if v.outcome == LANDED and v.index < before]
    return next((v for v in reversed(found) if rollouts[v.index].digest == digest), None)


def _went_back(rollouts: t.Sequence[Rollout], verdicts: t.Mapping[int, Verdict]) -> None:
    """Follows what was stable. A rollback moves the channel before it makes its plan; and somebody may move it without any report.

    Back is what was stable before the other one was for the first time: a release that was rolled back and is tried again is no way back.
    """
    stable, ages = "", dict[str, int]()

    def back(digest: str) -> bool:
        return digest in ages and ages[digest] < ages[stable]

    for index, one in enumerate(rollouts):
        moved = (one.digest if one.kind == "rollback" else one.before) or stable
        if stable and moved != stable and (one.kind == "rollback" or back(moved)):
            _undo(verdicts, rollouts, stable, index, ROLLED_BACK)
        stable = moved
        ages.setdefault(stable, len(ages))
        if one.deploys and one.after == one.digest:
            if back(one.digest):
                _undo(verdicts, rollouts, stable, index, UNDONE)
                if one.landed:
                    verdicts[index].mend(RETURNS)
            stable = one.digest
            ages.setdefault(stable, len(ages))


def _undo(
    verdicts: t.Mapping[int, Verdict], rollouts: t.Sequence[Rollout], digest: str, index: int, reason: str
) -> None:
    of = _newest(verdicts, rollouts, digest, index)
    if of is not None:
        of.blame(reason, index)
        of.back = index if of.back is None else min(of.back, index)


def _ghosted(rollouts: t.Sequence[Rollout], verdicts: t.Mapping[int, Verdict], ghost: Ghosted) -> None:
    """A ghost that was one before the deployment was picked by force, and says nothing of it."""
    of = _newest(verdicts, rollouts, ghost.digest, len(rollouts))
    if of is None:
        return
    try:
        late = seconds_of(ghost.at) >= rollouts[of.index].ended
    except ValueError:
        late = True
    if late:
        of.blame(GHOST)


def _reverted(verdicts: t.Mapping[int, Verdict], graph: Graph, delivered: Delivered) -> None:
    for commit in graph.commits.values():
        by = delivered.owner.get(commit.sha, -1)
        for sha in commit.reverts:
            of = delivered.owner.get(sha)
            if of is None or of == by or by < 0 or by <= of:
                continue  # nobody has met it, or the revert came by a way that is not known
            # The first one of a channel has all that was before: its own commits are not known.
            if by in delivered.commits:
                verdicts[by].mend(REVERTS)
            if of in delivered.commits:
                verdicts[of].blame(REVERTED, by)


def _incident(rollouts: t.Sequence[Rollout], verdicts: t.Mapping[int, Verdict], one: Incident) -> list[str]:
    reached = [v for v in verdicts.values() if v.reached and rollouts[v.index].version == one.version]
    if one.at:
        at = seconds_of(one.at)
        reached = [v for v in reached if rollouts[v.index].ended <= at or v.outcome == MET]
    fixes = [v for v in verdicts.values() if v.outcome == LANDED and rollouts[v.index].version == one.fix]
    said = []
    if not reached:
        when = " until %s" % one.at if one.at else ""
        said.append(
            "The incident %s names the version %s, which met nobody on this channel%s: it counts for nothing."
            % (one.id, one.version, when)
        )
    if one.fix and not fixes:
        said.append("The incident %s names the fix %s, which was not deployed here." % (one.id, one.fix))
    if reached:
        bad = reached[-1]
        fix = next((v for v in fixes if v.index > bad.index), None)
        bad.blame(INCIDENT, fix.index if fix else None)
        if fix:
            fix.mend(FIXES)
    return said


def _follow(rollouts: t.Sequence[Rollout], verdicts: t.Mapping[int, Verdict]) -> None:
    """The first deployment after a failure that ended with a way back: whatever else it brings, it repairs. A release that was stable before is none."""
    due = [v.index if BROKE in v.reasons else v.back for v in verdicts.values() if v.failed]
    for at in due:
        following = [v for v in verdicts.values() if v.outcome == LANDED and at is not None and v.index > at]
        if following:
            following[0].mend(FOLLOWS)

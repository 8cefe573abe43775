# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Commits as data: who brought which one first, and which ones were reverted. Pure: git is asked elsewhere."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .reports import Rollout

_REVERTS = re.compile(r"\bThis reverts commit ([0-9a-f]{40}(?:[0-9a-f]{24})?)\b")


@dataclass(frozen=True)
class Commit:
    sha: str
    parents: tuple[str, ...]
    at: float  # the committer's date
    reverts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """commits: all that any of the releases has. why: why there is none."""

    commits: t.Mapping[str, Commit] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Delivered:
    """What each deployment brought first, by its place in the history; and why it is not known of the others."""

    commits: t.Mapping[int, tuple[Commit, ...]]
    unknown: t.Mapping[int, str]
    owner: t.Mapping[str, int]  # commit -> the deployment that brought it first; of all that is known


def reverted_in(message: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_REVERTS.findall(message)))


def deliver(
    rollouts: t.Sequence[Rollout], shas: t.Mapping[str, str], causes: t.Mapping[str, str], graph: Graph
) -> Delivered:
    """shas: digest -> commit; causes: digest -> why it has none.

    A commit belongs to the first deployment that brought it to the channel, and to no other one: what was rolled back and comes again is not new.
    """
    owner: dict[str, int] = {}
    commits: dict[int, tuple[Commit, ...]] = {}
    unknown: dict[int, str] = {}
    for index, rollout in enumerate(rollouts):
        if not rollout.landed:
            # It was stable, whoever made it so: its commits are not new any more.
            for digest in (rollout.before, rollout.after):
                _claim(owner, shas.get(digest, ""), graph, -1)
            continue
        _claim(owner, shas.get(rollout.before, ""), graph, -1)
        new = _claim(owner, shas.get(rollout.digest, ""), graph, index)
        why = _unknown(rollout, shas, causes, graph)
        if why:
            unknown[index] = why
        else:
            commits[index] = tuple(commit for commit in new if len(commit.parents) < 2)
    return Delivered(commits, unknown, owner)


def _unknown(rollout: Rollout, shas: t.Mapping[str, str], causes: t.Mapping[str, str], graph: Graph) -> str:
    if graph.why:
        return graph.why
    if not rollout.before:
        return "it is the first one of the channel: what came before it is not known"
    for digest, which in ((rollout.digest, "it"), (rollout.before, "the release before it")):
        sha = shas.get(digest, "")
        if not sha:
            return "of %s no commit is known: %s" % (which, causes.get(digest) or "its manifest has none")
        if sha not in graph.commits:
            return "the commit %s of %s is not in the repository (was the history rewritten, or is it not fetched?)" % (
                sha[:12],
                which,
            )
    return ""


def _claim(owner: dict[str, int], sha: str, graph: Graph, index: int) -> list[Commit]:
    """All that is above sha and belongs to nobody yet becomes index's."""
    found, waiting = [], [sha]
    while waiting:
        one = waiting.pop()
        commit = graph.commits.get(one)
        if commit is not None and one not in owner:
            owner[one] = index
            found.append(commit)
            waiting.extend(commit.parents)
    return found

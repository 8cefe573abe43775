# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What delivery_info does: from options to the result. It only reads."""

from __future__ import annotations

import re
import time
import typing as t

from .._errors import BeamError, NotFound
from .._release.channel import Channel
from .._release.names import check_channel, check_digest, check_name, check_version
from .._rollout.fences import both, read_journal
from .._rollout.history import read_history
from .._rollout.journal import Journal
from .._store.base import Store
from .._store.documents import UNREADABLE, read_channel, read_manifest
from .._store.keys import digests_in, manifest_key, prefix
from .._store.location import open_store
from .._store.parallel import parallel
from .commits import Graph, deliver
from .git_commits import read_graph
from .keys import Story, Window, iso, keys_of
from .reports import Damaged, Rollout, read_reports, seconds_of
from .verdicts import Ghosted, Incident, Verdict, judge

SCHEMA = 1
NO_REPO = "no repository was given (option repo), so no commit has a date"
_EVERY_REPORT = 10**9
_AGO = re.compile(r"([1-9][0-9]{0,4})([dw])")
_DAYS = {"d": 1, "w": 7}
Params = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


def run_delivery(params: Params, now: float | None = None) -> Result:
    store, name, channel = open_store(params), check_name(params["name"]), check_channel(params["channel"])
    window = window_of(params.get("since"), params.get("before"), time.time() if now is None else now)
    incidents = [incident_of(one) for one in params.get("incidents") or ()]
    raw, ((pointer, no_pointer), (journal, no_journal)) = both(
        lambda: read_history(store, name, channel, _EVERY_REPORT),
        lambda: both(
            lambda: _or_blank(lambda: read_channel(store, name, channel)[0], Channel(name, channel)),
            lambda: _or_blank(lambda: read_journal(store, name, channel)[0], Journal(name, channel)),
        ),
    )
    rollouts, damaged, twice = read_reports(raw[::-1], name, channel)
    published = _published(store, name)
    shas, causes = _commits_of(store, name, rollouts) if params.get("repo") else ({}, {})
    graph = read_graph(params["repo"], shas.values()) if params.get("repo") else Graph(why=NO_REPO)
    delivered = deliver(rollouts, shas, causes, graph)
    ghosts = [Ghosted(ghost.digest, ghost.at) for ghost in pointer.ghosts]
    verdicts, strange = judge(rollouts, ghosts, incidents, graph, delivered)
    story = Story(rollouts, verdicts, delivered, published)
    shown = [v for v in verdicts.values() if window.holds(rollouts[v.index].ended)]
    return {
        "changed": False,
        "schema": SCHEMA,
        "name": name,
        "channel": channel,
        "since": iso(window.since),
        "before": iso(window.until),
        "at": iso(window.now),
        "figures": keys_of(story, window),
        "deployments": [_deployment(story, verdict, shas) for verdict in shown],
        "damaged": [vars(one) for one in damaged],
        "interrupted": [
            {"id": one.interrupted, "taken_up_by": one.id}
            for one in rollouts
            if one.interrupted and window.holds(one.ended)
        ],
        "unfinished": {"id": journal.id, "version": journal.version, "at": journal.at} if journal.unfinished else None,
        "notes": [
            *_notes(rollouts, damaged, twice, journal, graph),
            *("What only this would tell is not counted: %s" % why for why in (no_pointer, no_journal) if why),
            *strange,
        ],
    }


def window_of(since: str | None, until: str | None, now: float) -> Window:
    found = Window(_moment("since", since, now), _moment("before", until, now), now)
    if found.since is not None and found.since >= (now if found.until is None else found.until):
        raise BeamError(
            "delivery_window",
            "there is nothing between since and before",
            "since is %s, before is %s" % (iso(found.since), iso(found.until) or "now"),
            "Give a since that is earlier",
        )
    return found


def _moment(name: str, value: str | None, now: float) -> float | None:
    if not value:
        return None
    ago = _AGO.fullmatch(value)
    if ago:
        return now - int(ago[1]) * _DAYS[ago[2]] * 86400
    try:
        return seconds_of(value)
    except (ValueError, OverflowError):
        raise BeamError(
            "delivery_time",
            "%s can't be used" % name,
            "%.60r is not a time" % value,
            "Give a date (2026-03-01), a time (2026-03-01T12:00:00Z), or how long ago (90d, 12w)",
        ) from None


def incident_of(one: Params) -> Incident:
    at = str(one.get("at") or "")
    if at:
        _moment("at of the incident %s" % one["id"], at, 0.0)
        if _AGO.fullmatch(at):
            raise BeamError(
                "delivery_time",
                "at of the incident %s can't be used" % one["id"],
                "%r is a span, and what it means changes every day" % at,
                "Give a date or a time",
            )
    fix = check_version(one["fix"]) if one.get("fix") else ""
    return Incident(str(one["id"]), check_version(one["version"]), at, fix)


T = t.TypeVar("T")


def _or_blank(read: t.Callable[[], T], blank: T) -> tuple[T, str]:
    """A document that is wrong hides nothing that the history tells; and why. A store that can't be asked stays an error."""
    try:
        return read(), ""
    except BeamError as exc:
        if exc.code not in ("channel_invalid", "journal_invalid", "store_object_too_large"):
            raise
        return blank, exc.message


def _published(store: Store, name: str) -> dict[str, float]:
    """digest -> when the store got its manifest, by the clock of the store."""
    rows = list(store.list(prefix(name, "manifests")))
    digests, _junk = digests_in(rows)
    modified = {row.key: row.modified for row in rows}
    return {digest: modified[manifest_key(name, digest)] for digest in digests}


def _commits_of(store: Store, name: str, rollouts: t.Sequence[Rollout]) -> tuple[dict[str, str], dict[str, str]]:
    """digest -> commit, and digest -> why none is known."""
    digests = sorted({d for one in rollouts for d in (one.digest, one.before, one.after) if d})

    def read(digest: str) -> tuple[str, str]:
        try:
            origin = read_manifest(store, name, check_digest(digest)).provenance
        except NotFound:
            return "", "its manifest is no longer in the store"
        except BeamError as exc:
            if exc.code not in UNREADABLE:
                raise
            return "", "its manifest can't be read (%s)" % exc.code
        if origin.git_dirty:
            return "", "it was built from changes that were not committed"
        return origin.git_sha, "" if origin.git_sha else "its manifest names no commit"

    found = dict(zip(digests, parallel(read, digests)))
    return {d: sha for d, (sha, _why) in found.items() if sha}, {d: why for d, (_sha, why) in found.items() if why}


def _deployment(story: Story, verdict: Verdict, shas: t.Mapping[str, str]) -> Result:
    rollout = story.rollouts[verdict.index]
    commits = story.delivered.commits.get(verdict.index)
    return {
        "id": rollout.id,
        "key": rollout.key,
        "version": rollout.version,
        "digest": rollout.digest,
        "commit": shas.get(rollout.digest) or None,
        "begun": iso(rollout.begun),
        "ended": iso(rollout.ended),
        "outcome": verdict.outcome,
        "failed": list(verdict.reasons) if verdict.failed else [],
        "repairs": list(verdict.repairs),
        "commits": None if commits is None else len(commits),
        "reason": rollout.reason,
    }


def _notes(
    rollouts: t.Sequence[Rollout], damaged: t.Sequence[Damaged], twice: int, journal: Journal, graph: Graph
) -> list[str]:
    found = []
    if not rollouts:
        found.append("The history of the channel has no rollout that can be counted.")
    found += ["The report %s can't be counted: %s." % (one.key, one.why.rstrip(".")) for one in damaged]
    if twice:
        found.append("Rollouts that were reported more than once: %d. Each counts once, by its last report." % twice)
    if journal.unfinished:
        found.append(
            "The rollout %s of %s has not ended, or was interrupted: it counts for nothing yet."
            % (journal.id, journal.version)
        )
    if graph.why:
        found.append("There are no lead times: %s." % graph.why)
    return found

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What to roll out, from what was asked for and what the store says. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._release.channel import Target

Doc = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Known:
    """What rollout_info says about a channel."""

    stable: Target | None = None
    candidate: Target | None = None
    ghosts: frozenset[str] = frozenset()  # digests
    journal: Doc = field(default_factory=dict)  # of the last rollout; empty if there was none
    unfinished: bool = False  # the last rollout never ended
    left: frozenset[str] = frozenset()  # hosts that the last rollout left half way


def parse_known(doc: Doc) -> Known:
    channel = doc.get("channel") or {}
    return Known(
        stable=target_of(channel.get("stable")),
        candidate=target_of(channel.get("candidate")),
        ghosts=frozenset(str(ghost["digest"]) for ghost in channel.get("ghosts") or ()),
        journal=doc.get("journal") or {},
        unfinished=bool(doc.get("unfinished")),
        left=frozenset(doc.get("interrupted_hosts") or ()),
    )


def target_of(doc: Doc | None) -> Target | None:
    return Target(str(doc["version"]), str(doc["digest"])) if doc else None


@dataclass(frozen=True)
class Asked:
    """What the user asked for. Of version and digest one counts, the digest first. resume: auto, resume, revert or refuse."""

    version: str = ""
    digest: str = ""
    resume: str = "auto"

    @property
    def named(self) -> bool:
        return bool(self.version or self.digest)


@dataclass(frozen=True)
class Aim:
    """target: None if the store has to find what was named. why: named, stable, resumed or reverted."""

    target: Target | None
    why: str


def aim(known: Known, asked: Asked) -> Aim:
    """What to roll out: what was named; or the candidate of a rollout that was interrupted; or what is stable."""
    journal = known.journal
    if not known.unfinished or not journal:
        return Aim(None, "named") if asked.named else Aim(known.stable, "stable")
    if asked.resume == "refuse":
        raise BeamError(
            "rollout_unfinished",
            "The rollout %s of %s was interrupted and never ended"
            % (journal.get("id") or "", journal.get("version") or ""),
            "",
            "Set beam_resume to auto, resume or revert, or look at it with alchemist.beam.status",
        )
    if asked.named:
        return Aim(None, "named")
    wanted = Target(str(journal["version"]), str(journal["digest"]))
    forward = asked.resume == "resume" or (
        asked.resume == "auto" and journal.get("state") == "running" and known.candidate == wanted
    )
    if forward and wanted.digest not in known.ghosts:
        return Aim(wanted, "resumed")
    return Aim(known.stable, "reverted")


def proposal(known: Known, asked: Asked, aimed: Aim) -> dict[str, str]:
    """How the store is asked for the release: by digest or version. Empty if it is stable already and needs no candidate."""
    if asked.named and not asked.digest:
        return {"version": asked.version}  # always resolved, because nothing may be stable yet
    digest = asked.digest or (aimed.target.digest if aimed.target else "")
    return {"digest": digest} if digest and digest != (known.stable.digest if known.stable else "") else {}


def check_aim(asked: Asked, aimed: Aim, channel: str) -> None:
    if not asked.named and aimed.target is None:
        raise BeamError(
            "nothing_to_roll_out",
            "There is nothing to roll out",
            "no version was named or just published, and nothing is stable on the channel %s" % channel,
            "Say beam_version, or run alchemist.beam.deploy (with --limit, the limit has to include the build host)",
        )


def homecoming(known: Known, target: Target) -> bool:
    """Whether it brings hosts to what is stable already. Then there is nothing to promote, and a failure makes no ghost."""
    return known.stable is not None and known.stable.digest == target.digest


def left_behind(known: Known, hosts: t.Iterable[str]) -> Doc:
    """The journal that this rollout takes up: of a rollout that was interrupted, or that could not take one of these hosts back because it was away."""
    return known.journal if known.unfinished or known.left.intersection(hosts) else {}


def waits(lock: Doc | None, seconds: int, check_mode: bool, rolled_back: bool) -> bool:
    """Whether to wait for another rollout before planning. lock: as rollout_info gives it. A rollback holds the lock already."""
    return bool((lock or {}).get("held")) and seconds > 0 and not check_mode and not rolled_back


def unpublished(name: str, rehearsed: Doc) -> str:
    """The end of the rehearsal of a release that is not in the store yet. rehearsed: version, commit and layers, as far as they can be known."""
    version, commit, layers = (rehearsed.get(key) for key in ("version", "commit", "layers"))
    what = "%s %s%s" % (
        name,
        version or "(its version can not be told before it is checked out)",
        " (commit %s)" % commit[:12] if commit else "",
    )
    first = (
        "It is built, and would be published: %d of its %d layers would be sent." % (layers["sent"], layers["total"])
        if layers
        else "It would be built and published first, so its layers can not be told."
    )
    return (
        "%s is not in the store yet. %s Its bytes, and what it would move on each server, can't be told before it is published. "
        "Publish it (alchemist.beam.build and alchemist.beam.distribute), then rehearse the rollout." % (what, first)
    )

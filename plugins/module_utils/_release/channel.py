# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A channel as a value, and its transitions as pure functions.

A transition returns a new Channel with the next serial and a fresh token, or the same object where nothing changes.
Writing it (compare-and-swap) is the store's part. The token makes every write's bytes unique, so that an If-Match
on them can't be fooled by A-B-A, and lets a writer whose answer was lost recognise its own write.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, replace

from .._errors import BeamError, Conflict
from .._json import parse_json
from .names import check_channel, check_digest, check_name, check_version, is_whole
from .requires import Glass, Requires, parse_requires

SCHEMA = 1
MAX_CHANNEL_BYTES = 1024 * 1024
MAX_SERIAL = 2**53 - 1  # what a server's own notes may say: those of former versions
# What a document of a store may say, and so what anybody writes. A channel counts by one, a lock by one and from the time in seconds: neither gets there
# before the year 2286, and what is beyond it was not written by us.
LAST_SERIAL = 10**10


@dataclass(frozen=True)
class Target:
    version: str
    digest: str


@dataclass(frozen=True)
class Ghost:
    version: str
    digest: str
    reason: str
    at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Channel:
    name: str
    channel: str
    serial: int = 0  # 0: not in the store yet
    stable: Target | None = None
    candidate: Target | None = None
    previous: Target | None = None
    ghosts: tuple[Ghost, ...] = ()
    by: str = ""  # who wrote it, such as user@host
    at: str = ""  # when, ISO 8601, UTC
    token: str = ""  # unique to each write
    fence: int = 0  # serial of the newest lock of a rollout: whoever writes with an older one lost that lock
    requires: Requires | None = None  # of whatever becomes candidate or stable
    glass: Glass | None = None  # the last release that was let through without it

    def ghost(self, digest: str) -> Ghost | None:
        return next((g for g in self.ghosts if g.digest == digest), None)

    def targets(self) -> tuple[Target, ...]:
        """The releases this channel protects from being removed."""
        return tuple(x for x in (self.stable, self.candidate, self.previous) if x)

    def to_bytes(self) -> bytes:
        document = {"schema": SCHEMA, **asdict(self)}
        # Not there where nobody uses them, so that readers of former versions go on.
        for key in ("requires", "glass"):
            if document[key] is None:
                del document[key]
        return (json.dumps(document, sort_keys=True, indent=1) + "\n").encode("ascii")


@dataclass(frozen=True)
class Stamp:
    """Who writes, when, and the token of this write: given in, so that transitions stay pure."""

    by: str
    at: str
    token: str
    fence: int | None = (
        None  # the serial of the lock that the writer holds; None: a person's write, which no lock stands behind
    )


def refuse_older_fence(channel: Channel, stamp: Stamp) -> None:
    """A rollout whose lock was taken meanwhile, such as one that was frozen and came back, writes nothing."""
    if stamp.fence is not None and stamp.fence < channel.fence:
        raise Conflict(
            "lock_lost",
            "the channel %s of %s was not changed" % (channel.channel, channel.name),
            "the lock %d of this rollout was taken: %d is the newest" % (stamp.fence, channel.fence),
            "Look at what goes on (playbook alchemist.beam.status); if this rollout is still wanted, run it again",
            fence=stamp.fence,
            newest=channel.fence,
        )


def _next(channel: Channel, stamp: Stamp, **changes: t.Any) -> Channel:
    refuse_older_fence(channel, stamp)
    if all(getattr(channel, key) == value for key, value in changes.items()):
        return channel
    fence = max(channel.fence, stamp.fence or 0)
    _refuse_unreadable(channel, channel.serial + 1, fence)
    return replace(
        channel,
        **{
            **changes,
            "serial": channel.serial + 1,
            "by": stamp.by,
            "at": stamp.at,
            "token": stamp.token,
            "fence": fence,
        },
    )


def _refuse_unreadable(channel: Channel, serial: int, fence: int) -> None:
    """Refuse to write anything that could not be read again."""
    if serial > LAST_SERIAL:
        raise BeamError(
            "channel_exhausted",
            "the channel %s of %s was not changed" % (channel.channel, channel.name),
            "its serial is %d, the last one there can be, and was not reached by promotions" % channel.serial,
            "Find out who wrote it, then have it numbered anew: playbook alchemist.beam.unlock",
            serial=channel.serial,
        )
    if fence > LAST_SERIAL:
        raise BeamError(
            "fence_invalid",
            "the channel %s of %s was not changed" % (channel.channel, channel.name),
            "the fence %d is no serial of a lock" % fence,
            "Give what rollout_lock returned (module alchemist.beam.rollout_lock)",
        )


def spent(channel: Channel) -> bool:
    """Whether its counters are at their limit, so that the next document could not be read."""
    return max(channel.serial, channel.fence) >= LAST_SERIAL


def restart_counters(channel: Channel, stamp: Stamp, serial: int, fence: int) -> Channel:
    """The same pointers with counters that can go on: after somebody wrote some that can't."""
    return replace(channel, serial=serial, fence=fence, by=stamp.by, at=stamp.at, token=stamp.token)


def raise_fence(channel: Channel, stamp: Stamp) -> Channel:
    """A lock was taken: from now on, whoever held it before writes nothing here."""
    return _next(channel, stamp, fence=max(channel.fence, stamp.fence or 0))


def _refuse_ghost(channel: Channel, target: Target, force: bool) -> tuple[Ghost, ...]:
    ghost = channel.ghost(target.digest)
    if ghost and not force:
        raise BeamError(
            "ghost",
            "%s %s can't be picked on the channel %s" % (channel.name, target.version, channel.channel),
            "it is a ghost since %s: %s" % (ghost.at, ghost.reason or "no reason given"),
            "Build and publish a new version, or say force: true (of a playbook -e beam_force=true) to pick it all the same",
        )
    return tuple(g for g in channel.ghosts if g is not ghost)


def propose(channel: Channel, target: Target, stamp: Stamp, force: bool = False) -> Channel:
    """A rollout towards target begins."""
    ghosts = _refuse_ghost(channel, target, force)
    return _next(channel, stamp, candidate=target, ghosts=ghosts)


def withdraw(channel: Channel, stamp: Stamp) -> Channel:
    """The rollout ended without a promotion."""
    return _next(channel, stamp, candidate=None)


def promote(channel: Channel, target: Target, stamp: Stamp, force: bool = False) -> Channel:
    ghosts = _refuse_ghost(channel, target, force)
    previous = channel.previous if channel.stable == target else channel.stable
    candidate = None if channel.candidate == target else channel.candidate
    return _next(channel, stamp, stable=target, previous=previous, candidate=candidate, ghosts=ghosts)


def roll_back(
    channel: Channel,
    stamp: Stamp,
    target: Target | None = None,
    ghost_reason: str | None = "rolled back",
    force: bool = False,
) -> Channel:
    """stable goes back to target (previous, where none is given); what it leaves becomes a ghost unless the reason is None."""
    label = "%s on the channel %s" % (channel.name, channel.channel)
    if channel.stable is None:
        raise BeamError(
            "no_stable", "%s can't be rolled back" % label, "nothing was ever promoted", "Promote a version first"
        )
    target = target or channel.previous
    if target is None:
        raise BeamError(
            "no_previous",
            "%s can't be rolled back" % label,
            "%s is the first version that was promoted" % channel.stable.version,
            "Name the version to go to (of a playbook beam_version), or promote another one",
        )
    if target == channel.stable:
        raise BeamError(
            "rollback_to_itself",
            "%s can't be rolled back to %s" % (label, target.version),
            "it is what is stable now",
            "Name another version (of a playbook beam_version)",
        )
    ghosts = _refuse_ghost(channel, target, force)
    if ghost_reason is not None and not any(g.digest == channel.stable.digest for g in ghosts):
        ghosts += (Ghost(channel.stable.version, channel.stable.digest, ghost_reason, stamp.at),)
    candidate = None if channel.candidate == channel.stable else channel.candidate
    return _next(channel, stamp, stable=target, previous=channel.stable, candidate=candidate, ghosts=ghosts)


def add_ghost(channel: Channel, target: Target, reason: str, stamp: Stamp) -> Channel:
    """target failed here. What is stable can't be a ghost: it has to be rolled back instead."""
    if channel.stable == target:
        raise BeamError(
            "ghost_is_stable",
            "%s %s can't become a ghost" % (channel.name, target.version),
            "it is stable on the channel %s" % channel.channel,
            "Roll the channel back; that makes it a ghost",
        )
    ghosts = channel.ghosts
    if not channel.ghost(target.digest):
        ghosts += (Ghost(target.version, target.digest, reason, stamp.at),)
    candidate = None if channel.candidate == target else channel.candidate
    return _next(channel, stamp, candidate=candidate, ghosts=ghosts)


def remove_ghost(channel: Channel, target: Target, stamp: Stamp) -> Channel:
    return _next(channel, stamp, ghosts=tuple(g for g in channel.ghosts if g.digest != target.digest))


def require(channel: Channel, requires: Requires | None, stamp: Stamp) -> Channel:
    """What releases have to fulfil from now on. What is named on the channel already stays."""
    return _next(channel, stamp, requires=requires)


def _target(doc: t.Any) -> Target | None:
    return None if doc is None else Target(check_version(doc["version"]), check_digest(doc["digest"]))


def _glass(doc: t.Any) -> Glass:
    _target(doc)
    return Glass(**{key: str(value) for key, value in doc.items()})


def parse_channel(data: bytes, counters: bool = True) -> Channel:
    """counters=False: an invalid serial or fence becomes 0, so that it can be written again."""
    try:
        if len(data) > MAX_CHANNEL_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_CHANNEL_BYTES)
        doc = parse_json(data)
        if doc.pop("schema") != SCHEMA:
            raise ValueError("its schema is unknown")
        for key, least in (("serial", 1), ("fence", 0)):
            value = doc["serial"] if key == "serial" else doc.setdefault("fence", 0)
            if not is_whole(value) or not least <= value <= LAST_SERIAL:
                if counters:
                    raise ValueError("%.40r is not a %s" % (value, key))
                doc[key] = 0
        check_name(doc["name"])
        check_channel(doc["channel"])
        for key in ("stable", "candidate", "previous"):
            doc[key] = _target(doc[key])
        doc["ghosts"] = tuple(
            Ghost(check_version(g["version"]), check_digest(g["digest"]), str(g["reason"]), str(g["at"]))
            for g in doc["ghosts"]
        )
        if "requires" in doc:
            doc["requires"] = parse_requires(doc["requires"])
        if "glass" in doc:
            doc["glass"] = _glass(doc["glass"])
        return Channel(**doc)
    except (ValueError, KeyError, TypeError, AttributeError, BeamError) as exc:
        raise BeamError(
            "channel_invalid",
            "the channel can't be read",
            str(exc) or type(exc).__name__,
            "Find out who wrote it. Where only its counters are wrong, the playbook alchemist.beam.unlock mends it; else write it anew: "
            "module alchemist.beam.release_channel with the version that shall be stable and force: true",
        ) from exc

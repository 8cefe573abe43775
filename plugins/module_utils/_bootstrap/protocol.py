# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""How a server comes into service on what the channel says, whatever the channel does meanwhile.

    converge   install what is stable, start it, see it healthy; look again; once more if the pointer moved
    complete   the launch, only after a gate on the very digest that was read last
    look       once more, and converge again if it moved

Why that is enough: a promotion that came before the last look is seen by it. One that comes after the last look comes after this server has completed,
so that the sweep, which follows each promotion and lists all members of the group, finds it in service. There is no third case.

Nothing but this order is decided here, so that a test can try it against all that others may do between any two steps.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._node.ending import ENDINGS

CONTINUE, ABANDON = "CONTINUE", "ABANDON"
LOOK_EVERY = 30.0  # seconds, while an instance is held back before it is abandoned
# Somebody else, such as a sweep, switched or restarted the node under our hands: no fault of the release.
DISPLACED = frozenset(("displaced", "version_on_disk", "wrong_release", "old_process", "node_busy"))


@dataclass(frozen=True)
class Pointer:
    """What a channel says is stable."""

    serial: int
    version: str
    digest: str


class World(t.Protocol):
    def look(self) -> Pointer:
        """What the channel says now."""

    def install(self) -> Pointer:
        """`current` is what the channel said at some moment during this call, and that is returned."""

    def prove(self, pointer: Pointer) -> None:
        """The node runs it and is healthy, or BeamError; one of DISPLACED where somebody switched it meanwhile."""

    def complete(self, result: str) -> None:
        """Complete the launch; does nothing if no hook waits for that."""

    def failed(self, error: BeamError, pointer: Pointer | None) -> float:
        """Make known that the boot failed; how long to hold back before the instance is given up."""

    def pause(self, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...


def bring_up(world: World, rounds: int) -> Pointer:
    """In service on what was returned, or BeamError, after everything about it was told and the launch abandoned."""
    while True:
        seen: list[Pointer] = []
        try:
            proven = converge(world, rounds, seen)
            world.complete(CONTINUE)
            break
        except BeamError as error:
            if not _moves(world, world.failed(error, seen[-1] if seen else None), seen):
                world.complete(ABANDON)
                raise
            world.say("The channel has moved meanwhile: trying again")
    return stay(world, rounds, proven)


def stay(world: World, rounds: int, proven: Pointer) -> Pointer:
    """The hook is completed: the group can't be told to give this server up any more. But the server still has to follow the channel."""
    seen: list[Pointer] = [proven]
    try:
        now = world.look()
        if now.digest == proven.digest:
            return now
        world.say("The channel moved to %s meanwhile: following" % now.version)
        return converge(world, rounds, seen)
    except BeamError as error:
        world.failed(error, seen[-1])
        raise


def converge(world: World, rounds: int, seen: list[Pointer]) -> Pointer:
    """seen: gets what was tried, for whoever has to tell of a failure."""
    failed: Pointer | None = None
    for _round in range(rounds):
        tried: Pointer | None = None
        try:
            tried = world.install()
            seen.append(tried)
            world.prove(tried)
        except BeamError as error:
            if error.code in ENDINGS:
                raise
            now = _look_again(world, error)
            if error.code not in DISPLACED and now.digest in [one.digest for one in (tried, failed) if one]:
                raise
            # What failed is not what is wanted any more (or could not even be told): it is no reason to give up.
            world.say("%s The channel says %s: trying again" % (error.message, now.version))
            failed = now
            continue
        now = world.look()
        if now.digest == tried.digest:
            return now
        world.say("The channel moved from %s to %s meanwhile: following" % (tried.version, now.version))
    raise BeamError(
        "channel_moving",
        "This server can't come into service",
        "the channel moved, or the server was changed, in each of %d rounds" % rounds,
        "Find out who moves it, or raise rounds",
    )


def _look_again(world: World, error: BeamError) -> Pointer:
    try:
        return world.look()
    except BeamError:
        raise error from None


def _moves(world: World, seconds: float, seen: list[Pointer]) -> bool:
    """Hold back that long; whether the channel turned away from what failed meanwhile."""
    while seconds > 0:
        part = min(seconds, LOOK_EVERY)
        world.pause(part)
        seconds -= part
        try:
            if seen and world.look().digest != seen[-1].digest:
                return True
        except BeamError:
            continue
    return False

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Fences: a deploy that lost its lock must not go on with hosts that the next one has begun to change.

A lock's serial only grows. Whoever writes here under a lock leaves its serial behind, and whoever comes with a lower one
is refused before anything is touched.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, Conflict
from .._release.channel import MAX_SERIAL
from .._release.names import check_channel
from .layout import Layout
from .present import read_state
from .state import State


@dataclass(frozen=True)
class Fence:
    channel: str
    number: int


def fence_of(params: t.Mapping[str, t.Any]) -> Fence | None:
    """The options fence and fence_channel. A module needs both or none."""
    if params.get("fence") is None:
        return None
    number = params["fence"]
    if not 0 <= number <= MAX_SERIAL:
        raise BeamError(
            "fence_invalid",
            "the fence %s can't be used" % number,
            "it must be the serial of a lock",
            "Give what rollout_lock returned",
        )
    return Fence(check_channel(params["fence_channel"]), number)


def refuse_older(base: str, state: State, fence: Fence | None) -> None:
    if fence is None:
        return
    newest = state.fences.get(fence.channel, 0)
    if fence.number < newest:
        raise Conflict(
            "lock_lost",
            "%s in %s is left as it is" % (state.name, base),
            "another deploy of the channel %s has taken over since (its fence is %d, ours is %d)"
            % (fence.channel, newest, fence.number),
            "Look at what it does, and start anew when it is done",
            channel=fence.channel,
            fence=fence.number,
            newest=newest,
        )


def check_fence(base: str, name: str, fence: Fence | None) -> None:
    """For whoever only reads the state, such as a restart."""
    if fence is not None:
        layout = Layout(os.path.realpath(base))
        refuse_older(layout.base, read_state(layout, name), fence)


def installed_digest(base: str, name: str, version: str) -> str:
    """Of a version that is staged here; '' where that is not known."""
    known = read_state(Layout(os.path.realpath(base)), name).installed.get(version)
    return known.digest if known else ""

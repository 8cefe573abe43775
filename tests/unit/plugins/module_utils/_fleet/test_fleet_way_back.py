# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever writes journal/ can't choose the version that a server is taken back to."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.way_back import Sight, came_from, doubt, parse_past

A, B, C, OLD = "1.0.0", "1.1.0", "1.2.0", "0.1.0"


def outcome(
    noted: str,
    staged: dict[str, t.Any],
    ghosts: t.Sequence[str] = (),
    stable: str | None = A,
    running: str | None = None,
) -> tuple[str, str]:
    """What the host goes back to when C is rolled out, and what is told of it."""
    past = parse_past(
        {
            "version": C,
            "stable": stable and {"version": stable, "digest": "d"},
            "ghosts": [{"version": one} for one in ghosts],
            "interrupted": {
                "id": "r1",
                "state": "running",
                "hosts": {"a": {"step": "moved", "from": noted, "out": True}},
            },
        }
    )
    sight = Sight(staged, {"version": running})
    return came_from(sight, past, "a"), doubt(sight, past, "a")


@pytest.mark.parametrize(
    "noted, staged, more, back",
    [
        (A, {"current": B, "previous": A}, {}, A),  # moved, and its controller died
        (A, {"current": A, "previous": None}, {}, A),  # before it was moved
        (
            A,
            {"current": C, "previous": B},
            {},
            A,
        ),  # by two rollouts, of which none ended: stable is what all ran before
        (B, {"current": C, "previous": B}, {"stable": A}, B),
        (B, {"current": B, "previous": A}, {"ghosts": [B]}, B),  # it runs the ghost: that is the best that it has
        (B, {"current": C, "previous": A, "pointers": {"blue": B}}, {}, B),
        (B, {"current": C, "previous": A}, {"running": B}, B),
        (OLD, {"current": B}, {}, OLD),  # the host could not be asked
    ],
)
def test_what_the_host_or_the_channel_confirms_is_believed(
    noted: str, staged: dict[str, t.Any], more: dict[str, t.Any], back: str
) -> None:
    assert outcome(noted, staged, **more) == (back, "")


@pytest.mark.parametrize(
    "noted, staged, more, back, why",
    [
        (OLD, {"current": B, "previous": A}, {}, B, "has never run"),  # a downgrade
        (OLD, {"current": C, "previous": A}, {}, A, "has never run"),
        (OLD, {"current": C, "previous": None}, {}, C, "has never run"),
        (OLD, {"current": None, "previous": None}, {}, "", "has never run"),
        (B, {"current": A, "previous": B}, {"ghosts": [B]}, A, "a ghost"),
        (B, {"current": C, "previous": B}, {"ghosts": [B]}, C, "a ghost"),
        (A, {"current": B, "previous": None}, {"ghosts": [A]}, B, "a ghost"),  # stable, and a ghost: by hand
    ],
)
def test_what_nobody_confirms_is_told_and_not_done(
    noted: str, staged: dict[str, t.Any], more: dict[str, t.Any], back: str, why: str
) -> None:
    found, told = outcome(noted, staged, **more)
    assert found == back and why in told and noted in told and "r1" in told
    assert ("goes back to %s." % (back or "nothing")) in told

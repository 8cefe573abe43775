# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done by hand outside of a rollout: what is refused, in which words."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import by_hand

LOCK = {"held": True, "dead": False, "owner": "deploy@build1", "purpose": "rollout of 1.4.2", "since": "noon"}


@pytest.mark.parametrize("lock", [None, {}, {**LOCK, "held": False}, {**LOCK, "dead": True}])
def test_nobody_rolls_out(lock: t.Any) -> None:
    by_hand.check_quiet(lock)


def test_somebody_rolls_out() -> None:
    with pytest.raises(BeamError) as found:
        by_hand.check_quiet(LOCK)
    assert found.value.code == "rollout_goes_on"
    assert found.value.message.startswith("deploy@build1 rolls out since noon (rollout of 1.4.2): ")


@pytest.mark.parametrize(
    "seen", [{"running": True}, {"running": True, "health": None}, {"running": True, "health": {"passed": True}}]
)
def test_who_may_serve(seen: t.Any) -> None:
    by_hand.check_serves("h1", seen)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, "no node runs there"),
        ({"running": False, "health": {"reason": "x"}}, "no node runs there"),
        ({"running": True, "health": {"passed": False}}, "its node is not healthy"),
        ({"running": True, "health": {"passed": False, "reason": "GET / said 500"}}, "GET / said 500"),
    ],
)
def test_who_may_not(seen: t.Any, why: str) -> None:
    with pytest.raises(BeamError) as found:
        by_hand.check_serves("h1", seen)
    assert found.value.message.startswith("h1 stays out: %s. alchemist.beam.rollout starts nodes" % why)


@pytest.mark.parametrize(
    ("lock", "said"),
    [(None, "Nobody held the lock."), (LOCK, "The lock of deploy@build1 (rollout of 1.4.2, since noon) was broken.")],
)
def test_whose_lock_was_broken(lock: t.Any, said: str) -> None:
    assert by_hand.broken(lock) == said

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deploy that lost its lock does nothing to a host that the next one has begun to change."""

from __future__ import annotations

import json
import os
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.fence import Fence, check_fence, fence_of
from ansible_collections.alchemist.beam.plugins.module_utils._host.lock import exclusive
from ansible_collections.alchemist.beam.plugins.module_utils._host.state import State, parse_state

from .conftest import Shelf, listing

OURS, NEXT = Fence("production", 7), Fence("production", 8)


def lost(work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as error:
        work()
    assert error.value.code == "lock_lost" and "taken over" in error.value.message, error.value.message
    return error.value


@pytest.fixture(name="taken")
def _taken(shelf: Shelf) -> Shelf:
    """1.0.0 was active when the next deploy activated 1.1.0."""
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0", state="active", fence=OURS)
    shelf.install(version="1.1.0", state="active", fence=NEXT)
    return shelf


@pytest.mark.parametrize(
    "options",
    [
        {"version": "1.0.0", "state": "active"},
        {"version": "1.0.0"},
        {"state": "inactive"},
        {"version": "1.0.0", "state": "absent"},
    ],
    ids=lambda options: options.get("state", "staged"),
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_an_older_one_touches_nothing(taken: Shelf, options: dict[str, t.Any], check_mode: bool) -> None:
    before = listing(taken.base)
    error = lost(lambda: taken.install(check_mode, fence=OURS, **options))
    assert (error.details["fence"], error.details["newest"]) == (7, 8)
    assert listing(taken.base) == before and taken.asked == []


def test_the_same_one_goes_on_and_a_newer_one_leaves_its_mark(taken: Shelf) -> None:
    assert taken.install(version="1.0.0", state="active", fence=NEXT)["changed"]
    # Nothing is left to do, and yet whoever comes later with 8 has to find the 9.
    assert not taken.install(version="1.0.0", state="active", fence=Fence("production", 9))["changed"]
    lost(lambda: taken.install(version="1.1.0", state="active", fence=NEXT))


def test_check_mode_leaves_no_mark(taken: Shelf) -> None:
    taken.install(True, version="1.0.0", state="active", fence=Fence("production", 9))
    assert taken.install(version="1.0.0", state="active", fence=NEXT)["changed"]


def test_channels_have_fences_of_their_own_and_a_person_needs_none(taken: Shelf) -> None:
    assert taken.install(version="1.0.0", state="active", fence=Fence("canary", 1))["changed"]
    assert taken.install(version="1.1.0", state="active")["changed"]
    lost(lambda: taken.install(version="1.0.0", state="active", fence=OURS))


def test_one_that_grew_old_while_it_waited_for_another_installation(taken: Shelf) -> None:
    taken.install(version="1.0.0", state="active")
    state = Path(taken.base, "state.json")
    errors: list[BeamError] = []

    def older() -> None:
        errors.append(lost(lambda: taken.install(version="1.1.0", state="active", fence=NEXT)))

    with exclusive(os.path.join(taken.base, ".lock"), 1):
        thread = threading.Thread(target=older)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        state.write_bytes(parse_state(state.read_bytes(), "").fenced("production", 9).to_bytes())
    thread.join(10)
    assert errors and os.readlink(os.path.join(taken.base, "current")) == "releases/1.0.0"


def test_a_restart_asks_the_same_state(taken: Shelf, tmp_path: Path) -> None:
    check_fence(taken.base, "demo", NEXT)
    check_fence(taken.base, "demo", None)
    lost(lambda: check_fence(taken.base, "demo", OURS))
    check_fence(str(tmp_path / "nothing"), "demo", OURS)


def test_a_state_from_before_fences_has_none() -> None:
    old = json.loads(State("demo").to_bytes())
    del old["fences"]
    assert parse_state(json.dumps(old).encode(), "state.json") == State("demo")


@pytest.mark.parametrize("fence", [-1, 2**70])
def test_what_is_no_serial_is_refused(fence: int) -> None:
    with pytest.raises(BeamError) as error:
        fence_of({"fence": fence, "fence_channel": "production"})
    assert error.value.code == "fence_invalid"
    assert fence_of({"fence": None}) is None

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several symlinks in one base: each is switched alone, and what any of them points at stays."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.state import parse_state

from .conftest import Shelf, listing


def link(shelf: Shelf, pointer: str) -> str | None:
    path = os.path.join(shelf.base, pointer)
    return os.readlink(path) if os.path.islink(path) else None


@pytest.fixture(name="colored")
def _colored(shelf: Shelf) -> Shelf:
    """1.0.0 serves as blue."""
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        shelf.publish(version)
    shelf.install(version="1.0.0", state="active", pointer="blue")
    shelf.install(version="1.0.0", state="active")
    return shelf


def test_a_pointer_is_switched_and_current_is_not(colored: Shelf) -> None:
    state = parse_state(Path(colored.base, "state.json").read_bytes(), "")
    result = colored.install(version="1.1.0", state="active", pointer="green")
    assert result["changed"] and (link(colored, "green"), link(colored, "blue"), link(colored, "current")) == (
        "releases/1.1.0",
        *["releases/1.0.0"] * 2,
    )
    assert (
        result["pointers"] == {"current": "1.0.0", "blue": "1.0.0", "green": "1.1.0"}
        and result["current"] == "1.0.0"
        and result["previous"] is None
    )
    assert (
        result["diff"]["before"]["green"] is None
        and result["diff"]["after"]["green"] == "1.1.0"
        and "current" not in result["diff"]["after"]
    )
    after = parse_state(Path(colored.base, "state.json").read_bytes(), "")
    assert (after.current, after.previous) == (state.current, state.previous)
    assert not colored.install(version="1.1.0", state="active", pointer="green")["changed"]
    switched = colored.install(version="1.1.0", state="active")
    assert (switched["current"], switched["previous"]) == ("1.1.0", "1.0.0")


def test_check_mode_switches_nothing(colored: Shelf) -> None:
    before = listing(colored.base)
    assert colored.install(True, version="1.1.0", state="active", pointer="green")["pointers"]["green"] == "1.1.0"
    assert listing(colored.base) == before


def test_what_a_pointer_points_at_is_never_pruned(colored: Shelf) -> None:
    colored.install(version="1.1.0", state="active", pointer="green")
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        result = colored.install(version=version, state="active", keep=1)
    # 1.2.0 is the previous one, 1.0.0 blue and 1.1.0 green.
    assert result["pruned"] == [] and sorted(os.listdir(os.path.join(colored.base, "releases"))) == [
        "1.0.0",
        "1.1.0",
        "1.2.0",
        "1.3.0",
    ]
    away = colored.install(state="inactive", pointer="blue")
    assert (
        away["changed"]
        and link(colored, "blue") is None
        and (away["current"], link(colored, "current")) == ("1.3.0", "releases/1.3.0")
    )
    assert colored.install(version="1.3.0", state="active", keep=1)["pruned"] == ["1.0.0"]


def test_what_a_pointer_points_at_is_not_removed(colored: Shelf) -> None:
    colored.install(version="1.1.0", state="active", pointer="green")
    with pytest.raises(BeamError) as error:
        colored.install(version="1.1.0", state="absent")
    assert error.value.code == "release_current" and "/green points at it" in error.value.message


@pytest.mark.parametrize("pointer", ["releases", "shared", "../x", "Blue", "", "state.json"])
def test_what_can_be_no_pointer(shelf: Shelf, pointer: str) -> None:
    shelf.publish("1.0.0")
    with pytest.raises(BeamError) as error:
        shelf.install(version="1.0.0", state="active", pointer=pointer)
    assert error.value.code == "invalid_pointer" and not os.path.exists(shelf.base)


def test_a_pointer_that_is_no_symlink_is_refused(colored: Shelf) -> None:
    os.mkdir(os.path.join(colored.base, "green"))
    with pytest.raises(BeamError) as error:
        colored.install(version="1.1.0", state="active", pointer="green")
    assert error.value.code == "current_not_a_link" and "green" in error.value.message


def test_links_of_others_are_no_pointers(colored: Shelf, tmp_path: Path) -> None:
    targets: dict[str, t.Any] = {"docs": tmp_path, "gone": "releases/9.9.9", "deep": "releases/1.0.0/bin"}
    for name, target in targets.items():
        os.symlink(target, os.path.join(colored.base, name))
    assert colored.install(version="1.1.0")["pointers"] == {"current": "1.0.0", "blue": "1.0.0"}

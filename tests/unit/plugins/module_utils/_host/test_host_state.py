# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._host import present
from ansible_collections.alchemist.beam.plugins.module_utils._host.state import Installed, Seen, State, parse_state

from .conftest import Shelf

FULL = State(
    "demo",
    {
        "1.0.0": Installed("a" * 64, "2026-01-01T00:00:00Z", ("b" * 64,)),
        "1.1.0": Installed("c" * 64, "2026-01-02T00:00:00Z", ()),
    },
    "1.1.0",
    "1.0.0",
    {"production": Seen(7, "c" * 64)},
    {"production": 12},
)


def test_it_survives_being_written_and_read() -> None:
    assert parse_state(FULL.to_bytes(), "state.json") == FULL
    assert parse_state(State("demo").to_bytes(), "state.json") == State("demo")


@pytest.mark.parametrize(
    "noted, link, activate, current, previous",
    [
        (("1.0.0", None), "1.0.0", "1.1.0", "1.1.0", "1.0.0"),  # the ordinary step
        (("1.1.0", "1.0.0"), "1.1.0", "1.1.0", "1.1.0", "1.0.0"),  # again
        (("1.0.0", "0.9.0"), "1.1.0", "1.1.0", "1.1.0", "1.0.0"),  # a run died between the switch and its note
        (("1.0.0", None), "0.9.0", "1.1.0", "1.1.0", "0.9.0"),  # somebody switched by hand: the link is the truth
        ((None, None), None, "1.0.0", "1.0.0", None),  # the first one
        (("1.0.0", None), None, "1.1.0", "1.1.0", "1.0.0"),  # the link was removed
        (("1.1.0", "1.0.0"), None, "1.1.0", "1.1.0", "1.0.0"),  # and is made again
        ((None, None), "1.0.0", "1.0.0", "1.0.0", None),  # the state was lost
    ],
)
def test_activation(
    noted: tuple[str | None, str | None], link: str | None, activate: str, current: str, previous: str | None
) -> None:
    state = State("demo", current=noted[0], previous=noted[1]).activated(activate, link)
    assert (state.current, state.previous) == (current, previous)


def test_what_is_removed_can_not_be_gone_back_to() -> None:
    assert FULL.without(["1.0.0"]).previous is None
    assert sorted(FULL.without(["1.0.0"]).installed) == ["1.1.0"]
    assert FULL.without([]) == FULL


def test_a_run_with_nothing_to_do_reads_the_state_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.publish("1.0.0")
    shelf.install(version="1.0.0", state="active")
    real, read = present.load_state, []

    def load(path: str, name: str) -> t.Any:
        read.append(path)
        return real(path, name)

    monkeypatch.setattr(present, "load_state", load)
    assert not shelf.install(version="1.0.0", state="active")["changed"] and len(read) == 1

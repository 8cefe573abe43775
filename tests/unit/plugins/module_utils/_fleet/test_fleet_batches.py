# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.batches import cut, floor, refuse_below, sizes


@pytest.mark.parametrize(
    ("batches", "hosts", "expected"),
    [
        ([1, "25%", "100%"], 10, [1, 2, 7]),
        ([1, "25%"], 10, [1, 2, 2, 2, 2, 1]),
        ([1, "25%"], 1, [1]),
        ([1, "25%"], 2, [1, 1]),
        (["25%"], 3, [1, 1, 1]),  # a percentage that rounds to nothing is one host
        (["100%"], 3, [3]),
        ("2", 5, [2, 2, 1]),
        ("1, 25%,100%", 10, [1, 2, 7]),
        ([5], 3, [3]),
        (["33 %"], 7, [2, 2, 2, 1]),
    ],
)
def test_sizes(batches: object, hosts: int, expected: list[int]) -> None:
    found = sizes("rolling", batches, hosts)
    assert found == expected and sum(found) == hosts


@pytest.mark.parametrize(
    ("strategy", "batches", "hosts", "code"),
    [
        ("rolling", [0], 3, "batches_invalid"),
        ("rolling", [], 3, "batches_invalid"),
        ("rolling", "", 3, "number_invalid"),
        ("rolling", "1,,2", 3, "number_invalid"),
        ("rolling", ["1.5"], 3, "number_invalid"),
        ("rolling", [-1], 3, "number_invalid"),
        ("rolling", ["101%"], 3, "number_invalid"),
        ("rolling", [None], 3, "number_invalid"),
        ("big_bang", [1], 3, "strategy_unknown"),
        ("rolling", [1], 0, "no_hosts"),
    ],
)
def test_batches_that_make_no_sense_are_named(strategy: str, batches: object, hosts: int, code: str) -> None:
    with pytest.raises(BeamError) as caught:
        sizes(strategy, batches, hosts)
    assert caught.value.code == code and caught.value.hint


def test_all_at_once_is_one_batch() -> None:
    assert sizes("all_at_once", [1], 7) == [7]


@pytest.mark.parametrize(
    ("said", "strategy", "hosts", "expected"),
    [
        ("auto", "rolling", 5, 2),
        ("auto", "rolling", 1, 0),
        ("auto", "all_at_once", 5, 0),
        ("75%", "canary", 5, 3),
        (4, "rolling", 5, 4),
        ("5", "blue_green", 5, 5),
        (0, "rolling", 9, 0),
    ],
)
def test_floor(said: object, strategy: str, hosts: int, expected: int) -> None:
    assert floor(said, strategy, hosts) == expected


def test_a_floor_that_no_restart_could_hold_is_refused() -> None:
    with pytest.raises(BeamError, match="no host could ever be restarted"):
        floor("100%", "rolling", 3)


def test_a_plan_that_falls_below_the_floor_is_refused_before_it_begins() -> None:
    hosts = ["a", "b", "c", "d", "e"]
    refuse_below(2, cut(hosts, [1, 2, 2]), hosts)
    with pytest.raises(BeamError, match="batch 2 of 2"):
        refuse_below(2, cut(hosts, [1, 4]), hosts)
    # Hosts that do not serve can't be missed, and a first deploy has none that serves.
    refuse_below(2, cut(hosts, [5]), [])
    # Who is held out by somebody does not serve after its batch either.
    refuse_below(2, cut(hosts, [1] * 5), ["d", "e"])
    with pytest.raises(BeamError, match="1 of 2 healthy hosts would leave, and 2 have to stay"):
        refuse_below(2, cut(hosts, [1] * 5), ["d", "e"], ["a", "b", "c"])
    refuse_below(2, cut(hosts, [3, 2]), ["d", "e"])

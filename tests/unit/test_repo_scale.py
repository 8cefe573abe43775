# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout costs its controller grows with the servers, not with their square; and the model of tests/bench/scale.py adds up."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import scale
from simulated import Controller, Spent


def spent(place: Path, hosts: int) -> Spent:
    return Controller(place / str(hosts), hosts, ["50%"]).run()


def test_twice_the_servers_cost_twice_as_much(tmp_path: Path) -> None:
    small, large = spent(tmp_path, 30), spent(tmp_path, 60)
    assert small.requests == large.requests and small.turns == large.turns
    for name in ("journal", "one", "report", "remembered"):
        assert 1.7 < getattr(large, name) / getattr(small, name) < 2.1, name
    # Of a server: two answers of its own, and its share of what its batch was told.
    assert large.remembered < 60 * 4000


def test_the_costs_of_a_rollout_a_batch_a_server_and_of_their_square_are_told_apart() -> None:
    def play(hosts: int, batches: int, square: float = 0.0) -> dict[str, t.Any]:
        return {
            "hosts": hosts,
            "batches": batches,
            "processor": 8 + 1.5 * batches + 0.2 * hosts + square * hosts**2,
        }

    few = [play(10, 5), play(10, 1), play(40, 1)]
    costs = scale.costs_of(few)
    assert [round(value, 9) for value in (costs.rollout, costs.batch, costs.server, costs.square)] == [8, 1.5, 0.2, 0]
    assert scale.costs_of([*few, play(1000, 5, 0.0001)]).square == pytest.approx(0.0001)
    fewer = scale.costs_of([*few, play(1000, 5, -0.0001)])
    assert (fewer.square, fewer.seconds(1000, 5)) == (0, pytest.approx(115.5)) and scale.reach(fewer, 3600) > 30_000
    assert costs.seconds(1000, 5) == pytest.approx(215.5)


def test_as_many_servers_work_at_the_same_time_as_there_are_forks() -> None:
    servers = scale.Servers(stage=2.0, drain=1.0, restart=5.0, join=1.5)
    assert servers.seconds([2] * 5, 20) == 2.0 + 5 * (1.0 + 1.5 + 5.0)
    assert servers.seconds([1, 250], 10) == 2.0 * 26 + 2 * 2.5 + 5.0 * (1 + 25)


def test_what_was_not_measured_names_the_command_that_measures_it() -> None:
    with pytest.raises(SystemExit, match=r"(?s)NOT MEASURED YET.*scale\.py costs"):
        scale.need({}, "scale_plays", scale.command("scale.py", "costs"))

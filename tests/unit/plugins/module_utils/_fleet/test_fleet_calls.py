# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that a step of a rollout calls."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import Server, calls
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.strategies import STRATEGIES, steps
from ansible_collections.alchemist.beam.plugins.module_utils._modules import install, restart

SERVER = Server(
    name="shop",
    base="/srv/shop",
    channel="production",
    digest="d" * 64,
    version="2",
    unit="shop",
    keep=3,
    abi_ignore=["erlang"],
    allow_ghost=False,
    health={"stable": 3},
    fence=7,
)
HELD = {"fence": 7, "fence_channel": "production"}
POINT = {"name": "shop", "base": "/srv/shop", "pointer": "current", "keep": 3, "abi_ignore": ["erlang"], **HELD}
NODE = {
    "name": "shop",
    "base": "/srv/shop",
    "pointer": "current",
    "manager": "systemd",
    "unit": "shop",
    "stop_timeout": 30,
    "boot_timeout": 60,
    **HELD,
}
PROVEN = {"state": "restarted", "expect_version": "2", "health": {"stable": 3}}


@pytest.mark.parametrize(
    ("steps", "more", "made"),
    [
        (["activate"], {}, {"point": {**POINT, "state": "active", "digest": "d" * 64, "allow_ghost": False}}),
        (["restart"], {}, {"restart": {**NODE, **PROVEN, "force": False}}),
        (["restart"], {"force": True}, {"restart": {**NODE, **PROVEN, "force": True}}),
        (
            ["back_point", "back_restart"],
            {},
            {"point": {**POINT, "state": "active", "version": "2", "allow_ghost": True}, "restart": {**NODE, **PROVEN}},
        ),
        # A server that had nothing before ends as it began.
        (
            ["back_point", "back_restart"],
            {"version": ""},
            {"point": {**POINT, "state": "inactive", "allow_ghost": True}, "restart": {**NODE, "state": "stopped"}},
        ),
    ],
)
def test_what_a_step_calls(steps: list[str], more: dict[str, t.Any], made: dict[str, t.Any]) -> None:
    assert calls(steps, dataclasses.replace(SERVER, **more)) == made


def test_the_node_of_a_colour() -> None:
    made = calls(["activate", "restart"], dataclasses.replace(SERVER, color="green", unit="shop-green"))
    assert {key: made[key]["pointer"] for key in made} == {"point": "green", "restart": "green"} and made["restart"][
        "unit"
    ] == "shop-green"


def test_a_rehearsal_holds_no_lock_and_reads_the_store() -> None:
    made = calls(["activate", "restart"], dataclasses.replace(SERVER, fence=None, reach={"store": "s3://b/p"}))
    assert made["point"]["store"] == "s3://b/p" and "store" not in made["restart"]
    assert not [key for made_of in made.values() for key in made_of if key.startswith("fence")]


@pytest.mark.parametrize("fence", [None, 7])
def test_the_modules_know_each_option(fence: int | None) -> None:
    made = calls(["activate", "restart"], dataclasses.replace(SERVER, fence=fence))
    back = calls(["back_point", "back_restart"], dataclasses.replace(SERVER, fence=fence))
    assert {*made["point"], *back["point"]} <= set(install.OPTIONS) and {*made["restart"], *back["restart"]} <= set(
        restart.OPTIONS
    )


def test_each_of_them_is_a_step_of_each_strategy() -> None:
    for strategy in STRATEGIES.values():
        assert {"activate", "restart"} <= {step.name for step in steps(strategy.forward)}
        assert {"back_point", "back_restart"} <= {step.name for step in steps(strategy.back)}

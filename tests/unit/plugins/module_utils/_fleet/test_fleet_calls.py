# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that a step of a rollout calls."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import SERVER_STEPS, Server, calls
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.strategies import STRATEGIES, steps
from ansible_collections.alchemist.beam.plugins.module_utils._modules import install, restart, upgrade

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
NAME = {"name": "shop", "base": "/srv/shop"}
FILE = {"balancers": [{"kind": "file", "path": "/up"}], "members": {"h1": {}}}
HOT = {key: value for key, value in NODE.items() if not key.endswith("_timeout")}
HOT.update({"version": "2", "downgrade": True, "abi_ignore": ["erlang"], "health": {"stable": 3}})
PROVEN = {"state": "restarted", "expect_version": "2", "health": {"stable": 3}}


def made(steps: list[str], **more: t.Any) -> list[tuple[str, str, t.Any]]:
    """The calls: their step, their module and its options; and what comes after it in the same call."""
    found = []
    for call in calls(steps, dataclasses.replace(SERVER, **more)):
        found += [(one.step, one.module, one.options) for one in (call, *([call.then] if call.then else []))]
    return found


BACK = {**POINT, "state": "active", "version": "2", "allow_ghost": True}
HERE = {**POINT, "state": "active", "digest": "d" * 64, "allow_ghost": False}


@pytest.mark.parametrize(
    ("steps", "more", "wanted"),
    [
        (["activate"], {}, [("activate", "point", HERE)]),
        (["restart"], {}, [("restart", "restart", {**NODE, **PROVEN, "force": False})]),
        (["restart"], {"force": True}, [("restart", "restart", {**NODE, **PROVEN, "force": True})]),
        (
            ["back_point", "back_restart"],
            {},
            [("back_point", "point", BACK), ("back_restart", "restart", {**NODE, **PROVEN})],
        ),
        # A server that had nothing before ends as it began.
        (
            ["back_point", "back_restart"],
            {"version": ""},
            [
                ("back_point", "point", {**POINT, "state": "inactive", "allow_ghost": True}),
                ("back_restart", "restart", {**NODE, "state": "stopped"}),
            ],
        ),
        (
            ["back_remove"],
            {"version": ""},
            [("back_remove", "point", {**NAME, **HELD, "pointer": "current", "state": "inactive"})],
        ),
        # A readiness file.
        (
            ["hide"],
            {"host": "h1", "ready": {"path": "/up"}},
            [("hide", "member", {**FILE, "state": "drained", "timeout": 60, "quiet": 2})],
        ),
        (
            ["back_show"],
            {"host": "h1", "ready": {"path": "/up"}},
            [("back_show", "member", {**FILE, "state": "joined", "timeout": 60})],
        ),
        # Looks.
        (
            ["look"],
            {"sight": {"within": 5}},
            [
                (
                    "look",
                    "info",
                    {**NAME, "manager": "systemd", "unit": "shop", "pointer": "current", "health": {"within": 5}},
                )
            ],
        ),
        (["enable"], {"manager": "daemon"}, []),
        # Without a restart: what speaks against it is an error, in both directions.
        *(([step], {}, [(step, "upgrade", HOT)]) for step in ("upgrade", "back_upgrade")),
        (["upgrade"], {"hot": {"timeout": 9}}, [("upgrade", "upgrade", {**HOT, "timeout": 9})]),
    ],
)
def test_what_a_step_calls(steps: list[str], more: dict[str, t.Any], wanted: list[t.Any]) -> None:
    assert made(steps, **more) == wanted


def test_two_nodes_of_a_host() -> None:
    """One serves and starts at boot; the others, of which one may have no colour, do neither."""
    green = {"color": "green", "others": ("current", "blue")}
    found = made(["switch", "enable", "disable", "stop"], **green)
    assert [(step, module) for step, module, _options in found] == [
        ("switch", "point"),
        ("enable", "systemd"),
        *[("disable", "systemd")] * 2,
        *[("stop", "restart")] * 2,
    ]
    options = [own for _step, _module, own in found]
    assert options[0] == HERE  # `current` is what a boot starts from, whichever the colour
    assert options[1:4] == [
        {"name": "shop-green.service", "enabled": True},
        {"name": "shop.service", "enabled": False},
        {"name": "shop-blue.service", "enabled": False},
    ]
    assert [(own["pointer"], own["unit"], own["state"]) for own in options[4:]] == [
        ("current", "shop", "stopped"),
        ("blue", "shop-blue", "stopped"),
    ]
    assert made(["back_switch"], **green)[0][2] == BACK
    assert made(["back_unlist"], **green)[0][2] == {"name": "shop-green.service", "enabled": False}


def test_the_node_of_a_colour_is_one_call() -> None:
    [call] = calls(["activate", "restart"], dataclasses.replace(SERVER, color="green"))
    assert call.then and (call.options["pointer"], call.then.options["pointer"], call.then.options["unit"]) == (
        "green",
        "green",
        "shop-green",
    )
    # What is between them has a call of its own.
    assert len(calls(["hide", "activate", "restart", "show"], SERVER)) == 3


def test_a_rehearsal_holds_no_lock_and_reads_the_store() -> None:
    (_one, _point, point), (_two, _restart, node) = made(
        ["activate", "restart"], fence=None, reach={"store": "s3://b/p"}
    )
    assert point["store"] == "s3://b/p" and "store" not in node
    assert not [key for options in (point, node) for key in options if key.startswith("fence")]


@pytest.mark.parametrize("fence", [None, 7])
def test_the_modules_know_each_option(fence: int | None) -> None:
    for step in SERVER_STEPS:
        for _step, module, options in made([step], fence=fence, color="green", others=("blue",)):
            known = {"point": install.OPTIONS, "restart": restart.OPTIONS, "upgrade": upgrade.OPTIONS}.get(module)
            assert known is None or set(options) <= set(known)


def test_each_step_of_a_server_is_one_of_the_strategies() -> None:
    there = {
        step.name
        for strategy in STRATEGIES.values()
        for table in (strategy.forward, strategy.back)
        for step in steps(table)
        if step.where == "server"
    }
    assert {*there, "confirm"} == set(SERVER_STEPS)


def test_new_settings_come_before_the_release_and_go_back_before_it() -> None:
    files = {**NAME, **HELD, "files": ["/etc/shop/env"]}
    told = made(["activate", "restart", "back_point", "back_restart"], settings=("/etc/shop/env",))
    assert [one[:2] for one in told] == [
        ("activate", "settings"),
        ("activate", "point"),
        ("restart", "restart"),
        ("back_point", "settings"),
        ("back_point", "point"),
        ("back_restart", "restart"),
    ]
    assert told[0][2] == {**files, "state": "applied"} and told[3][2] == {**files, "state": "returned"}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a plan: an upgrade, a refusal, a restart in its place, or nothing."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import Mask
from ansible_collections.alchemist.beam.plugins.module_utils._modules import upgrade
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.facts import Application, Changed, Look
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.plan import Blocker, Place, Plan
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.run import Done, Session
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target

SECRET = "canary-0123456789"
APP = (Application("shop", "1.0.0"),)
CART = Changed("Elixir.Shop.Cart", "shop", "/new", b"n", b"o")


class Manager:
    def mask(self) -> Mask:
        return Mask({"TOKEN": SECRET})


class World:
    """A node with this plan; what is done to it, in order."""

    def __init__(self, base: Path, patch: pytest.MonkeyPatch) -> None:
        self.base = str(base)
        (base / "releases" / "1.1.0").mkdir(parents=True)
        self.new = Place(str(base / "releases" / "1.1.0"), "1.1.0")
        self.plan = Plan(
            Place(str(base / "releases" / "1.0.0"), "1.0.0"), self.new, Look("1", "1", APP, APP, APP, (CART,))
        )
        self.done: list[str] = []
        self.fails: BeamError | None = None
        patch.setattr(upgrade, "manager_of", lambda _options: Manager())
        patch.setattr(upgrade, "opened", self.opened)
        patch.setattr(upgrade, "apply", self.apply)
        patch.setattr(upgrade.install, "work", self.point)
        patch.setattr(upgrade.restart, "work", self.restart)

    @contextlib.contextmanager
    def opened(self, request: t.Any, manager: t.Any) -> t.Iterator[Session]:
        target = Target("shop", self.new.root, "1.1.0")
        yield Session(request, manager, None, target, self.plan)

    def apply(self, _session: Session, _health: t.Any, point: t.Callable[[], None]) -> Done:
        if self.fails is not None:
            raise self.fails
        self.done.append("swap")
        point()
        return Done(0.0024, 3, 1)

    def point(self, options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        assert (options["state"], options["version"], options["pointer"]) == ("active", "1.1.0", "current")
        self.done.append("look" if check_mode else "point")
        return {"changed": True, "diff": {"before": "1.0.0", "after": "1.1.0"}}

    def restart(self, options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        assert (options["state"], options["expect_version"], options["force"]) == ("restarted", "1.1.0", False)
        assert options["stop_timeout"] == 30.0
        self.done.append("foresee" if check_mode else "restart")
        return {"changed": True, "action": "restart"}

    def work(self, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        spec = {key: option.get("default") for key, option in upgrade.OPTIONS.items()}
        return upgrade.work({**spec, "name": "shop", "base": self.base, "version": "1.1.0", **options}, check_mode)

    def refuses(self, code: str, **options: t.Any) -> BeamError:
        with pytest.raises(BeamError) as caught:
            self.work(**options)
        assert caught.value.code == code
        return caught.value


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_what_would_refuse_the_switch_is_asked_before_the_swap(world: World) -> None:
    done = world.work()
    assert world.done == ["look", "swap", "point"]
    assert (done["action"], done["changed"], done["suspended_ms"], done["suspended"]) == ("hot", True, 2.4, 3)
    assert (done["from"], done["to"]) == ("1.0.0", "1.1.0") and done["diff"]


def test_check_mode_swaps_nothing(world: World) -> None:
    done = world.work(check_mode=True)
    assert world.done == ["look"] and (done["action"], done["changed"], done["suspended_ms"]) == ("hot", True, 0.0)


def test_a_blocker_is_an_error_and_in_check_mode_a_part_of_the_plan(world: World) -> None:
    world.plan = replace(world.plan, blockers=(Blocker("native_code", "it has NIFs"),))
    error = world.refuses("upgrade_blocked")
    assert "it has NIFs" in error.message and error.details["blockers"] == [
        {"code": "native_code", "why": "it has NIFs"}
    ]
    plan = world.work(check_mode=True)
    assert (plan["action"], plan["changed"]) == ("blocked", False) and world.done == []


def test_who_wants_to_go_back_is_told_the_option(world: World) -> None:
    world.plan = replace(world.plan, blockers=(Blocker("not_newer", "it is older"),))
    assert "downgrade: true" in world.refuses("upgrade_blocked").hint


def test_a_restart_in_its_place(world: World) -> None:
    world.plan = replace(world.plan, blockers=(Blocker("native_code", "it has NIFs"),))
    assert world.work(on_blocked="restart", check_mode=True)["action"] == "restart" and world.done == [
        "look",
        "foresee",
    ]
    world.done.clear()
    done = world.work(on_blocked="restart")
    assert world.done == ["point", "restart"] and done["changed"]
    assert done["restart"]["action"] == "restart" and done["restart"]["pointed"]["changed"]


def test_a_node_that_runs_it_already(world: World) -> None:
    world.plan = replace(world.plan, start=world.new, look=Look("1", "1", APP, APP, APP))
    assert world.work()["action"] == "point"
    os.symlink("releases/1.1.0", os.path.join(world.base, "current"))
    done = world.work()
    assert (done["action"], done["changed"]) == ("none", False)


def test_what_an_application_says_is_masked(world: World) -> None:
    world.fails = BeamError("upgrade_failed", "it failed", "code_change: %s" % SECRET, "Look")
    assert SECRET not in world.refuses("upgrade_failed").message


@pytest.mark.parametrize("name", ["suspend_timeout", "change_timeout", "timeout"])
def test_a_limit_of_no_time_is_none(world: World, name: str) -> None:
    world.refuses("timeout_invalid", **{name: 0.0})
    assert world.done == []

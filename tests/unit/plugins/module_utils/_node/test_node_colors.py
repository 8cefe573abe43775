# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of two nodes serves, and what distinguishes them."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.colors import idle_color, live_color, survey
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import Status
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess
from ansible_collections.alchemist.beam.plugins.module_utils._node.spec import manager_of, managers_of
from ansible_collections.alchemist.beam.plugins.module_utils._node.systemd import Systemd
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import resolve

COLORS = ("blue", "green")
OPTIONS: dict[str, t.Any] = {
    "name": "shop",
    "base": "/srv/shop",
    "manager": "systemd",
    "unit": None,
    "env_file": None,
    "pointer": "current",
    "colors": COLORS,
}


def up(version: str, enabled: t.Optional[bool] = None, age: int = 0) -> Status:
    return Status(
        NodeProcess(os.getpid(), 10_000 - age, root="/srv/shop/releases/" + version, version=version),
        "active",
        enabled=enabled,
    )


DOWN = Status(None, "inactive", enabled=False)


@pytest.mark.parametrize(
    ("blue", "green", "current", "live", "idle"),
    [
        (DOWN, DOWN, None, None, "blue"),  # before the first
        (up("1"), DOWN, "1", "blue", "green"),
        (DOWN, up("1"), "1", "green", "blue"),
        (up("1", True), up("2", False), "1", "blue", "green"),  # the next one was just started
        (up("1", False), up("2", True), "2", "green", "blue"),  # the old one has still to be stopped
        (up("1", True, age=5), up("1", False, age=9), "1", "blue", "green"),  # a restart of the same version
        (
            up("1", True),
            up("2", True),
            "2",
            "green",
            "blue",
        ),  # cut off between enabling the one and disabling the other
        (up("1", False), up("2", False), "1", "blue", "green"),
        (up("1"), up("2"), "2", "green", "blue"),  # daemons, which nobody starts at boot
        (up("1", age=5), up("1", age=9), "1", "green", "blue"),  # the older one served before
        (up("1", age=9), up("2", age=5), None, "blue", "green"),
        (DOWN, up("2", False), "1", "green", "blue"),  # what serves is what runs
    ],
)
def test_which_one_serves(
    blue: Status, green: Status, current: t.Optional[str], live: t.Optional[str], idle: str
) -> None:
    statuses = {"blue": blue, "green": green}
    found = live_color(statuses, "/srv/shop/releases/" + current if current else None)
    assert (found, idle_color(COLORS, statuses, found)) == (live, idle)


class Told:
    def __init__(self, status: Status) -> None:
        self._status = status

    def status(self) -> Status:
        return self._status


def test_the_survey(tmp_path: Path) -> None:
    (tmp_path / "releases" / "1").mkdir(parents=True)
    for pointer in ("current", "green"):
        (tmp_path / pointer).symlink_to("releases/1")
    managers: t.Any = {"current": Told(DOWN), "blue": Told(DOWN), "green": Told(up("1", True))}
    facts, serving = survey(str(tmp_path), COLORS, managers)
    assert (facts["live"], facts["idle"], serving) == ("green", "blue", "green")
    assert (
        facts["colors"]["blue"]["running"] is False
        and facts["colors"]["blue"]["points_at"] is None
        and facts["colors"]["blue"]["pid"] is None
    )
    assert (
        facts["colors"]["green"]["points_at"] == "1"
        and facts["colors"]["green"]["version"] == "1"
        and facts["colors"]["green"]["enabled"] is True
    )
    managers = {"current": Told(up("1")), "blue": Told(DOWN), "green": Told(DOWN)}
    assert survey(str(tmp_path), COLORS, managers)[1] == "current"  # the node from before there were colours


def test_units_and_files_of_colours() -> None:
    def unit(**changes: t.Any) -> str:
        manager = manager_of({**OPTIONS, **changes})
        assert isinstance(manager, Systemd)
        return manager.unit

    assert (unit(), unit(pointer="blue"), unit(pointer="blue", unit="web-b")) == (
        "shop.service",
        "shop-blue.service",
        "web-b.service",
    )
    managers = managers_of({**OPTIONS, "unit": "web"})
    assert [manager.unit for manager in managers.values() if isinstance(manager, Systemd)] == [
        "web.service",
        "web-blue.service",
        "web-green.service",
    ]
    daemon = manager_of({**OPTIONS, "manager": "daemon", "pointer": "green"})
    assert isinstance(daemon, Daemon)
    assert [os.path.basename(path) for path in (daemon.env_file, daemon.run_dir, daemon.log_file)] == [
        "shop-green.env",
        "shop-green",
        "shop-green.log",
    ]
    for changes in ({"pointer": "blue"}, {"env_file": "/x"}):
        with pytest.raises(BeamError) as error:
            managers_of({**OPTIONS, **changes})
        assert error.value.code == "colors_ambiguous"
    with pytest.raises(BeamError):
        manager_of({**OPTIONS, "pointer": "../x"})


def test_each_pointer_is_proven_by_itself(tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        root = tmp_path / "releases" / version
        (root / "bin").mkdir(parents=True)
        (root / "bin" / "shop").touch(0o755)
        (root / "releases").mkdir()
        (root / "releases" / "start_erl.data").write_text("13.1 " + version)
    (tmp_path / "current").symlink_to("releases/1.0")
    (tmp_path / "green").symlink_to("releases/2.0")
    assert (
        resolve(str(tmp_path), "shop", pointer="green").version == "2.0"
        and resolve(str(tmp_path), "shop").version == "1.0"
    )
    with pytest.raises(BeamError) as error:
        resolve(str(tmp_path), "shop", pointer="blue")
    assert "/blue does not exist" in error.value.message


def test_ages_are_those_of_processes() -> None:
    assert up("1", age=9).process.started < up("1", age=5).process.started <= time.time()  # type: ignore[union-attr]

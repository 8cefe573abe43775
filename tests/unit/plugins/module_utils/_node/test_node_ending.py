# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens to a node while its server ends is no verdict on its release."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import ending
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import (
    FROZEN,
    LEAVING,
    STOPPING,
    VERDICTS,
    judged,
    mark_leaving,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.systemd import Systemctl


class Says(Systemctl):
    """What systemd says of the whole system."""

    state = "running"

    def run(self, *argv: str, timeout: float = 30) -> tuple[int, str]:
        assert argv == ("systemctl", "is-system-running")
        if self.state == "missing":
            raise BeamError("systemd_missing", "Cannot run systemctl")
        return int(self.state != "running"), self.state + "\n"


@pytest.fixture(autouse=True)
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Says]:
    (tmp_path / "systemd").mkdir()
    monkeypatch.setattr(ending, "SYSTEMD", str(tmp_path / "systemd"))
    monkeypatch.setattr(ending, "Systemctl", Says)
    monkeypatch.setattr(Says, "state", "running")
    return Says


def verdict(code: str = "node_died") -> BeamError:
    return BeamError(
        code,
        "systemd could not start a.service",
        "it is inactive (dead)",
        "Read the lines of its log",
        result="success",
    )


@pytest.mark.parametrize("code", VERDICTS)
def test_a_server_that_shuts_down_excuses_what_its_node_did(system: type[Says], tmp_path: Path, code: str) -> None:
    system.state = "stopping"
    found = judged(verdict(code), str(tmp_path))
    assert found.code == STOPPING and found.message.startswith(
        "systemd could not start a.service: this server is shutting down; meanwhile: it is inactive"
    )
    assert found.details == {"result": "success"}


@pytest.mark.parametrize(
    "state", ["running", "degraded", "starting", "maintenance", "offline", "unknown", "missing", ""]
)
def test_one_that_stays_does_not(system: type[Says], tmp_path: Path, state: str) -> None:
    system.state = state
    error = verdict()
    assert judged(error, str(tmp_path)) is error


def test_where_there_is_no_systemd_it_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, system: type[Says], tmp_path: Path
) -> None:
    system.state = "stopping"
    monkeypatch.setattr(ending, "SYSTEMD", str(tmp_path / "nothing"))
    assert ending.ending(str(tmp_path)) is None


def test_what_is_no_verdict_stays_what_it_is(system: type[Says], tmp_path: Path) -> None:
    system.state = "stopping"
    error = BeamError("unit_masked", "Cannot start a.service")
    assert judged(error, str(tmp_path)) is error


def test_an_instance_that_leaves_says_so_until_its_next_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mark_leaving(str(tmp_path), "spot interruption:\n terminate")
    mark_leaving(str(tmp_path), "spot interruption:\n terminate")  # once more does no harm
    found = judged(verdict(), str(tmp_path))
    assert (
        found.code == LEAVING
        and "this instance leaves (spot interruption: terminate); meanwhile: it is inactive" in found.why
    )
    monkeypatch.setattr(ending, "boot_id", lambda: "another")
    assert judged(verdict(), str(tmp_path)).code == "node_died"
    monkeypatch.setattr(ending, "boot_id", lambda: "")
    assert judged(verdict(), str(tmp_path)).code == "node_died"


@pytest.mark.parametrize("plant", ["pipe", "link", "directory", "large"])
def test_what_a_node_puts_in_the_place_of_the_note_says_nothing(tmp_path: Path, plant: str) -> None:
    mark_leaving(str(tmp_path), "spot interruption")
    note = tmp_path / ending.FILE
    text = note.read_bytes()
    note.rename(tmp_path / "elsewhere")
    if plant == "pipe":
        os.mkfifo(note)
    elif plant == "link":
        note.symlink_to(tmp_path / "elsewhere")
    elif plant == "directory":
        note.mkdir()
    else:
        note.write_bytes(text + b"x" * (1 << 17))
    error = verdict()
    assert judged(error, str(tmp_path)) is error


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_the_note_of_another_user_says_nothing(tmp_path: Path) -> None:
    mark_leaving(str(tmp_path), "spot interruption")
    os.chown(tmp_path / ending.FILE, 65534, 65534)
    assert judged(verdict(), str(tmp_path)).code == "node_died"


def test_a_server_that_stood_still_excuses_what_ran_out_of_time(system: type[Says], tmp_path: Path) -> None:
    now = [0.0]
    pace = ending.Pace(lambda: now[0])
    for _tick in range(200):
        now[0] += ending.TICK
        assert pace.stood() == 0
    error = verdict("boot_timeout")
    assert judged(error, str(tmp_path), pace) is error
    now[0] += 95  # frozen, and whoever asks is the first one to run again
    found = judged(error, str(tmp_path), pace)
    assert (found.code, found.details["verdict"]) == (
        FROZEN,
        "boot_timeout",
    ) and "this server stood still for 94 s; meanwhile: it is inactive" in found.why
    now[0] += ending.TICK
    assert judged(error, str(tmp_path), pace).code == FROZEN, "it is not forgotten"
    system.state = "stopping"
    assert judged(error, str(tmp_path), pace).code == STOPPING


def test_a_thread_looks_at_the_clock_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "TICK", 0.001)
    looks: list[int] = []
    seen = threading.Event()

    def clock() -> float:
        looks.append(1)
        if len(looks) > 3:
            seen.set()
        return 0.0

    with ending.Pace(clock):
        assert seen.wait(5)

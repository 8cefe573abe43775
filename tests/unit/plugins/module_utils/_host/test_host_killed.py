# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a run is killed at: the same run once more leaves what an undisturbed one leaves, in each directory and in the state file.

Here it is done in this process: at each call that changes something for a removal, else at every fifth (ALL_FAULTS=1: at each). test_host_faults has the
kernel do it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._host import apply, plan
from ansible_collections.alchemist.beam.plugins.module_utils._host.fence import Fence, check_fence, installed_digest
from ansible_collections.alchemist.beam.plugins.module_utils._host.layout import Layout
from ansible_collections.alchemist.beam.plugins.module_utils._host.present import is_noted, read_state

from .conftest import Shelf, check_whole, listing

MUTATING = (
    "open",
    "write",
    "pwrite",
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "link",
    "symlink",
    "fsync",
    "chmod",
    "fchmod",
)

STEP = 1 if os.environ.get("ALL_FAULTS") else 5


class Killed(BaseException):
    """No except clause of the product takes it for an error."""


class Killer:
    """Lets a number of calls pass; from then on, no call does anything any more, not even those of a clean-up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: float = 0
        self.armed = False
        self._lock = threading.Lock()
        for name in MUTATING:
            monkeypatch.setattr(os, name, self._deadly(name, getattr(os, name)))

    def _deadly(self, name: str, real: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def call(*args: t.Any, **options: t.Any) -> t.Any:
            if self.armed and (name != "open" or args[1] & os.O_CREAT):
                with self._lock:
                    self.left -= 1
                    if self.left < 0:
                        raise Killed
            return real(*args, **options)

        return call

    def run(self, passes: float, work: t.Callable[[], t.Any]) -> bool:
        """Whether it came to its end."""
        self.left, self.armed = passes, True
        try:
            work()
            return True
        except Killed:
            return False
        finally:
            self.armed = False


@pytest.fixture(name="killer")
def _killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    return Killer(monkeypatch)


@pytest.fixture(name="scene")
def _scene(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Shelf]:
    """1.1.0 is active, 1.0.0 previous; 0.9.0 has a layer and a manifest that nobody else has; 1.2.0 is in the store.

    In memory where that is possible: a disk takes minutes for all the syncs.
    """
    memory = "/dev/shm"
    place = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK | os.X_OK) else None))
    shelf = Shelf(place)
    for user in (plan, apply):  # no process uses a release, and to ask all of them is the dearest part of a run
        monkeypatch.setattr(user, "live_versions", lambda _layout: frozenset())
    for version in ("0.9.0", "1.0.0", "1.1.0", "1.2.0"):
        shelf.publish(version)
    for version in ("0.9.0", "1.0.0", "1.1.0"):
        shelf.install(version=version, state="active")
    os.rename(shelf.base, shelf.base + ".template")
    yield shelf
    shutil.rmtree(place)


def reset(shelf: Shelf) -> None:
    shutil.rmtree(shelf.base, ignore_errors=True)
    shutil.copytree(shelf.base + ".template", shelf.base, symlinks=True)


def outcome(shelf: Shelf) -> t.Any:
    """All that lies there, by name, and what the state file says, but for the time."""
    names = {
        name: sorted(os.listdir(os.path.join(shelf.base, name))) for name in ("layers", "manifests", "releases", "tmp")
    }
    link = os.path.join(shelf.base, "current")
    state = json.loads(Path(shelf.base, "state.json").read_text())
    for release in state["installed"].values():
        del release["at"]
    assert is_noted(Layout(shelf.base), read_state(Layout(shelf.base), "demo"))
    return names, os.readlink(link) if os.path.lexists(link) else None, state


RUNS: dict[str, dict[str, t.Any]] = {
    "absent": {"version": "0.9.0", "state": "absent"},
    "activate and prune": {"version": "1.2.0", "state": "active", "keep": 1},
    "switch back": {"version": "1.0.0", "state": "active"},
    "inactive": {"state": "inactive"},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS.keys())
def test_the_same_run_once_more_ends_as_if_nothing_had_been(
    options: dict[str, t.Any], scene: Shelf, killer: Killer
) -> None:
    reset(scene)
    scene.install(**options)
    wanted = outcome(scene)
    points = 0
    while True:
        reset(scene)
        if killer.run(points, lambda: scene.install(**options)):
            break
        scene.install(**options)
        assert outcome(scene) == wanted, points
        before = listing(scene.base)
        assert scene.install(**options)["changed"] is False and listing(scene.base) == before, points
        points += 1 if options["state"] != "active" else STEP
    assert points > 3
    assert outcome(scene) == wanted


def test_a_removal_collects_what_a_killed_installation_left(scene: Shelf, killer: Killer) -> None:
    reset(scene)
    scene.install(version="1.2.0")
    scene.install(version="1.2.0", state="absent")
    wanted = outcome(scene)
    points = 0
    while True:
        reset(scene)
        if killer.run(points, lambda: scene.install(version="1.2.0")):
            break
        scene.install(version="1.2.0", state="absent")
        assert outcome(scene) == wanted, points
        points += STEP
    assert points > 20


def test_who_only_asks_sees_what_is_so(scene: Shelf, killer: Killer) -> None:
    """The file names 0.9.0, which is gone, and lacks 1.2.0, which is whole and current."""
    reset(scene)
    gone = installed_digest(scene.base, "demo", "0.9.0")
    fence = Fence("production", 7)
    points = 0
    seen = set()
    while not killer.run(points, lambda: scene.install(version="1.2.0", state="active", keep=1, fence=fence)):
        for version in ("0.9.0", "1.2.0"):
            there = os.path.isdir(scene.base + "/releases/" + version)
            assert bool(installed_digest(scene.base, "demo", version)) == there, (points, version)
            seen.add((version, there))
        check_fence(scene.base, "demo", fence)
        assert "releases/%s" % read_state(Layout(scene.base), "demo").current == os.readlink(scene.base + "/current"), (
            points
        )
        points += STEP
        reset(scene)
    assert gone and len(seen) == 4
    check_whole(scene.base, scene.publish("1.2.0"))

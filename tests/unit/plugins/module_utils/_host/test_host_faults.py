# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation that is killed, or whose system calls fail, at any point: `current` is old or new, whole; a re-run converges.

tests/support/kill_at.py does it to a real run. Without ALL_FAULTS=1 a sample of the points is taken, spread over all of them.
tests/bench/bad_days_crash_points.py kills all that changes a store or a server, at more than a thousand points.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
import warnings
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Manifest

from .conftest import Shelf, check_whole

SUPPORT = Path(__file__).resolve().parents[4] / "support"
FAULTS = (None, errno.ENOSPC, errno.EIO)  # None: SIGKILL
SAMPLE = 24  # points of each fault, unless ALL_FAULTS is set
FREES = ("unlink", "unlinkat", "rmdir")  # no full disk keeps anybody from these


class Scene:
    """1.1.0 is active, 1.0.0 previous, 0.9.0 will be pruned; 1.2.0 is what the run installs."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.manifests: dict[str, Manifest] = {v: shelf.publish(v) for v in ("0.9.0", "1.0.0", "1.1.0", "1.2.0")}
        for version in ("0.9.0", "1.0.0", "1.1.0"):
            shelf.install(version=version, state="active")
        self.template = shelf.base + ".template"
        os.rename(shelf.base, self.template)

    def reset(self) -> None:
        shutil.rmtree(self.shelf.base, ignore_errors=True)
        subprocess.run(["cp", "-a", self.template, self.shelf.base], check=True)

    def run(self) -> None:
        """0: done. 3: refused by name."""
        try:
            install(Request(Wanted("demo", version="1.2.0"), self.shelf.base, "active", keep=1), self.shelf.open)
        except BeamError:
            sys.exit(3)

    def check(self, label: str) -> str:
        """current is old or new, and what it points at is whole; the version."""
        target = os.readlink(self.shelf.base + "/current")
        assert target in ("releases/1.1.0", "releases/1.2.0"), label
        version = os.path.basename(target)
        for kept in (version, "1.1.0", "1.0.0") if version == "1.2.0" else (version, "1.0.0"):
            if os.path.isdir(self.shelf.base + "/releases/" + kept):
                check_whole(self.shelf.base, self.manifests[kept])
        if os.path.isdir(self.shelf.base + "/releases/1.2.0"):
            check_whole(self.shelf.base, self.manifests["1.2.0"])
        return version


@pytest.fixture(name="shelf")
def _shelf_in_memory(tmp_path: Path) -> t.Iterator[Shelf]:
    """Each run ends with a sync of its whole file system: on a disk that is at work that takes a second."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as place:
        yield Shelf(Path(place))


@pytest.fixture(name="traced", scope="module")
def _traced() -> t.Any:
    spec = importlib.util.spec_from_file_location("alchemist_beam_support_kill_at", SUPPORT / "kill_at.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    why = module.lacking()
    if why:
        warnings.warn("NOT TESTED: no fault was injected into an installation: %s" % why, stacklevel=1)
        pytest.skip("NOT TESTED: %s" % why)
    return module


@pytest.mark.parametrize("fault", FAULTS, ids=["KILL", "ENOSPC", "EIO"])
def test_current_is_old_or_new_and_a_second_run_converges(fault: int | None, shelf: Shelf, traced: t.Any) -> None:
    scene = Scene(shelf)
    but = FREES if fault == errno.ENOSPC else ()
    scene.reset()
    calls = traced.kill_at(scene.run, None, but).calls
    assert len(calls) > 60, calls
    step = 1 if os.environ.get("ALL_FAULTS") else max(1, len(calls) // SAMPLE)
    stopped = 0
    ends = set()
    for at in range(1, len(calls) + 1, step):
        scene.reset()
        label = "%s at call %d" % (fault, at)
        done = traced.kill_at(scene.run, at, but) if fault is None else traced.fail_at(scene.run, at, fault, but)
        version = scene.check(label)
        assert done.code in (0, 3, -1) and not done.said, (label, done)
        if done.code == 0:
            assert version == "1.2.0", label
        stopped += done.code != 0
        ends.add(version)
        assert scene.shelf.install(version="1.2.0", state="active", keep=1), label
        assert scene.check(label) == "1.2.0"
        assert os.listdir(scene.shelf.base + "/tmp") == [], label
        kept = sorted(os.listdir(scene.shelf.base + "/releases"))
        assert kept == ["1.1.0", "1.2.0"], label
        assert sorted(os.listdir(scene.shelf.base + "/manifests")) == sorted(
            scene.manifests[v].digest + ".json" for v in kept
        ), label
        scene.shelf.away()
        try:
            assert scene.shelf.install(version="1.1.0", state="active")["previous"] == "1.2.0", label
        finally:
            scene.shelf.back()
    # The sample must have hit: most points stop the run, before the switch or after it.
    assert stopped > len(calls) / step / 2, stopped
    assert "1.1.0" in ends

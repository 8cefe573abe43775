# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made has the mode that it ought to have, whatever the umask of the caller, and what a node puts in its place is not followed."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.file import ReadinessFile
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import main
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.notes import Notes, write_notes
from ansible_collections.alchemist.beam.plugins.module_utils._build.command import run_command
from ansible_collections.alchemist.beam.plugins.module_utils._build.ours import closed_to_others, open_to_others
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import ending
from ansible_collections.alchemist.beam.plugins.module_utils._node.crash import crash_dumps, slogan
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon


@pytest.fixture(name="umask", params=[0o000, 0o022, 0o077], ids=["000", "022", "077"])
def _umask(request: pytest.FixtureRequest) -> t.Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_notes(umask: int, tmp_path: Path) -> None:
    write_notes(str(tmp_path), Notes("i-1", "1.0"))
    ending.mark_leaving(str(tmp_path), "it ends")
    assert [mode(path) for path in tmp_path.iterdir()] == [0o644, 0o644]


def test_readiness_file_is_seen_by_the_application(umask: int, tmp_path: Path) -> None:
    ReadinessFile(str(tmp_path / "ready"), None, "h1").join("h1")
    assert mode(tmp_path / "ready") == 0o644


def test_directories_of_a_daemon(umask: int, tmp_path: Path) -> None:
    Daemon(str(tmp_path), "shop").directories()
    assert not mode(tmp_path / "shared") & ~0o750
    assert [mode(tmp_path / "shared" / name) for name in ("run", "run/shop", "log")] == [0o700] * 3


def test_builds(umask: int, tmp_path: Path) -> None:
    with closed_to_others():
        run_command(["sh", "-c", "mkdir tree; echo x > tree/file"], str(tmp_path), os.environ, 20)
    assert (mode(tmp_path / "tree"), mode(tmp_path / "tree" / "file")) == (
        0o777 & ~umask & ~0o022,
        0o666 & ~umask & ~0o022,
    )
    assert not open_to_others(str(tmp_path / "tree")) and os.umask(umask) == umask


def test_a_tree_that_others_may_have_changed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree").chmod(0o777)
    assert open_to_others(str(tmp_path / "tree"))


def test_bootstrap_by_hand(umask: int) -> None:
    main.main([])
    assert os.umask(umask) == 0o022


def test_what_a_node_puts_where_its_dump_would_be(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "erl_crash.dump")
    assert (
        slogan(str(tmp_path / "erl_crash.dump")) is None
        and crash_dumps([str(tmp_path)]) == []
        and slogan(str(tmp_path)) is None
    )


def test_links_in_the_directory_of_a_daemon_are_not_followed(tmp_path: Path) -> None:
    daemon = Daemon(str(tmp_path), "shop")
    daemon.directories()
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (Path(daemon.run_dir) / ".lock").symlink_to(victim)
    with pytest.raises((OSError, BeamError)), daemon._lock():
        pass
    assert victim.read_text() == "as it was"

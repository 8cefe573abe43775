# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log of a node without systemd: start by start."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon


def test_only_the_last_start_is_told(tmp_path: Path) -> None:
    daemon = Daemon(str(tmp_path), "shop")
    assert daemon.log(5) == [] and daemon.last_boots() == []
    log = Path(daemon.log_file)
    log.parent.mkdir(parents=True)
    start = "=== alchemist.beam starts shop %s ===\n"
    log.write_text(
        "before\n" + start % "1.0" + "old\nKernel pid terminated (x)\n" + start % "2.0" + "new\n\n** (A) b\n"
    )
    assert daemon.log(5) == ["new", "** (A) b"] and daemon.log(1) == ["** (A) b"] and daemon.log(0) == []
    assert daemon.last_boots() == []  # it was asked to stop, or runs
    with log.open("a") as stream:
        stream.write("Kernel pid terminated (x)\n")
    assert daemon.last_boots()[0][-1] == "Kernel pid terminated (x)"

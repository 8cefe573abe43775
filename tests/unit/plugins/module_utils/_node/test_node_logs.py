# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last lines of a log: of a journal that is played, and of a daemon's file."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.logs import read_log
from ansible_collections.alchemist.beam.plugins.module_utils._node.systemd import Systemctl, Systemd


class Journal(Systemctl):
    def __init__(self, rows: t.Sequence[t.Any], code: int = 0) -> None:
        self.rows, self.code = rows, code
        self.asked: list[tuple[str, ...]] = []

    def run(self, *argv: str, timeout: float = 30) -> tuple[int, str]:
        self.asked.append(argv)
        return self.code, "\n".join(row if isinstance(row, str) else json.dumps(row) for row in self.rows)


def test_a_journal_with_times() -> None:
    rows = [
        {"MESSAGE": "one\ntwo", "__REALTIME_TIMESTAMP": "1767225600000000"},
        "no json",
        {"MESSAGE": [104, 105], "__REALTIME_TIMESTAMP": "x"},
    ]
    journal = Journal(rows)
    lines = read_log(Systemd("shop", journal), 10, "10 min ago", journal)
    assert lines == ["2026-01-01T00:00:00Z one", "2026-01-01T00:00:00Z two", "? hi"]
    [asked] = journal.asked
    assert asked[asked.index("--since") + 1] == "10 min ago" and asked[asked.index("--unit") + 1] == "shop.service"
    assert read_log(Systemd("shop", journal), 1, "", journal) == ["? hi"] and "--since" not in journal.asked[1]


def test_a_time_that_is_none_is_told() -> None:
    journal = Journal(["Failed to parse timestamp: soon"], 1)
    with pytest.raises(BeamError, match="Failed to parse timestamp: soon"):
        read_log(Systemd("shop", journal), 10, "soon", journal)


@pytest.mark.parametrize("lines", [0, -1, 5001])
def test_how_many_lines(lines: int, tmp_path: Path) -> None:
    with pytest.raises(BeamError, match="Ask for 1 to 5000"):
        read_log(Daemon(str(tmp_path), "shop"), lines)


def test_the_file_of_a_daemon(tmp_path: Path) -> None:
    daemon = Daemon(str(tmp_path), "shop")
    assert read_log(daemon, 5) == []
    log = Path(daemon.log_file)
    log.parent.mkdir(parents=True)
    log.write_text("old\n=== alchemist.beam starts shop 1.0.0 ===\na\n\nb  \nc\n")
    assert read_log(daemon, 2) == ["b", "c"] and read_log(daemon, 10)[0] == "old"
    assert read_log(daemon, 10, "start") == ["a", "b", "c"]
    with pytest.raises(BeamError, match="a daemon's log has no times"):
        read_log(daemon, 10, "10 min ago")

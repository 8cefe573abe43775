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
from ansible_collections.alchemist.beam.plugins.module_utils._node.logs import follow, read_log, seconds_of
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


def test_a_journal_that_is_followed_loses_nothing_and_tells_nothing_twice() -> None:
    class Growing(Journal):
        def run(self, *argv: str, timeout: float = 30) -> tuple[int, str]:
            self.asked.append(argv)
            rows = [{"MESSAGE": word, "__REALTIME_TIMESTAMP": "0", "__CURSOR": "s=" + word} for word in "abc"]
            shown = {1: rows[:1], 2: rows[:2]}.get(len(self.asked), rows[1:])
            return 0, "\n".join(json.dumps(row) for row in shown)

    journal, slept = Growing([]), []
    manager = Systemd("shop", journal)
    lines = follow(manager, 9, "", 3, journal, slept.append)
    assert [line[-1] for line in lines] == ["a", "b", "c"] and slept == [3]
    assert journal.asked[2][journal.asked[2].index("--after-cursor") + 1] == "s=a"


def test_a_file_that_is_followed(tmp_path: Path) -> None:
    daemon = Daemon(str(tmp_path), "shop")
    log = Path(daemon.log_file)
    log.parent.mkdir(parents=True)

    def later(text: str) -> t.Callable[[float], None]:
        return lambda _seconds: log.write_text(text) and None  # type: ignore[func-returns-value]

    assert follow(daemon, 2, "", 1, sleep=later("a\nb\nb\n")) == ["a", "b", "b"]
    assert follow(daemon, 2, "", 1, sleep=later("a\nb\nb\nb\n")) == ["b", "b", "b"]
    # It was begun anew meanwhile.
    assert follow(daemon, 1, "", 1, sleep=later("new\n")) == ["b", "new"]
    assert follow(daemon, 9, "", 0) == ["new"]


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("", 0), ("30s", 30), ("1.5", 1.5), ("2m", 120)])
def test_how_long(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "11m", "601", "1h"])
def test_no_time_to_follow(text: str) -> None:
    with pytest.raises(BeamError, match="beam_follow"):
        seconds_of(text)

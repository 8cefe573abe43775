# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gates found before: believed if it is whole, and of the very same inputs."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._gates import kept as past
from ansible_collections.alchemist.beam.plugins.module_utils._gates.kept import Kept
from ansible_collections.alchemist.beam.plugins.module_utils._release.gates import Statement

COMMIT, INPUTS = "a" * 40, "2" * 64
JUNIT = b"<testsuites/>"
GOOD = Kept(
    Statement(
        "shop",
        "test",
        "passed",
        (COMMIT,),
        "1" * 64,
        INPUTS,
        "2026-03-01T12:00:00Z",
        3.5,
        "ci@build1",
        reports={"junit": hashlib.sha256(JUNIT).hexdigest()},
    ),
    {"junit": JUNIT},
)


def test_keep_and_recall(tmp_path: Path) -> None:
    paths = past.keep(str(tmp_path), GOOD, "said")
    assert Path(paths["junit"]).read_bytes() == JUNIT and Path(paths["output"]).read_text() == "said"
    assert past.recall(str(tmp_path), "shop", "test", INPUTS) == GOOD
    assert past.paths(str(tmp_path), GOOD) == paths
    # A later run of the same inputs without a report leaves none of the earlier one.
    failed = Kept(dataclasses.replace(GOOD.statement, verdict="failed", reports={}), {})
    assert set(past.keep(str(tmp_path), failed, "")) == {"output"} and not Path(paths["junit"]).exists()
    assert past.recall(str(tmp_path), "shop", "test", INPUTS) == failed


@pytest.mark.parametrize("damage", ["statement", "report", "gone", "foreign", "inputs", "name", "empty"])
def test_what_is_not_whole_costs_a_run(tmp_path: Path, damage: str) -> None:
    paths = past.keep(str(tmp_path), GOOD, "said")
    directory = Path(paths["junit"]).parent
    inputs, name = INPUTS, "shop"
    if damage == "statement":
        (directory / "statement.json").write_bytes(GOOD.statement.to_bytes()[:-9])
    elif damage == "report":
        Path(paths["junit"]).write_bytes(b"<other/>")
    elif damage == "gone":
        Path(paths["junit"]).unlink()
    elif damage == "foreign":
        directory.chmod(0o777)
    elif damage == "inputs":
        inputs = INPUTS[:16] + "9" * 48
    elif damage == "name":
        name = "other"
    else:
        (directory / "statement.json").write_bytes(b"")
    assert past.recall(str(tmp_path), name, "test", inputs) is None


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "_KEPT", 2)
    past.prune(str(tmp_path))
    for at in range(4):
        statement = dataclasses.replace(GOOD.statement, inputs=str(at) * 64)
        past.keep(str(tmp_path), Kept(statement, GOOD.reports), "")
        os.utime(past.place(str(tmp_path), "test", str(at) * 64), (at, at))
    past.prune(str(tmp_path))
    found = [past.recall(str(tmp_path), "shop", "test", str(at) * 64) is not None for at in range(4)]
    assert found == [False, False, True, True]

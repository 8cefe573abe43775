# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback in a real run of ansible-playbook: what it shows, what it writes, and that it never ends a run."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLLECTION = HERE.parents[3]
sys.path.insert(0, str(COLLECTION / "tests" / "support"))
import playbooks

EXAMPLE = COLLECTION / "examples" / "rollout" / "report.json"
STEM = "beacon-production-20261122T170505Z-5f0c9a1e"
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "%s"}
  children: {fleet: {hosts: {h1: , h2: , h3: , h4: , h5: }}}
"""


def play(
    tmp_path: Path, *more: str, report: str = str(EXAMPLE), broken: str = "h3", page: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(INVENTORY % sys.executable, encoding="utf-8")
    collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(COLLECTION.parents[2])
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_CALLBACKS_ENABLED": "alchemist.beam.rollout",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_DEVEL_WARNING": "0",
        "ANSIBLE_FORCE_COLOR": "0",
        **settings,
    }
    extra = json.dumps({"report": report, "broken": broken, "page": page})
    argv = [
        "ansible-playbook",
        "-i",
        str(inventory),
        "-e",
        extra,
        str(HERE / "site.yml"),
        *more,
    ]
    return playbooks.run(argv, environment, tmp_path, timeout=300, apart=True)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if re.match(r"batch [0-9]|rehearsal, |rollout \|", line)]


def test_rollout_that_fails_and_goes_back(tmp_path: Path) -> None:
    done = play(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = said(done)
    assert [line for line in lines if "failed" not in line] == [
        "batch 1 of 3: h1 | draining",
        "batch 1 of 3: h1 | activating",
        "batch 1 of 3: h1 | restarting, and waiting until it is healthy",
        "batch 2 of 3: h2 | draining",
        "batch 2 of 3: h2 h3 | activating",
        "batch 2 of 3: h2 h3 | restarting, and waiting until it is healthy",
        "batch 2 of 3: h2 h3 | going back",
    ]
    failed = [line for line in lines if "failed" in line]
    assert len(failed) == 1 and failed[0].startswith("batch 2 of 3: h3 | failed while restarting")
    assert "alchemist.beam.rollout could not" not in done.stderr and "DEPRECAT" not in done.stderr

    files = sorted((tmp_path / "rollouts").iterdir())
    assert [path.name for path in files] == [STEM + ".html", STEM + ".json"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in files)
    assert json.loads(files[1].read_text(encoding="utf-8")) == json.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert "failed, then returned" in files[0].read_text(encoding="utf-8")
    assert ["report: %s" % path for path in files] == [
        line for line in sorted(done.stdout.splitlines()) if line.startswith("report: ")
    ]
    assert "beacon 0.2.1 on the channel production was not rolled out." in done.stdout
    secret = "hunter2-callback"
    assert secret not in done.stdout + done.stderr + "".join(path.read_text(encoding="utf-8") for path in files)


def test_filter_makes_the_page_that_the_callback_writes(tmp_path: Path) -> None:
    done = play(tmp_path, page=str(tmp_path / "page.html"), BEAM_ROLLOUT_DIRECTORY=str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "elsewhere" / (STEM + ".html")).read_bytes()
    assert not (tmp_path / "rollouts").exists()


def test_everything_can_be_turned_off(tmp_path: Path) -> None:
    done = play(tmp_path, BEAM_ROLLOUT_PROGRESS="false", BEAM_ROLLOUT_SUMMARY="false", BEAM_ROLLOUT_WRITE="false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not said(done) and "ROLLOUT ***" not in done.stdout and not (tmp_path / "rollouts").exists()


def test_options_of_the_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[beam_rollout]\ndirectory = kept/here\nprogress = false\n", encoding="utf-8")
    done = play(tmp_path, ANSIBLE_CONFIG=str(tmp_path / "ansible.cfg"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not said(done) and (tmp_path / "kept" / "here" / (STEM + ".html")).is_file()


def test_a_directory_that_can_t_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "rollouts").write_text("a file", encoding="utf-8")
    done = play(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the callback alchemist.beam.rollout could not go on" in " ".join(done.stderr.split())
    assert "beacon 0.2.1 on the channel production was not rolled out." in done.stdout


def test_rollout_without_a_verdict_is_called_one(tmp_path: Path) -> None:
    done = play(tmp_path, report="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "this rollout ended without a verdict" in " ".join(done.stderr.split())
    assert not (tmp_path / "rollouts").exists()


def test_rehearsal_says_so(tmp_path: Path) -> None:
    done = play(tmp_path, "--check", broken="", report="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert said(done)[0] == "rehearsal, batch 1 of 3: h1 | draining"
    assert "without a verdict" not in done.stderr

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that was forked off is what the command would have been."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import playbooks

TASKS = [
    {
        "ansible.builtin.debug": {
            "msg": "{{ lookup('env', 'GIVEN') }} {{ lookup('pipe', 'pwd') }} {{ ansible_playbook_python }}"
        }
    },
    {"ansible.builtin.command": {"argv": ["true"]}},
    {"ansible.builtin.fail": {"msg": "as wanted"}, "when": "fails | bool"},
]


def play(directory: Path, tasks: list[dict[str, t.Any]]) -> Path:
    path = directory / "play.json"
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": here, "tasks": tasks}]))
    return path


def environment(directory: Path, given: str) -> dict[str, str]:
    (directory / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"), "GIVEN": given}


def test_a_run_says_what_the_command_says(tmp_path: Path) -> None:
    path = play(tmp_path, TASKS)
    for fails, code in (("no", 0), ("yes", 2)):
        words = ["ansible-playbook", "-i", "localhost,", "-e", "fails=" + fails, str(path)]
        env = environment(tmp_path, "given " + fails)
        command = [sys.executable, str(Path(sys.executable).parent / words[0]), *words[1:]]
        real = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        done = playbooks.run(words, env, tmp_path, apart=True)
        assert (done.returncode, done.stdout, done.stderr) == (real.returncode, real.stdout, real.stderr)
        assert done.returncode == code and "given %s %s" % (fails, tmp_path) in done.stdout
    assert not list((tmp_path / "tmp").iterdir()), "what it unpacked is removed"
    # What one run sees of its environment is not what the one before saw.
    adhoc = ["ansible", "localhost", "-i", "localhost,", "-m", "ansible.builtin.debug", "-a"]
    done = playbooks.run([*adhoc, "msg={{ lookup('env', 'GIVEN') }}"], environment(tmp_path, "other"), tmp_path)
    assert done.returncode == 0 and '"msg": "other"' in done.stdout
    with pytest.raises(subprocess.CalledProcessError):
        playbooks.run([*adhoc, "msg={{ nothing }}"], environment(tmp_path, ""), check=True)


def test_a_run_can_be_killed_and_leaves_the_others_alone(tmp_path: Path) -> None:
    path = play(tmp_path, [{"ansible.builtin.command": {"argv": ["sleep", "60"]}}])
    words = ["ansible-playbook", "-i", "localhost,", str(path)]
    env = environment(tmp_path, "")
    logs = [tmp_path / "one", tmp_path / "two"]
    runs = []
    for log in logs:
        with log.open("wb") as stream:
            runs.append(playbooks.start(words, stream.fileno(), env, tmp_path, start_new_session=True))
    end = time.monotonic() + 60
    while not all(re.search(r"TASK \[ansible.builtin.command\]", log.read_text()) for log in logs):
        assert time.monotonic() < end and [run.poll() for run in runs] == [None, None]
        time.sleep(0.05)
    line = Path("/proc/%d/cmdline" % runs[0].pid).read_bytes().rstrip(b"\0").decode().split("\0")
    assert line == [sys.executable, str(Path(sys.executable).parent / words[0]), *words[1:]]
    assert len({run.pid for run in runs} | {os.getsid(run.pid) for run in runs}) == 2
    os.killpg(runs[0].pid, signal.SIGKILL)
    assert runs[0].wait(30) == -signal.SIGKILL and runs[1].poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        runs[1].wait(0.1)
    os.killpg(runs[1].pid, signal.SIGKILL)
    assert runs[1].wait(30) == -signal.SIGKILL

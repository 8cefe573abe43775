# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules of the controller run in its own process where that is the same, and answer the same where it is not."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "tests" / "support"))
import playbooks

SECRET = "canary-of-a-key"
WHERE = {"name": "shop", "channel": "production", "secret_key": SECRET, "access_key": "key"}
TASKS: list[dict[str, t.Any]] = [
    {"alchemist.beam.rollout_info": {**WHERE, "history": 0}},
    {"alchemist.beam.release_channel": {**WHERE, "state": "promoted", "version": "1.0.0"}},
    {"alchemist.beam.release_channel": {**WHERE, "state": "promoted", "version": "1.0.0"}, "check_mode": True},
    {
        "alchemist.beam.rollout_journal": {
            **WHERE,
            "state": "recorded",
            "fence": 7,
            "token": "nobody's",
            "hosts": {"web1": {"step": "joined"}},
        }
    },
    {
        "alchemist.beam.balancer_member": {
            "balancers": [{"kind": "haproxy", "address": "/nowhere", "backends": ["app"]}],
            "members": {"web1": {}},
            "timeout": 1,
        }
    },
    {"alchemist.beam.autoscaling_info": {"groups": [], "region": "us-east-1"}},
    {"alchemist.beam.release_artifact_info": {"nam": "shop"}},
]


def play(directory: pathlib.Path, python: str, **more: t.Any) -> tuple[list[dict[str, t.Any]], str]:
    """What each task answered, and what was shown at -vvv."""
    results = [{**task, "register": "r%d" % number, "ignore_errors": True} for number, task in enumerate(TASKS)]
    tell = {
        "ansible.builtin.copy": {
            "dest": str(directory / "out.json"),
            "mode": "0600",
            "content": "{{ [%s] | to_json }}" % ", ".join("r%d" % number for number in range(len(TASKS))),
        }
    }
    store = {"group/alchemist.beam.store": {"store": "file://%s" % (directory / "store")}}
    written = {"hosts": "all", "gather_facts": False, "module_defaults": store, **more, "tasks": [*results, tell]}
    (directory / "play.yml").write_text(json.dumps([written]))
    (directory / "inventory").write_text('web1 ansible_connection=local ansible_python_interpreter="%s"\n' % python)
    done = playbooks.run(
        ["ansible-playbook", "-vvv", "-i", str(directory / "inventory"), str(directory / "play.yml")],
        {**os.environ, "ANSIBLE_NOCOLOR": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return json.loads((directory / "out.json").read_text()), done.stdout


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "store").mkdir()
    return tmp_path


def test_the_answers_are_the_same(directory: pathlib.Path) -> None:
    here, shown = play(directory, "{{ ansible_playbook_python }}")
    there, told = play(directory, "/usr/bin/python3")
    assert shown.count("Using module file") == told.count("Using module file") - len(TASKS)
    assert [answer.get("failed", False) for answer in here] == [False, True, True, True, True, False, True]
    codes = [(answer.get("error") or {}).get("code") for answer in here]
    assert codes == [None, "release_missing", "release_missing", "lock_lost", "balancer_unreachable", None, None]
    for mine, other in zip(here, there):
        for answer in (mine, other):
            answer.pop("ansible_facts", None)  # where Python was looked for
        assert mine == other
    assert SECRET not in shown + told and "Traceback" not in shown + told


def test_who_asks_for_another_environment_gets_another_process(directory: pathlib.Path) -> None:
    _answers, here = play(directory, "{{ ansible_playbook_python }}")
    _answers, other = play(directory, "{{ ansible_playbook_python }}", environment={"BEAM": "1"})
    assert other.count("Using module file") == here.count("Using module file") + len(TASKS)

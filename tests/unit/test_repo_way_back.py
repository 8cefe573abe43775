# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks of the role on their way back, run by Ansible; the modules are stubs that fail where a test says so. What
they do is in the model, and on a fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule, _load_params
def within(wanted, said):
    if not isinstance(wanted, dict):
        return wanted == said
    return isinstance(said, dict) and all(within(value, said.get(key)) for key, value in wanted.items())
def main():
    given = _load_params()
    module = AnsibleModule({key: {"type": "raw"} for key in given if not key.startswith("_")}, supports_check_mode=True)
    said = {key: value for key, value in module.params.items() if value is not None}
    with open(%(log)r, "a") as log:
        log.write(json.dumps([%(name)r, said]) + "\\n")
    for name, wanted, answer in %(script)r:
        if name == %(name)r and within(wanted, said):
            module.exit_json(**answer)
    version = (said.get("restart") or said).get("expect_version")
    pointed = {"pointed": {"changed": True}} if said.get("point") and said.get("restart") else {}
    module.exit_json(changed=True, after=version and {"version": version, "pid": 7}, members={name: {} for name in said.get("members") or {}}, **pointed)
if __name__ == "__main__":
    main()
"""
MODULES = (
    "rollout_host",
    "autoscaling_info",
    "balancer_member",
    "rollout_journal",
    "rollout_info",
    "release_artifact_info",
    "release_channel",
)
SIDE = {
    "live": "blue",
    "to": "green",
    "back": "blue",
    "from": "0.1.0",
    "others": ["blue"],
    "starts": True,
    "action": "switch",
}
PLAN = {
    "begun": 1.5,
    "name": "beacon",
    "channel": "production",
    "version": "0.2.0",
    "digest": "d",
    "strategy": "blue_green",
    "colors": ["blue", "green"],
    "order": ["h1", "h2"],
    "members": [["h1", "h2"]],
    "leaves": ["h1", "h2"],
    "moves": ["h1", "h2"],
    "recovers": [],
    "floor": 0,
    "sides": {"h1": SIDE, "h2": SIDE},
    "rows": [{"host": "h1", "from": "0.1.0"}, {"host": "h2", "from": "0.1.0"}],
    "idle": False,
    "balanced": {"members": {name: {"before": "in"} for name in ("h1-blue", "h2-blue", "h1-green", "h2-green")}},
}
PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.set_fact": {
                    "rollout_plan": PLAN,
                    "rollout_halted": False,
                    "rollout_refused": {},
                    "rollout_held": {"mine": True, "fence": 3, "token": "t"},
                }
            }
        ],
    },
    {
        "hosts": "h1,h2",
        "gather_facts": False,
        "ignore_unreachable": True,
        "tasks": [
            {
                "ansible.builtin.import_role": {"name": "alchemist.beam.rollout", "tasks_from": "batch"},
                "vars": {"rollout_part": "move"},
            },
            {
                "ansible.builtin.copy": {"dest": "{{ out }}", "content": "{{ found | to_json }}"},
                "run_once": True,
            },
        ],
    },
]
FULL = {
    "failed": True,
    "msg": "x",
    "error": {"code": "disk_full", "what": "current was not switched", "why": "the disk is full"},
}
LOST = {
    "failed": True,
    "msg": "x",
    "error": {"code": "lock_lost", "what": "current was not switched", "why": "the lock was taken"},
}


def way_back(
    path: Path, *script: tuple[str, dict[str, t.Any], dict[str, t.Any]], **more: t.Any
) -> tuple[dict[str, t.Any], list[tuple[str, dict[str, t.Any]]]]:
    """What is known in the end, and what the modules were asked to do."""
    home = path / "ansible_collections" / "alchemist" / "beam"
    (home / "plugins" / "modules").mkdir(parents=True)
    for part in ("meta", "roles"):
        (home / part).symlink_to(ROOT / part)
    for part in ("module_utils", "plugin_utils", "filter"):
        (home / "plugins" / part).symlink_to(ROOT / "plugins" / part)
    log, out = path / "log", path / "out"
    for name in MODULES:
        text = STUB % {"name": name, "log": str(log), "script": script}
        (home / "plugins" / "modules" / (name + ".py")).write_text(text, encoding="utf-8")
    (home / "plugins" / "action").mkdir()
    for action in ("rollout_fleet.py", "rollout_host.py"):
        (home / "plugins" / "action" / action).symlink_to(ROOT / "plugins" / "action" / action)
    (path / "ansible.cfg").touch()
    (path / "play.yml").write_text(json.dumps(PLAY), encoding="utf-8")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**local, "beam_base": "/nowhere/" + name} for name in ("h1", "h2")}
    variables = {
        "beam_name": "beacon",
        "beam_store": "file:///nowhere",
        "beam_strategy": "blue_green",
        "beam_colors": ["blue", "green"],
        "beam_manager": "daemon",
        "beam_balancers": [{"kind": "none"}],
        "out": str(out),
        "found": {
            "turn": "{{ rollout_turn }}",
            "localhost": {
                "rollout_halted": "{{ hostvars['localhost'].rollout_halted }}",
                "rollout_refused": "{{ hostvars['localhost'].rollout_refused }}",
            },
        },
        **more,
    }
    inventory = {"all": {"hosts": {**hosts, "localhost": local}, "vars": variables}}
    (path / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(path),
        "ANSIBLE_HOME": str(path / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_CONFIG": str(path / "ansible.cfg"),
    }
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(path / "inventory.yml"), str(path / "play.yml")]
    done = subprocess.run(argv, env=environment, cwd=path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and out.exists(), done.stdout + done.stderr
    return json.loads(out.read_text(encoding="utf-8")), [
        tuple(json.loads(line)) for line in (log.read_text(encoding="utf-8").splitlines() if log.exists() else ())
    ]


MASKED = {"failed": True, "msg": "blue does not stop", "error": {"code": "stop_timeout", "what": "blue does not stop"}}
STOP = {"restart": {"state": "stopped", "pointer": "blue"}}
SWITCH = {"point": {"state": "active", "base": "/nowhere/h1", "version": "0.1.0", "pointer": "current"}}


@pytest.mark.parametrize(("answer", "fenced"), [(FULL, False), (LOST, True)], ids=["disk full", "lock lost"])
def test_a_pointer_that_could_not_be_put_back(tmp_path: Path, answer: dict[str, t.Any], fenced: bool) -> None:
    """The batch switches, the former node does not stop, and on the way back the pointer of one host can't be put back."""
    found, done = way_back(tmp_path, ("rollout_host", STOP, MASKED), ("rollout_host", SWITCH, answer))
    turn = found["turn"]
    assert found["localhost"] == {"rollout_halted": True, "rollout_refused": {}}
    assert turn["over"] and turn["halted"] and turn["fenced"] is fenced
    notes = [said["hosts"] for name, said in done if name == "rollout_journal"]
    assert {host: row["step"] for host, row in notes[-1].items()} == {"h1": "stranded", "h2": "returned"}
    assert "on the way back: current was not switched: %s" % answer["error"]["why"] in notes[-1]["h1"]["error"]
    # Overtaken, it waits for the other deployer, and puts back what it took out.
    joined = [sorted(said["members"]) for name, said in done if name == "balancer_member" and said["state"] == "joined"]
    assert joined[-1 - fenced] == ["h1-blue", "h2-blue"] and (joined[-1] == ["h1-green", "h2-green"]) is fenced
    # What begins on a server is in the journal before.
    order = [name for name, _said in done]
    assert order.index("rollout_journal") < order.index("rollout_host")


def test_a_turn_that_breaks_without_an_answer_halts_the_rollout_and_is_its_reason(tmp_path: Path) -> None:
    """Else hosts that had moved before it broke would count as proven, and their version would be promoted."""
    found, done = way_back(tmp_path, beam_hooks=5)
    assert done == [] and "over" not in found["turn"]
    assert found["localhost"]["rollout_halted"] and "not iterable" in found["localhost"]["rollout_refused"]["msg"]

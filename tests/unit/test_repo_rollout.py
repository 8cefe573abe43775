# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role does what the tables of module_utils/_fleet say: the same steps in the same order."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

TASKS = Path(__file__).resolve().parents[2] / "roles" / "rollout" / "tasks"


def render(text: str, **variables: t.Any) -> t.Any:
    templar = Templar(
        loader=DataLoader(), variables={"hostvars": {"localhost": variables.pop("localhost", {})}, **variables}
    )
    return templar.template(trusted(text))


def trusted(text: str) -> str:
    try:
        from ansible.template import trust_as_template
    except ImportError:
        return text
    return t.cast(str, trust_as_template(text))  # str() would take the trust away


SAID = "it says correct-horse-battery"
OURS = {"failed": True, "msg": "The lock was taken", "error": {"code": "lock_lost", "what": "The lock was taken"}}


@pytest.mark.parametrize(
    ("result", "task", "kept"),
    [
        ({"failed": True, "msg": SAID, "stdout": SAID}, {"name": "A hook", "no_log": False}, "A hook: " + SAID),
        (
            {"failed": True, "msg": SAID, "stdout": SAID, "_ansible_no_log": True},
            {"name": "A hook"},
            "A hook: it failed, and its no_log hides what it said",
        ),
        (
            {"failed": True, "msg": SAID, "results": [SAID]},
            {"name": "A hook", "no_log": True},
            "A hook: it failed, and its no_log hides what it said",
        ),
        # Our own modules mask their errors, and where URLs are asked for, no_log is ours.
        (
            {**OURS, "_ansible_no_log": True},
            {"name": "Take the lock", "no_log": True},
            "Take the lock: The lock was taken",
        ),
        ({"failed": True}, {}, "a hook: failed without a message"),
    ],
)
def test_what_a_task_with_no_log_said_is_kept_nowhere(
    result: dict[str, t.Any], task: dict[str, t.Any], kept: str
) -> None:
    """Ansible gives it to a rescue in clear, and reports, the journal and the history are made of that."""
    names = ("rollout_failure", "rollout_failed_task")
    given = yaml.safe_load((TASKS.parent / "vars" / "main.yml").read_text(encoding="utf-8"))
    variables = {name: trusted(given[name]) for name in names}
    failure, said = (
        render(given[name], ansible_failed_result=result, ansible_failed_task=task, **variables) for name in names
    )
    assert said == kept and (SAID in str(failure)) is (SAID in kept)


def test_all_that_is_kept_of_a_failure_goes_that_way() -> None:
    playbook = TASKS.parents[2] / "playbooks" / "rollout.yml"
    direct = [
        path.name
        for path in [*TASKS.glob("*.yml"), playbook]
        if "ansible_failed_result" in path.read_text(encoding="utf-8")
    ]
    assert direct == []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role does what the tables of module_utils/_fleet say: the same steps in the same order."""

from __future__ import annotations

import itertools
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.strategies import (
    BALANCER,
    HOOK,
    JOURNAL,
    SERVER,
    STRATEGIES,
    Group,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import STEPS

TASKS = Path(__file__).resolve().parents[2] / "roles" / "rollout" / "tasks"
MODULES = {
    "alchemist.beam.balancer_member",
    "alchemist.beam.release_install",
    "alchemist.beam.beam_restart",
    "ansible.builtin.systemd_service",
    "alchemist.beam.rollout_host",
}


def load(name: str) -> list[dict[str, t.Any]]:
    return yaml.safe_load((TASKS / name).read_text(encoding="utf-8"))


def flat(tasks: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for task in tasks:
        if "block" in task:
            yield from flat(task["block"])
        else:
            yield task


def told(task: dict[str, t.Any]) -> list[tuple[str, str]]:
    """The steps that a task is, and where they are done; none: it only remembers something."""
    if "alchemist.beam.rollout_fleet" in task:
        step = task["alchemist.beam.rollout_fleet"]["step"]
        # What an outcome is read from has the name of its step.
        assert step == "note_returned" or STEPS[task["register"]] == step
        return [(step, JOURNAL if step.startswith("note_") else BALANCER)]
    together = task.get("alchemist.beam.rollout_host", {}).get("steps")
    if isinstance(together, list):
        return [(step, SERVER) for step in together]
    if MODULES & set(task):
        return [(STEPS[task["register"]], SERVER)]
    included = str(task.get("ansible.builtin.include_tasks", ""))
    hook = re.search(r"rollout_hooks\.(\w+)", included)
    return [(hook.group(1), HOOK)] if hook else [("bake", BALANCER)] if included == "canary.yml" else []


@pytest.mark.parametrize(
    ("strategy", "way", "file"),
    [
        *((name, "forward", "rolling.yml") for name in ("rolling", "canary", "all_at_once")),
        ("blue_green", "forward", "green.yml"),
        *((name, "back", "back.yml") for name in ("rolling", "canary", "all_at_once")),
        ("blue_green", "back", "green_back.yml"),
    ],
)
def test_the_role_takes_the_steps_of_the_table(strategy: str, way: str, file: str) -> None:
    groups: tuple[Group, ...] = getattr(STRATEGIES[strategy], way)
    table = [(step.name, step.where) for group in groups for step in group.steps]
    assert [step for task in flat(load(file)) for step in told(task)] == table


@pytest.mark.parametrize(("hooks", "check"), list(itertools.product(({}, {"before_restart": "x.yml"}), (False, True))))
def test_a_hook_between_two_steps_makes_two_calls_of_one(hooks: dict[str, str], check: bool) -> None:
    variables = {"rollout_hooks": hooks, "ansible_check_mode": check}
    for name in ("rolling.yml", "green.yml"):
        calls = [task for task in flat(load(name)) if "alchemist.beam.rollout_host" in task]
        alone = [bool(render("{{ %s }}" % task["when"], **variables)) if "when" in task else True for task in calls]
        moving = yaml.safe_load((TASKS.parent / "vars" / "main.yml").read_text(encoding="utf-8"))["rollout_moving"]
        steps = [
            render(moving, **variables) if isinstance(found, str) else found
            for found in (task["alchemist.beam.rollout_host"]["steps"] for task in calls)
        ]
        assert [step for there, found in zip(alone, steps) if there for step in found] == ["activate", "restart"]
        assert sum(alone) == (2 if hooks and not check else 1)


def test_what_is_done_once_is_done_once() -> None:
    for name in ("rolling.yml", "green.yml", "back.yml", "green_back.yml"):
        for task in flat(load(name)):
            if {where for _step, where in told(task)} & {
                JOURNAL,
                BALANCER,
            } and "ansible.builtin.include_tasks" not in task:
                assert task.get("run_once") is True, "%s: %s" % (name, task["name"])


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


@pytest.mark.parametrize(
    ("leaves", "aside", "compared"),
    [(["a", "b"], {}, ["a", "b"]), (["b"], {"a": ["lb"]}, ["b"]), (["a", "b"], {"a": ["lb"]}, ["b"]), ([], {}, [])],
    ids=["in", "out", "out of one", "no balancer"],
)
def test_a_canary_that_somebody_took_out_is_not_compared(
    leaves: list[str], aside: dict[str, t.Any], compared: list[str]
) -> None:
    """Nor is it compared with who has moved before it."""
    task = load("canary.yml")[0]
    variables = {"ansible_play_batch": ["a", "b"], "localhost": {"rollout_plan": {"leaves": leaves, "aside": aside}}}
    assert render(task["vars"]["rollout_compared"], **variables) == compared
    told = task["alchemist.beam.balancer_member"]
    assert render(told["balancers"], rollout_balancers=[1], rollout_compared=compared) == ([1] if compared else [])
    fleet = re.sub(
        r"hostvars \| alchemist\.beam\.rollout_members\((.*)\) \}\}", r"\1 }}", told["fleet"], flags=re.DOTALL
    )
    assert render(fleet, localhost={"rollout_plan": {"fleet": ["c", "a", "b"], "recovers": ["c"]}}) == ["a", "b"]

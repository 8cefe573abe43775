# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role does what the tables and the decisions of module_utils/_fleet say: the same steps in the same order, and the same answer to each question."""

from __future__ import annotations

import itertools
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.alchemist.beam.plugins.module_utils._fleet import decisions
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Plan, parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.strategies import BALANCER, HOOK, JOURNAL, SERVER, STRATEGIES, Group
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import STEPS

TASKS = Path(__file__).resolve().parents[2] / "roles" / "rollout" / "tasks"
MODULES = {
    "alchemist.beam.rollout_journal": JOURNAL, "alchemist.beam.balancer_member": BALANCER, "alchemist.beam.release_install": SERVER,
    "alchemist.beam.beam_restart": SERVER, "ansible.builtin.systemd_service": SERVER,
}  # fmt: skip


def load(name: str) -> list[dict[str, t.Any]]:
    return yaml.safe_load((TASKS / name).read_text(encoding="utf-8"))


def flat(tasks: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for task in tasks:
        if "block" in task:
            yield from flat(task["block"])
        else:
            yield task


def told(task: dict[str, t.Any]) -> tuple[str, str] | None:
    """The step that a task is, and where it is done; None: it only remembers something."""
    for module, where in MODULES.items():
        if module in task:
            # A readiness file is on each server.
            where = SERVER if where == BALANCER and not task.get("run_once") else where
            return STEPS[task["register"]] if "register" in task else "note_returned", where
    included = str(task.get("ansible.builtin.include_tasks", ""))
    hook = re.search(r"rollout_hooks\.(\w+)", included)
    return (hook.group(1), HOOK) if hook else ("bake", BALANCER) if included == "canary.yml" else None


@pytest.mark.parametrize(
    ("strategy", "way", "file"),
    [
        *((name, "forward", "rolling.yml") for name in ("rolling", "canary", "all_at_once")), ("blue_green", "forward", "green.yml"),
        *((name, "back", "back.yml") for name in ("rolling", "canary", "all_at_once")), ("blue_green", "back", "green_back.yml"),
    ],
)  # fmt: skip
def test_the_role_takes_the_steps_of_the_table(strategy: str, way: str, file: str) -> None:
    groups: tuple[Group, ...] = getattr(STRATEGIES[strategy], way)
    table = [(step.name, step.where) for group in groups for step in group.steps]
    assert [step for step in map(told, flat(load(file))) if step] == table


def test_what_is_done_once_is_done_once() -> None:
    for name in ("rolling.yml", "green.yml", "back.yml", "green_back.yml"):
        for task in flat(load(name)):
            step = told(task)
            if step and step[1] in (JOURNAL, BALANCER) and "ansible.builtin.include_tasks" not in task:
                assert task.get("run_once") is True, "%s: %s" % (name, task["name"])


# What Jinja decides, with each of its inputs.


def expression(name: str, *path: t.Any) -> str:
    found: t.Any = load(name)
    for key in path:
        found = next(one for one in found if one.get("name", "").startswith(key)) if isinstance(found, list) else found[key]
    return found


def render(text: str, **variables: t.Any) -> t.Any:
    templar = Templar(loader=DataLoader(), variables={"hostvars": {"localhost": variables.pop("localhost", {})}, **variables})
    return templar.template(trusted(text))


def trusted(text: str) -> str:
    try:
        from ansible.template import trust_as_template
    except ImportError:
        return text
    return t.cast(str, trust_as_template(text))  # str() would take the trust away


def plan(**more: t.Any) -> Plan:
    return parse_plan({"name": "a", "channel": "p", "version": "1", "digest": "d", **more})


TRUTH = (False, True)


@pytest.mark.parametrize(("candidate", "back", "locked", "check"), list(itertools.product(TRUTH, repeat=4)))
def test_the_serial_that_a_promotion_expects(candidate: bool, back: bool, locked: bool, check: bool) -> None:
    channels = {
        "rollout_candidate": {"channel": {"serial": 4}} if candidate else {}, "rollout_rolled_back": {"channel": {"serial": 3}} if back else {},
        "rollout_locked": {"channel": {"serial": 2}} if locked else {}, "rollout_latest": {"channel": {"serial": 1}},
    }  # fmt: skip
    text = expression("promote.yml", "Promote", "block", "Promote the candidate", "alchemist.beam.release_channel", "serial")
    jinja = render(text, ansible_check_mode=check, omit="OMIT", **channels)
    typed = decisions.promotion_serial(check, *(channel.get("channel") for channel in channels.values()))
    assert jinja == ("OMIT" if typed is None else typed)


@pytest.mark.parametrize("because", ["", "homecoming", "idle", "fenced", "promoted"])
@pytest.mark.parametrize(("success", "blame", "named"), list(itertools.product(TRUTH, repeat=3)))
def test_the_fate_of_a_candidate(success: bool, blame: bool, named: bool, because: str) -> None:
    homecoming, idle, fenced, promoted = (because == each for each in ("homecoming", "idle", "fenced", "promoted"))
    block = next(task for task in load("verdict.yml") if task["name"] == "Give the verdict")
    variables = {
        "rollout_summary": {"succeeded": success, "blame": blame}, "rollout_promoted": {"channel": {}} if promoted else {},
        "rollout_candidate": {"channel": {}} if named else {},
        "localhost": {"rollout_plan": {"homecoming": homecoming, "idle": idle}, "rollout_fenced": fenced},
    }  # fmt: skip
    stands = render(block["vars"]["rollout_candidate_stands"], **variables)
    jinja = [
        fate for fate, name in ((decisions.GHOST, "Make a ghost"), (decisions.WITHDRAW, "Withdraw a candidate"))
        if render("{{ %s }}" % expression("verdict.yml", "Give the verdict", "block", name, "when"), rollout_candidate_stands=stands, **variables)
    ]  # fmt: skip
    typed = decisions.candidate_fate(plan(homecoming=homecoming, idle=idle), success, blame, fenced=fenced, promoted=promoted, named=named)
    assert jinja == ([] if typed == decisions.STAY else [typed])


@pytest.mark.parametrize("stable", [None, {"digest": "a"}, {"digest": "b"}])
@pytest.mark.parametrize("journal", [None, {"id": "", "state": "finished", "hosts": {}, "fence": 9}, {"id": "j", "state": "running", "hosts": {"a": 1}}])
def test_whether_the_plan_still_holds_under_the_lock(stable: t.Any, journal: t.Any) -> None:
    task = expression("begin.yml", "Begin", "block", "See that the plan still holds")
    planned = {"stable": {"digest": "a"}, "journal": {"id": "j", "state": "running", "hosts": {"a": 1}}}
    now = {"channel": {"stable": stable}, "journal": journal}
    variables = {"localhost": {"rollout_plan": planned}, "rollout_now": now}
    variables["rollout_journal_now"] = render(task["vars"]["rollout_journal_now"], **dict(variables))
    jinja = all(render("{{ %s }}" % text, **dict(variables)) for text in task["ansible.builtin.assert"]["that"])
    assert jinja is decisions.plan_holds("a", planned["journal"], (stable or {}).get("digest", ""), journal)


@pytest.mark.parametrize(("expression_given", "kind", "homecoming"), list(itertools.product(("", "A.b()"), ("rollout", "restart", "rollback"), TRUTH)))
def test_whether_it_migrates(expression_given: str, kind: str, homecoming: bool) -> None:
    text = expression("begin.yml", "Begin", "block", "Migrate", "when")
    jinja = render("{{ %s }}" % text, rollout_migrate=expression_given, localhost={"rollout_plan": {"kind": kind, "homecoming": homecoming}})
    assert jinja is decisions.migrates(plan(kind=kind, homecoming=homecoming), expression_given)


@pytest.mark.parametrize("state", ["InService", "Pending", "Pending:Wait", "Pending:Proceed", "Standby"])
def test_who_is_on_the_way_into_a_group(state: str) -> None:
    late = expression("born.yml", "See who came into", "block", "Note who is still", "vars", "rollout_late")
    jinja = render(late, rollout_scaling={"members": [{"instance_id": "i", "lifecycle_state": state}]})
    assert bool(jinja) is decisions.is_on_its_way(state)


@pytest.mark.parametrize(("promoted", "check"), list(itertools.product(TRUTH, repeat=2)))
def test_who_came_meanwhile(promoted: bool, check: bool) -> None:
    text = expression("born.yml", "See who came meanwhile", "ansible.builtin.set_fact", "rollout_born")
    text = text.replace("rollout_late | alchemist.beam.autoscaling_hosts(hostvars, rollout_now)", "rollout_late")
    variables = {"rollout_now": ["a", "b", "c"], "rollout_late": ["c"], "rollout_promoted": {"channel": {}} if promoted else {}}
    jinja = render(text, ansible_check_mode=check, localhost={"rollout_plan": {"everyone": ["a"]}}, **variables)
    assert jinja == decisions.newcomers(plan(everyone=["a"]), ["a", "b", "c"], ["c"], promoted=promoted, check_mode=check)


@pytest.mark.parametrize("swept", TRUTH)
def test_who_gives_the_verdict(swept: bool) -> None:
    plays = yaml.safe_load((TASKS.parents[2] / "playbooks" / "rollout.yml").read_text(encoding="utf-8"))
    text = next(play["hosts"] for play in plays if play["name"] == "Say what happened")
    main = {"order": ["a", "b"]} if swept else {}
    jinja = render(text, localhost={"rollout_plan": {"order": ["c"]}, "rollout_main": main})
    assert tuple(jinja) == decisions.judges(plan(**main) if swept else None, plan(order=["c"]))


SAID = "it says correct-horse-battery"
OURS = {"failed": True, "msg": "The lock was taken", "error": {"code": "lock_lost", "what": "The lock was taken"}}


@pytest.mark.parametrize(
    ("result", "task", "kept"),
    [
        ({"failed": True, "msg": SAID, "stdout": SAID}, {"name": "A hook", "no_log": False}, "A hook: " + SAID),
        ({"failed": True, "msg": SAID, "stdout": SAID, "_ansible_no_log": True}, {"name": "A hook"}, "A hook: it failed, and its no_log hides what it said"),
        ({"failed": True, "msg": SAID, "results": [SAID]}, {"name": "A hook", "no_log": True}, "A hook: it failed, and its no_log hides what it said"),
        # Our own modules mask their errors, and where URLs are asked for, no_log is ours.
        ({**OURS, "_ansible_no_log": True}, {"name": "Take the lock", "no_log": True}, "Take the lock: The lock was taken"),
        ({"failed": True}, {}, "a hook: failed without a message"),
    ],
)
def test_what_a_task_with_no_log_said_is_kept_nowhere(result: dict[str, t.Any], task: dict[str, t.Any], kept: str) -> None:
    """Ansible gives it to a rescue in clear, and reports, the journal and the history are made of that."""
    names = ("rollout_failure", "rollout_failed_task")
    given = yaml.safe_load((TASKS.parent / "vars" / "main.yml").read_text(encoding="utf-8"))
    variables = {name: trusted(given[name]) for name in names}
    failure, said = (render(given[name], ansible_failed_result=result, ansible_failed_task=task, **variables) for name in names)
    assert said == kept and (SAID in str(failure)) is (SAID in kept)


def test_all_that_is_kept_of_a_failure_goes_that_way() -> None:
    playbook = TASKS.parents[2] / "playbooks" / "rollout.yml"
    direct = [path.name for path in [*TASKS.glob("*.yml"), playbook] if "ansible_failed_result" in path.read_text(encoding="utf-8")]
    assert direct == ["rollback.yml"]  # a task of ours, which is told on, and not kept

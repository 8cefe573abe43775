# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles: what a role documents is what it does by default, and every role is complete."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
NAMES = [path.name for path in ROLES]


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def options(role: Path) -> dict[str, dict[str, t.Any]]:
    """Of all entry points; an option that two of them have must say the same in both."""
    found: dict[str, dict[str, t.Any]] = {}
    for entry in load(role / "meta" / "argument_specs.yml")["argument_specs"].values():
        for name, option in entry.get("options", {}).items():
            assert name not in found or found[name].get("default") == option.get("default"), (
                "%s: two defaults for %s" % (role.name, name)
            )
            found[name] = option
    return found


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_role_is_complete(role: Path) -> None:
    for name in ("README.md", "meta/main.yml", "meta/argument_specs.yml", "defaults/main.yml"):
        assert (role / name).is_file(), "%s: no %s" % (role.name, name)
    assert load(role / "meta" / "main.yml").get("dependencies", []) == []


def fallback(value: t.Any) -> t.Any:
    """60 of "{{ beam_keep | default(60) }}": what holds as long as the inventory says nothing. Any other value is itself."""
    found = re.fullmatch(r"\{\{ beam_\w+ \| default\((.*)\) \}\}", value) if isinstance(value, str) else None
    if not found:
        return value
    try:
        return yaml.safe_load(found.group(1))
    except yaml.YAMLError:
        return value


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_defaults_are_those_of_the_argument_specs(role: Path) -> None:
    """A number or a list can't be documented as a template (it is no number), so there the documentation gives what the template falls back to."""
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
    defaults = load(role / "defaults" / "main.yml")
    assert set(defaults) <= set(options(role)), "not documented"
    assert set(documented) <= set(defaults), "documented, and not there"
    # A default that is made of other variables may be told in words.
    silent = [name for name, value in defaults.items() if name not in documented and "{{" not in str(value)]
    assert not silent
    different = {
        name: (defaults[name], said)
        for name, said in documented.items()
        if said not in (defaults[name], fallback(defaults[name]))
    }
    assert not different


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ beam_keep | default(5) }}", 5),
        ("{{ beam_batches | default([1, '100%']) }}", [1, "100%"]),
        ("{{ beam_health | default({}) }}", {}),
        ("{{ beam_manager | default('systemd') }}", "systemd"),
        ("{{ beam_base | default('/srv/' ~ beam_name) }}", "{{ beam_base | default('/srv/' ~ beam_name) }}"),
        ("{{ beam_store }}", "{{ beam_store }}"),
        (7, 7),
    ],
)
def test_fallback_of_a_template(value: t.Any, expected: t.Any) -> None:
    assert fallback(value) == expected


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_a_yes_or_no_may_be_a_text(role: Path) -> None:
    """-e and the surveys of AWX bring `false` as a text, which is true in a template. What a module is given alone, the module reads."""
    flags = [name for name, option in options(role).items() if option["type"] == "bool"]
    files = [
        path for kind in ("tasks", "vars", "defaults", "templates", "handlers") for path in (role / kind).glob("*")
    ]
    trusting = [
        "%s:%d: %s" % (path.name, number, line.strip())
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for name in flags
        if re.search(r"\b%s\b(?! \| bool)" % name, re.sub(r'^\s*(- )?\w+: "?(\{\{ \w+ \}\}"?$)?', "", line))
        and not re.match(r"\s*(- )?%s:" % name, line)
    ]
    assert not trusting


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_options_carry_the_prefix_and_are_described(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(role.name + "_"), "%s: option %s has no prefix of the role" % (role.name, name)
        assert option.get("description"), "%s: option %s is not described" % (role.name, name)
        assert option.get("type"), "%s: option %s has no type" % (role.name, name)


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_entry_points_exist(role: Path) -> None:
    for entry in load(role / "meta" / "argument_specs.yml")["argument_specs"]:
        assert (role / "tasks" / (entry + ".yml")).is_file(), "%s: entry point %s has no tasks" % (role.name, entry)


def test_there_are_roles() -> None:
    assert ROLES


def test_a_rollout_forgets_all_that_an_earlier_one_of_the_same_run_registered() -> None:
    tasks = load(next(role for role in ROLES if role.name == "rollout") / "tasks" / "stage.yml")
    forgotten = set(tasks[0]["ansible.builtin.set_fact"])
    assert {"rollout_turn", "rollout_done", "rollout_migrated"} <= forgotten


# A task that is skipped overwrites its register, so that two tasks of one name forget what the first one said. These may, because:
TWICE = {
    "rollout_look": "what is seen before anything is staged, or is lacking, is seen again, and that look is never skipped",
    "rollout_turn": "each is the next turn of a batch",
    "rollout_said": "a step of the fleet that the tasks after it read before the next one; what a later step reads is in the fleet's memory",
}
# What the playbooks status and join do is no part of a rollout.
ALONE = {"status.yml", "join.yml"}


def registers(tasks: t.Any) -> t.Iterator[str]:
    for task in tasks:
        yield from filter(None, [task.get("register")])
        for part in ("block", "rescue", "always"):
            yield from registers(task.get(part) or [])


def test_no_two_tasks_of_a_host_register_the_same() -> None:
    files = [path for path in (ROOT / "roles" / "rollout" / "tasks").glob("*.yml") if path.name not in ALONE]
    found: dict[str, list[str]] = {}
    for path in sorted(files):
        for name in registers(load(path)):
            found.setdefault(name, []).append(path.name)
    twice = {name: where for name, where in found.items() if len(where) > 1 and name not in TWICE}
    assert not twice
    assert not [name for name in TWICE if not found.get(name, ["", ""])[1:]], "no longer twice"


@pytest.mark.parametrize("playbook", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_playbook_does_nothing_before_it_has_looked_for_what_nothing_reads(playbook: Path) -> None:
    """Only members of an auto scaling group are asked for before: they are in no inventory."""
    for play in load(playbook):
        if "ansible.builtin.import_playbook" in play:
            return  # that one looks
        for task in play["tasks"]:
            if (
                "alchemist.beam.settings_check" in task
                or task.get("ansible.builtin.import_role", {}).get("tasks_from") == "settings"
            ):
                return
            assert task["ansible.builtin.import_role"]["tasks_from"] == "members", "%s: %s" % (
                playbook.name,
                task["name"],
            )
    raise AssertionError("%s never looks" % playbook.name)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example project for AWX: what AWX offers of it, and surveys that ask for what roles take, in a type that they take. Examples of autoscaling."""

from __future__ import annotations

import importlib
import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
AWX = ROOT / "examples" / "awx"
AUTOSCALING = ROOT / "examples" / "autoscaling"
SURVEYS = sorted((AWX / "surveys").glob("*.json"))
NAMES = [path.stem for path in SURVEYS]

# What an answer of each type of question is in the extra variables of a job -> the types of options that take it.
TAKEN_BY = {
    "text": {"str", "path", "list"},
    "textarea": {"str", "path", "list"},
    "password": {"str"},
    "integer": {"int", "float"},
    "float": {"float"},
    "multiplechoice": {"str", "bool"},
    "multiselect": {"list"},
}


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "support"))
    return importlib.import_module("documented")


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def questions(path: Path) -> list[dict[str, t.Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["spec"])


def choices(question: t.Mapping[str, t.Any]) -> list[str]:
    given = question.get("choices") or []
    return given.split("\n") if isinstance(given, str) else list(given)


@pytest.mark.parametrize("path", SURVEYS, ids=NAMES)
def test_a_survey_asks_for_options_of_roles(documented: t.Any, path: Path) -> None:
    asked = questions(path)
    assert asked and len({q["variable"] for q in asked}) == len(asked)
    for question in asked:
        options = documented.takers(question["variable"])
        assert options, "%s: no option of a role is set by %s" % (path.name, question["variable"])
        for name, option in options.items():
            kind = option.get("type", "str")
            assert kind in TAKEN_BY[question["type"]], "%s: an answer of type %s does not fit %s, which is %s" % (
                path.name,
                question["type"],
                name,
                kind,
            )
            if question["type"] == "multiplechoice" and kind == "str" and "choices" in option:
                assert set(choices(question)) <= set(option["choices"]), "%s: %s" % (path.name, name)
            if kind == "bool":
                assert set(choices(question)) == {"false", "true"}, "%s: %s" % (path.name, name)


@pytest.mark.parametrize("path", SURVEYS, ids=NAMES)
def test_awx_would_take_the_survey(path: Path) -> None:
    """What AWX checks when a survey is saved, and what it would silently drop later: a default that is no valid answer."""
    survey = json.loads(path.read_text(encoding="utf-8"))
    assert set(survey) == {"name", "description", "spec"}
    for question in survey["spec"]:
        assert {"type", "question_name", "variable", "required"} <= set(question) and question["question_name"]
        default = question["default"]
        if question["type"] in ("text", "textarea"):
            assert isinstance(default, str) and question["min"] <= len(default) <= question["max"]
        elif question["type"] == "integer":
            assert (
                isinstance(default, int)
                and not isinstance(default, bool)
                and question["min"] <= default <= question["max"]
            )
        elif question["type"] == "multiplechoice":
            assert default in choices(question) and all(isinstance(c, str) and c for c in choices(question))
        else:
            pytest.fail("%s: a question of type %s" % (path.name, question["type"]))


def test_an_answer_does_not_choose_the_servers_or_the_channel() -> None:
    """Extra variables beat the inventory: whoever may answer could roll staging out to production."""
    asked = {question["variable"] for path in SURVEYS for question in questions(path)}
    assert not asked & {"beam_channel", "beam_store", "beam_name", "beam_base", "beam_hosts", "beam_repo"}


# awx/main/utils/ansible.py: a file with such a line, outside of some directories, is offered as a playbook.
OFFERED = re.compile(r"\s*-?\s*(?:ansible\.builtin\.)?(?:hosts|include|import_playbook):")


def test_awx_offers_the_playbooks_and_nothing_else() -> None:
    offered = {
        path.relative_to(AWX)
        for path in [*AWX.rglob("*.yml"), *AWX.rglob("*.yaml")]
        if any(OFFERED.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    }
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    for path in sorted(offered):
        assert path.parent == Path("."), "%s is no playbook" % path
        imported = [play["ansible.builtin.import_playbook"] for play in load(AWX / path)]
        assert imported and {name.removeprefix("alchemist.beam.") for name in imported} <= playbooks, path
    assert {path.stem for path in offered} >= {
        "setup",
        "deploy",
        "rollout",
        "rollback",
        "restart",
        "status",
        "stop",
        "unlock",
        "converge",
    }
    assert {path.stem for path in SURVEYS} <= {path.stem for path in offered}


def test_the_project_asks_for_the_collection_in_a_version_that_this_one_is() -> None:
    wanted = {item["name"]: item["version"] for item in load(AWX / "collections" / "requirements.yml")["collections"]}
    major = load(ROOT / "galaxy.yml")["version"].split(".")[0]
    assert wanted["alchemist.beam"] == ">=%s.0.0,<%d.0.0" % (major, int(major) + 1)


def test_the_user_data_is_what_the_oldest_cloud_init_takes() -> None:
    """What cloud-init 22.4 asks of its module `ansible`, and what Debian's list of modules does not have."""
    text = (AUTOSCALING / "user-data-ansible.txt").read_text(encoding="utf-8")
    assert text.startswith("#cloud-config\n") and len(text.encode()) <= 16384
    data = yaml.safe_load(text)
    stage = data["cloud_final_modules"]
    assert stage.index("scripts-user") < stage.index("ansible"), "runcmd installs what the playbook needs"
    ansible = data["ansible"]
    assert ansible["install_method"] == "pip" and re.fullmatch(r"[a-z-]+==[0-9.]+", ansible["package_name"]), (
        "one argument of pip"
    )
    assert (
        isinstance(ansible["pull"], dict)
        and ansible["pull"]["url"]
        and (AUTOSCALING / ansible["pull"]["playbook_name"]).exists()
    )
    (path,) = (
        item["path"] for item in data["write_files"] if item["path"] == ansible["pull"]["extra_vars"].removeprefix("@")
    )
    variables = yaml.safe_load(next(item["content"] for item in data["write_files"] if item["path"] == path))
    assert {"beam_name", "beam_store"} <= set(variables)


def test_the_inventory_of_a_group_has_expressions_where_the_plugin_wants_them() -> None:
    inventory = load(AUTOSCALING / "beam.aws_ec2.yml")
    assert inventory["plugin"] == "amazon.aws.aws_ec2" and "tag:aws:autoscaling:groupName" in inventory["filters"]
    assert all(isinstance(value, str) for value in [*inventory["compose"].values(), *inventory["groups"].values()])

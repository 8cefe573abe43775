# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No variable is ignored in silence, and a value that can't work is refused before anything is done."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_text import METRICS
from ansible_collections.alchemist.beam.plugins.plugin_utils._known import (
    OWN,
    known,
    nearest,
    options,
    prefixes,
    strays,
    told,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._settings import UNASKED, asked, problems
from ansible_collections.alchemist.beam.plugins.plugin_utils._shapes import SHAPES, shape_of, strange_in

ROOT = Path(__file__).resolve().parents[4]
GIVEN: dict[str, t.Any] = {
    "strategy": "rolling",
    "batches": [1, "25%"],
    "min_healthy": "auto",
    "colors": [],
    "drain_timeout": 60,
}
HOSTS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("beam_heatlh", "beam_health"),
        ("beam_batchs", "beam_batches"),
        ("beam_hook", "beam_hooks"),
        ("beam_strategie", "beam_strategy"),
        ("beam_health_check", "beam_health"),
        ("beam_min_health", "beam_min_healthy"),
        ("service_evn", "service_env"),
        ("rollout_helth", "rollout_health"),
        ("bootstrap_heart_beat", "bootstrap_heartbeat"),
        ("toolchain_pakages", "toolchain_packages"),
        ("autoscaling_subnet", "autoscaling_subnets"),
        ("distribute_exlude", "distribute_exclude"),
        ("build_repro", "build_repo"),
        ("image_relase", "image_release"),
        ("beam_haproxy", ""),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(name: str, near: str) -> None:
    (stray,) = strays({"a": {name: "x", "other": 1}})
    assert stray.refused and stray.near == near and (near or "nothing like it") in told(stray, 1)


@pytest.mark.parametrize("name", ["service_port", "build_number", "image_tag", "rollout_window"])
def test_a_word_of_everybodys_is_told_and_not_refused(name: str) -> None:
    (stray,) = strays({"a": {name: "x"}})
    assert not stray.refused


def test_a_variable_that_another_one_is_made_of_is_somebodys_own() -> None:
    assert not strays(
        {"a": {"beam_shop_port": 4000, "beam_health": {"http": {"url": "http://127.0.0.1:{{ beam_shop_port }}/"}}}}
    )
    assert not strays({"a": {"beam_shop_port": 4000}, "b": {"url": ["{{ beam_shop_port }}"]}})
    # The word in a text that is no template, and the variable in itself, make nothing of it.
    assert strays({"a": {"beam_shop_port": "{{ beam_shop_port }}", "note": "beam_shop_port"}})


def test_ones_own_are_named_by_a_list_of_patterns() -> None:
    given = {"a": {"beam_ticket": 1, "beam_team_name": 1}}
    assert [stray.name for stray in strays(given, ["beam_team_*"])] == ["beam_ticket"] and not strays(given, ["beam_*"])


class Costly(str):
    def __str__(self) -> str:
        raise AssertionError("a value was evaluated")


def test_no_value_is_evaluated() -> None:
    assert strays({"a": {"beam_heatlh": object(), "beam_name": Costly("{{ lookup('x') }}"), 5: 1}})


def test_what_our_own_tasks_register_is_known() -> None:
    for name in (
        "rollout_plan",
        "rollout_look",
        "rollout_held",
        "build_result",
        "distribute_published",
        "service_kit",
        "rollout_expected_version",
        OWN,
    ):
        assert name in known()


def test_every_option_of_a_role_is_known_and_offered() -> None:
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            assert set(entry.get("options", {})) <= known() & options()
    for path in (ROOT / "roles").glob("*/defaults/main.yml"):
        assert set(yaml.safe_load(path.read_text(encoding="utf-8")) or {}) <= known()


# Plugins are called like this, too; and what a reader's own task or file would be.
OTHER = {path.stem for path in (ROOT / "plugins").glob("*/*.py")} | {
    "beam_rollout",
    "beam_seconds",
    "beam_ticket",
    "beam_heatlh",
    "beam_batchs",
}
# Metrics for Prometheus begin like variables.
OTHER |= {"beam_delivery_" + metric for metric, _factor, _labels in METRICS.values()}
OTHER |= {
    "beam_delivery_" + metric for metric in ("samples", "enough", "damaged_reports", "computed_timestamp_seconds")
}


def test_documents_and_examples_use_no_name_that_is_not_known() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "roles").glob("*/README.md")]
    files += [
        path
        for path in (ROOT / "examples").rglob("*")
        if path.suffix in (".yml", ".json", ".md") and path.is_file() and "_build" not in path.parts
    ]
    wrong = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        names = set(re.findall(r"(?<![\w.])beam_[a-z0-9_]+", text))
        # Those of roles only where they are set: some are words, or the names of filters.
        names |= set(re.findall(r"^\s*(?:- )?((?:%s)_[a-z0-9_]+):" % "|".join(prefixes()[1:]), text, re.MULTILINE))
        for survey in [json.loads(text)] if path.parent.name == "surveys" else []:
            names |= {question["variable"] for question in survey["spec"]}
        wrong += [
            "%s: %s (%s)" % (path.relative_to(ROOT), name, nearest(name, options()))
            for name in sorted(names - known() - OTHER)
            if name[-1] != "_"
        ]
    assert not wrong


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"beam_health": {"http": {"ulr": "x"}}}, "beam_health.http.ulr: did you mean url?"),
        ({"rollout_health": {"htpp": {}}}, "rollout_health.htpp: did you mean http?"),
        ({"beam_canary": {"min_request": 1}}, "beam_canary.min_request: did you mean min_requests?"),
        ({"beam_hooks": {"before_restarts": "x"}}, "beam_hooks.before_restarts: did you mean before_restart?"),
        ({"beam_balancers": [{"kind": "haproxy", "backend": []}]}, "beam_balancers[0].backend: did you mean backends?"),
        ({"beam_store_options": {"regoin": "x"}}, "beam_store_options.regoin: did you mean region?"),
        ({"beam_ready": {"file": "x"}}, "beam_ready.file: there are only path, url."),
        ({"beam_member": {"sever": "x"}}, "beam_member.sever: did you mean server?"),
        ({"beam_colors": ["blue", "green"], "beam_member": {"blue": {"server": "x"}}}, None),
        ({"beam_colors": "{{ x }}", "beam_member": {"blue": {"server": "x"}}}, None),
        ({"beam_health": "{{ my_health }}", "beam_store_options": {"aws_region": "x"}, "beam_env": {"ANY": 1}}, None),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest_one(variables: dict, said: str | None) -> None:
    assert list(strange_in(variables)) == ([said] if said else [])


def test_each_shape_is_of_a_variable_that_is_known() -> None:
    assert {"beam_" + name for name in SHAPES if name != "server_store_options"} <= known() and shape_of(
        "beam_env"
    ) is None


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"channel": "pro duction"}, "beam_channel: "),
        ({"name": "Shop!"}, "beam_name: "),
        ({"version": "v1/2"}, "beam_version: "),
        ({"fetch": "push", "store": "s3://bucket"}, "Give a file:// store"),
        ({"batches": "abc"}, "can't be 'abc'"),
        ({"batches": [5, "abc"]}, "can't be 'abc'"),
        ({"batches": [0]}, "a batch of 0 hosts"),
        ({"batches": "1,2 5%"}, "can't be '2 5%'"),
        ({"min_healthy": "100%"}, "no host could ever be restarted"),
        ({"min_healthy": 3}, "no host could ever be restarted"),
        ({"min_healthy": "half"}, "beam_min_healthy can't be 'half'"),
        ({"drain_timeout": 0}, "beam_drain_timeout can't be 0"),
        ({"bake": "long"}, "'beam_bake' is of type str"),
        ({"strategy": "roling"}, "value of beam_strategy must be one of"),
        ({"on_failure": "ignore"}, "value of beam_on_failure must be one of: revert, halt"),
        ({"on_blocked": "skip"}, "value of beam_on_blocked must be one of: fail, restart"),
        (
            {"strategy": "warm"},
            "value of beam_strategy must be one of: rolling, canary, blue_green, all_at_once, hot, auto",
        ),
        ({"strategy": "hot", "colors": ["blue", "green"]}, "the strategy hot can't be used"),
        ({"force": "perhaps"}, "'beam_force'"),
        ({"keep": 0}, "beam_keep can't be 0"),
        ({"canary": {"min_requests": "many"}}, "cannot be converted to an int"),
        ({"canary": {"ratio": 2}}, "beam_canary.ratio"),
        ({"hot": {"accepts": []}}, "beam_hot.accepts: did you mean accept?"),
        ({"hot": {"accept": ["native_code"]}}, "value of accept must be one or more of: supervisor_changed"),
        (
            {"canary": {"on_no_traffic": "stop"}},
            "value of on_no_traffic must be one of: pass, fail, got: stop found in beam_canary",
        ),
        (
            {"canary": {"on_no_traffic": "fail"}, "strategy": "canary"},
            "no balancer of beam_balancers counts requests (kind haproxy does)",
        ),
        (
            {
                "canary": {"on_no_traffic": "fail"},
                "strategy": "canary",
                "balancers": [{"kind": "alb", "target_groups": ["arn"]}],
            },
            "counts requests",
        ),
        ({"balancers": [{"kind": "haproxy"}]}, "missing: address, backends"),
        ({"balancers": [{"kind": "nginx"}]}, "got: nginx"),
        ({"balancers": [{"kind": "file", "path": "/x"}]}, "Say it in beam_ready"),
        ({"ready": {"path": "x"}}, "an absolute path"),
        ({"ready": {"url": "http://x"}}, "missing required arguments: path"),
        ({"health": {"http": {}}}, "missing required arguments: url"),
        ({"health": {"within": 0}}, "it must be at least 0.1"),
        ({"strategy": "blue_green"}, "no colours to switch between"),
        ({"colors": ["blue", "green"]}, "the strategy rolling can't be used"),
        ({"report": "/nowhere/at/all.json"}, "/nowhere/at is not there"),
        ({"migrate_host": "z", "inventory": HOSTS}, "no host z"),
        ({"store_options": {"regio": "x"}}, "did you mean region?"),
        ({"hooks": ["x"]}, "a dictionary of task files"),
        ({"hooks": {"leave": "/nowhere.yml"}}, "can't be read (No such file or directory)"),
    ],
)
def test_a_value_that_can_not_work_is_refused(bad: dict, words: str) -> None:
    found = problems({**GIVEN, **bad}, HOSTS)
    assert len(found) == 1 and words in found[0]


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"batches": "1,25%"},
        {"batches": 2},
        {"min_healthy": 2},
        {"min_healthy": "100%", "strategy": "blue_green", "colors": ["blue", "green"]},
        {"wait": ""},
        {"drain_timeout": "30"},
        {"canary": {"memory_ratio": 3, "on_no_traffic": "pass"}},
        {"canary": {"on_no_traffic": "fail"}},
        {
            "canary": {"on_no_traffic": "fail"},
            "strategy": "canary",
            "balancers": [{"kind": "haproxy", "address": "/s", "backends": ["app"]}],
        },
        {"ready": {"path": "/x"}},
        {"health": {"tcp": {"port": "4000"}}},
        {"report": "report.json"},
        {"balancers": [{"kind": "alb", "target_groups": ["arn"], "region": "x"}]},
        {"store_options": {"region": "x"}},
        {"migrate_host": "a", "inventory": HOSTS},
    ],
)
def test_what_works_is_let_be(good: dict) -> None:
    assert problems({**GIVEN, **good}, HOSTS) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: Fine\n  ansible.builtin.debug:\n    msg: !vault x\n", ""),
        ("", ""),
        ("a: b\n", "no list of tasks"),
        ("- hosts: all\n  tasks: []\n", "is a playbook"),
        ("- [\n", "is no YAML"),
    ],
)
def test_a_hook_is_a_file_of_tasks(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "hook.yml").write_text(text)
    found = problems({**GIVEN, "hooks": {"after_batch": str(tmp_path / "hook.yml")}}, HOSTS)
    assert words in found[0] if words else found == []


@pytest.mark.parametrize(
    "given",
    [
        {"store": "s3://kkey:pass-word@bucket/x"},
        {"ready": {"path": "/run/x", "url": "http://u:pass-word@127.0.0.1/"}},
        {"balancers": [{"kind": "file", "path": "/run/x", "url": "https://pass-word@h/"}]},
        {"health": {"http": {"url": "http://u:pass-word@127.0.0.1/"}}},
    ],
)
def test_credentials_in_an_url_are_refused_and_not_repeated(given: dict) -> None:
    found = " ".join(problems({**GIVEN, **given}, HOSTS))
    assert "credentials" in found and "pass-word" not in found and "beam_%s" % next(iter(given)) in found


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(problems({**GIVEN, "batches": "x", "min_healthy": "y", "bake": -1, "health": {"x": 1}}, HOSTS)) == 4


def test_what_is_checked_is_what_the_role_documents() -> None:
    text = (ROOT / "roles" / "rollout" / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options = {name[len("rollout_") :] for name in yaml.safe_load(text)["argument_specs"]["plan"]["options"]}
    assert {*asked(), *UNASKED} == options and not {*asked()} & {*UNASKED}
    assert {*GIVEN} <= {*options, "inventory"}

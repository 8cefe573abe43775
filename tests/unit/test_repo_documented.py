# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people copy is right: EXAMPLES of the modules, YAML of the pages, inventories and playbooks that come along."""

from __future__ import annotations

import ast
import importlib
import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "roles").glob("*/README.md")])
FILES = sorted([*(ROOT / "examples").rglob("*.yml"), *(ROOT / "playbooks").glob("*.yml")])


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "support"))
    return importlib.import_module("documented")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def examples(module: str) -> t.Any:
    for node in ast.parse((ROOT / "plugins" / "modules" / (module + ".py")).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "EXAMPLES":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError("%s has no EXAMPLES" % module)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_are_what_it_takes(documented: t.Any, module: str) -> None:
    found = examples(module)
    assert "alchemist.beam.%s:" % module in yaml.safe_dump(found)
    assert not list(documented.wrong(found))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_yaml_of_a_page_is_what_playbooks_take(documented: t.Any, path: Path) -> None:
    found = [one for text in documented.blocks(path) for one in documented.wrong(yaml.safe_load(text))]
    assert not found


def test_the_inventory_of_the_readme_is_the_one_that_a_test_runs(documented: t.Any) -> None:
    """tests/fleet/test_zero.py runs that of the page. Its hosts have no way to hex.pm, and its repository is on the build server."""
    front, page = (
        yaml.safe_load(documented.blocks(ROOT / name)[0]) for name in ("README.md", "docs/zero-to-phoenix.md")
    )
    other = ("beam_repo", "toolchain_hex", "toolchain_rebar", "toolchain_extra_packages")
    assert set(other) <= set(front["all"]["vars"])
    for inventory in (front, page):
        for name in other:
            inventory["all"]["vars"].pop(name, None)
    assert front == page


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    heads = re.findall(
        r"^#+ (.*)$",
        re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE),
        re.MULTILINE,
    )
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        target, _hash, anchor = link.partition("#")
        file = (path.parent / target) if target else path
        if "://" not in link and not (file.exists() and (not anchor or anchor in anchors(file))):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("path", FILES, ids=name)
def test_an_example_is_what_playbooks_take(documented: t.Any, path: Path) -> None:
    plays = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    # Tasks that a play includes have its defaults.
    included = {"group/alchemist.beam.store": "{{ it }}"} if path.stem == "pull_converge" else {}
    assert not list(documented.wrong(plays, defaults=included))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- alchemist.beam.store_check: {stor: file:///s}", "stor"),
        ("- alchemist.beam.store_check: {}", "missing required arguments: store"),
        ("- alchemist.beam.beam_restart: {name: shop, base: /srv, state: gone}", "value of state must be one of"),
        ("- alchemist.beam.beam_restart: {name: shop, base: /srv, boot_timeout: soon}", "boot_timeout"),
        (
            "- alchemist.beam.beam_restart: {name: shop, base: /srv, health: {http: {adress: 'http://x'}}}",
            "health.http.adress",
        ),
        ("- alchemist.beam.beam_start: {name: shop}", "there is no module beam_start"),
        ("- import_playbook: alchemist.beam.deplay", "there is no playbook"),
        ("- ansible.builtin.import_role: {name: alchemist.beam.rollout, tasks_from: plans}", "there is no role"),
        ("all: {vars: {beam_heatlh: {}}}", "nothing reads the variable beam_heatlh"),
        ("all: {vars: {beam_health: {expression: 'true'}}}", "expression"),
        ("all: {vars: {beam_wait: soon}}", "rollout_wait"),
        ("all: {vars: {rollout_strategy: rollling}}", "value of rollout_strategy must be one of"),
    ],
)
def test_what_is_wrong_is_found(documented: t.Any, text: str, said: str) -> None:
    assert said in "\n".join(documented.wrong(yaml.safe_load(text)))


@pytest.mark.parametrize(
    "text",
    [
        "- alchemist.beam.store_check: {store: '{{ x }}'}",
        "- module_defaults: {group/alchemist.beam.store: {store: file:///s}}\n  tasks: [{alchemist.beam.release_channel_info: {name: shop}}]",
        "- alchemist.beam.beam_restart: {name: shop, base: /srv, boot_timeout: '{{ x }}', health: {http: {url: '{{ x }}', status: [200, '{{ y }}']}}}",
        "all: {vars: {beam_batches: [1, '25%'], beam_force: 'true', my_own: 1}}",
    ],
)
def test_what_is_right_passes(documented: t.Any, text: str) -> None:
    assert not list(documented.wrong(yaml.safe_load(text)))

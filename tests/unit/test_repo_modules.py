# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules: in the action group that they say, documented, thin; and module_utils depends downwards only."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
NAMES = [path.stem for path in MODULES]
GROUPS: dict[str, list[str]] = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))[
    "action_groups"
]

# What each may use, and the leaves beside it that these are made of; only _ansible knows Ansible.
LEAVES = {"_errors", "_deadline", "_flock", "_json", "_mask", "_notes", "_ours", "_proc", "_tree"}
PARTS = {
    "_aws.py": {"_deadline"},
    "_flock.py": {"_proc"},
    "_mask.py": {"_mask_forms", "_mask_shapes"},
    "_mask_forms.py": {"_json"},
    "_mask_shapes.py": {"_mask_forms"},
    "_ansible.py": {"_mask", "_mask_shapes"},
}
# Package of module_utils -> the packages that it may use.
MAY_USE = {
    "_release": set(),
    "_store": {"_release"},
    "_node": {"_release"},
    "_build": {"_release"},
    "_project": {"_release", "_build"},
    "_host": {"_release", "_store"},
    "_image": {"_release", "_store", "_host"},
    "_rollout": {"_release", "_store"},
    "_balancer": {"_stats"},
    "_autoscaling": set(),
    "_stats": set(),
    "_fleet": {"_release", "_node", "_rollout"},
    "_delivery": {"_release", "_store", "_rollout", "_build"},
    "_gates": {"_release", "_store", "_node", "_build"},
    "_bootstrap": {"_release", "_store", "_host", "_node"},
    "_modules": {"_release", "_store", "_host", "_node", "_balancer"},
}


def constants(path: Path) -> dict[str, str]:
    """DOCUMENTATION, EXAMPLES and RETURN, without importing the module."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            found[node.targets[0].id] = node.value.value
    return found


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_is_documented(path: Path) -> None:
    texts = constants(path)
    documentation = yaml.safe_load(texts["DOCUMENTATION"])
    assert documentation["module"] == path.stem
    assert yaml.safe_load(texts["EXAMPLES"]) and yaml.safe_load(texts["RETURN"])
    assert {"check_mode", "diff_mode", "idempotent"} <= set(documentation["attributes"])
    assert "alchemist.beam.attributes" in documentation["extends_documentation_fragment"]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_with_the_options_of_a_group_is_in_it(path: Path) -> None:
    documentation = yaml.safe_load(constants(path)["DOCUMENTATION"])
    for group in ("store", "aws"):
        takes = "alchemist.beam." + group in documentation["extends_documentation_fragment"]
        assert takes == (path.stem in GROUPS[group])


def test_groups_name_modules_that_exist() -> None:
    missing = {name for members in GROUPS.values() for name in members} - set(NAMES)
    assert not missing


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_is_thin(path: Path) -> None:
    """Documentation, specification, call, result: what is worth a unit test belongs to module_utils."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in functions if node in tree.body)
    assert lines <= 120, "%s has %d lines of code in functions" % (path.name, lines)


def imports(path: Path) -> t.Iterator[str]:
    """The packages of module_utils that a file uses, and every absolute import as it is written."""
    package = path.relative_to(ROOT / "plugins" / "module_utils").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - (node.level - 1)]
            named = [*base, *(node.module.split(".") if node.module else [])]
            yield from ["." + ".".join(named)] if named else ["." + alias.name for alias in node.names]


UTILS = sorted((ROOT / "plugins" / "module_utils").rglob("*.py"))


@pytest.mark.parametrize(
    "path", UTILS, ids=[str(path.relative_to(ROOT / "plugins" / "module_utils")) for path in UTILS]
)
def test_module_utils_depend_downwards_only(path: Path) -> None:
    parts = path.relative_to(ROOT / "plugins" / "module_utils").parts
    used = set(imports(path))
    if parts[0] != "_ansible.py":
        assert not [name for name in used if name.split(".")[0] in ("ansible", "ansible_collections")], (
            "only _ansible.py knows Ansible"
        )
    own = {name.split(".")[1] for name in used if name.startswith(".")}
    if len(parts) == 1:
        assert own <= {"_errors"} | PARTS.get(parts[0], set())
    else:
        assert own <= {parts[0], "_aws", *LEAVES} | MAY_USE[parts[0]], "%s may use %s" % (
            parts[0],
            sorted(MAY_USE[parts[0]]),
        )

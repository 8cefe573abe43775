# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of the daily commands name playbooks and variables that are there, and every playbook of the role operate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.alchemist.beam.plugins.plugin_utils._known import options

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for name in ("commands", "from-edeliver") if (path := ROOT / "docs" / (name + ".md")).exists()]
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
KNOWN = {
    *PLAYBOOKS,
    *(path.name for path in (ROOT / "roles").iterdir()),
    *(path.stem for kind in ("modules", "filter", "callback") for path in (ROOT / "plugins" / kind).glob("*.py")),
}
OPERATED = sorted(
    path.stem
    for path in (ROOT / "playbooks").glob("*.yml")
    if any(
        task.get("ansible.builtin.import_role", {}).get("name") == "alchemist.beam.operate"
        for play in yaml.safe_load(path.read_text(encoding="utf-8"))
        for task in play.get("tasks", ())
    )
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_names_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"alchemist\.beam\.([a-z_]+)", text))
    assert named and named <= KNOWN, sorted(named - KNOWN)
    variables = set(re.findall(r"\b(?:beam|operate|rollout|service)_[a-z_]+", text))
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert variables - options() - modules == set()


@pytest.mark.parametrize("playbook", OPERATED)
def test_each_daily_command_has_a_section_with_an_example(playbook: str) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    found = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % playbook, page, re.DOTALL | re.MULTILINE)
    assert found, "no section"
    assert "alchemist.beam.%s" % playbook in found.group(1), "no example"


def test_there_are_daily_commands() -> None:
    assert {"start", "ping", "version"} <= set(OPERATED) <= PLAYBOOKS


def test_each_variable_of_the_role_is_on_the_page() -> None:
    """By its name in an inventory; those of the gate and of the manager are on the pages of a rollout, too."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    defaults = yaml.safe_load((ROOT / "roles" / "operate" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    read = {name for value in defaults.values() for name in re.findall(r"\bbeam_[a-z_]+", str(value))}
    assert {name for name in read if name not in page} == set()

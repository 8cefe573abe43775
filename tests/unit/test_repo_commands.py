# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of the daily commands, and those from other tools, name playbooks and variables that are there, and every playbook of the role operate."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.cli.playbook import PlaybookCLI
from ansible.parsing.splitter import parse_kv
from ansible_collections.alchemist.beam.plugins.plugin_utils._known import options
from ansible_collections.alchemist.beam.plugins.plugin_utils._shapes import HOOKS

ROOT = Path(__file__).resolve().parents[2]
MOVING = [
    ROOT / "docs" / ("from-%s.md" % name) for name in ("edeliver", "distillery", "capistrano", "codedeploy", "kamal")
]
SHORT = MOVING[1:]
PAGES = [ROOT / "docs" / "commands.md", *MOVING]
# Of roles whose names begin no word of another tool: init_app_remotely is a hook of edeliver.
VARIABLE = re.compile(r"\b(?:beam|operate|rollout|service|autoscaling|bootstrap|toolchain)_[a-z_]+")
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
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert set(VARIABLE.findall(text)) - options() - modules == set()
    run = set(re.findall(r"ansible-playbook [^\n`]*?alchemist\.beam\.([a-z_]+)", text))
    assert run <= PLAYBOOKS, "no playbooks: %s" % sorted(run - PLAYBOOKS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_hooks_that_a_page_names_are_there(path: Path) -> None:
    """No other tool writes a name with before_ or after_ so. leave and join are words as well."""
    named = set(re.findall(r"`((?:before|after)_[a-z_]+)`", path.read_text(encoding="utf-8")))
    assert named <= set(HOOKS), sorted(named - set(HOOKS))
    assert named or path.stem == "commands"


def test_every_page_from_another_tool_is_held_and_linked() -> None:
    assert set((ROOT / "docs").glob("from-*.md")) == set(MOVING)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in MOVING if "(docs/%s)" % path.name not in readme] == []


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_a_short_page_begins_with_the_difference_and_ends_with_five_steps(path: Path) -> None:
    parts = re.split(r"^#+ (.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    heads, bodies = parts[1::2], parts[2::2]
    assert heads[1:] == ["Commands", "Settings", "Hooks", "The first five steps"]
    assert bodies[0].strip() and "|" not in bodies[0]
    assert all(re.search(r"^\| --- \|", body, re.MULTILINE) for body in bodies[1:-1])
    assert re.findall(r"^(\d)\. ", bodies[-1], re.MULTILINE) == list("12345")
    assert len(re.findall(r"ansible-playbook alchemist\.beam\.[a-z]+", bodies[-1])) >= 4


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


def _commands(path: Path) -> list[list[str]]:
    """Each command of a page, as the words that ansible-playbook gets: in a line of text it may begin with the name of the playbook."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"`((?:ansible-playbook |beam )?(?:-\S+ \S+ )*alchemist\.beam\.[a-z_]+[^`\n]*)`", text)
    found += re.findall(r"^\$ (ansible-playbook .*)$", text, re.MULTILINE)
    words = [shlex.split(command.replace("…", "x"), comments=True) for command in found]
    words = [line[1:] if line[0] == "ansible-playbook" else line for line in words]
    return [line for line in words if any(word.removeprefix("alchemist.beam.") in PLAYBOOKS for word in line)]


def _choices() -> dict[str, list[str]]:
    """What a variable of an inventory may be, where the option of a role that reads it has a list."""
    found: dict[str, list[str]] = {}
    for role in (ROOT / "roles").iterdir():
        defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
        specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
        for entry in specs.values():
            for name, option in (entry.get("options") or {}).items():
                read = re.findall(r"\bbeam_[a-z_]+", str(defaults.get(name)))
                if read and option.get("choices") and option["type"] == "str":
                    found.setdefault(read[0], option["choices"])
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_ansible_takes_each_command_of_a_page(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the parser of ansible-playbook itself. A real run of each playbook is in tests/integration and tests/fleet."""
    commands, choices, known = _commands(path), _choices(), options()
    assert len(commands) >= 5 and {"beam_releases", "beam_direction", "beam_strategy"} <= set(choices)
    for words in commands:
        cli = PlaybookCLI(["ansible-playbook", *words])
        cli.init_parser()
        try:
            given = cli.parser.parse_args(words)
        except SystemExit:
            pytest.fail("%s: %s" % (shlex.join(words), capsys.readouterr().err.strip().splitlines()[-1]))
        variables: dict[str, t.Any] = {}
        for text in given.extra_vars or ():
            variables.update({} if text.startswith("@") else parse_kv(text))
        assert set(variables) <= known, "%s: %s" % (shlex.join(words), set(variables) - known)
        for name, value in variables.items():
            assert not value or name not in choices or value in choices[name], shlex.join(words)


def test_ansible_reads_every_playbook_that_a_page_names() -> None:
    named = {
        word for path in PAGES for words in _commands(path) for word in words if word.startswith("alchemist.beam.")
    }
    assert len(named) >= 20
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "-i", "beam1,", *sorted(named)]
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "live"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
    }
    done = subprocess.run(
        [*argv, "-e", "beam_name=shop", "-e", "beam_store=file:///srv/store"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=env,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_readme_names_all_that_one_can_call() -> None:
    """Modules, roles and playbooks, each in its table."""
    named = set(re.findall(r"`([a-z_]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem[0] != "_"}
    roles = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    assert sorted((modules | roles | PLAYBOOKS) - named) == []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next step of an error is one that the user of a playbook can take: a hint that names an option or a module names the variable or the playbook, too."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
ERRORS = {
    "BeamError": 3,
    "NotFound": 3,
    "Conflict": 3,
    "Meaning": 2,
    "Cause": 2,
}  # and which of its arguments is the hint
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
# Tasks that people write themselves, as no role of the collection does: their words are those of the module.
WRITTEN_BY_HAND = (
    "_autoscaling/refresh.py",
    "_autoscaling/provision.py",
    "_modules/upgrade.py",
    "_rollout/run_journal.py",
    "_rollout/journal.py",
    "_rollout/run_lock.py",
    "_store/builds.py",
)
# Names of options that are no words of English: with an underscore, or followed by a value.
_USER = re.compile(
    r"\b(?:beam|service|rollout|toolchain|build|bootstrap|autoscaling|distribute|oci)_[a-z_]+|alchemist\.beam\.[a-z]+"
)
_VALUE = re.compile(
    r"(?<!not )\b([a-z_]+)(?:: |=)(?:true|false|present|absent|opened|pruned|verified|daemon|inactive|offline|locked|%d)"
)


def options() -> set[str]:
    """The options of all modules that could be taken for nothing else."""
    found: set[str] = set()
    for path in (PLUGINS / "modules").glob("*.py"):
        text = re.search(r'DOCUMENTATION = r?"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL)
        assert text is not None
        found |= set(yaml.safe_load(text.group(1)).get("options") or {})
    return {name for name in found if "_" in name}


OPTIONS = options() | {"min_healthy"}
# Not options there: of Ansible, of mix.exs, of systemd.
PLAIN = {"become_user", "default_release"}


def hints() -> t.Iterator[tuple[str, int, str]]:
    """Each text that is the next step of an error; the parts of one that is put together, as one."""
    for path in sorted(PLUGINS.rglob("*.py")):
        where = path.relative_to(PLUGINS).as_posix().replace("module_utils/", "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and "hint" in target.id.lower() for target in node.targets
            ):
                given = node.value
            elif isinstance(node, ast.Call) and len(node.args) > ERRORS.get(getattr(node.func, "id", ""), 99):
                given = node.args[ERRORS[getattr(node.func, "id", "")]]
            else:
                continue
            texts = [
                part.value for part in ast.walk(given) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            if texts and not isinstance(given, ast.Call):
                yield where, node.lineno, " ".join(texts)


def lacks(text: str) -> list[str]:
    """What a hint names in the words of a module only."""
    if _USER.search(text):
        return []
    words = set(re.findall(r"[a-z]+(?:_[a-z]+)+", text)) - PLAIN
    named = sorted(words & (OPTIONS | set(MODULES)))
    return named + ["%s:" % found for found in _VALUE.findall(text) if "%s:" % found != "mode:"]


def test_hints_speak_the_words_of_a_playbook() -> None:
    found = list(hints())
    assert len(found) > 250
    wrong = [
        "%s:%d %s: %s" % (where, line, ", ".join(lacks(text)), text)
        for where, line, text in found
        if where not in WRITTEN_BY_HAND and lacks(text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("say force: true", ["force:"]),
        ("say force: true (of a playbook -e beam_force=true)", []),
        ("Raise boot_timeout", ["boot_timeout"]),
        ("Stage it with release_install", ["release_install"]),
        ("Stage it (playbook alchemist.beam.deploy, module release_install)", []),
        ("Run it again", []),
    ],
)
def test_the_scan_finds_them(text: str, named: list[str]) -> None:
    assert lacks(text) == named


def test_a_hint_begins_a_sentence() -> None:
    """Its message ends one before it. A command may be the whole of it, and the parts of a table are put together elsewhere."""
    begun = re.compile(r"[a-z]+ (?!--)")
    elsewhere = ("_bootstrap/first_boot.py", "_node/boot_causes.py")
    wrong = [
        "%s:%d %s" % found
        for found in hints()
        if begun.match(found[2]) and not re.match(r"systemctl |journalctl |chmod |init ", found[2])
    ]
    assert not [line for line in wrong if line.split(":")[0] not in elsewhere], "\n".join(wrong)

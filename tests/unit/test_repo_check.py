# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make check must find what a change touches: what it overlooks is found an hour later."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTILS, TESTS = "plugins/module_utils/", "tests/unit/plugins/module_utils/"


@pytest.fixture
def support(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], t.Any]:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "support"))
    return importlib.import_module


@pytest.mark.parametrize(
    ("changed", "first", "others"),
    [
        (UTILS + "_rollout/lock_store.py", "_rollout/test_rollout_lock_store.py", "_rollout/test_rollout_keeper.py"),
        (UTILS + "_build/project_script.py", "_build/test_build_project.py", "_build/test_build_steps.py"),
        ("plugins/plugin_utils/_plan.py", "tests/unit/plugins/plugin_utils/test_plugin_plan.py", "test_repo_"),
        (TESTS + "_store/conftest.py", "_store/test_store_channels.py", "_store/test_store_web.py"),
        (TESTS + "_host/test_host_faults.py", "_host/test_host_faults.py", "test_repo_files.py"),
        ("tests/support/trees.py", "_build/test_build_tree.py", "_store/test_store_publish.py"),
        ("docs/testing.md", "test_repo_", "test_repo_files.py"),
    ],
)
def test_what_a_change_touches(support: t.Callable[[str], t.Any], changed: str, first: str, others: str) -> None:
    found = support("affected").tests_of(ROOT, [changed])
    if first.startswith("_host/test_") or changed.startswith(UTILS):
        assert first in found[0] or any(first in name for name in found[:4]), found[:6]
    assert any(first in name for name in found) and any(others in name for name in found), found
    assert len(found) == len(set(found)) and all((ROOT / name).is_file() for name in found)


def test_what_everything_uses_widens_to_everything(support: t.Callable[[str], t.Any]) -> None:
    found = support("affected").tests_of(ROOT, [UTILS + "_errors.py"])
    packages = {path.name for path in (ROOT / UTILS).iterdir() if path.is_dir() and path.name != "__pycache__"}
    packages.remove("_stats")  # figures are all that it knows
    assert packages and {Path(name).parent.name for name in found} >= packages
    assert not any("test_store_faults" in name for name in found)  # wants an S3 server


def test_a_removed_file_still_has_importers(support: t.Callable[[str], t.Any], tmp_path: Path) -> None:
    for name, text in {
        "plugins/module_utils/_a/one.py": "from .two import x\n",
        "plugins/module_utils/_a/__init__.py": "",
        TESTS + "_a/test_a_one.py": "from ansible_collections.alchemist.beam.plugins.module_utils._a import one\n",
        TESTS + "_a/test_a_other.py": "",
        "tests/unit/test_repo_it.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert support("affected").tests_of(tmp_path, ["plugins/module_utils/_a/two.py"]) == [
        TESTS + "_a/test_a_one.py",
        "tests/unit/test_repo_it.py",
    ]
    assert support("affected").tests_of(tmp_path, []) == []


def test_committed_staged_changed_new_and_removed_files_are_seen(
    support: t.Callable[[str], t.Any], tmp_path: Path
) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", *words],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    git("init", "-q", "-b", "main")
    for name in ("same", "removed", "changed", "committed"):
        (tmp_path / name).write_text("1")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "work")
    (tmp_path / "committed").write_text("2")
    git("commit", "-qam", "two")
    (tmp_path / "removed").unlink()
    (tmp_path / "changed").write_text("2")
    (tmp_path / "new").write_text("2")
    (tmp_path / "staged").write_text("2")
    git("add", "staged")
    affected = support("affected")
    assert affected.changed(tmp_path, affected.base_of(tmp_path)) == [
        "changed",
        "committed",
        "new",
        "removed",
        "staged",
    ]
    assert affected.changed(tmp_path, affected.base_of(tmp_path, "HEAD")) == ["changed", "new", "removed", "staged"]
    with pytest.raises(SystemExit, match="BASE=nonsense: there is no such commit here"):
        affected.base_of(tmp_path, "nonsense")


def test_tests_that_had_no_time_are_named(
    support: t.Callable[[str], t.Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check, steps = support("run_check"), support("run_steps")
    monkeypatch.setattr(steps, "CACHE", tmp_path)
    test = tmp_path / "test_it.py"
    test.write_text("def test_a(): pass\ndef test_b(): assert 1 == 2\n")
    monkeypatch.setattr(check, "tests_of", lambda *_words: [str(test)])
    for seconds, passed, failed in ((60, 1, 1), (-1, 0, 0)):
        [step] = check.units(["x"], time.time() + seconds)
        step.argv = [
            sys.executable,
            "-m",
            "pytest",
            *step.argv[step.argv.index("pytest") + 1 :],
            "--rootdir",
            str(tmp_path),
            "-c",
            "/dev/null",
        ]
        counted = step.count(steps.execute(step))
        assert (counted.passed, counted.failed, counted.skipped) == (passed, failed, 0)
        assert bool(counted.notes) == (seconds < 0)
    assert counted.notes == ("NOT RUN: 2 of 2 tests had no time: `make unit` has them",)


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        (["plugins/module_utils/_errors.py"], ["ruff", "ruff format", "mypy", "licences"]),
        (
            ["roles/rollout/tasks/plan.yml"],
            ["ansible-lint", "docs", "ruff", "ruff format", "licences", "playbook syntax"],
        ),
        (["tests/fleet/conftest.py"], ["ruff", "ruff format", "mypy tests/fleet", "licences"]),
        (["changelogs/fragments/x.yml"], ["ruff", "ruff format", "changelog"]),
    ],
)
def test_lint_asks_who_can_have_something_to_say(
    support: t.Callable[[str], t.Any], files: list[str], steps: list[str]
) -> None:
    found = support("run_check").lint(files)
    assert [step.name for step in found] == steps, json.dumps([step.argv for step in found])
    linted = [step.argv[-1] for step in found if step.name in ("ansible-lint", "licences")]
    assert set(linted) <= set(files)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of the tests must not call a run a success that tested nothing, or that hides a failure."""

from __future__ import annotations

import importlib
import sys
import time
import typing as t
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parents[1] / "support"


@pytest.fixture
def support(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], t.Any]:
    monkeypatch.syspath_prepend(str(SUPPORT))
    return importlib.import_module


GOOD = 'Running sanity test "compile" on Python 3.9\nRunning sanity test "import" on Python 3.9\nRunning sanity test "pylint"\n'


@pytest.mark.parametrize(
    ("code", "output", "passed", "failed"),
    [
        (0, GOOD, 3, 0),
        (0, "WARNING: All targets skipped.\n", 0, 1),
        (0, GOOD + "WARNING: All targets skipped.\n", 0, 1),
        (0, "", 0, 1),
        (1, GOOD + "FATAL: The 1 sanity test(s) listed below (out of 3) failed. See error output above for details.\npylint\n", 2, 1),
        (1, GOOD + "Traceback (most recent call last):\n", 2, 1),
    ],
)
def test_count_of_sanity_tests(support: t.Callable[[str], t.Any], code: int, output: str, passed: int, failed: int) -> None:
    steps = support("run_steps")
    count = support("run_sanity").count_sanity(steps.Outcome(code, output))
    assert (count.passed, count.failed) == (passed, failed)


@pytest.fixture
def steps(support: t.Callable[[str], t.Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Any:
    module = support("run_steps")
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def test_a_part_without_tests_fails(steps: t.Any) -> None:
    assert steps.run_part("nothing", []) == 1


def test_a_failing_step_fails_the_part_and_is_shown(steps: t.Any, capsys: pytest.CaptureFixture[str]) -> None:
    good = steps.Step("good", ["true"], cwd=Path("/"))
    bad = steps.Step("bad", ["sh", "-c", "echo the reason; exit 3"], cwd=Path("/"))
    assert steps.run_part("mixed", [good, bad]) == 1
    assert "| the reason" in capsys.readouterr().out
    assert (steps.CACHE / "results" / "mixed.json").read_text().startswith('{"passed": 1, "failed": 1,')


def test_a_step_that_counts_nothing_wrong_but_exits_non_zero_fails(steps: t.Any) -> None:
    step = steps.Step("odd", ["false"], cwd=Path("/"), count=lambda _outcome: steps.Count(passed=5))
    assert steps.run_part("odd", [step]) == 1


def test_a_step_over_its_time_is_ended_with_what_it_started(steps: t.Any) -> None:
    outcome = steps.execute(steps.Step("slow", ["sh", "-c", "sleep 60 & echo $!; wait"], cwd=Path("/"), timeout=0.3))
    assert outcome.returncode == 124
    child = Path("/proc", outcome.output.split()[0], "stat")
    deadline = time.monotonic() + 10
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "the child of the step still runs"
        time.sleep(0.05)


def test_skips_are_named(steps: t.Any, tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no such tool here')\n")
    step = steps.pytest_step("skips", Path(sys.executable), [str(test)], options=["--rootdir", str(tmp_path), "-c", "/dev/null"])
    step.cwd = tmp_path
    count = step.count(steps.execute(step))
    assert (count.passed, count.failed, count.skipped) == (1, 0, 1)
    assert "no such tool here" in count.notes[0]


@pytest.mark.parametrize(("again", "passes_alone", "code", "unstable"), [(True, True, 0, True), (True, False, 1, False), (False, True, 1, False)])
def test_a_step_that_passes_only_alone_is_called_unstable(
    steps: t.Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], again: bool, passes_alone: bool, code: int, unstable: bool
) -> None:
    seen = tmp_path / "seen"
    script = "test -e %s && exit %d; touch %s; echo the first time; exit 1" % (seen, 0 if passes_alone else 1, seen)
    assert steps.run_part("part", [steps.Step("shaky", ["sh", "-c", script], cwd=Path("/"), again=again)]) == code
    assert ("UNSTABLE: shaky" in capsys.readouterr().out) == unstable
    assert ("UNSTABLE: shaky" in (steps.CACHE / "results" / "part.json").read_text()) == unstable
    if unstable:
        assert "the first time" in (steps.CACHE / "logs" / "part-shaky.first.log").read_text()


def test_a_brief_run_says_what_failed_and_little_else(
    steps: t.Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("def test_a(): pass\ndef test_b(): assert 1 == 2\n")
    failing = steps.pytest_step("failing", Path(sys.executable), [str(test)], options=["--rootdir", str(tmp_path), "-c", "/dev/null"])
    failing.cwd = tmp_path
    monkeypatch.setattr(steps, "BRIEF", True)
    assert steps.run_part("part", [steps.Step("good", ["true"], cwd=Path("/")), failing]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("test_it.py::test_b" in line for line in lines) and any("assert 1 == 2" in line for line in lines)
    assert len(lines) < 8 and not any("good" in line or "def test_b" in line for line in lines)
    assert lines[-1].startswith("FAILED  part") and lines[-1].endswith("2 passed, 1 failed")

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of the tests must not call a run a success that tested nothing, or that hides a failure."""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
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
        (
            1,
            GOOD
            + "FATAL: The 1 sanity test(s) listed below (out of 3) failed. See error output above for details.\npylint\n",
            2,
            1,
        ),
        (1, GOOD + "Traceback (most recent call last):\n", 2, 1),
    ],
)
def test_count_of_sanity_tests(
    support: t.Callable[[str], t.Any], code: int, output: str, passed: int, failed: int
) -> None:
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


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_takes_down_what_it_set_up(tmp_path: Path, how: signal.Signals) -> None:
    """As from a shell's background, where Ctrl-C is ignored unless somebody asks for it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import run_steps; from pathlib import Path\n"
        "run_steps.ROOT = run_steps.CACHE = here = Path(sys.argv[2])\n"
        "long = ['sh', '-c', \"trap 'sleep 0.3; echo > down; exit 1' INT; echo > up; while :; do sleep 0.1; done\"]\n"
        "steps = [run_steps.Step('long', long, cwd=here), run_steps.Step('next', ['touch', 'next'], cwd=here)]\n"
        "sys.exit(run_steps.run_part('cut', steps, workers=1))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(SUPPORT), str(tmp_path)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(how)
    assert process.wait(60) == 130
    assert (tmp_path / "down").exists() and not (tmp_path / "next").exists()


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
    step = steps.pytest_step(
        "skips", Path(sys.executable), [str(test)], options=["--rootdir", str(tmp_path), "-c", "/dev/null"]
    )
    step.cwd = tmp_path
    count = step.count(steps.execute(step))
    assert (count.passed, count.failed, count.skipped) == (1, 0, 1)
    assert "no such tool here" in count.notes[0]


def test_a_step_that_fails_once_has_failed(steps: t.Any, tmp_path: Path) -> None:
    """It is not looked at again: a test that fails beside other work fails for a reason."""
    script = "echo x >> %s; exit $(wc -l < %s | grep -c '^1$')" % (tmp_path / "runs", tmp_path / "runs")
    assert steps.run_part("part", [steps.Step("shaky", ["sh", "-c", script], cwd=Path("/"))]) == 1
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_brief_run_says_what_failed_and_little_else(
    steps: t.Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("def test_a(): pass\ndef test_b(): assert 1 == 2\n")
    failing = steps.pytest_step(
        "failing", Path(sys.executable), [str(test)], options=["--rootdir", str(tmp_path), "-c", "/dev/null"]
    )
    failing.cwd = tmp_path
    monkeypatch.setattr(steps, "BRIEF", True)
    assert steps.run_part("part", [steps.Step("good", ["true"], cwd=Path("/")), failing]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("test_it.py::test_b" in line for line in lines) and any("assert 1 == 2" in line for line in lines)
    assert len(lines) < 8 and not any("good" in line or "def test_b" in line for line in lines)
    assert lines[-1].startswith("FAILED  part") and lines[-1].endswith("2 passed, 1 failed")


def test_a_part_tells_its_steps_and_its_slowest_tests(steps: t.Any, tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("import time\ndef test_a(): pass\ndef test_slow(): time.sleep(0.2)\n")
    step = steps.pytest_step(
        "timed", Path(sys.executable), [str(test)], options=["--rootdir", str(tmp_path), "-c", "/dev/null"]
    )
    step.cwd = tmp_path
    assert steps.run_part("part", [step, steps.Step("bad", ["false"], cwd=Path("/"))]) == 1
    result = json.loads((steps.CACHE / "results" / "part.json").read_text())
    assert [(line["name"], line["failed"]) for line in result["steps"]] == [("timed", 0), ("bad", 1)]
    assert (
        result["slowest"][0][1] == "test_it::test_slow"
        and 0.2 <= result["slowest"][0][0] <= result["steps"][0]["seconds"] <= result["seconds"] + 0.1
    )


@pytest.mark.parametrize("part", ["integration", "fleet"])
def test_nothing_is_dropped_between_the_two_runs(support: t.Callable[[str], t.Any], part: str) -> None:
    """What is on the disk is run by exactly one of `make test` and `make test-fleet`, as the two call it."""
    choice = support("run_choice")
    runs = support("run_test").RUNS
    taken = [
        name
        for words in (*runs["test"], *runs["test-fleet"])
        if words[0] == "real"
        for name in choice.choose(part, words[1:])
    ]
    if part == "fleet":
        there = {path.stem for path in (SUPPORT.parent / "fleet").glob("test_*.py")}
    else:
        targets = (path for path in (SUPPORT.parent / "integration" / "targets").iterdir() if path.is_dir())
        there = {path.name for path in targets if (path / "runme.sh").exists() or (path / "tasks").exists()}
    assert sorted(taken) == sorted(there) and there
    assert set(choice.FIRST[part]) | set(choice.LONG[part]) <= there
    assert set(choice.FIRST[part]) < there


def test_every_module_is_tried_on_real_parts_by_make_test(support: t.Callable[[str], t.Any]) -> None:
    """By a target that names it, or by the playbooks and roles that the targets of the three roles, and the journey on the fleet, play: by their tasks, or
    by the steps of the action that these are made of.
    """
    targets, root = support("run_choice").TARGETS, SUPPORT.parents[1]
    first = support("run_choice").FIRST["integration"]
    assert {"rollout", "autoscaling", "operate"} <= set(first)
    played = [root / "roles" / name / "tasks" for name in ("rollout", "autoscaling", "operate", "service")]
    places = [*(targets / name for name in first), *played]
    files = [path for place in places for path in place.rglob("*") if path.suffix in (".py", ".yml", ".sh")]
    files += (root / "plugins" / "plugin_utils").glob("_fleet_*.py")
    text = "".join(path.read_text(errors="replace") for path in files)
    modules = [path.stem for path in (root / "plugins" / "modules").glob("*.py")]
    assert modules and [module for module in modules if not re.search(r"\b%s\b" % module, text)] == []


def files_of(argv: t.Sequence[str]) -> set[str]:
    """Of pytest's words the test files, without those that are left out."""
    words = argv[argv.index("pytest") + 1 :]
    paths = [SUPPORT.parents[1] / word for word in words if word.startswith("tests/")]
    found = [file for path in paths for file in ([path] if path.is_file() else path.rglob("test_*.py"))]
    left = {word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")}
    return {str(file.relative_to(SUPPORT.parents[1])) for file in found} - left


@pytest.mark.parametrize(("oldest", "newest"), [(True, True), (True, False), (False, True), (False, False)])
def test_no_unit_test_is_dropped_between_the_pythons(
    support: t.Callable[[str], t.Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, oldest: bool, newest: bool
) -> None:
    unit = support("run_unit")
    there = {str(path.relative_to(SUPPORT.parents[1])) for path in (SUPPORT.parent / "unit").rglob("test_*.py")}
    monkeypatch.setattr(support("run_steps"), "CACHE", tmp_path)
    run: dict[str, set[str]] = {}
    for step in unit.steps(oldest, newest):
        run.setdefault(step.name.partition(",")[0], set()).update(files_of(step.argv))
    assert set().union(*run.values()) == there
    server = {name for name in there if name.startswith(unit.SERVER_SIDE)} - {*unit.MODELS, *unit.ASKS_ANSIBLE}
    assert server and set(unit.MODELS) | set(unit.ASKS_ANSIBLE) < there
    assert sum(server <= files for files in run.values()) >= 1 + (oldest or newest)
    # Both ansible-cores have what asks for one.
    asks = {name for name in there if unit.asks_ansible(name) and name not in server}
    assert {"tests/unit/test_repo_service.py", *unit.ASKS_ANSIBLE} <= asks - set(unit.MODELS)
    assert sum(asks <= files for files in run.values()) == 1 + newest


def test_a_name_that_is_no_test_is_named(support: t.Callable[[str], t.Any]) -> None:
    with pytest.raises(SystemExit, match="there is no nonsense; there are autoscaling, "):
        support("run_choice").choose("integration", ["nonsense", "rollout"])


@pytest.fixture
def run(support: t.Callable[[str], t.Any], steps: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Any:
    """run_test over scripts that stand for the parts."""
    module, figures = support("run_test"), support("run_figures")
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "CACHE", tmp_path)
    monkeypatch.setattr(module, "setup", lambda _word: 0)
    (tmp_path / "tests" / "support").mkdir(parents=True)
    (tmp_path / "results").mkdir()

    def script(part: str, passed: int, failed: int, code: int) -> None:
        made = {
            "passed": passed,
            "failed": failed,
            "skipped": 0,
            "notes": [],
            "steps": [],
            "slowest": [[1.5, part + "::test_it"]],
            "cpu_seconds": 0,
        }
        text = "import json, pathlib, sys\npathlib.Path(%r).write_text(json.dumps(%r))\nsys.exit(%d)\n"
        (tmp_path / "tests" / "support" / ("run_%s.py" % part)).write_text(
            text % (str(tmp_path / "results" / (part + ".json")), made, code)
        )

    for part in ("lint", "sanity", "unit", "real"):
        script(part, 10, 0, 0)
    module.script = script
    module.tests = lambda: json.loads((tmp_path / "figures" / "tests.json").read_text())
    return module


def test_the_first_part_that_fails_ends_the_run(run: t.Any, capsys: pytest.CaptureFixture[str]) -> None:
    run.script("sanity", 3, 1, 1)
    assert run.run("test") == 1
    said = capsys.readouterr().out
    assert "== sanity" in said and "== unit" not in said and "unit         NOT RUN" in said
    assert said.splitlines()[-1] == "13 passed, 1 failed"
    assert run.tests()["test"]["not_run"] == ["unit", "real"]


def test_a_part_that_fails_without_a_word_has_failed(run: t.Any, capsys: pytest.CaptureFixture[str]) -> None:
    run.script("lint", 3, 0, 7)
    assert run.run("test") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 1 failed"


def test_the_closing_line_is_over_both_runs(run: t.Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run("test") == 0 and run.run("test-fleet") == 0
    assert run.tests()["test"]["slowest"][0][0] == 1.5 and len(run.tests()["test"]["parts"]) == 4
    total = capsys.readouterr() and run.total(tuple(run.RUNS))
    assert (total, capsys.readouterr().out.splitlines()[-1]) == (0, "50 passed, 0 failed")


def test_a_run_that_left_nothing_has_failed(run: t.Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run("test") == 0
    assert run.total(tuple(run.RUNS)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "40 passed, 1 failed"


@pytest.mark.parametrize(("mode", "steps", "code"), [("required", 1, 1), ("auto", 0, 0), ("off", 0, 0)])
def test_a_machine_that_carries_no_hosts(
    support: t.Callable[[str], t.Any], monkeypatch: pytest.MonkeyPatch, mode: str, steps: int, code: int
) -> None:
    fleet, run_steps = support("run_fleet"), support("run_steps")
    monkeypatch.setenv("FLEET", mode)
    monkeypatch.setattr(fleet, "missing", lambda: "no cgroups here")
    monkeypatch.setattr(fleet, "setup", lambda *_words: 0)
    found, notes = fleet.hosts(["--first"])
    assert len(found) == steps and notes[0].startswith("NOT TESTED: ")
    for step in found:
        outcome = run_steps.execute(step)
        assert outcome.returncode == code and "no cgroups here" in outcome.output

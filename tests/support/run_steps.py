# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every run_*.py shares: steps that run side by side, are counted, and leave .cache/results/PART.json behind."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import typing as t
import xml.etree.ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
LIVE = CACHE / "live"
BIN = CACHE / "venv" / "bin"
SUPPORT = ROOT / "tests" / "support"
SETUP = SUPPORT / "setup.sh"

# Where only the beginning of a long output is kept, as CI often does, what failed must be in it: BRIEF=1 leaves out what went well.
BRIEF = bool(os.environ.get("BRIEF"))
_PROGRESS = re.compile(r"^[.sxXFE]+ *\[ *\d+%\]$")  # pytest's dots

_print_lock = threading.Lock()
_running: set[subprocess.Popen[str]] = set()


@dataclass(frozen=True)
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: tuple[str, ...] = ()  # shown to the reader: skips and the like are never silent
    tests: tuple[tuple[float, str], ...] = ()  # the seconds of each test that says them

    def __add__(self, other: Count) -> Count:
        sums = (self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)
        return Count(*sums, self.notes + other.notes, self.tests + other.tests)


@dataclass(frozen=True)
class Outcome:
    returncode: int
    output: str


def by_exit_code(outcome: Outcome) -> Count:
    return Count(passed=1) if outcome.returncode == 0 else Count(failed=1)


@dataclass
class Step:
    name: str
    argv: list[str]
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    timeout: float = 1200
    count: t.Callable[[Outcome], Count] = by_exit_code
    show: str = ""  # of a failed step show only the lines that match; the log keeps all


def environment(extra: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment, without what would make Ansible or Python behave differently on another desk."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PYTHON", "PYTEST_", "AWS_"))
    }
    kept.update(
        PATH="%s:%s:%s" % (BIN, CACHE / "pythons", os.environ.get("PATH", "/usr/bin:/bin")),
        ANSIBLE_COLLECTIONS_PATH=str(LIVE),
        ANSIBLE_LOCALHOST_WARNING="False",
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",  # tests read each task; what a person sees has a test of its own
        ANSIBLE_RETRY_FILES_ENABLED="False",
        NO_COLOR="1",
        LC_ALL="C.UTF-8",
        BEAM_CODE_CACHE=str(CACHE / "code"),  # see code_cache.py
        PYTHONPYCACHEPREFIX=str(CACHE / "pycache"),  # what Python compiles is kept, and not in the repository
    )
    kept.update(extra or {})
    return kept


def execute(step: Step) -> Outcome:
    """In a process group of its own, so that a step that runs over its time is ended with all that it started."""
    process = subprocess.Popen(
        step.argv,
        cwd=step.cwd,
        env=environment(step.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.add(process)
    try:
        output, _nothing = process.communicate(timeout=step.timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output, _nothing = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _nothing = process.communicate()
        return Outcome(124, "%s\nran longer than its %d s and was ended" % (output, step.timeout))
    finally:
        _running.discard(process)
    return Outcome(process.returncode, output)


def heed_interrupts(how: t.Any = signal.default_int_handler) -> None:
    """Also in the background of a shell, which makes its commands ignore Ctrl-C; and the ordinary request to end is no different."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, how)


def interrupt_running(told: set[int]) -> None:
    """Ctrl-C does not reach the groups of the steps. Each gets it from here, once, so that pytest takes down its hosts and servers."""
    for process in list(_running):
        if process.pid not in told:
            told.add(process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)


def log_of(part: str, step: Step) -> Path:
    return CACHE / "logs" / ("%s-%s.log" % (part, re.sub(r"[^A-Za-z0-9._-]+", "-", step.name)))


def _run_one(part: str, step: Step) -> tuple[float, Count]:
    began = time.monotonic()
    outcome = execute(step)
    seconds = time.monotonic() - began
    log = log_of(part, step)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(outcome.output, encoding="utf-8")
    count = step.count(outcome)
    if outcome.returncode != 0 and count.failed == 0:
        count += Count(failed=1)
    with _print_lock:
        if count.failed or not BRIEF:
            _print_row(part, step.name, seconds, count)
        if count.failed:
            print("\n".join("    | " + line for line in _what_failed(step, outcome.output)), flush=True)
            print("    the whole output: %s" % log.relative_to(ROOT), flush=True)
        for note in () if BRIEF else count.notes:
            print("    ! %s" % note, flush=True)
    return seconds, count


def _print_row(part: str, name: str, seconds: float, count: Count) -> None:
    state = "FAILED" if count.failed else "ok"
    print(
        "%-7s %-11s %-28s %6.1f s  %d passed, %d failed" % (state, part, name, seconds, count.passed, count.failed),
        flush=True,
    )


def _what_failed(step: Step, output: str) -> list[str]:
    lines = [line for line in output.rstrip().splitlines() if re.search(step.show, line) and not _PROGRESS.match(line)]
    if BRIEF:
        # pytest's own summary or ansible-test's errors where there are such: the test's name and the assertion, not the source around it.
        lines = [line[:300] for line in lines if not line.startswith("WARNING:")]
        lines = [line for line in lines if re.match(r"(E  |FAILED |ERROR[ :])", line)][-15:] or lines[-15:]
    return lines[-150:]


def run_part(part: str, steps: t.Sequence[Step], workers: int = 2, notes: t.Sequence[str] = ()) -> int:
    """Runs the steps, writes what was counted, and returns the exit code: a part that tested nothing has failed."""
    began = time.monotonic()
    # An exception could come between the start of a step and the note that it runs, and would be waited for then. So it is an event.
    interrupted = threading.Event()
    heed_interrupts(lambda *_signal: interrupted.set())
    for note in notes:
        print("    ! %s" % note, flush=True)
    total = Count(notes=tuple(notes))
    with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
        todo = [pool.submit(_run_one, part, step) for step in steps]
        while not interrupted.is_set() and concurrent.futures.wait(todo, timeout=0.2).not_done:
            pass
        if interrupted.is_set():
            for one in todo:
                one.cancel()
            print("interrupted: what runs takes down what it set up", flush=True)
            told: set[int] = set()
            while True:
                interrupt_running(told)
                if not concurrent.futures.wait(todo, timeout=0.2).not_done:
                    return 130
        done = [one.result() for one in todo]
    heed_interrupts()
    for _seconds, count in done:
        total += count
    if total.passed == 0 and total.failed == 0:
        print("FAILED  %s: no test ran" % part, flush=True)
        total += Count(failed=1)
    write_result(
        part,
        total,
        time.monotonic() - began,
        [(step.name, seconds, count.failed) for step, (seconds, count) in zip(steps, done)],
    )
    if BRIEF:
        _print_row(part, "", time.monotonic() - began, total)
    return 1 if total.failed else 0


def write_result(part: str, count: Count, seconds: float, steps: t.Sequence[tuple[str, float, int]] = ()) -> None:
    """steps: name, seconds and failures of each. Processor seconds are those of this process's children, without what was left to run by itself."""
    results = CACHE / "results"
    results.mkdir(parents=True, exist_ok=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    document = {
        "passed": count.passed,
        "failed": count.failed,
        "skipped": count.skipped,
        "notes": list(dict.fromkeys(count.notes)),  # the same test is skipped on each Python
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "steps": [{"name": name, "seconds": round(length, 1), "failed": failed} for name, length, failed in steps],
        "slowest": [[round(length, 2), name] for length, name in sorted(count.tests, reverse=True)[:20]],
    }
    (results / (part + ".json")).write_text(json.dumps(document) + "\n", encoding="utf-8")


def setup(*words: str) -> int:
    """One step of setup.sh; 3 says that a Python is not at hand."""
    code = subprocess.call([str(SETUP), *words], stdin=subprocess.DEVNULL)
    if code not in (0, 3):
        sys.exit("setup.sh %s failed" % " ".join(words))
    return code


def pytest_step(name: str, python: Path, paths: t.Sequence[str], **more: t.Any) -> Step:
    """pytest through the live link, counted from its own report, every skip named."""
    reports = CACHE / "results"
    reports.mkdir(parents=True, exist_ok=True)
    report = reports / ("pytest-%s.xml" % re.sub(r"[^A-Za-z0-9._-]+", "-", name))
    report.unlink(missing_ok=True)
    options = more.pop("options", [])
    argv = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=%s" % report, *options, *paths]
    env = {"PYTHONPATH": str(LIVE), **more.pop("env", {})}

    return Step(name, argv, env=env, count=lambda _outcome: count_report(report), **more)


def count_report(report: Path) -> Count:
    """What pytest wrote by --junitxml; a run that wrote nothing has failed."""
    if not report.exists():
        return Count(failed=1)
    passed = failed = 0
    skips: list[str] = []
    tests = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        # A file's first test carries what the fixtures of the whole file took.
        tests.append(
            (float(case.get("time", 0)), "%s::%s" % (case.get("classname", "").rpartition(".")[2], case.get("name")))
        )
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skipped is not None:
            skips.append("skipped %s: %s" % (case.get("name"), skipped.get("message")))
        else:
            passed += 1
    return Count(passed, failed, len(skips), tuple(skips), tuple(tests))

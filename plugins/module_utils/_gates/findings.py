# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""From what a gate's command said to its verdict. Pure. No data is never a pass."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from .._build.command import Finished
from .kinds import CREDO_BITS, Kind
from .results import (
    Case,
    Covered,
    Diagnostic,
    Unreadable,
    percentage,
    read_coverage,
    read_diagnostics,
    read_sarif,
    read_tests,
    read_unformatted,
)
from .wanted import Gate

_NAMED = 3  # findings in a reason


@dataclass(frozen=True)
class Finding:
    verdict: str  # passed, failed, unstable, skipped
    reason: str = ""
    hint: str = ""
    counts: t.Mapping[str, int] = field(default_factory=dict)
    coverage: float | None = None
    named: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    covered: tuple[Covered, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    sarif: t.Mapping[str, t.Any] | None = None
    output: str = ""  # of the command
    seconds: float = 0.0
    late: bool = False  # the time limit ended it


def skipped(kind: Kind, lacks: t.Sequence[str]) -> Finding:
    packages = [name for name in lacks if name != "Hex"]
    why = ["Hex is not installed"] * ("Hex" in lacks) + [
        "%s is no dependency in this environment" % name for name in packages
    ]
    ways = ["install Hex for the user of the build (toolchain_hex: true)"] * ("Hex" in lacks)
    ways += ["add %s to deps in mix.exs (only: [:dev, :test])" % name for name in packages]
    hint = " or ".join(ways)
    return Finding(
        "skipped", " and ".join(why), "%s%s, or leave the gate %s out" % (hint[0].upper(), hint[1:], kind.name)
    )


def late(seconds: int, output: str) -> Finding:
    return Finding(
        "failed",
        "it did not end within %d s, and was ended with all that it had started" % seconds,
        "Give it more with timeout, or look at what it waits for",
        output=output,
        late=True,
    )


def _some(names: t.Sequence[str]) -> str:
    return "; ".join(names[:_NAMED]) + (" and %d more" % (len(names) - _NAMED) if len(names) > _NAMED else "")


def _ended(done: Finished) -> str:
    return "it was killed by signal %d" % -done.status if done.status < 0 else "it ended with %d" % done.status


def of_text(done: Finished) -> Finding:
    return Finding("passed" if done.status == 0 else "failed", "" if done.status == 0 else _ended(done))


def of_format(done: Finished) -> Finding:
    files = read_unformatted(done.full)
    if done.status == 0:
        return Finding("passed")
    why = (
        "%s not formatted: %s" % ("1 file is" if len(files) == 1 else "%d files are" % len(files), _some(files))
        if files
        else _ended(done)
    )
    return Finding("failed", why, "Run mix format where you develop, and commit", {"files": len(files)}, named=files)


def of_compile(done: Finished, data: bytes | None) -> Finding:
    try:
        statuses, found = read_diagnostics(data)
    except Unreadable as exc:
        return Finding("failed", "%s, and %s" % (exc, _ended(done)))
    bad = tuple(one for one in found if one.severity in ("warning", "error"))
    counts = {severity + "s": sum(1 for one in bad if one.severity == severity) for severity in ("warning", "error")}
    named = tuple(one.label for one in bad)
    if bad:
        said = ", ".join("%d %s" % (count, what if count > 1 else what[:-1]) for what, count in counts.items() if count)
        return Finding(
            "failed", "%s: %s" % (said, _some(named)), "Correct the code", counts, None, named, diagnostics=bad
        )
    if done.status != 0 or not statuses or "error" in statuses:
        return Finding("failed", _ended(done), counts=counts)
    return Finding("passed", counts=counts)


def of_tests(done: Finished, files: t.Mapping[str, bytes]) -> Finding:
    try:
        cases = read_tests(files)
    except Unreadable as exc:
        return Finding("failed", "%s, and %s" % (exc, _ended(done)), "Look at what ends the tests early")
    counts = {
        what: sum(1 for one in cases if one.outcome == what) for what in ("passed", "failed", "skipped", "excluded")
    }
    failed = tuple(one.label for one in cases if one.outcome == "failed")
    if failed:
        why = "%d of %d tests failed: %s" % (len(failed), len(failed) + counts["passed"], _some(failed))
        return Finding("failed", why, "Correct the code or the test", counts, None, failed, cases)
    if done.status != 0:
        return Finding("failed", "no test failed, but %s" % _ended(done), "Read its output", counts, cases=cases)
    if not counts["passed"]:
        why = (
            "no tests ran, or the results of the tests were not written"
            if not cases
            else "all tests are skipped or excluded"
        )
        return Finding(
            "failed", why, "Write tests; an alias `test` in mix.exs must pass its arguments on", counts, cases=cases
        )
    return Finding("passed", counts=counts, cases=cases)


def repeated(first: Finding, again: Finding, times: int) -> Finding:
    """Tests that failed, and passed when they ran once more."""
    if again.verdict != "passed":
        return first
    late_names = {case.label for case in again.cases if case.outcome == "passed"}
    if not set(first.named) <= late_names:
        return first  # not all of them ran again
    said = "1 test" if len(first.named) == 1 else "%d tests" % len(first.named)
    why = "%s passed only when repeated: %s" % (said, _some(first.named))
    hint = "A test that fails at random hides a fault: find out which"
    counts = {**first.counts, "repeated": times}
    return replace(first, verdict="unstable", reason=why, hint=hint, counts=counts)


def of_coverage(gate: Gate, tests: Finding, done: Finished | None, data: bytes | None) -> Finding:
    if tests.verdict not in ("passed", "unstable"):
        return Finding("failed", "the tests did not pass: %s" % tests.reason, tests.hint)
    hint = "The gate needs the coverage of Mix itself: with another tool in test_coverage of mix.exs, use a command of your own"
    if done is None:
        return Finding("failed", "the tests exported no coverage", hint)
    try:
        rows = read_coverage(data)
    except Unreadable as exc:
        return Finding("failed", "%s, and %s" % (exc, _ended(done)), hint)
    value = percentage(rows)
    if value is None:
        return Finding("failed", "there is no line of code to cover", hint)
    total = sum(len(row.lines) for row in rows)
    counts = {"lines": total, "covered": sum(1 for row in rows for _line, hits in row.lines if hits)}
    if gate.floor is not None and value < gate.floor:
        why = "%.2f %% of the lines ran, and the floor is %g %%" % (value, gate.floor)
        return Finding(
            "failed", why, "Write tests for what never ran (see the LCOV report)", counts, value, covered=rows
        )
    return Finding("passed", "", "", counts, value, covered=rows)


def of_sarif(kind: Kind, done: Finished) -> Finding:
    try:
        document, found = read_sarif(done.full)
    except Unreadable as exc:
        return Finding("failed", "%s, and %s" % (exc, _ended(done)))
    named = tuple(one.label for one in found)
    counts = {"findings": len(found)}
    if done.status == 0 and not found:
        return Finding("passed", counts=counts, sarif=document)
    if done.status == 0:
        # The tool's own configuration says that these are no reason to fail.
        return Finding("passed", counts=counts, sarif=document, diagnostics=found)
    bits = [what for bit, what in CREDO_BITS if done.status & bit] if kind.name == "credo" and done.status < 32 else []
    why = _some(named) or _ended(done)
    if bits:
        why = "%s: %s" % (", ".join(bits), why)
    return Finding(
        "failed",
        why,
        "Correct the code, or the configuration of the tool",
        counts,
        None,
        named,
        (),
        (),
        found,
        document,
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test run took: printed at its end, and kept in .cache/figures/tests.json."""

from __future__ import annotations

import json
import typing as t

from run_steps import CACHE

SLOWEST = 20


def _read() -> dict[str, t.Any]:
    file = CACHE / "figures" / "tests.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _write(figures: dict[str, t.Any]) -> None:
    file = CACHE / "figures" / "tests.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def forget(name: str) -> None:
    """A run that dies must not leave the figures of the one before."""
    _write({key: value for key, value in _read().items() if key != name})


def remember(name: str, made: dict[str, t.Any]) -> None:
    """made: seconds, passed, failed, not_run, parts; a part has its steps and its slowest tests, as write_result tells them."""
    _write({**_read(), name: {**made, "slowest": slowest(made)}})


def slowest(made: t.Mapping[str, t.Any]) -> list[list[t.Any]]:
    """Seconds, part and name of the slowest tests."""
    found = [[seconds, part["part"], name] for part in made["parts"] for seconds, name in part.get("slowest", ())]
    return sorted(found, reverse=True)[:SLOWEST]


def print_run(made: t.Mapping[str, t.Any]) -> None:
    print("\n%9s  %-12s step" % ("seconds", "part"))
    for part in made["parts"]:
        for step in sorted(part.get("steps", ()), key=lambda step: -step["seconds"]):
            print(
                "%9.1f  %-12s %s%s"
                % (step["seconds"], part["part"], step["name"], "  FAILED" if step["failed"] else "")
            )
    print("\n%9s  the %d slowest tests (the first one of a file carries what the file sets up)" % ("seconds", SLOWEST))
    for seconds, part, name in slowest(made):
        print("%9.1f  %-12s %s" % (seconds, part, name[:120]))
    print("\n%-12s %9s %9s %8s %8s %8s" % ("part", "seconds", "cpu", "passed", "failed", "skipped"))
    for part in made["parts"]:
        row = (
            part["part"],
            part["seconds"],
            part.get("cpu_seconds", 0),
            part["passed"],
            part["failed"],
            part["skipped"],
        )
        print("%-12s %9.1f %9.1f %8d %8d %8d" % row)
        for note in part["notes"]:
            print("             ! %s" % note)
    for name in made["not_run"]:
        print("%-12s NOT RUN: a part before it failed" % name)
    print("%-12s %9.1f %9s %8d %8d" % ("all", made["seconds"], "", made["passed"], made["failed"]))
    print("%d passed, %d failed" % (made["passed"], made["failed"]), flush=True)


def total(names: t.Sequence[str]) -> int:
    """The closing line over several runs: one that left nothing has failed, or was not begun because of one that failed."""
    figures = _read()
    passed = failed = 0
    for name in names:
        made = figures.get(name, {"passed": 0, "failed": 0, "not_run": [name], "seconds": 0.0})
        passed, failed = passed + made["passed"], failed + made["failed"]
        print(
            "%-12s %6.1f min%s"
            % (name, made["seconds"] / 60, "  NOT RUN: " + ", ".join(made["not_run"]) if made["not_run"] else "")
        )
    if not failed and not all(name in figures for name in names):
        failed = 1
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed or not passed else 0

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make sanity: ansible-test sanity on a copy of the collection, with each ansible-core at hand."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from run_steps import CACHE, ROOT, Count, Outcome, Step, run_part, setup

SERVER_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
# What asks ansible-core itself. All else judges the source, which is the same with each of them: once, with the one that `make check` has.
ON_CORE = ("action-plugin-docs", "ansible-doc", "ignores", "import", "runtime-metadata", "validate-modules")
# ansible-test looks here before it downloads, by the version of pip that each ansible-core pins.
SHIMS = ("get_pip_24_2.py", "get_pip_25_2.py")


def count_sanity(outcome: Outcome) -> Count:
    """Counts what ran; a run that found nothing to test exits 0 and must not pass."""
    ran = len(re.findall(r"^Running sanity test ", outcome.output, re.MULTILINE))
    if "All targets skipped" in outcome.output or ran == 0:
        return Count(failed=1, notes=("ansible-test found nothing to test",))
    listed = re.search(r"The (\d+) sanity test\(s\) listed below \(out of \d+\) failed", outcome.output)
    failed = int(listed.group(1)) if listed else (1 if outcome.returncode else 0)
    return Count(passed=ran - failed, failed=failed)


def sanity_step(name: str, venv: str, *pythons: Path, copy: str = "", home: str = "") -> Step:
    """Import and compile run on every Python in PATH, pythons among them, and all else on the venv's own. copy, home: their names, instead of the venv's."""
    place = CACHE / ("frozen-" + (copy or venv))
    setup("frozen", str(place))
    # A home of its own: out of the user's, and two runs side by side would remove each other's virtual environments.
    home_directory = CACHE / ("sanity-home-" + (home or venv))
    shims = home_directory / ".ansible" / "test" / "cache"
    shims.mkdir(parents=True, exist_ok=True)
    for shim in SHIMS:
        shutil.copyfile(ROOT / "tests" / "support" / "get_pip_shim.py", shims / shim)
    places = [CACHE / venv / "bin", *pythons, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    env = {"HOME": str(home_directory), "PATH": ":".join(map(str, places))}
    argv = [str(CACHE / venv / "bin" / "ansible-test"), "sanity", "--color", "no"]
    return Step(
        name,
        argv,
        cwd=place / "ansible_collections" / "alchemist" / "beam",
        env=env,
        count=count_sanity,
        timeout=1500,
        show="^(ERROR|FATAL|WARNING)",
    )


def only(step: Step, *tests: str) -> Step:
    step.argv += [word for test in tests for word in ("--test", test)]
    return step


def steps_219() -> list[Step]:
    """The longest first. What lacks on a later Python was announced on the oldest or fails on the newest: between them, compiling is enough."""
    pylint = only(sanity_step("2.19, pylint", "venv", copy="pylint", home="pylint"), "pylint")
    # On one core: with each more, pylint has a process more that parses what all files import. Meanwhile another step has the others.
    pylint.argv = ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), *pylint.argv]
    oldest = only(sanity_step("2.19, Python 3.9", "venv", CACHE / "pythons", copy="servers", home="servers"), "import")
    oldest.argv += ["--python", SERVER_PYTHONS[0]]
    rest = sanity_step("2.19, the rest", "venv", CACHE / "pythons")
    rest.argv += ["--skip-test", "pylint", "--skip-test", "import"]
    return [pylint, rest, *([oldest] if (CACHE / "pythons" / "python3.9").exists() else [])]


def main() -> int:
    setup("venv")
    notes = [
        "NOT TESTED: no Python %s on this machine (compile, and import of the oldest, of what runs on servers)"
        % version
        for version in SERVER_PYTHONS
        if not (CACHE / "pythons" / ("python" + version)).exists()
    ]
    steps = steps_219()
    if setup("venv221") == 0:
        newest = only(sanity_step("2.21", "venv221"), *ON_CORE)
        newest.argv += ["--python", (CACHE / "venv221" / "bin" / "python").resolve().name.removeprefix("python")]
        steps.insert(1, newest)
    else:
        notes.append("NOT TESTED: ansible-core 2.21 needs Python 3.12 or newer, and none is on this machine")
    return run_part("sanity", steps, notes=notes)


if __name__ == "__main__":
    sys.exit(main())

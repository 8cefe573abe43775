# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make check: what one runs before each commit. Lint, ansible-test's quick tests and the units of what changed since BASE, within a minute.

It judges the files that changed, and what has to be true of the whole repository where that is quick. What it has no time for is named.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from affected import base_of, changed, tests_of
from pytest_until import REASON
from run_lint import ANSIBLE_LINT, playbook_syntax
from run_lint import steps as lint_steps
from run_sanity import sanity_step
from run_steps import BIN, ROOT, Count, Outcome, Step, pytest_step, run_part, setup
from run_unit import SIDE_BY_SIDE

# Tests begin until then, so that the whole ends within a minute on two cores.
SECONDS = 30
SANITY = ("no-assert", "no-smart-quotes", "pep8", "pylint", "shebang", "validate-modules", "yamllint")
YAML = (".yml", ".yaml")


def lint(files: list[str]) -> list[Step]:
    """The steps of make lint whose answer these files can change; those that can take single files get these."""
    there = [name for name in files if (ROOT / name).exists()]
    tops = {name.split("/")[0] for name in files}
    playbooks = [
        name
        for name in there
        if name.endswith(YAML)
        and name.split("/")[0] in ("roles", "playbooks", "examples", "meta", "tests", "changelogs")
    ]
    documented = [
        name
        for name in files
        if name.startswith(("plugins/", "roles/", "docs/", "meta/", "galaxy.yml")) and "module_utils" not in name
    ]
    wanted = {
        "ruff": True,
        "ruff format": True,
        "mypy": "plugins" in tops,
        **{
            "mypy " + place: any(Path(name).parent == Path(place) for name in files)
            for place in ("tests/support", "tests/fleet/hosts", "tests/fleet")
        },
        "ansible-lint": bool(playbooks),
        "changelog": "changelogs" in tops,
        "docs": bool(documented),
        "licences": bool(there),
        "playbook syntax": bool(tops & {"playbooks", "roles"}),
    }
    found = []
    for step in (*lint_steps(), playbook_syntax()):
        if not wanted.get(step.name, True):
            continue
        if step.name == "ansible-lint":
            step.argv = [*ANSIBLE_LINT, *playbooks]
        elif step.name == "licences":
            step.argv = [str(BIN / "reuse"), "lint-file", "--lines", *there]
        found.append(step)
    return found


def sanity(files: list[str]) -> list[Step]:
    targets = [name for name in files if name.endswith((".py", ".sh", *YAML)) and (ROOT / name).is_file()]
    if not targets:
        return []
    step = sanity_step("ansible-test", "venv", copy="check")
    step.argv += [word for test in SANITY for word in ("--test", test)] + targets
    return [step]


def units(files: list[str], until: float) -> list[Step]:
    tests = tests_of(ROOT, files)
    if not tests:
        return []
    options = [*SIDE_BY_SIDE, "-p", "pytest_until"]
    path = "%s:%s" % (ROOT / ".cache" / "live", ROOT / "tests" / "support")
    step = pytest_step(
        "units",
        BIN / "python",
        tests,
        options=options,
        env={"PYTHONPATH": path, "TESTS_UNTIL": "%f" % until},
        timeout=90,
    )
    whole = step.count

    def count(outcome: Outcome) -> Count:
        found = whole(outcome)
        late = [note for note in found.notes if REASON in note]
        notes = tuple(note for note in found.notes if note not in late)
        if late:
            notes += (
                "NOT RUN: %d of %d tests had no time: `make unit` has them"
                % (len(late), found.passed + found.failed + found.skipped),
            )
        return Count(found.passed, found.failed, found.skipped - len(late), notes, found.tests)

    step.count = count
    return [step]


def main() -> int:
    began = time.time()
    setup("venv")
    setup("live")
    base = base_of(ROOT, os.environ.get("BASE", ""))
    files = changed(ROOT, base)
    print("%d files changed since %s" % (len(files), base[:12]), flush=True)
    # The tests take the longest, and ansible-test is next.
    code = run_part("check", [*units(files, began + SECONDS), *sanity(files), *lint(files)], workers=3)
    print("make check took %.0f s\n" % (time.time() - began), end="", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

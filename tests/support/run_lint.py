# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make lint: everything that judges the source without running it."""

from __future__ import annotations

import sys

import yaml  # type: ignore[import-untyped]
from run_steps import BIN, CACHE, LIVE, ROOT, Step, run_part, setup


def ansible_lint() -> list[Step]:
    """It uses one core, and takes the longest: the roles beside all else. What is excluded on the command line is instead of what its configuration says."""
    argv = [str(BIN / "ansible-lint"), "--offline", "--profile", "production", "--exclude"]
    never = yaml.safe_load((ROOT / ".ansible-lint").read_text(encoding="utf-8"))["exclude_paths"]
    others = sorted(
        "%s/" % path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("roles", ".git")
    )
    # Each has a home of its own: at its end it removes the modules that it made up there, which the other one may still need.
    return [
        Step(name, [*argv, *never, *excluded], env={"ANSIBLE_HOME": str(CACHE / name.replace(" ", "-"))})
        for name, excluded in (("ansible-lint", ["roles/"]), ("ansible-lint roles", others))
    ]


def steps() -> list[Step]:
    found = [
        Step("ruff", [str(BIN / "ruff"), "check", "."]),
        Step("ruff format", [str(BIN / "ruff"), "format", "--check", "."]),
        Step(
            "mypy",
            [
                str(BIN / "mypy"),
                "--config-file",
                str(ROOT / "pyproject.toml"),
                "-p",
                "ansible_collections.alchemist.beam.plugins",
            ],
            cwd=LIVE,
        ),
        # These are scripts with modules beside them, not packages: each directory is its own import path.
        *(
            Step(
                "mypy " + name,
                [
                    str(BIN / "mypy"),
                    "--config-file",
                    str(ROOT / "pyproject.toml"),
                    *sorted(str(path) for path in (ROOT / name).glob("*.py")),
                ],
                env={"MYPYPATH": "%s:%s" % (ROOT / name, ROOT / "tests" / "support")},
            )
            for name in ("tests/support", "tests/fleet/hosts", "tests/fleet")
        ),
        *ansible_lint(),
        Step("changelog", [str(BIN / "antsibull-changelog"), "lint"]),
        Step(
            "docs",
            [
                str(BIN / "antsibull-docs"),
                "lint-collection-docs",
                "--plugin-docs",
                "--validate-collection-refs=all",
                ".",
            ],
        ),
        Step("licences", [str(BIN / "reuse"), "lint", "--lines"]),
    ]
    playbooks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "playbooks").glob("*.yml"))
    if playbooks:
        found.append(
            Step("playbook syntax", [str(BIN / "ansible-playbook"), "-i", "localhost,", "--syntax-check", *playbooks])
        )
    return found


if __name__ == "__main__":
    setup("venv")
    setup("live")
    sys.exit(run_part("lint", steps()))

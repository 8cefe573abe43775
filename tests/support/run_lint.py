# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make lint: everything that judges the source without running it."""

from __future__ import annotations

import sys

from run_steps import BIN, CACHE, LIVE, ROOT, SUPPORT, Step, run_part, setup

# ansible-lint and its syntax checks take the longest, and use one core.
ANSIBLE_LINT = [str(BIN / "python"), str(SUPPORT / "lint_playbooks.py"), "--offline", "--profile", "production"]


def playbook_syntax() -> Step:
    """All playbooks, which ansible-lint asks for as well if it is given all."""
    playbooks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "playbooks").glob("*.yml"))
    argv = [str(BIN / "ansible-playbook"), "-i", "localhost,", "--syntax-check", *playbooks]
    return Step("playbook syntax", argv)


def steps() -> list[Step]:
    """The longest first: it would be alone at the end."""
    return [
        # A home of its own: at its end it removes the modules that it made up there.
        Step("ansible-lint", ANSIBLE_LINT, env={"ANSIBLE_HOME": str(CACHE / "ansible-lint")}),
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
        Step("changelog", [str(BIN / "antsibull-changelog"), "lint"]),
        Step("licences", [str(BIN / "reuse"), "lint", "--lines"]),
    ]


if __name__ == "__main__":
    setup("venv")
    setup("live")
    sys.exit(run_part("lint", steps()))

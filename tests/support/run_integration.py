# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make integration: every target of tests/integration/targets against real Elixir and a real S3 server.

The layout is that of ansible-test, and a target may be run by it too; running them here takes no copy, no set-up per target, and three at a time.
run_integration.py TARGET... runs only these, --first and --rest what run_choice.py says. A target is a role, or a runme.sh. It gets `output_dir`
(OUTPUT_DIR for a script): fresh, its own, removed after a pass.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from run_choice import TARGETS, aliases, choose
from run_steps import BIN, CACHE, ROOT, Count, Outcome, Step, count_report, environment, run_part, setup

S3_SERVER = ROOT / "tests" / "support" / "s3_server.py"


def s3(word: str, directory: Path) -> str:
    argv = [str(BIN / "python"), str(S3_SERVER), word, "--dir", str(directory)]
    return subprocess.run(
        argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def s3_environment(directory: Path) -> dict[str, str]:
    """`s3_server.py env` prints NAME=value lines: S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY."""
    pairs = (line.removeprefix("export ").partition("=") for line in s3("env", directory).splitlines() if "=" in line)
    return {name: value.strip("'\"") for name, _equals, value in pairs}


def target_step(target: Path, env: dict[str, str], scratch: Path) -> Step:
    output = scratch / target.name
    output.mkdir()
    env = {
        **env,
        "OUTPUT_DIR": str(output),
        "ANSIBLE_ROLES_PATH": str(TARGETS),
        "ANSIBLE_LOCAL_TEMP": str(output / ".ansible"),
        "TMPDIR": str(output),
    }

    def count(outcome: Outcome) -> Count:
        """The target is one test; of one that runs pytest, each test counts, and its skips are named. One that runs it twice writes a second report."""
        reports = list(output.glob("pytest-*.xml"))
        counted = sum(map(count_report, reports), Count()) if reports else Count(passed=int(outcome.returncode == 0))
        if outcome.returncode != 0 or counted.failed:
            kept = Count(
                failed=int(counted.failed == 0), notes=("what %s wrote is kept in %s" % (target.name, output),)
            )
            return counted + kept
        shutil.rmtree(output, ignore_errors=True)
        return counted

    if (target / "runme.sh").exists():
        env["PYTEST_ADDOPTS"] = "--junitxml=%s" % (output / "pytest-report.xml")
        return Step(target.name, ["bash", str(target / "runme.sh")], cwd=target, env=env, timeout=1500, count=count)
    play = [
        {
            "name": target.name,
            "hosts": "testhost",
            "gather_facts": True,
            "roles": [target.name],
            "vars": {"output_dir": str(output)},
        }
    ]
    playbook = output / (target.name + ".yml")
    playbook.write_text(json.dumps(play), encoding="utf-8")
    inventory = output / "inventory.yml"
    host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory.write_text(json.dumps({"all": {"hosts": {"testhost": host}}}), encoding="utf-8")
    show = (
        "" if os.environ.get("VERBOSE") else "^(fatal|failed|TASK|PLAY RECAP|.*(ERROR|Error|error|msg|why|hint|assert))"
    )
    return Step(
        target.name,
        [str(BIN / "ansible-playbook"), "-i", str(inventory), str(playbook)],
        env=env,
        timeout=1500,
        count=count,
        show=show,
    )


@contextlib.contextmanager
def real_parts(words: list[str]) -> t.Iterator[tuple[list[Step], list[str]]]:
    """The steps, and what is not tested, while an S3 server runs. What targets wrote stays where one failed."""
    notes = []
    targets = []
    for name in choose("integration", words):
        if "disabled" in aliases(name):
            notes.append("NOT TESTED: target %s is disabled" % name)
            continue
        targets.append(TARGETS / name)
    python39 = CACHE / "pythons" / "python3.9"
    if not python39.exists():
        notes.append(
            "NOT TESTED: no Python 3.9 on this machine: targets that install as a server would use the controller's Python"
        )
    scratch = Path(tempfile.mkdtemp(prefix="beam-integration-"))
    server = scratch / "s3"
    s3("start", server)
    try:
        env = {
            **s3_environment(server),
            "PYTHON39": str(python39.resolve()) if python39.exists() else str(BIN / "python"),
        }
        yield [target_step(target, env, scratch) for target in targets], notes
    finally:
        s3("stop", server)
        if not any((scratch / target.name).exists() for target in targets):
            shutil.rmtree(scratch, ignore_errors=True)


def main(words: list[str]) -> int:
    setup("packages")
    setup("venv")
    setup("live")
    with real_parts(words) as (steps, notes):
        return run_part("integration", steps, workers=3, notes=notes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

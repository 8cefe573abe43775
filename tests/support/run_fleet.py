# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make fleet: tests against real systemd hosts. FLEET=required fails where they cannot run, auto (the default) says so loudly, off leaves them out.

run_fleet.py FILE... runs only these, --first and --rest what run_choice.py says.
"""

from __future__ import annotations

import os
import subprocess
import sys

from run_choice import choose
from run_steps import BIN, ROOT, Count, Step, pytest_step, run_part, setup, write_result

FLEET = ROOT / "tests" / "fleet" / "fleet"


def missing() -> str:
    """Why this machine cannot carry the hosts, or nothing."""
    asked = subprocess.run(
        [str(FLEET), "check"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return "" if asked.returncode == 0 else asked.stdout.strip()


def hosts(words: list[str]) -> tuple[list[Step], list[str]]:
    """The steps, and what is not tested. Each file has a fleet of its own."""
    mode = os.environ.get("FLEET") or "auto"
    if mode not in ("required", "auto", "off"):
        sys.exit("FLEET is required, auto or off, not %r" % mode)
    if mode == "off":
        return [], ["NOT TESTED: FLEET=off, no test ran on systemd hosts"]
    if mode == "required" or os.geteuid() == 0:
        setup("packages")
    why = missing()
    if not why:
        return [
            pytest_step(name, BIN / "python", ["tests/fleet/%s.py" % name], timeout=1800)
            for name in choose("fleet", words)
        ], []
    note = "NOT TESTED: no systemd hosts on this machine: %s" % why
    return [Step("fleet", ["sh", "-c", 'echo "$0"; exit 1', note])] if mode == "required" else [], [note]


def main(words: list[str]) -> int:
    setup("venv")
    setup("live")
    steps, notes = hosts(words)
    if not steps:
        print("    ! %s" % notes[0], flush=True)
        write_result("fleet", Count(notes=tuple(notes)), 0)
        return 0
    return run_part("fleet", steps, workers=3, notes=notes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

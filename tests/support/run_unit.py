# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make unit: pytest on the controller's Python, on the oldest Python of a server, and with a second ansible-core."""

from __future__ import annotations

import sys

from run_steps import BIN, CACHE, ROOT, Step, pytest_step, run_part, setup

# What runs on servers: these must import and work on Python 3.9, without ansible-core.
SERVER_SIDE = "tests/unit/plugins/module_utils"
# Half of a test's time is waiting, for a limit or for a process that is ended: four at a time keep two cores busy, more make limits be missed.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadgroup"]


def main() -> int:
    setup("venv")
    setup("live")
    notes = []
    steps: list[Step] = [
        pytest_step("ansible-core 2.19", BIN / "python", ["tests/unit"], timeout=900, options=SIDE_BY_SIDE)
    ]
    if setup("venv39") == 0:
        if (ROOT / SERVER_SIDE).exists():
            steps.append(
                pytest_step(
                    "Python 3.9", CACHE / "venv39" / "bin" / "python", [SERVER_SIDE], timeout=900, options=SIDE_BY_SIDE
                )
            )
    else:
        notes.append(
            "NOT TESTED: no Python 3.9 on this machine: what runs on servers was not tried on the oldest Python that it supports"
        )
    if setup("venv221") == 0:
        # The third of three long steps would be alone at the end, so it is two.
        newest = CACHE / "venv221" / "bin" / "python"
        steps.append(
            pytest_step("ansible-core 2.21, servers' part", newest, [SERVER_SIDE], timeout=900, options=SIDE_BY_SIDE)
        )
        steps.append(
            pytest_step(
                "ansible-core 2.21, the rest",
                newest,
                ["tests/unit", "--ignore=" + SERVER_SIDE],
                timeout=900,
                options=SIDE_BY_SIDE,
            )
        )
    else:
        notes.append("NOT TESTED: ansible-core 2.21 needs Python 3.12 or newer, and none is on this machine")
    return run_part("unit", steps, notes=notes)


if __name__ == "__main__":
    sys.exit(main())

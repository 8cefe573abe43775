# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make unit: pytest, each test where it can say something that it has not said yet.

What runs on servers knows no Ansible: it runs on the oldest Python of a server and on the newest one, and between these nothing comes and goes.
What asks Ansible runs with both ansible-cores. What judges the repository's files, and models that try thousands of states of the same lines, run once.
"""

from __future__ import annotations

import re
import sys

from run_steps import CACHE, ROOT, Step, pytest_step, run_part, setup

UNITS = ROOT / "tests" / "unit"
# What runs on servers: these must import and work on Python 3.9, without ansible-core.
SERVER_SIDE = "tests/unit/plugins/module_utils"
# Thousands of states of a protocol or of a rollout, a thousand histories of deliveries, a fault at each system call of an install, simulations of samples.
# A Python that runs their lines, as the tests beside them do, runs them so; what is only computed is the same on each.
MODELS = (
    SERVER_SIDE + "/_bootstrap/test_protocol_model.py",
    SERVER_SIDE + "/_delivery/test_delivery_differential.py",
    SERVER_SIDE + "/_host/test_host_faults.py",
    SERVER_SIDE + "/_stats/test_stats_judge.py",
    SERVER_SIDE + "/_stats/test_stats_tail.py",
    "tests/unit/plugins/plugin_utils/test_fleet_model.py",
)
# Of SERVER_SIDE what asks ansible-core, and is skipped where there is none.
ASKS_ANSIBLE = (SERVER_SIDE + "/test_ansible.py", SERVER_SIDE + "/_modules/test_modules_look.py")
# Half of a test's time is waiting, for a limit or for a process that is ended: four at a time keep two cores busy, more make limits be missed.
# A file's tests stay together, with what they share: groups of xdist 3.8 are none with pytest 9.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile"]


def step(name: str, venv: str, *paths: str, without: tuple[str, ...] = ()) -> Step:
    options = [*SIDE_BY_SIDE, *("--ignore=" + path for path in without)]
    return pytest_step(name, CACHE / venv / "bin" / "python", [*paths], timeout=900, options=options)


def of_the_repository() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in UNITS.glob("test_repo_*.py"))


def asks_ansible(path: str) -> bool:
    """Whether it imports Ansible, or plays something with it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return bool(
        re.search(
            r"^ *(from|import) ansible[. ]|^pytest.importorskip\(.ansible.\)|\bansible\.cli\b", text, re.MULTILINE
        )
    )


def steps(oldest: bool, newest: bool) -> list[Step]:
    """oldest, newest: whether there is a Python 3.9, and an ansible-core 2.21. What one of them would run, 2.19 does where it is not there."""
    repository = of_the_repository()
    plugins = sorted(str(path.relative_to(ROOT)) for path in (UNITS / "plugins").iterdir() if path.name[0] != "_")
    rest = [path for path in plugins if path != SERVER_SIDE]
    found = []
    if oldest:
        found.append(step("Python 3.9", "venv39", SERVER_SIDE, without=(*MODELS, *ASKS_ANSIBLE)))
    if oldest and newest:
        models = [path for path in MODELS if path.startswith(SERVER_SIDE)]
        found.append(step("ansible-core 2.19", "venv", *models, *rest, *ASKS_ANSIBLE, *repository))
    else:
        found.append(step("ansible-core 2.19", "venv", "tests/unit"))
    if newest:
        # The last of three long steps would be alone at the end, so it is two.
        found.append(step("ansible-core 2.21, servers' part", "venv221", SERVER_SIDE, without=MODELS))
        found.append(
            step("ansible-core 2.21, the rest", "venv221", *rest, *filter(asks_ansible, repository), without=MODELS)
        )
    return found


def main() -> int:
    setup("venv")
    setup("live")
    notes = []
    oldest, newest = setup("venv39") == 0, setup("venv221") == 0
    if not oldest:
        notes.append(
            "NOT TESTED: no Python 3.9 on this machine: what runs on servers was not tried on the oldest Python that it supports"
        )
    if not newest:
        notes.append("NOT TESTED: ansible-core 2.21 needs Python 3.12 or newer, and none is on this machine")
    return run_part("unit", steps(oldest, newest), notes=notes)


if __name__ == "__main__":
    sys.exit(main())

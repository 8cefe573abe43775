# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first hour of somebody who has only the README, in figures: `python tests/bench/first_hour.py PART…` (.cache/figures/first_hour.json).

lines: how many lines a plain `ansible-playbook` prints for a deploy to three hosts, and for one that has nothing to do.
cases: what a project and its servers bring along, each case with the tests that hold it, and what no test holds (first_hour_cases.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "bench")]
from figures import record
from first_hour_cases import CASES, UNCOVERED, gone, held
from ports import free_ports

HOSTS = ("h1", "h2", "h3")


class Desk:
    """Three nodes on this machine, run by their own daemons, and nothing configured: no ansible.cfg, no environment of Ansible's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ports = free_ports(2 * len(HOSTS))
        health = {
            "http": {
                "url": "http://127.0.0.1:{{ beam_port }}/health",
                "json": {"version": "{{ rollout_expected_version }}"},
            },
            "stable": 1,
        }
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "beam_name": "beacon",
            "beam_repo": str(directory / "repo"),
            "beam_build_dir": str(directory / "build"),
            "beam_store": "file://%s" % (directory / "store"),
            "beam_manager": "daemon",
            "beam_health": health,
        }
        hosts = {
            host: {
                "beam_base": str(directory / "nodes" / host),
                "beam_port": ports[index],
                "beam_env": {"PORT": str(ports[index])},
                "service_node": "beacon_%s@127.0.0.1" % host,
                "service_dist_port": ports[len(HOSTS) + index],
            }
            for index, host in enumerate(HOSTS)
        }
        (directory / "inventory.json").write_text(json.dumps({"all": {"vars": variables}, "beam": {"hosts": hosts}}))
        subprocess.run(
            [sys.executable, str(ROOT / "examples" / "make_versions.py"), str(directory / "repo")],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def play(self, name: str, *words: str) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "alchemist.beam." + name, *words],
            cwd=self.directory,
            env={**kept, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "live"), "HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit("%s ended with %d\n%s" % (name, done.returncode, done.stdout))
        return done.stdout


def lines() -> dict[str, t.Any]:
    with tempfile.TemporaryDirectory(prefix="first-hour-") as place:
        desk = Desk(Path(place))
        desk.play("setup")
        try:
            desk.play("deploy", "-e", "beam_ref=v0.1.0")
            moved = desk.play("deploy", "-e", "beam_ref=v0.2.0")
            idle = desk.play("deploy", "-e", "beam_ref=v0.2.0")
            print(moved, idle, sep="\n", flush=True)
            return {"lines_deploy_three_hosts": len(moved.splitlines()), "lines_nothing_to_do": len(idle.splitlines())}
        finally:
            desk.play("stop")


def cases() -> dict[str, t.Any]:
    there = held()
    for case in CASES:
        print("%-5s %s%s" % (case.number, case.name, "" if case in there else "  (NOT HELD)"))
        print("".join("      %s\n" % test for test in case.tests), end="")
    print("In no test:", *UNCOVERED, *("gone: " + test for test in gone()), sep="\n  ")
    print("%d of %d cases have a test" % (len(there), len(CASES)))
    tests = {test for case in there for test in case.tests}
    record("first_hour", cases_in_no_test=list(UNCOVERED))
    return {
        "cases": len(CASES),
        "cases_with_a_test": len(there),
        "cases_tests": len(tests),
        "cases_in_no_test_count": len(UNCOVERED),
    }


PARTS: dict[str, t.Callable[[], dict[str, t.Any]]] = {"cases": cases, "lines": lines}


def main(words: t.Sequence[str]) -> None:
    unknown = set(words) - set(PARTS)
    if unknown or not words:
        sys.exit("usage: first_hour.py %s" % " | ".join(sorted(PARTS)))
    for word in words:
        found = PARTS[word]()
        record("first_hour", **found)
        for name, value in found.items():
            print("%s: %s" % (name, value), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

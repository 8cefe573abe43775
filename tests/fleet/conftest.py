# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet for a test file: its own name, started before the file's first test, ended after its last."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "fleet" / "hosts"))
CACHE = ROOT / ".cache" / "fleet"


class Hosts:
    """The command line of tests/fleet/fleet, as a test speaks it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = CACHE / name

    def try_fleet(self, *words: str, timeout: float = 600, **more: t.Any) -> subprocess.CompletedProcess[str]:
        cli = importlib.import_module("cli")
        if words[0] in cli.ASKING and not more:
            return subprocess.CompletedProcess(words, *cli.ask(["--name", self.name, *words], timeout))
        return self.command(*words, timeout=timeout, **more)

    def command(self, *words: str, timeout: float = 600, **more: t.Any) -> subprocess.CompletedProcess[str]:
        """The command line itself, as a person types it."""
        argv = [str(ROOT / "tests" / "fleet" / "fleet"), "--name", self.name, *words]
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            **more,
        )

    def fleet(self, *words: str, **more: t.Any) -> str:
        done = self.try_fleet(*words, **more)
        assert done.returncode == 0, "fleet %s: exit code %d\n%s" % (" ".join(words), done.returncode, done.stdout)
        return done.stdout

    def on(self, host: str, *argv: str) -> str:
        return self.fleet("exec", host, *argv)

    def shell(self, host: str, script: str) -> str:
        return self.fleet("exec", host, "sh", "-c", script)

    def control(self, *argv: str, **more: t.Any) -> str:
        return self.fleet("run", "--", *argv, **more)

    def status(self) -> dict[str, dict[str, t.Any]]:
        return self.services()["hosts"]

    def services(self) -> dict[str, t.Any]:
        """`hosts`, and how each service that was asked for is reached: `balancer`, `s3`, `aws`."""
        return json.loads(self.fleet("status", "--json"))


def _end_the_forgotten() -> None:
    """Fleets of test runs that were killed: their names carry the process id of the run."""
    for directory in CACHE.glob("t*"):
        owner = re.fullmatch(r"t([0-9]+)", directory.name)
        if owner and directory.is_dir() and not Path("/proc", owner.group(1)).exists():
            Hosts(directory.name).fleet("down")


@pytest.fixture(scope="module")
def hosts() -> t.Iterator[Hosts]:
    _end_the_forgotten()
    made = Hosts("t%d" % os.getpid())
    try:
        yield made
    finally:
        made.fleet("down")
        made.directory.with_name(made.name + ".lock").unlink(missing_ok=True)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phases 0 and 1 of docs/journey.md: everything on this machine, in a home of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from journey import script


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[[str], str]:
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        "HOME": str(home),
        "ALCHEMIST": str(ROOT),
        "BEAM_REPO": str(home / "beacon-repo"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(ROOT / ".cache" / "live"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "advice.detachedHead",
        "GIT_CONFIG_VALUE_0": "false",
    }

    def run(phase: str) -> str:
        done = subprocess.run(
            ["bash", "-c", script(phase)],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout)
        assert done.returncode == 0
        return done.stdout

    return run


def test_phase_0_iex(shell: t.Callable[[str], str]) -> None:
    # Elixir inspects a charlist as '0.1.0' or, since 1.15, as ~c"0.1.0".
    assert re.search(r"""\[(~c)?["']0\.1\.0["']\]""", shell("phase-0"))


def test_phase_1_daemon(shell: t.Callable[[str], str]) -> None:
    said = shell("phase-1")
    assert '"version":"0.1.0"' in said.replace(" ", "")
    assert "runs on 1 of 1 hosts" in said

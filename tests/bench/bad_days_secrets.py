# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of eleven kinds in twelve places, on a host of the fleet (as root): tests/fleet/test_secrets.py, which prints its table and keeps the figure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    argv = [sys.executable, "-m", "pytest", "-q", "-s", "--tb=short", "tests/fleet/test_secrets.py", *arguments]
    environment = {**os.environ, "PATH": "%s:%s" % (Path(sys.executable).parent, os.environ.get("PATH", os.defpath))}
    return subprocess.run(argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode

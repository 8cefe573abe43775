# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The integration and the fleet as one part: run_real.py --first for make test, --rest for make test-fleet. So two cores are busy to the end."""

from __future__ import annotations

import sys

from run_fleet import hosts
from run_integration import real_parts
from run_steps import run_part, setup


def main(words: list[str]) -> int:
    setup("packages")
    setup("venv")
    setup("live")
    # Files of the fleet are the longest, so they begin.
    fleet, notes = hosts(words)
    with real_parts(words) as (targets, more):
        return run_part("real", [*fleet, *targets], workers=3, notes=[*notes, *more])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

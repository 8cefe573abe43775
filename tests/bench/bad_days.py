# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad days in figures, one command for each: `PYTHONPATH=.cache/live python tests/bench/bad_days.py PART [OPTIONS]`.

A part is the file bad_days_PART.py beside this one, with a function main(arguments): it prints its rows and merges its figures into
.cache/figures/bad_days.json. Its return value is the exit code.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    parts = sorted(path.stem[len("bad_days_") :] for path in HERE.glob("bad_days_*.py"))
    if not arguments or arguments[0] not in parts:
        print("%s\nParts: %s" % (__doc__, ", ".join(parts)))
        return 2
    from bench import machine
    from figures import record

    print(machine(), flush=True)
    record("bad_days", machine=machine())
    return int(importlib.import_module("bad_days_" + arguments[0]).main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make test: every part, a table, and a closing line that says how many tests passed and failed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import typing as t

from run_steps import CACHE, ROOT, setup

PARTS = ("lint", "unit", "sanity", "integration", "fleet")


def main() -> int:
    began = time.monotonic()
    setup("packages")
    setup("venv")
    failed_parts = []
    rows: list[tuple[str, float, dict[str, t.Any]]] = []
    passed = failed = 0
    for part in PARTS:
        print("\n== %s" % part, flush=True)
        result = CACHE / "results" / (part + ".json")
        result.unlink(missing_ok=True)
        started = time.monotonic()
        code = subprocess.call([sys.executable, str(ROOT / "tests" / "support" / ("run_%s.py" % part))], stdin=subprocess.DEVNULL)
        # A part that died before it could count has failed all the same.
        died = {"passed": 0, "failed": 1, "skipped": 0, "notes": ["died"]}
        counted: dict[str, t.Any] = json.loads(result.read_text(encoding="utf-8")) if result.exists() else died
        if code != 0:
            failed_parts.append(part)
            counted["failed"] = max(1, counted["failed"])
        passed += counted["passed"]
        failed += counted["failed"]
        rows.append((part, time.monotonic() - started, counted))
    print("\n%-12s %9s %8s %8s %8s" % ("part", "seconds", "passed", "failed", "skipped"))
    for part, seconds, counted in rows:
        print("%-12s %9.1f %8d %8d %8d" % (part, seconds, counted["passed"], counted["failed"], counted["skipped"]))
        for note in counted["notes"]:
            print("             ! %s" % note)
    print("%-12s %9.1f %8d %8d" % ("all", time.monotonic() - began, passed, failed))
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed or failed_parts or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make test and make test-fleet: parts one after the other, tables, and a closing line that says how many tests passed and failed.

run_test.py test | test-fleet runs one of them, and leaves what it took in .cache/figures/tests.json; run_test.py total says the closing line over both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import typing as t

from run_figures import forget, print_run, remember, total
from run_steps import CACHE, ROOT, heed_interrupts, setup

# The cheapest first: whoever broke a line's style does not wait for a fleet to hear of it. The first part that fails ends the run.
RUNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "test": (("lint",), ("sanity",), ("unit",), ("real", "--first")),
    "test-fleet": (("real", "--rest"),),
}


def run_one(part: str, *words: str) -> dict[str, t.Any]:
    result = CACHE / "results" / (part + ".json")
    result.unlink(missing_ok=True)
    started = time.monotonic()
    argv = [sys.executable, str(ROOT / "tests" / "support" / ("run_%s.py" % part)), *words]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # Its hosts and servers are taken down before this ends. After Ctrl-C it has heard of it already, and does not heed another one.
        process.terminate()
        process.wait()
        raise
    # A part that died before it could count has failed all the same.
    counted: dict[str, t.Any] = {"passed": 0, "failed": 1, "skipped": 0, "notes": ["died"]}
    if result.exists():
        counted = json.loads(result.read_text(encoding="utf-8"))
    if code != 0:
        counted["failed"] = max(1, counted["failed"])
    return {"part": part, **counted, "seconds": round(time.monotonic() - started, 1)}


def run(name: str) -> int:
    began = time.monotonic()
    forget(name)
    heed_interrupts()
    setup("packages")
    setup("venv")
    parts: list[dict[str, t.Any]] = []
    left = list(RUNS[name])
    while left and not any(part["failed"] for part in parts):
        words = left.pop(0)
        print("\n== %s" % words[0], flush=True)
        parts.append(run_one(*words))
    made = {
        "seconds": round(time.monotonic() - began, 1),
        "passed": sum(part["passed"] for part in parts),
        "failed": sum(part["failed"] for part in parts),
        "not_run": [words[0] for words in left],
        "parts": parts,
    }
    remember(name, made)
    print_run(made)
    return 1 if made["failed"] or not made["passed"] else 0


if __name__ == "__main__":
    try:
        code = total(tuple(RUNS)) if sys.argv[1:] == ["total"] else run(sys.argv[1])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)

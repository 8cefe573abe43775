# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts of real hosts under load, with large numbers; and what a rollout costs beside what its nodes take.

    python tests/bench/rollout.py load    five hosts, at least 100,000 requests over one rollback and three rollouts
    python tests/bench/rollout.py time    ten hosts in batches of two, without load

As root, after `make setup`. Figures go to .cache/figures/rollout.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fleet"), str(ROOT / "tests" / "bench")]

from conftest import Hosts
from figures import record
from line import Line
from loaded import cost, measure, variables


def shape() -> str:
    return "%d cores, load %.1f" % (os.cpu_count() or 0, os.getloadavg()[0])


def load(line: Line, options: argparse.Namespace) -> int:
    words = [
        "--rate",
        str(options.rate),
        "--slow",
        "%d:5000" % options.slow,
        "--stream",
        "%d:10000" % options.streams,
        "--drain-ms",
        "30000",
    ]
    found = measure(line, words, least=options.requests)
    figures = found.figures()
    record("rollout", **figures, load_shape=shape())
    for name, value in figures.items():
        print("%-22s %s" % (name, value))
    return 1 if figures["failed_requests"] or figures["abnormal_closes"] else 0


def timed(line: Line, _options: argparse.Namespace) -> int:
    begun = time.monotonic()
    line.playbook("rollout", "-e", "beam_version=0.1.0", "-e", '{"beam_force": true}')
    found = cost(line.report(), time.monotonic() - begun)
    record(
        "rollout",
        **{"time_%d_hosts_%s" % (len(line.names), name): round(value, 2) for name, value in found.items()},
        time_shape=shape(),
    )
    for name, value in found.items():
        print("%-22s %.2f" % (name, value))
    return 0 if found["whole_ratio"] <= 1.3 else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["load", "time"])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=300, help="quick requests per second")
    parser.add_argument("--slow", type=int, default=10, help="clients with requests of 5 s")
    parser.add_argument("--streams", type=int, default=200, help="open streams of 10 s")
    options = parser.parse_args()
    names = ["h%d" % (number + 1) for number in range(5 if options.what == "load" else 10)]
    hosts = Hosts("b%d" % os.getpid())
    with tempfile.TemporaryDirectory(prefix="beam-rollout-") as directory:
        try:
            hosts.fleet("up", str(len(names)), "--balancer", timeout=580)
            line = Line(hosts, Path(directory), names, **variables([1, 2] if options.what == "load" else [2]))
            line.prepare()
            line.playbook("setup")
            for version in ("v0.1.0", "v0.2.0"):
                line.playbook(
                    "deploy",
                    "-e",
                    "beam_ref=" + version,
                    "-e",
                    '{"beam_batches": ["100%"], "beam_strategy": "all_at_once"}',
                )
            return (load if options.what == "load" else timed)(line, options)
        finally:
            hosts.fleet("down")
            hosts.directory.with_name(hosts.name + ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())

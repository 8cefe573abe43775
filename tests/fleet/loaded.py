# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts under load: every request counted, and a witness of its own that looks at the balancer ten times a second.

`measure` is used with small numbers by test_rollout.py, and with large ones by tests/bench/rollout.py.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from line import ROOT, Line

FRONT = "http://10.99.0.1:8080"
# One rollback and three rollouts, from 0.2.0 and back to it. What was rolled back is a ghost, and has to be forced once.
MOVES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("rollback", (), "0.1.0"),
    ("rollout", ("-e", "beam_version=0.2.0", "-e", '{"beam_force": true}'), "0.2.0"),
    ("rollout", ("-e", "beam_version=0.1.0", "-e", '{"beam_force": true}'), "0.1.0"),
    ("rollout", ("-e", "beam_version=0.2.0", "-e", '{"beam_force": true}'), "0.2.0"),
)


def variables(batches: t.Sequence[t.Any]) -> dict[str, t.Any]:
    return {
        "beam_batches": list(batches),
        "beam_balancers": [
            {"kind": "haproxy", "address": "{{ fleet_balancer.socket }}", "backends": ["{{ fleet_balancer.backend }}"]}
        ],
        "service_env": {"PORT": "4000", "BEACON_IP": "0.0.0.0"},
    }


class Witness:
    """How many servers the balancer sends requests to, asked of the balancer itself."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lowest = 1 << 30
        self.samples = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def serving(self) -> int:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(self.path)
            sock.sendall(b"show stat\n")
            data = b""
            while chunk := sock.recv(65536):
                data += chunk
        lines = data.decode().lstrip("# ").splitlines()
        names = lines[0].split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return sum(row["svname"] not in ("FRONTEND", "BACKEND") and row["status"].startswith("UP") for row in rows)

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            self.lowest = min(self.lowest, self.serving())
            self.samples += 1

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        self._thread.join()


@dataclass
class Measured:
    load: dict[str, t.Any] = field(default_factory=dict)
    reports: list[dict[str, t.Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lowest: int = 0
    samples: int = 0

    def figures(self) -> dict[str, t.Any]:
        streams = self.load["clients"].get("stream", {})
        return {
            "requests": self.load["requests"],
            "failed_requests": self.load["failed"],
            "requests_per_second": self.load["rate"],
            "streams": streams.get("requests", 0),
            "abnormal_closes": streams.get("failed", 0),
            "streams_cut": streams.get("cut", 0),
            "moves": len(self.reports),
            "lowest_in_service": self.lowest,
            "service_samples": self.samples,
        }


def measure(
    line: Line,
    words: t.Sequence[str],
    moves: t.Sequence[tuple[str, tuple[str, ...], str]] = MOVES,
    least: int = 0,
    say: t.Callable[[str], None] = print,
) -> Measured:
    """All moves, and again until there were `least` requests. words: of load.py."""
    found = Measured()
    out = line.directory / "load.json"
    argv = [
        str(ROOT / "tests" / "fleet" / "fleet"),
        "--name",
        line.hosts.name,
        "run",
        "--",
        "python",
        str(ROOT / "tests" / "fleet" / "load.py"),
        FRONT,
    ]
    with (
        Witness("/run/beam-fleet/%s/haproxy.sock" % line.hosts.name) as witness,
        (line.directory / "load.log").open("w") as log,
    ):
        load = subprocess.Popen(
            [*argv, *words, "--out", str(out)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until_it_flows(out)
            rounds = 0
            while rounds == 0 or _count(out) < least:
                for name, more, version in moves:
                    begun = time.monotonic()
                    line.playbook(name, *more)
                    found.seconds.append(time.monotonic() - begun)
                    line.assert_all_run(version)
                    found.reports.append(line.report())
                    say("%-8s to %s in %.0f s; %d requests so far" % (name, version, found.seconds[-1], _count(out)))
                rounds += 1
        finally:
            load.send_signal(signal.SIGTERM)
            load.wait(timeout=120)
    found.lowest, found.samples = witness.lowest, witness.samples
    found.load = json.loads(out.read_text(encoding="utf-8"))
    return found


def until_it_flows(out: Path, seconds: float = 240) -> None:
    """Requests are made, and what comes of them is written."""
    deadline = time.monotonic() + seconds
    while not _count(out):
        assert time.monotonic() < deadline, "no load within %d s" % seconds
        time.sleep(0.1)


def _count(out: Path) -> int:
    try:
        return int(json.loads(out.read_text(encoding="utf-8"))["requests"])
    except (FileNotFoundError, ValueError):
        return 0


def cost(report: t.Mapping[str, t.Any], wall: float) -> dict[str, float]:
    """What a rollout took beside what its nodes took: the slowest host of each batch counts, drain + stop + boot + gate."""

    def slowest(*of: str) -> float:
        batches = [[row for row in report["rows"] if row["host"] in batch["hosts"]] for batch in report["batches"]]
        return sum(max(sum(row[step] or 0 for step in of) for row in mine) for mine in batches)

    nodes = slowest("drain", "stop", "boot", "gate")
    staged = [s["seconds"] for row in report["rows"] for s in row["steps"] if s["step"] == "stage"]
    steps = [
        (s["start"], s["start"] + s["seconds"]) for row in report["rows"] for s in row["steps"] if s["step"] != "stage"
    ]
    batches = max(end for _start, end in steps) - min(start for start, _end in steps)
    own = (batches - nodes) / len(report["batches"])
    ratios = {"batches_ratio": batches / nodes, "whole_ratio": wall / nodes}
    return {
        "nodes_seconds": nodes,
        "batches_seconds": batches,
        "whole_seconds": wall,
        "own_seconds_per_batch": own,
        "restarts_seconds": slowest("stop", "boot", "gate"),
        "joins_seconds": slowest("join"),
        "stage_seconds": max(staged, default=0.0),
        **ratios,
    }

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures, side by side in one run: `make bench`. ROUNDS=1 for a quick look, or name parts: transfer, deploy, node."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from common import CACHE, ROOT, ROUNDS, releases, say, tools

FIGURES = ROOT / ".cache" / "figures" / "core.json"
# name -> (limit, what it is)
LIMITS = {
    "delta_bytes_ratio": (0.03, "bytes fetched for a second version, of its tarball"),
    "delta_wall_vs_s3cmd": (1 / 3, "a second version, to s3cmd get + tar xzf"),
    "first_wall_vs_s5cmd": (1.1, "a first install, to s5cmd cp + tar xzf"),
    "republish_seconds": (1.0, "publish of an unchanged tree, in seconds"),
    "republish_writes": (0, "writes of it"),
    "publish_delta_bytes_ratio": (0.03, "bytes sent for a second version, of the first's"),
    "deploy10_vs_ssh_loop": (1.5, "a deploy to 10 hosts, to a parallel ssh loop of curl | tar, ln"),
    "deploy10_vs_playbook": (1 / 6, "the same, to a plain playbook"),
    "info_ms": (300, "beam_info of a running node, in milliseconds"),
    "restart_overhead_ms": (300, "outage of a restart without the VM's own stop and boot, in milliseconds"),
    "demo_seconds": (90, "make demo, in seconds (as its last run noted)"),
}
DEMO = FIGURES.with_name("demo-file.json")


def s3_server() -> t.Any:
    spec = importlib.util.spec_from_file_location("s3_server", ROOT / "tests" / "support" / "s3_server.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["s3_server"] = module
    spec.loader.exec_module(module)
    return module


def machine() -> str:
    with open("/proc/meminfo", encoding="ascii") as stream:
        memory = int(stream.readline().split()[1]) / 1024**2
    with open("/etc/os-release", encoding="utf-8") as stream:
        system = (
            dict(line.strip().split("=", 1) for line in stream if "=" in line).get("PRETTY_NAME", "Linux").strip('"')
        )
    return "%d cores, %.0f GB, %s, Linux %s, Python %s, load %s" % (
        os.cpu_count() or 0,
        memory,
        system,
        platform.release().split("-")[0],
        platform.python_version(),
        " ".join("%.1f" % n for n in os.getloadavg()),
    )


def keep(figures: t.Mapping[str, float]) -> None:
    """Beside what other programs noted there."""
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known.update({name: round(value, 4) for name, value in figures.items()})
    FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def main(parts: list[str]) -> int:
    # Leaves by the way of every other end: processes and directories go.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))
    CACHE.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    figures: dict[str, float] = {}
    say(machine())
    say("building the release in two versions (cached in .cache/bench)")
    first, second = releases()
    say("%s: %d files, %.1f MB; rounds: %d" % (first.version, first.files, first.bytes / 1e6, ROUNDS))
    with tempfile.TemporaryDirectory(prefix="beam-bench-") as place, s3_server().running(Path(place) / "s3") as server:
        from transfer import Shop, measure_fetch, measure_publish

        shop = Shop(server, Path(place))
        try:
            measure_publish(shop, first, second, figures)
            if "node" in parts:
                from node import measure_node

                measure_node(first, Path(place) / "node", figures)
            if "transfer" in parts:
                measure_fetch(shop, tools(), first, second, figures)
            if "deploy" in parts:
                from deploy import measure_deploy

                measure_deploy(shop, first, second, Path(place) / "deploy", figures)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is left to do is to clear up
    if DEMO.exists():
        figures["demo_seconds"] = json.loads(DEMO.read_text())["demo_seconds"]
    keep(figures)
    say("\n%s; %d s in all" % (machine(), time.monotonic() - begun))
    say("%-6s %-28s %9s  %9s" % ("", "figure", "measured", "aim: <="))
    missed = 0
    for name, value in figures.items():
        limit, what = LIMITS[name]
        missed += value > limit
        say("%-6s %-28s %9.4f  %9.4f  %s" % ("ok" if value <= limit else "MISSED", name, value, limit, what))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["transfer", "deploy", "node"]))

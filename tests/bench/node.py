# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real node of the large release: what a look at it takes, and what a restart adds to the VM's own stop and boot."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import sys
import typing as t
from pathlib import Path

from common import ROOT, ROUNDS, Release, rounds, say
from transfer import run

INFO = (
    "import json, sys\nfrom ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon\n"
    "from ansible_collections.alchemist.beam.plugins.module_utils._node.info import gather\n"
    "base = sys.argv[1]\nprint(json.dumps(gather(base, 'beacon', Daemon(base, 'beacon').status())))\n"
)


def measure_node(first: Release, place: Path, figures: dict[str, float]) -> None:
    sys.path.insert(0, str(ROOT / "tests" / "integration" / "targets" / "setup_node"))
    from node_site import Site
    from ports import free_port

    shutil.copytree(first.tree, place / "releases" / "0.1.0")
    site = Site(place / "site", place / "releases", free_port())
    with contextlib.ExitStack() as stack:
        stack.callback(site.clean)
        site.run("started", boot_timeout=60)

        def info() -> None:
            facts: dict[str, t.Any] = json.loads(run([sys.executable, "-c", INFO, str(site.base)]))
            assert facts["answers"], facts

        measured = rounds({"beam_info": (lambda: None, info)})
        measured.table("A look at a node, Python's start included", "beam_info")
        figures["info_ms"] = 1000 * measured["beam_info"]
        added = []
        for _round in range(ROUNDS):
            seconds = site.run(force=True, stop_timeout=30, boot_timeout=60).facts()["seconds"]
            added.append(1000 * (seconds["outage"] - seconds["stop"] - seconds["boot"]))
            say(
                "  restart: outage %.3f s, of which stop %.3f s and boot %.3f s"
                % (seconds["outage"], seconds["stop"], seconds["boot"])
            )
        figures["restart_overhead_ms"] = statistics.median(added)

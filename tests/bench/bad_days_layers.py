# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it costs to read the layers that a second version links: the install of one with and without, and what was read.

A release of 2,300 files and 26 MB, of which a second version changes two modules; a directory as the store; each install is a process of its own,
Python's start included, as release_install is. What Ansible adds (a connection, the start of a task) is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from figures import record

ARTIFACT = {
    "state": "present",
    "exclude": [],
    "pinned": None,
    "keep": 10,
    "keep_days": 0,
    "min_layer_age": 24,
    "dest": None,
}
PROGRAM = """
import json, sys, time
from ansible_collections.alchemist.beam.plugins.module_utils._host import verify
from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source
base, store, version, how = sys.argv[1:]
real, spent = verify.Reading.rotten, []
def rotten(self, layout, layers):
    begun = time.perf_counter()
    found = real(self, layout, layers) if how == "read" else {}
    spent.append(time.perf_counter() - begun)
    return found
verify.Reading.rotten = rotten
result = install(Request(Wanted("shop", version=version), base, "active"), lambda: open_source({"store": store}))
print(json.dumps({"fetched": result["layers"]["fetched"], "reused": result["layers"]["reused"], "reading": spent}))
"""


def make(root: Path, version: str, files: int, size: int) -> None:
    for index in range(files):
        content = random.Random("%d%s" % (index, version if index < 2 else "")).randbytes(size)
        directory = "lib/shop-%s/ebin" % version if index < files // 10 else "lib/dep%d-1.0.0/ebin" % (index % 48)
        path = root / directory / ("m%d.beam" % index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    shell, data = "#!/bin/sh\n", "13.1 " + version
    for path, text in (
        ("bin/shop", shell),
        ("erts-13.1/bin/erl", shell),
        ("releases/start_erl.data", data),
        ("releases/%s/env.sh" % version, shell),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def run(base: Path, store: str, version: str, how: str) -> tuple[float, dict[str, t.Any]]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(base), store, version, how],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    return time.perf_counter() - begun, json.loads(done.stdout)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bad_days.py layers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--files", type=int, default=2300)
    parser.add_argument("--bytes", type=int, default=11_500, help="of each file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="beam-layers-") as place:
        top = Path(place)
        store = "file://%s" % (top / "store")
        (top / "store").mkdir()
        for version in ("1.0.0", "1.1.0"):
            make(top / version, version, options.files, options.bytes)
            run_artifact(
                {"store": store, **ARTIFACT, "name": "shop", "version": version, "path": str(top / version)}, False
            )
        run(top / "base", store, "1.0.0", "read")
        seconds: dict[str, list[float]] = {"read": [], "trust": []}
        reading: list[float] = []
        result: dict[str, t.Any] = {}
        for _round in range(options.rounds):
            for how, found in seconds.items():
                base = top / "again"
                subprocess.run(["cp", "-a", str(top / "base"), str(base)], check=True)
                os.sync()
                taken, said = run(base, store, "1.1.0", how)
                found.append(taken)
                if how == "read":
                    result = said
                    reading.append(sum(said["reading"]))
                shutil.rmtree(base)
    with_it, without = statistics.median(seconds["read"]), statistics.median(seconds["trust"])
    print(
        "a second version of %d files, %.1f MB (%d layers reused, %d fetched); medians of %d rounds, load %.1f"
        % (
            options.files,
            options.files * options.bytes / 1e6,
            result["reused"],
            result["fetched"],
            options.rounds,
            os.getloadavg()[0],
        )
    )
    print("  layers read, then linked      %6.3f s" % with_it)
    print("  layers linked without a look  %6.3f s" % without)
    print("  reading and hashing           %6.3f s" % statistics.median(reading))
    print("  reading costs                 %6.1f %% of the install" % (100 * (with_it - without) / without))
    record(
        "bad_days",
        reread_seconds=statistics.median(reading),
        reread_install_seconds=with_it,
        reread_share_of_install=(with_it - without) / without,
    )
    return 0

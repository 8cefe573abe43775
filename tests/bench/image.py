# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image of a second version costs, beside the one layer that COPY of a release makes in a Dockerfile.

    PATH=.cache/venv/bin:$PATH PYTHONPATH=.cache/live python tests/bench/image.py

Two versions of the example as it is (image_...), and of the large one with generated modules of random bytes, which no zlib makes smaller (image_large_...).
Debian's registry and skopeo, all on this machine. The other side is the cheapest that a Dockerfile can be: tar and gzip of
the tree as one layer over the same base, pushed by the same skopeo, without the time of a build. Bytes are those in the registry's log. Figures go to
.cache/figures/kubernetes.json. Exit status 1 if an aim is missed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "support")]

from ansible_collections.alchemist.beam.plugins.module_utils._image.image import run_image
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from base_image import write_layout
from common import ROUNDS, releases, say
from figures import record
from registry import NEEDS, Registry, skopeo
from releases import lay_out

AIMS = {"push_bytes_ratio": 0.02, "push_seconds_ratio": 0.1, "pull_bytes_ratio": 0.02}
EXAMPLE = ("0.1.0", "0.2.0")


def one_layer(base: Path, tree: Path, directory: Path) -> Path:
    """A layout of the base and the whole tree as one layer, as COPY makes it."""
    shutil.copytree(base, directory, copy_function=shutil.copy)
    blobs = directory / "blobs" / "sha256"
    packed = directory / "layer.tar.gz"
    with packed.open("wb") as out:
        tar = subprocess.Popen(["tar", "-C", str(tree.parent), "-cf", "-", tree.name], stdout=subprocess.PIPE)
        subprocess.run(["gzip", "-n", "-6"], stdin=tar.stdout, stdout=out, check=True, timeout=300)
        tar.wait(60)
    data = packed.read_bytes()
    index = json.loads((directory / "index.json").read_text())

    def blob(row: dict[str, t.Any]) -> dict[str, t.Any]:
        return dict(json.loads((blobs / row["digest"].rpartition(":")[2]).read_bytes()))

    def put(content: bytes, row: dict[str, t.Any]) -> dict[str, t.Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {**row, "digest": "sha256:" + digest, "size": len(content)}

    row = index["manifests"][0]
    manifest = blob(row)
    config = blob(manifest["config"])
    config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(gzip.decompress(data)).hexdigest())
    manifest["layers"].append(put(data, manifest["layers"][0]))
    manifest["config"] = put(json.dumps(config).encode(), manifest["config"])
    index["manifests"] = [put(json.dumps(manifest).encode(), row)]
    (directory / "index.json").write_text(json.dumps(index))
    return directory


def served(log: str) -> int:
    """Bytes of blobs that the registry gave."""
    return sum(int(size) for size in re.findall(r'"GET /v2/\S+/blobs/\S+ HTTP/1.1" 200 (\d+)', log))


class Side:
    """One way to bring two versions into a registry, and onto a node that has the first."""

    def __init__(self, name: str, directory: Path, push: t.Callable[[Registry, int], str]) -> None:
        self.name = name
        self.directory = directory
        self.push = push
        self.pushed: list[tuple[float, int]] = []  # of the second version
        self.pulled: list[tuple[float, int]] = []
        self.first: list[tuple[float, int]] = []
        self.digests: set[str] = set()

    def round(self, number: int, base: Path) -> None:
        registry = Registry(self.directory / ("registry-%d" % number))
        try:
            registry.push_base(base, "image")
            images = []
            for index, kept in enumerate((self.first, self.pushed)):
                before, begun = len(registry.uploads()), time.monotonic()
                images.append(self.push(registry, index))
                kept.append((time.monotonic() - begun, registry.sent(before)))
            node = self.directory / ("node-%d" % number)
            (node / "blobs").mkdir(parents=True)
            for index, image in enumerate(images):
                logged, begun = len(registry.log.read_text()), time.monotonic()
                skopeo(
                    "copy",
                    "-q",
                    "--src-tls-verify=false",
                    "--dest-shared-blob-dir",
                    str(node / "blobs"),
                    "docker://" + image,
                    "oci:%s:v" % (node / str(index)),
                )
                if index == 1:
                    self.pulled.append((time.monotonic() - begun, served(registry.log.read_text()[logged:])))
            self.digests.add(images[1].rpartition("@")[2])
        finally:
            registry.stop()


def median(rows: list[tuple[float, int]], column: int) -> float:
    return statistics.median(row[column] for row in rows)


def measure(place: Path, prefix: str, name: str, trees: dict[str, Path]) -> dict[str, float]:
    """trees: the first version and the second one."""
    place.mkdir()
    base = place / "base"
    digest = write_layout(base, set())
    versions = list(trees)
    for number in range(
        ROUNDS
    ):  # each round begins with a store that remembers nothing, so that no digest comes from there
        (place / ("store-%d" % number)).mkdir()
        for version, tree in trees.items():
            store = "file://%s" % (place / ("store-%d" % number))
            run_artifact(
                {"store": store, "state": "present", "path": str(tree), "name": name, "version": version}, False
            )
    current = [0]

    def ours(registry: Registry, index: int) -> str:
        params = {
            "state": "present",
            "store": "file://%s" % (place / ("store-%d" % current[0])),
            "name": name,
            "version": versions[index],
            "image": registry.address + "/image",
            "base": "%s/image@%s" % (registry.address, digest),
            "layers": 20,
            "user": "65532:65532",
            "distribution_port": 9100,
            "validate_registry": False,
            "timeout": 300,
            "cache": str(place / ("cache-%d" % current[0])),
        }
        return str(run_image(params, False)["image"])

    def whole(registry: Registry, index: int) -> str:
        layout = one_layer(base, trees[versions[index]], place / ("layout-%d-%d" % (current[0], index)))
        image = "%s/image:%s" % (registry.address, versions[index])
        skopeo(
            "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", "oci:%s:base" % layout, "docker://" + image
        )
        return image

    mine, other = Side("ours", place / "ours", ours), Side("one layer", place / "whole", whole)
    for number in range(ROUNDS):
        current[0] = number
        for side in (mine, other):
            side.round(number, base)
    say("%s: one layer is %d bytes, pushed in %.2f s" % (prefix, median(other.pushed, 1), median(other.pushed, 0)))
    return {
        "push_bytes": median(mine.pushed, 1),
        "push_bytes_ratio": median(mine.pushed, 1) / median(other.pushed, 1),
        "push_seconds": median(mine.pushed, 0),
        "push_seconds_ratio": median(mine.pushed, 0) / median(other.pushed, 0),
        "first_push_seconds": median(mine.first, 0),
        "first_push_seconds_ratio": median(mine.first, 0) / median(other.first, 0),
        "pull_bytes_ratio": median(mine.pulled, 1) / median(other.pulled, 1),
        "pull_seconds_ratio": median(mine.pulled, 0) / median(other.pulled, 0),
        "digests": len(mine.digests),
    }


def main() -> int:
    lacking = [name for name in NEEDS if not shutil.which(name)]
    if lacking:
        say("NOT MEASURED: %s is not installed (tests/support/setup.sh packages)" % ", ".join(lacking))
        return 1
    bad = False
    with tempfile.TemporaryDirectory(prefix="beam-bench-image-") as name:
        place = Path(name)
        kinds = {
            "image": lay_out(place / "example", EXAMPLE),
            "image_large": {release.version: release.tree for release in releases()},
        }
        for prefix, trees in kinds.items():
            values = measure(place / prefix, prefix, "beacon", trees)
            record(
                "kubernetes", **{"%s_%s" % (prefix, key): value for key, value in values.items()}, image_rounds=ROUNDS
            )
            for key, value in values.items():
                aim = AIMS.get(key)
                missed = aim is not None and value > aim
                bad = bad or missed
                told = "" if aim is None else "   aim %s: %s" % (aim, "MISSED" if missed else "met")
                say("%-36s %12.4f%s" % (prefix + "_" + key, value, told))
            bad = bad or values["digests"] != 1
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Where the files of a release are in an image. Pure: a manifest in, places out.

A version in a path would make a new layer of the same bytes with each version. So an application is at a place without its version
(`app/lib/shop`), and a symbolic link in a small layer of its own leads there from the path that the release knows (`app/lib/shop-1.4.2`).
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections import defaultdict
from dataclasses import dataclass

from .._release.manifest import Manifest

ROOT = "app"
NOTE = ROOT + "/.beam.json"
# Of the way in which an image is made of a release. Another one has other digests.
FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """A member of a layer of an image: a file, a symbolic link (with a target) or an empty directory (without a sha256)."""

    path: str
    mode: int = 0o644
    size: int = 0
    sha256: str = ""
    target: str = ""

    def to_row(self) -> list[t.Any]:
        return [self.path, "%o" % self.mode, self.size, self.sha256, self.target]


@dataclass(frozen=True)
class Placed:
    files: t.Mapping[str, Entry]  # path in the release -> what it is in the image
    links: tuple[Entry, ...]  # from the versioned paths; empty directories too
    note: bytes  # content of NOTE


def _application(directory: str) -> str:
    return directory.split("-", 1)[0]


def moves(manifest: Manifest) -> dict[str, str]:
    """Directory of the release -> its place without a version. Two versions of one application keep their own names."""
    directories = {path.split("/")[1] for path in _all(manifest) if path.startswith("lib/") and path.count("/") > 1}
    by_application: dict[str, list[str]] = defaultdict(list)
    for directory in directories:
        by_application[_application(directory)].append(directory)
    found = {
        "lib/" + same[0]: "lib/" + application
        for application, same in by_application.items()
        if len(same) == 1 and same[0] != application and application
    }
    consolidated = {
        "/".join(path.split("/")[:3])
        for path in _all(manifest)
        if path.startswith("releases/") and "/consolidated/" in path
    }
    consolidated = {path for path in consolidated if path.count("/") == 2 and path.endswith("/consolidated")}
    if len(consolidated) == 1 and not any(path.startswith("releases/consolidated/") for path in _all(manifest)):
        found[consolidated.pop()] = "releases/consolidated"
    return found


def _all(manifest: Manifest) -> list[str]:
    return [*manifest.files(), *(directory + "/" for directory in manifest.directories)]


def place(path: str, moved: t.Mapping[str, str]) -> str:
    """The place of a path of the release in the image."""
    parts = path.split("/")
    for depth in (2, 3):
        start = "/".join(parts[:depth])
        if start in moved and len(parts) > depth:
            return "/".join([ROOT, moved[start], *parts[depth:]])
    return ROOT + "/" + path


def _link(source: str, target: str) -> Entry:
    up = "../" * (source.count("/") - _shared(source, target))
    rest = "/".join(target.split("/")[_shared(source, target) :])
    return Entry(ROOT + "/" + source, 0o777, target=up + rest)


def _shared(one: str, other: str) -> int:
    """How many directories two paths have in common."""
    count = 0
    for left, right in zip(one.split("/")[:-1], other.split("/")[:-1]):
        if left != right:
            break
        count += 1
    return count


def placed(manifest: Manifest, digest: str) -> Placed:
    moved = moves(manifest)
    note = {"name": manifest.name, "version": manifest.version, "digest": digest}
    directories = [Entry(place(path + "/", moved).rstrip("/"), 0o755) for path in manifest.directories]
    links = [_link(source, target) for source, target in moved.items()]
    return Placed(
        {path: Entry(place(path, moved), file.mode, file.size, file.sha256) for path, file in manifest.files().items()},
        tuple(sorted([*links, *directories], key=lambda entry: entry.path)),
        (json.dumps(note, sort_keys=True) + "\n").encode("ascii"),
    )


def key_of(entries: t.Iterable[Entry]) -> str:
    """Of what a layer is made. Equal keys have equal archives, but for the compression."""
    rows = [FORMAT, *(entry.to_row() for entry in entries)]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":"), ensure_ascii=True).encode("ascii")).hexdigest()

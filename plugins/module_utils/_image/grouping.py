# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How the files of a release become the layers of an image. Pure: a manifest in, groups out.

A node pays for each layer that it pulls (a request, a directory, a mount), so there is a budget of layers. What changes with every version, the
project's own code, gets two thirds of it, in the same buckets as in the store. What changes seldom is joined: Erlang and Elixir in few layers,
dependencies by a hash of their name, so that a dependency that moves takes its own layer along and no other. The number of these layers depends
on the budget alone: a release that grows must not shuffle what stayed the same.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections import defaultdict
from dataclasses import dataclass

from .._errors import BeamError
from .._release.layers import OWN_BUCKET, SMALL_APP, SPLIT_APP, TOOLCHAIN, bucket_count
from .._release.manifest import Layer, Manifest
from .places import NOTE, Entry, Placed, key_of

LEAST, USUAL, MOST = 5, 20, 100


@dataclass(frozen=True)
class Group:
    """A layer of an image, before it is packed."""

    title: str
    entries: tuple[Entry, ...]  # sorted by path

    @property
    def key(self) -> str:
        return key_of(self.entries)

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


@dataclass(frozen=True)
class Shares:
    """How a budget is spent, beside one layer for the boot files and one for the links."""

    own: int
    toolchain: int
    dependencies: int


def shares(budget: int) -> Shares:
    if not LEAST <= budget <= MOST:
        raise BeamError(
            "image_layers",
            "layers: %d can't be used" % budget,
            "an image takes from %d to %d layers of a release" % (LEAST, MOST),
            "Leave layers out (of the role oci_layers); %d are right for most" % USUAL,
        )
    rest = budget - 2
    toolchain = max(1, rest // 9)
    own = min(rest * 2 // 3, rest - toolchain - 1)
    return Shares(own, toolchain, rest - own - toolchain)


def _bucket(name: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big") % count


def own_applications(manifest: Manifest) -> set[str]:
    """Directories such as lib/shop-1.4.2 of the project itself. A manifest does not name them, but they are cut in another way than dependencies:
    by the kind of their files, and never together with others.
    """
    by_prefix: dict[str, list[Layer]] = defaultdict(list)
    for layer in manifest.layers:
        if layer.prefix.startswith("lib/"):
            by_prefix[layer.prefix].append(layer)
    return {prefix for prefix, layers in by_prefix.items() if _is_own(prefix, layers, manifest.name)}


def _is_own(prefix: str, layers: t.Sequence[Layer], name: str) -> bool:
    application = prefix.split("/")[1].split("-", 1)[0]
    if application in TOOLCHAIN:
        return False
    size = sum(layer.unpacked_size for layer in layers)
    if application == name or size <= SMALL_APP or len(layers) > 2:
        return True
    if len(layers) == 1:
        return False
    priv = [layer for layer in layers if all(file.path.startswith("priv/") for file in layer.files)]
    others = [layer for layer in layers if not any(file.path.startswith("priv/") for file in layer.files)]
    return not (len(priv) == 1 and len(others) == 1 and size >= SPLIT_APP and priv[0].unpacked_size >= SMALL_APP)


@dataclass(frozen=True)
class _Part:
    """Files that change with every version and that the store has cut by the same hash."""

    name: str
    files: tuple[tuple[str, Entry], ...]  # with what the store's bucket is chosen by

    @property
    def buckets(self) -> int:
        return bucket_count(sum(entry.size for _key, entry in self.files), OWN_BUCKET)


def _cut_own(parts: t.Sequence[_Part], most: int) -> dict[str, list[Entry]]:
    """The largest is halved until all fit: a power of two of the same hash joins whole buckets of the store."""
    counts = {part.name: part.buckets for part in parts}
    while sum(counts.values()) > most and max(counts.values()) > 1:
        largest = max(sorted(counts), key=lambda name: counts[name])
        counts[largest] //= 2
    crowded = sum(counts.values()) > most
    found: dict[str, list[Entry]] = defaultdict(list)
    for part in parts:
        for key, entry in part.files:
            title = (
                "own/%d" % _bucket(part.name, most)
                if crowded
                else "%s/%d" % (part.name, _bucket(key, counts[part.name]))
            )
            found[title].append(entry)
    return found


def group(manifest: Manifest, placed: Placed, budget: int = USUAL) -> list[Group]:
    """Layers from the one that changes least to the one that changes most. The note and the links are the last."""
    share = shares(budget)
    own_apps = own_applications(manifest)
    own: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    found: dict[str, dict[str, list[Entry]]] = {
        kind: defaultdict(list) for kind in ("toolchain", "dependencies", "boot")
    }
    for path, entry in placed.files.items():
        parts = path.split("/")
        directory = "/".join(parts[:2])
        application = parts[1].split("-", 1)[0] if len(parts) > 1 else ""
        if directory in own_apps and parts[2:] == ["ebin", application + ".app"]:
            found["boot"][""].append(entry)  # it says the version, so it changes with each, as those do
        elif directory in own_apps:
            name = "%s/%s" % (application, parts[2] if len(parts) > 3 else "")
            own[name].append(("/".join(parts[2:]), entry))
        elif parts[0].startswith("erts-") or (parts[0] == "lib" and application in TOOLCHAIN):
            found["toolchain"]["%d" % _bucket("erts" if parts[0] != "lib" else application, share.toolchain)].append(
                entry
            )
        elif parts[0] == "releases" and len(parts) > 3 and parts[2] == "consolidated":
            own["consolidated"].append((parts[-1], entry))
        elif parts[0] in ("bin", "releases"):
            found["boot"][""].append(entry)
        else:
            found["dependencies"]["%d" % _bucket(application or path, share.dependencies)].append(entry)
    cut = _cut_own([_Part(name, tuple(files)) for name, files in sorted(own.items())], share.own)
    groups = [
        Group("%s %s" % (kind, name) if name else kind, _sorted(entries))
        for kind in ("toolchain", "dependencies")
        for name, entries in sorted(found[kind].items())
    ]
    groups += [Group(title, _sorted(entries)) for title, entries in sorted(cut.items())]
    groups += [Group("boot", _sorted(entries)) for entries in found["boot"].values()]
    note = Entry(NOTE, 0o644, len(placed.note), hashlib.sha256(placed.note).hexdigest())
    return [*groups, Group("links", _sorted([*placed.links, note]))]


def _sorted(entries: t.Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Layers that went bad on this server, and the versions that link them: a file that is rotten is so in each of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._release.manifest import Layer, Manifest
from .layout import Layout
from .resolve import cached
from .state import State
from .verify import Reading


@dataclass(frozen=True)
class Mend:
    """Files of another version that are put right with this one's."""

    manifest: Manifest
    paths: tuple[str, ...]

    @property
    def version(self) -> str:
        return self.manifest.version


@dataclass(frozen=True)
class Rot:
    layers: tuple[Layer, ...] = ()  # that lie here and are not what they were
    files: tuple[str, ...] = ()  # of them
    mends: tuple[Mend, ...] = ()
    unknown: tuple[str, ...] = ()  # versions that link such a layer, and whose manifest can't be read

    def warnings(self) -> list[str]:
        found = []
        if self.layers:
            found.append(
                "Layers on this server are not what was put there (%d files, such as %s). They are fetched again%s. Somebody who may write there "
                "changed them, or the disk fails: look at the kernel's log"
                % (
                    len(self.files),
                    self.files[0],
                    ", and what links them is put right in %s, too" % ", ".join(mend.version for mend in self.mends)
                    if self.mends
                    else "",
                )
            )
        if self.unknown:
            found.append(
                "%s may share such files, but without a readable manifest they can't be put right: remove them (state: absent), or install them again"
                % ", ".join(self.unknown)
            )
        return found


def find_rot(layout: Layout, state: State, layers: t.Collection[Layer], version: str, reading: Reading) -> Rot:
    """What of the layers is rotten, and who but version shares it."""
    bad = reading.rotten(layout, layers)
    if not bad:
        return Rot()
    rotten = tuple(layer for layer in layers if layer.sha256 in bad)
    files = tuple(
        sorted(
            "/".join(part for part in (layer.prefix, path) if part) for layer in rotten for path in bad[layer.sha256]
        )
    )
    mends, unknown = [], []
    for other, installed in sorted(state.installed.items()):
        shared = bad.keys() & set(installed.layers)
        if other == version or not shared:
            continue
        manifest = cached(layout, installed.digest)
        if manifest is None:
            unknown.append(other)
            continue
        prefixes = [
            (layer.prefix + "/" if layer.prefix else "", layer) for layer in manifest.layers if layer.sha256 in shared
        ]
        concerned = {prefix + file.path for prefix, layer in prefixes for file in layer.files}
        paths = reading.damaged(
            layout.release(other), {path: file for path, file in manifest.files().items() if path in concerned}
        )
        if paths:
            mends.append(Mend(manifest, tuple(sorted(paths))))
    return Rot(rotten, files, tuple(mends), tuple(unknown))

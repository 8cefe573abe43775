# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small releases in a real store, published in the plainest way, so that these tests depend on no publisher."""

from __future__ import annotations

import hashlib
import io
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Channel, Ghost, Target
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import File, Layer, Manifest, Provenance
from ansible_collections.alchemist.beam.plugins.module_utils._release.pack import pack
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version, pack_manifest
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import (
    channel_key,
    layer_key,
    manifest_key,
    version_key,
)

Tree = t.Mapping[str, t.Mapping[str, bytes]]  # prefix -> path -> content


def tree(version: str) -> dict[str, dict[str, bytes]]:
    """Two layers that stay and one that changes with the version."""
    return {
        "erts-13.1/bin": {"beam.smp": b"\x7f" * 5000, "epmd": b"epmd"},
        "lib/kernel-8.5": {"ebin/kernel.beam": b"kernel" * 200, "ebin/kernel.app": b"{application,kernel}."},
        "": {
            "bin/demo": b"#!/bin/sh\n",
            "releases/start_erl.data": b"13.1 " + version.encode(),
            "lib/demo-%s/ebin/demo.beam" % version: version.encode() * 10,
            "lib/demo-%s/priv/empty" % version: b"",
        },
    }


class Shelf:
    """A store with releases on it, and a server's base directory beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "store").mkdir()
        self.store = DirectoryStore(str(root / "store"))
        self.base = str(root / "base")
        self.asked: list[str] = []

    def publish(
        self, version: str, content: Tree | None = None, name: str = "demo", abi: Abi | None = None
    ) -> Manifest:
        source = self.root / ("tree-%s-%s" % (name, version))
        layers = []
        for prefix, files in (content or tree(version)).items():
            rows = []
            for path, data in sorted(files.items()):
                place = source / prefix / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
                mode = 0o755 if path.startswith("bin/") or prefix.endswith("bin") else 0o644
                rows.append(File(path, mode, len(data), hashlib.sha256(data).hexdigest()))
            packed = pack(str(source), prefix, rows)
            with packed.data as stream:
                self.store.put_if_absent(layer_key(name, packed.layer.sha256), stream, packed.layer.size)
            layers.append(packed.layer)
        manifest = Manifest(name, version, abi or Abi(), Provenance(), tuple(layers), ("tmp/empty",))
        self.put(manifest_key(name, manifest.digest), pack_manifest(manifest.to_bytes()))
        self.put(version_key(name, version), Version(name, version, manifest.digest).to_bytes())
        return manifest

    def promote(
        self, manifest: Manifest, serial: int = 1, ghosts: tuple[Ghost, ...] = (), channel: str = "production"
    ) -> None:
        value = Channel(
            manifest.name,
            channel,
            serial,
            Target(manifest.version, manifest.digest),
            ghosts=ghosts,
            token="t%d" % serial,
        )
        self.put(channel_key(manifest.name, channel), value.to_bytes())

    def path(self, key: str) -> Path:
        return self.root / "store" / key

    def layer_path(self, layer: Layer, name: str = "demo") -> Path:
        return self.path(layer_key(name, layer.sha256))

    def put(self, key: str, data: bytes) -> None:
        path = self.path(key)
        if path.exists():
            path.unlink()
        assert self.store.put_if_absent(key, io.BytesIO(data), len(data))

    def open(self) -> t.Any:
        shelf = self

        class Counted(DirectoryStore):
            def get(self, key: str, limit: int) -> t.Any:
                shelf.asked.append(key)
                return super().get(key, limit)

            def open(self, key: str, start: int = 0) -> t.Any:
                if "layers" in key:
                    shelf.asked.append(key)
                return super().open(key, start)

        return Counted(self.store.root)

    def install(self, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        wanted = {
            key: options.pop(key)
            for key in ("channel", "version", "digest", "allow_ghost", "allow_older_serial")
            if key in options
        }
        request = Request(Wanted(options.pop("name", "demo"), **wanted), options.pop("base", self.base), **options)
        self.asked.clear()
        return install(request, self.open, check_mode)

    def away(self) -> None:
        os.rename(self.store.root, self.store.root + ".away")

    def back(self) -> None:
        os.rename(self.store.root + ".away", self.store.root)


@pytest.fixture(name="shelf")
def _shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def listing(root: str) -> list[tuple[t.Any, ...]]:
    """Everything below root that a write could change."""
    rows: list[tuple[t.Any, ...]] = []
    for directory, names, files in os.walk(root):
        for name in [".", *names, *files]:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            rows.append((path, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino, info.st_nlink))
    return sorted(rows)


def check_whole(base: str, manifest: Manifest) -> None:
    """The release in base is exactly the manifest's, by its bytes."""
    root = os.path.join(base, "releases", manifest.version)
    for path, file in manifest.files().items():
        with open(os.path.join(root, path), "rb") as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == file.sha256, path
        assert os.stat(os.path.join(root, path)).st_mode & 0o7777 == file.placed_mode, path
    for path in manifest.directories:
        assert os.path.isdir(os.path.join(root, path))

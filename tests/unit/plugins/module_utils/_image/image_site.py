# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry in memory, which keeps to what a real one does with blobs and manifests; bases; published releases."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._image.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from ansible_collections.alchemist.beam.plugins.module_utils._image.skopeo import Lacking, Skopeo
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._release.elf_writer import write_host

PROGRAMS = ("sh", "env", "sed", "cut", "cat", "dirname", "basename", "readlink", "grep", "awk", "od", "dd")
HOST = "registry.test"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry(Skopeo):
    """Repositories with blobs, manifests by digest, and tags."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "blobs", {})
        object.__setattr__(self, "manifests", {})
        object.__setattr__(self, "named", {})
        object.__setattr__(self, "sent", [])

    blobs: dict[str, dict[str, bytes]]
    manifests: dict[str, dict[str, bytes]]
    named: dict[str, dict[str, str]]
    sent: list[tuple[str, int]]

    @staticmethod
    def _split(image: str) -> tuple[str, str]:
        repository, at, digest = image.partition("@")
        if at:
            return repository, digest
        repository, _colon, tag = image.rpartition(":")
        return repository, tag

    def raw(self, image: str) -> bytes | None:
        repository, name = self._split(image)
        digest = self.named.get(repository, {}).get(name, name)
        return self.manifests.get(repository, {}).get(digest)

    def config(self, image: str, digest: str) -> bytes:
        repository, _name = self._split(image)
        return self.blobs[repository][digest]

    def tags(self, repository: str) -> list[str]:
        return list(self.named.get(repository, {}))

    def put(self, repository: str, data: bytes) -> str:
        self.blobs.setdefault(repository, {})[sha256(data)] = data
        self.sent.append((sha256(data), len(data)))
        return sha256(data)

    def copy(self, source: str, target: str, everything: bool = False) -> None:
        if target.startswith("dir:"):
            return self._to_directory(source[len("docker://") :], Path(target[len("dir:") :]))
        repository, name = self._split(target[len("docker://") :])
        if source.startswith("docker://"):
            other, digest = self._split(source[len("docker://") :])
            data = self.manifests[other][digest]
            blobs = dict(self.blobs[other])
        else:
            root = Path(source[len("oci:") :].rpartition(":")[0])
            row = json.loads((root / "index.json").read_text())["manifests"][0]
            blobs = {"sha256:" + path.name: path.read_bytes() for path in (root / "blobs" / "sha256").iterdir()}
            data = blobs[row["digest"]]
        self._put_image(repository, data, blobs)
        if not name.startswith("sha256:"):
            self.named.setdefault(repository, {})[name] = sha256(data)

    def _put_image(self, repository: str, data: bytes, blobs: t.Mapping[str, bytes]) -> None:
        document = json.loads(data)
        for row in document.get("manifests", ()):
            self._put_image(repository, blobs[row["digest"]], blobs)
        for row in [*document.get("layers", ()), *([document["config"]] if "config" in document else [])]:
            if row["digest"] not in self.blobs.setdefault(repository, {}):
                if row["digest"] not in blobs:
                    raise Lacking
                assert len(blobs[row["digest"]]) == row["size"]
                self.put(repository, blobs[row["digest"]])
        self.manifests.setdefault(repository, {})[sha256(data)] = data

    def _to_directory(self, image: str, directory: Path) -> None:
        repository, digest = self._split(image)
        directory.mkdir()
        document = json.loads(self.manifests[repository][digest])
        for row in [*document["layers"], document["config"]]:
            (directory / row["digest"].rpartition(":")[2]).write_bytes(self.blobs[repository][row["digest"]])

    def push_base(self, layers: t.Sequence[bytes], repository: str = HOST + "/base", **config: t.Any) -> str:
        """The base by its digest."""
        rows = []
        for layer in layers:
            packed = gzip.compress(layer, mtime=0)
            rows.append({"mediaType": OCI_LAYER, "digest": self.put(repository, packed), "size": len(packed)})
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/bin"], "Cmd": ["sh"], "Labels": {"of": "base"}},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
            **config,
        }
        data = json.dumps(document).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": self.put(repository, data), "size": len(data)},
            "layers": rows,
        }
        data = json.dumps(manifest).encode()
        self.manifests.setdefault(repository, {})[sha256(data)] = data
        self.named.setdefault(repository, {})["1"] = sha256(data)
        return "%s@%s" % (repository, sha256(data))


def tar_of(entries: t.Mapping[str, bytes | str | None]) -> bytes:
    """bytes: a program or library; a text: a symbolic link; None: a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, value in entries.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if value is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif isinstance(value, str):
                info.type, info.linkname = tarfile.SYMTYPE, value
                tar.addfile(info)
            else:
                info.size = len(value)
                tar.addfile(info, io.BytesIO(value))
    return out.getvalue()


def base_layer(directory: Path, without: t.Collection[str] = (), **options: t.Any) -> bytes:
    """Of a host of elf_writer, with the programs of a start script."""
    root = write_host(directory, **options)
    files: dict[str, bytes | str | None] = {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }
    programs: dict[str, bytes | str | None] = {"usr/bin/" + name: b"#!" for name in PROGRAMS if name not in without}
    return tar_of({"usr/bin": None, "bin": "usr/bin", **files, **programs})

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small base image of this machine's own files: the C library, what Erlang links to, a shell and the programs of a release's scripts.

base_image.py DEST [--without NAME...] writes an OCI layout and prints its digest. A NAME that is left out (libcrypto.so.3, awk) makes a base that does not fit.
It takes a second, where debootstrap takes ten and a mirror.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

PROGRAMS = "sh env sed cut cat dirname basename readlink awk od dd grep mkdir rm sleep id".split()
LIBRARIES = (
    "libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 "
    "libtinfo.so.6 libstdc++.so.6 libgcc_s.so.1 libz.so.1 libcrypto.so.3 libssl.so.3 libsystemd.so.0"
).split()
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


def _said(*argv: str) -> str:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    ).stdout


def _linked(path: str) -> set[str]:
    return set(re.findall(r"(?:=> )?(/\S+\.so[.0-9]*) \(0x", _said("ldd", path)))


def files(without: set[str]) -> dict[str, Path]:
    """Path in the image -> file here."""
    rows = re.findall(r"^\s*(\S+) \(([^)]*)\) => (\S+)", _said("/sbin/ldconfig", "-p"), re.MULTILINE)
    # The cache of an x86-64 host names libraries of 32 bits, too.
    libraries = {name: path for name, kind, path in rows if platform.machine() != "x86_64" or "x86-64" in kind}
    found: dict[str, Path] = {}
    wanted = {libraries[name] for name in LIBRARIES if name in libraries}
    for name in PROGRAMS:
        path = shutil.which(name)
        if path and name not in without:
            found["usr/bin/" + name] = Path(path).resolve()
            wanted |= _linked(str(found["usr/bin/" + name]))
    for path in sorted(wanted):
        wanted |= _linked(path)
    for path in sorted(wanted):
        if Path(path).name not in without:
            found["usr/" + path.lstrip("/").removeprefix("usr/")] = Path(path).resolve()
    return found


def layer(without: set[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "dev", "sys"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        info = tarfile.TarInfo("tmp")
        info.type, info.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(info)
        for name, target in LINKS.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        passwd = b"root:x:0:0:root:/root:/bin/sh\nnode:x:65532:65532:node:/tmp:/bin/sh\n"
        entries = {"etc/passwd": passwd, **{name: path.read_bytes() for name, path in files(without).items()}}
        for name, data in sorted(entries.items()):
            info = tarfile.TarInfo(name)
            info.mode, info.size = (0o644 if name.startswith("etc/") else 0o755), len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_layout(dest: Path, without: set[str]) -> str:
    blobs = dest / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + digest, "size": len(data)}

    tar = layer(without)
    packed = put(gzip.compress(tar, 1, mtime=0), "layer.v1.tar+gzip")
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(json.dumps(config).encode(), "config.v1+json"),
        "layers": [packed],
    }
    row = put(json.dumps(manifest).encode(), "manifest.v1+json")
    row["annotations"] = {"org.opencontainers.image.ref.name": "base"}
    (dest / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [row]}))
    (dest / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(row["digest"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--without", nargs="*", default=[])
    arguments = parser.parse_args()
    print(write_layout(arguments.dest, set(arguments.without)))

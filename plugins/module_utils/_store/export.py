# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Reading a whole release out of a store: to verify every byte, or to export it as one plain tarball."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
import tempfile
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, NotFound
from .._release.manifest import File, Layer, Manifest
from .._release.pack import CHUNK, SPOOL, member, open_tar, read_members
from .base import Store
from .documents import read_manifest
from .keys import layer_key
from .parallel import parallel

VERIFY_WORKERS = 4
_REPAIR = (
    "Publish the same tree again (playbook alchemist.beam.deploy with -e beam_build_force=true -e beam_verify=true), which repairs it, "
    "and find out who changed the store"
)


@dataclass(frozen=True)
class Verified:
    releases: int
    layers: int
    files: int
    bytes: int  # of the layers


def _problem(layer: Layer, why: str) -> dict[str, str]:
    return {"layer": layer.sha256, "prefix": layer.prefix, "why": why}


@contextlib.contextmanager
def _fetched(store: Store, name: str, layer: Layer) -> t.Iterator[t.BinaryIO]:
    """The layer's archive, with the right size and sha256, or ValueError."""
    digest = hashlib.sha256()
    size = 0
    with tempfile.SpooledTemporaryFile(max_size=SPOOL) as spool:
        with store.open(layer_key(name, layer.sha256)) as stream:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                size += len(chunk)
                if size > layer.size:
                    raise ValueError("it has more than the %d bytes that the manifest says" % layer.size)
                digest.update(chunk)
                spool.write(chunk)
        if size != layer.size:
            raise ValueError("it has %d bytes, the manifest says %d" % (size, layer.size))
        if digest.hexdigest() != layer.sha256:
            raise ValueError("its bytes do not have the sha256 it is named by")
        spool.seek(0)
        yield t.cast(t.BinaryIO, spool)


def _verify_layer(store: Store, name: str, layer: Layer) -> dict[str, str] | None:
    try:
        with _fetched(store, name, layer) as archive:
            for _file, stream in read_members(archive, layer):
                while stream.read(CHUNK):
                    pass
    except NotFound:
        return _problem(layer, "it is missing")
    except ValueError as exc:
        return _problem(layer, str(exc))
    return None


def verify(store: Store, name: str, digests: t.Iterable[str]) -> Verified:
    """Every byte of these releases; BeamError with all problems where one is wrong. A shared layer is read once."""
    manifests = parallel(lambda digest: read_manifest(store, name, digest), digests)
    layers = {
        (layer.sha256, tuple(f.path for f in layer.files)): layer for manifest in manifests for layer in manifest.layers
    }
    results = parallel(lambda layer: _verify_layer(store, name, layer), layers.values(), VERIFY_WORKERS)
    problems = [p for p in results if p]
    if problems:
        shown = "; ".join(
            "the layer %s (%s): %s" % (p["layer"][:12], p["prefix"] or "root", p["why"]) for p in problems[:3]
        )
        more = " and %d more" % (len(problems) - 3) if len(problems) > 3 else ""
        raise BeamError(
            "release_corrupt",
            "%s in the store %s is not whole" % (name, store.location),
            shown + more,
            _REPAIR,
            problems=problems,
        )
    return Verified(
        len(manifests),
        len(layers),
        sum(len(layer.files) for layer in layers.values()),
        sum(layer.size for layer in layers.values()),
    )


@contextlib.contextmanager
def whole_layer(store: Store, name: str, layer: Layer, doing: str) -> t.Iterator[t.Iterator[tuple[File, t.BinaryIO]]]:
    """The files of a layer, each compared with the manifest as soon as it is read to its end. doing: for the message, such as exported."""
    try:
        with _fetched(store, name, layer) as archive:
            yield read_members(archive, layer)
    except NotFound as exc:
        raise _corrupt(store, name, layer, "it is missing", doing) from exc
    except ValueError as exc:
        raise _corrupt(store, name, layer, str(exc), doing) from exc


def read_one(store: Store, manifest: Manifest, path: str) -> bytes:
    """One file of a release; NotFound or ValueError where it is not there or its layer is broken."""
    for layer in manifest.layers:
        if any(_path(layer, file) == path for file in layer.files):
            with _fetched(store, manifest.name, layer) as archive:
                for file, stream in read_members(archive, layer):
                    data = stream.read(file.size)
                    if _path(layer, file) == path:
                        return data
    raise NotFound("file_missing", "%s is not in %s %s" % (path, manifest.name, manifest.version))


def exported_already(dest: str, manifest: Manifest) -> bool:
    """Whether dest is a tarball with exactly the manifest's files: read, not trusted by its name or time."""
    wanted = manifest.files()
    directories = set(manifest.directories)
    seen = 0
    try:
        with tarfile.open(dest, "r:gz") as tar:
            for info in tar:
                if info.isdir() and info.name in directories:
                    directories.discard(info.name)
                    continue
                file = wanted.get(info.name)
                if file is None or not info.isreg() or (info.mode, info.size) != (file.mode, file.size):
                    return False
                stream = tar.extractfile(info)
                if stream is None or hashlib.sha256(stream.read()).hexdigest() != file.sha256:
                    return False
                seen += 1
    except (OSError, EOFError, tarfile.TarError, ValueError):
        return False
    return seen == len(wanted) and not directories


def export(store: Store, manifest: Manifest, dest: str) -> None:
    """One ordinary .tar.gz (a single gzip stream) of the release at dest, which appears whole or not at all."""
    folder = os.path.dirname(os.path.abspath(dest))
    try:
        fd, temporary = tempfile.mkstemp(prefix=".export-", dir=folder)
    except OSError as exc:
        raise _unwritable(dest, exc) from exc
    try:
        with os.fdopen(fd, "wb") as out:
            zipped, tar = open_tar(out)
            with zipped, tar:
                for directory in manifest.directories:
                    info = member(directory, 0o755, 0)
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                for layer in manifest.layers:
                    _append(store, manifest.name, layer, tar)
            out.flush()
            os.fsync(out.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, dest)
    except OSError as exc:
        raise _unwritable(dest, exc) from exc
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _unwritable(dest: str, exc: OSError) -> BeamError:
    return BeamError(
        "dest_unwritable",
        "%s can't be written" % dest,
        exc.strerror or str(exc),
        "Name another dest, or make room and give the rights",
    )


def _append(store: Store, name: str, layer: Layer, tar: tarfile.TarFile) -> None:
    with whole_layer(store, name, layer, "exported") as files:
        for file, stream in files:
            tar.addfile(member(_path(layer, file), file.mode, file.size), t.cast(t.IO[bytes], stream))
            stream.read(1)


def _corrupt(store: Store, name: str, layer: Layer, why: str, doing: str) -> BeamError:
    return BeamError(
        "release_corrupt",
        "%s in the store %s can't be %s" % (name, store.location, doing),
        "the layer %s (%s): %s" % (layer.sha256[:12], layer.prefix or "root", why),
        _REPAIR,
        problems=[_problem(layer, why)],
    )


def _path(layer: Layer, file: File) -> str:
    return "%s/%s" % (layer.prefix, file.path) if layer.prefix else file.path

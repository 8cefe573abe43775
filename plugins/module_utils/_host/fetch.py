# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Layers come from the store: they are fetched in parallel, checked, then unpacked beside their final place."""

from __future__ import annotations

import mmap
import os
import posixpath
import threading
import time
import typing as t
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from .._deadline import carry
from .._errors import BeamError, NotFound
from .._release.manifest import Layer
from .._release.unpack import ArchiveRefused, unpack_layer
from .._store.base import Store
from .._store.keys import layer_key
from .files import named_errors

FETCHERS = 8
# Archives up to this size are held in memory until they are checked, larger ones in a file.
IN_MEMORY = 16 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass
class Brought:
    bytes: int = 0
    fetch_seconds: float = 0.0  # summed over the threads
    unpack_seconds: float = 0.0


class _Stopped(Exception):
    """Another layer failed: this one is not worth going on with."""


def bring_layers(store: Store, name: str, layers: t.Sequence[Layer], staging: str) -> Brought:
    """Each layer is unpacked, whole and checked, in <staging>/<sha256>."""
    brought = Brought()
    stop = threading.Event()
    account = threading.Lock()
    # Unpacking is work for the processor: more at once than processors only get into each other's way.
    processors = threading.BoundedSemaphore(os.cpu_count() or 1)

    def bring(layer: Layer) -> None:
        begun = time.monotonic()
        archive = _fetch(store, name, layer, staging, stop)
        fetched = time.monotonic()
        with processors:
            if stop.is_set():
                raise _Stopped
            started = time.monotonic()
            _unpack(layer, archive, posixpath.join(staging, layer.sha256))
        with account:
            brought.bytes += layer.size
            brought.fetch_seconds += fetched - begun
            brought.unpack_seconds += time.monotonic() - started

    with ThreadPoolExecutor(FETCHERS) as pool:
        # The largest first: it must not be the one that everybody waits for in the end.
        jobs = [pool.submit(carry(bring), layer) for layer in sorted(layers, key=lambda layer: -layer.size)]
        done, left = wait(jobs, return_when=FIRST_EXCEPTION)
        if any(job.exception() for job in done):
            stop.set()
            for job in left:
                job.cancel()
    errors = [job.exception() for job in jobs if not job.cancelled()]
    for error in errors:
        if error is not None and not isinstance(error, _Stopped):
            raise error
    return brought


def _fetch(store: Store, name: str, layer: Layer, staging: str, stop: threading.Event) -> bytes | mmap.mmap:
    try:
        with store.open(layer_key(name, layer.sha256)) as stream:
            if layer.size <= IN_MEMORY:
                return b"".join(_chunks(stream, layer, stop))
            return _in_file(_chunks(stream, layer, stop), layer, staging)
    except NotFound as exc:
        raise NotFound(
            "layer_missing",
            "the layer %s of %s can't be fetched" % (layer.sha256[:12], name),
            "it is not in %s" % store.location,
            "Publish it again under a new version (of a playbook alchemist.beam.deploy); release_artifact with state: verified tells what lacks",
            layer=layer.sha256,
            prefix=layer.prefix,
        ) from exc


def _chunks(stream: t.BinaryIO, layer: Layer, stop: threading.Event) -> t.Iterator[bytes]:
    """What the store gives, up to one byte more than the layer has."""
    left = layer.size + 1
    while left:
        if stop.is_set():
            raise _Stopped
        chunk = stream.read(min(left, _CHUNK))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


def _in_file(chunks: t.Iterable[bytes], layer: Layer, staging: str) -> bytes | mmap.mmap:
    path = posixpath.join(staging, layer.sha256 + ".tar.gz")
    with named_errors("the layer %s can't be stored" % layer.sha256[:12]), open(path, "xb+") as file:
        os.unlink(path)
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        if file.tell() != layer.size:
            raise ArchiveRefused(
                layer,
                "truncated" if file.tell() < layer.size else "too_long",
                "the store has not %d bytes of it" % layer.size,
            )
        return mmap.mmap(file.fileno(), layer.size, access=mmap.ACCESS_READ)


def _unpack(layer: Layer, archive: bytes | mmap.mmap, path: str) -> None:
    with named_errors("the layer %s can't be unpacked" % layer.sha256[:12]):
        os.mkdir(path, 0o755)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            try:
                unpack_layer(layer, memoryview(archive), directory)
            except (FileExistsError, NotADirectoryError) as exc:
                raise BeamError(
                    "manifest_invalid",
                    "the layer %s can't be unpacked" % layer.sha256[:12],
                    "its manifest names a file twice, or as a file and a directory",
                    "Publish the release again",
                ) from exc
        finally:
            os.close(directory)

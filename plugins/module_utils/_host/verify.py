# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Is what lies on the disk what the manifest says? A cheap look (no reading), and a thorough one: every byte is read and hashed.

Reading finds what no look can show: a disk that rots changes neither size nor times, and whoever writes as root can set them. What is read is what
the kernel gives, from its memory where it has it; so rot below a page that is cached is found once the page has left the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import stat
import typing as t
from concurrent.futures import ThreadPoolExecutor

from .._release.manifest import File, Layer, Manifest
from .._release.unpack import directories_of
from .layout import Layout

_CHUNK = 1024 * 1024
_BATCH = 64  # files per piece of work: a thread's hand-over costs more than hashing a small file
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Something else than a file may lie there by now: a fifo must not keep us.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_Job = tuple[int, t.Sequence[File]]  # a directory, and files below it


class Reading:
    """What was read in this run. A file that is linked in several places is read once, unless it was written to since."""

    def __init__(self) -> None:
        self._hashes: dict[
            tuple[int, int, int, int], str
        ] = {}  # by the data that a write changes; nobody can set the change time of an inode

    def rotten(self, layout: Layout, layers: t.Collection[Layer]) -> dict[str, tuple[str, ...]]:
        """Of the layers that lie on this server: the files (paths in the layer) that are not what they should be, by the layer's sha256.

        A layer with a file that may not be linked is in it; one that is whole, and one that is not here, is not.
        """
        found: dict[str, tuple[str, ...]] = {}
        with contextlib.ExitStack() as opened:
            jobs: list[tuple[Layer, _Job]] = []
            for layer in layers:
                try:
                    directory = os.open(layout.layer(layer.sha256), _DIRECTORY)
                except FileNotFoundError:
                    continue
                except OSError:
                    found[layer.sha256] = (".",)
                    continue
                opened.callback(os.close, directory)
                strange = [
                    path
                    for path in directories_of(file.path for file in layer.files)
                    if not _is_directory(path, directory)
                ]
                if strange:
                    found[layer.sha256] = tuple(strange)
                    continue
                jobs += [(layer, job) for job in _jobs(directory, layer.files)]
            for (layer, _job), bad in zip(jobs, self._each([job for _layer, job in jobs])):
                if bad:
                    found[layer.sha256] = found.get(layer.sha256, ()) + tuple(bad)
        return found

    def damaged(self, root: str, files: t.Mapping[str, File]) -> list[str]:
        """The paths below root whose file is missing or not what it should be."""
        directory = os.open(root, _DIRECTORY)
        try:
            return [path for bad in self._each(_jobs(directory, list(files.values()))) for path in bad]
        finally:
            os.close(directory)

    def _each(self, jobs: t.Sequence[_Job]) -> list[list[str]]:
        if len(jobs) < 2:
            return [self._wrong(job) for job in jobs]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(self._wrong, jobs))

    def _wrong(self, job: _Job) -> list[str]:
        directory, files = job
        return [file.path for file in files if not self._right(file, directory)]

    def _right(self, file: File, directory: int) -> bool:
        try:
            info = os.stat(file.path, dir_fd=directory, follow_symlinks=False)
            if not _fits(file, info):
                return False
            key = (info.st_dev, info.st_ino, info.st_size, info.st_ctime_ns)
            known = self._hashes.get(key)
            if known is None:
                handle = os.open(file.path, _FILE, dir_fd=directory)
                try:
                    known = self._hashes[key] = _hash(handle, info.st_size)
                finally:
                    os.close(handle)
            return known == file.sha256
        except OSError:  # a device that can't give it back is as bad as another byte
            return False


def _jobs(directory: int, files: t.Sequence[File]) -> list[_Job]:
    return [(directory, files[start : start + _BATCH]) for start in range(0, len(files), _BATCH)]


def damaged_files(manifest: Manifest, root: str, thorough: bool, reading: Reading) -> tuple[str, ...]:
    """The files of a release's tree that are missing or not what the manifest says, by their path."""
    if thorough:
        bad = reading.damaged(root, manifest.files())
    else:
        directory = os.open(root, _DIRECTORY)
        try:
            bad = [path for path, file in manifest.files().items() if not _looks_right(file, directory, path)]
        finally:
            os.close(directory)
    bad += [path for path in manifest.directories if not os.path.isdir(posixpath.join(root, path))]
    return tuple(sorted(bad))


def _looks_right(file: File, directory: int, path: str) -> bool:
    try:
        return _fits(file, os.stat(path, dir_fd=directory, follow_symlinks=False))
    except OSError:
        return False


def _fits(file: File, info: os.stat_result) -> bool:
    return (
        stat.S_ISREG(info.st_mode)
        and stat.S_IMODE(info.st_mode) in (file.mode, file.placed_mode)
        and info.st_size == file.size
    )


def _is_directory(path: str, directory: int) -> bool:
    """Of its own, and no symlink to another."""
    try:
        return stat.S_ISDIR(os.stat(path, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _hash(handle: int, size: int) -> str:
    data = os.read(handle, min(size, _CHUNK) + 1)
    digest, left = hashlib.sha256(data), size - len(data)
    while data and left > 0:
        data = os.read(handle, _CHUNK)
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Is what lies on the disk what the manifest says? A cheap look (no reading) and a thorough one (every byte)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import stat
import typing as t
from concurrent.futures import ThreadPoolExecutor

from .._release.manifest import File, Layer, Manifest
from .layout import Layout

_CHUNK = 1024 * 1024


def layer_intact(layout: Layout, layer: Layer) -> bool:
    """Whether the unpacked layer can be reused.

    Nobody reads it for that. But whoever edits a file changes its mtime, and that of the layer's directory was set when
    all of its files were complete.
    """
    try:
        directory = os.open(layout.layer(layer.sha256), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        complete = os.fstat(directory).st_mtime_ns
        return all(_looks_right(file, directory, file.path, complete) for file in layer.files)
    finally:
        os.close(directory)


def damaged_files(manifest: Manifest, root: str, thorough: bool) -> tuple[str, ...]:
    """The files of a release's tree that are missing or not what the manifest says, by their path."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        files = manifest.files()
        bad = [path for path, file in files.items() if not _looks_right(file, directory, path)]
        if thorough:
            known = set(bad)
            left = [file for path, file in files.items() if path not in known]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                right = pool.map(lambda file: _reads_right(file, directory), left)
                bad += [file.path for file, good in zip(left, right) if not good]
        bad += [path for path in manifest.directories if not os.path.isdir(posixpath.join(root, path))]
        return tuple(sorted(bad))
    finally:
        os.close(directory)


def _looks_right(file: File, directory: int, path: str, complete: int | None = None) -> bool:
    try:
        info = os.stat(path, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return (
        stat.S_ISREG(info.st_mode) and stat.S_IMODE(info.st_mode) in (file.mode, file.placed_mode) and info.st_size == file.size
        and (complete is None or info.st_mtime_ns <= complete)
    )


def _reads_right(file: File, directory: int) -> bool:
    digest = hashlib.sha256()
    with contextlib.suppress(OSError), open(file.path, "rb", buffering=0, opener=_opener(directory)) as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(chunk)
        return digest.hexdigest() == file.sha256
    return False


def _opener(directory: int) -> t.Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)

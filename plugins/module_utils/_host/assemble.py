# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A release's tree out of unpacked layers, by hard links: no byte is written twice."""

from __future__ import annotations

import errno
import os
import posixpath
import typing as t

from .._errors import BeamError
from .._release.manifest import File, Manifest
from .._release.unpack import directories_of
from .files import owner_may_write

# Where a link is not possible: too many of them, another file system, or one without links.
_COPY_INSTEAD = (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_own(path: str) -> bool:
    """What an application writes to, if it writes to its release at all."""
    return "/priv/" in path and path.startswith("lib/")


def assemble(manifest: Manifest, sources: t.Mapping[str, str], root: str, apart: bool = False) -> int:
    """Make the tree at root (which must not exist); sources: where each layer lies. How many files had to be copied.

    apart: whoever runs the node may write whatever the mode of a file says, so that what applications write to is no link.
    """
    os.mkdir(root, 0o755)
    target = os.open(root, _DIRECTORY)
    copied = 0
    try:
        for path in directories_of([*manifest.files(), *(posixpath.join(path, "x") for path in manifest.directories)]):
            os.mkdir(path, 0o755, dir_fd=target)
        for layer in manifest.layers:
            source = os.open(sources[layer.sha256], _DIRECTORY)
            try:
                prefix = layer.prefix + "/" if layer.prefix else ""
                for file in layer.files:
                    copied += _place(
                        file, source, prefix + file.path, target, not (apart and is_own(prefix + file.path))
                    )
            finally:
                os.close(source)
    finally:
        os.close(target)
    return copied


def _place(file: File, source: int, path: str, target: int, link: bool = True) -> bool:
    """Whether it was copied, because it could or should not be linked."""
    try:
        if not link:
            raise OSError(_COPY_INSTEAD[0], "")
        os.link(file.path, path, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        # The layer's own file, too, and that of a layer that an older version of this collection left writable.
        os.chmod(path, file.placed_mode, dir_fd=target)
        return False
    except OSError as exc:
        if exc.errno not in _COPY_INSTEAD:
            raise
    import shutil  # not paid for where links work

    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source), "rb") as old,
        os.fdopen(os.open(path, flags, file.placed_mode, dir_fd=target), "wb") as new,
    ):
        shutil.copyfileobj(old, new, 1024 * 1024)
    return True


def repair(
    manifest: Manifest,
    paths: t.Collection[str],
    sources: t.Mapping[str, str],
    root: str,
    staging: str,
    apart: bool = False,
) -> None:
    """Put good copies of the named files into an existing tree, each by an atomic rename: it may be running."""
    wanted = set(paths)
    spare = posixpath.join(staging, "repair-" + manifest.version)
    os.mkdir(spare, 0o755)
    target = os.open(spare, _DIRECTORY)
    try:
        for path in directories_of([*wanted, *(posixpath.join(path, "x") for path in manifest.directories)]):
            _directory(posixpath.join(root, path))
        for layer in manifest.layers:
            todo = [(file, posixpath.join(layer.prefix, file.path)) for file in layer.files]
            for file, path in todo:
                if path in wanted:
                    source = os.open(sources[layer.sha256], _DIRECTORY)
                    try:
                        _place(file, source, "file", target, not (apart and is_own(path)))
                    finally:
                        os.close(source)
                    owner_may_write(posixpath.dirname(posixpath.join(root, path)))
                    os.rename(posixpath.join(spare, "file"), posixpath.join(root, path))
    finally:
        os.close(target)


def _directory(path: str) -> None:
    try:
        owner_may_write(posixpath.dirname(path))
        os.mkdir(path, 0o755)
    except FileExistsError as exc:
        if os.path.islink(path) or not os.path.isdir(path):
            raise BeamError(
                "release_damaged",
                "%s can't be repaired" % path,
                "something else than a directory lies there",
                "Remove it, and install again",
            ) from exc

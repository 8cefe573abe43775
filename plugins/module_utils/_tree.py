# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Trees that others made, such as an application in its release: as deep as they like, with links and mounts where they like.

Neither the stack, nor the number of open files, nor the length of a path sets a limit to what is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t
from dataclasses import dataclass

from ._errors import BeamError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH_MAX = 4096  # of Linux
_SHOWN = 200  # letters of a path in a message


@dataclass
class _Level:
    """A directory on the way down."""

    name: str
    identity: tuple[int, int]  # by which it is known when we come back to it
    left: list[str]  # directories in it that are still to be removed


def remove_tree(path: str) -> None:
    """Remove path and all below it: never through a symlink, never what is mounted there. What is not there is removed already.

    One directory is open at a time: the way back is "..", which must lead to where we came from.
    """
    path = path.rstrip("/")
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(path)
        return
    parent = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove(os.path.basename(path), parent, path)
    finally:
        os.close(parent)


def remove_quietly(path: str) -> None:
    """What can't be removed stays: somebody else's business, or the next run's."""
    with contextlib.suppress(OSError, BeamError):
        remove_tree(path)


def _remove(top: str, parent: int, label: str) -> None:
    handle = _open_to_empty(top, parent)
    try:
        mount = _mount_of(parent)
        if _mount_of(handle) != mount:
            raise _mounted(label, top)
        levels = [_Level(top, _identity(handle), _empty(handle, label))]
        while levels:
            level = levels[-1]
            if level.left:
                name = level.left.pop()
                try:
                    handle = _instead(handle, _open_to_empty(name, handle))
                except (
                    NotADirectoryError,
                    FileNotFoundError,
                ):  # somebody has put something else there meanwhile, such as a link
                    _unlink(name, handle, label)
                    continue
                if _mount_of(handle) != mount:
                    raise _mounted(label, name)
                levels.append(_Level(name, _identity(handle), _empty(handle, label)))
                continue
            levels.pop()
            if levels:
                handle = _instead(handle, os.open("..", _DIRECTORY, dir_fd=handle))
                if _identity(handle) != levels[-1].identity:
                    raise BeamError(
                        "tree_moved",
                        "%s can't be removed" % label,
                        "somebody moves directories in it meanwhile",
                        "End what works there, and run it again",
                    )
            _rmdir(level.name, handle if levels else parent, label)
    finally:
        os.close(handle)


def _instead(handle: int, other: int) -> int:
    os.close(handle)
    return other


def _empty(directory: int, label: str) -> list[str]:
    """Removes all but the directories, and names these."""
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            _unlink(name, directory, label)
    return [name for name, is_directory in found if is_directory]


def _unlink(name: str, directory: int, label: str) -> None:
    with _named(label, name):
        os.unlink(name, dir_fd=directory)


def _rmdir(name: str, directory: int, label: str) -> None:
    with _named(label, name):
        os.rmdir(name, dir_fd=directory)


@contextlib.contextmanager
def _named(label: str, name: str) -> t.Iterator[None]:
    """What is gone meanwhile is removed, and what is mounted there is said."""
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            raise _mounted(label, name) from exc
        raise


def _mounted(label: str, name: str) -> BeamError:
    return BeamError(
        "mount_below", "%s can't be removed" % label, "%s in it is a mount point" % name, "Unmount it first"
    )


def _identity(handle: int) -> tuple[int, int]:
    info = os.fstat(handle)
    return info.st_dev, info.st_ino


def _mount_of(handle: int) -> t.Any:
    """By this a bind mount differs from what is around it, where both are on one device."""
    device = os.fstat(handle).st_dev
    with contextlib.suppress(OSError), open("/proc/self/fdinfo/%d" % handle, encoding="ascii") as stream:
        return device, [line for line in stream if line.startswith("mnt_id:")]
    return device, []


def _open_to_empty(name: str, directory: int) -> int:
    """Somebody may have made it read-only, or closed even to its owner."""
    try:
        handle = os.open(name, _DIRECTORY, dir_fd=directory)
    except PermissionError:
        _open_up(name, directory)
        handle = os.open(name, _DIRECTORY, dir_fd=directory)
    mode = stat.S_IMODE(os.fstat(handle).st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(OSError):  # of another user: what is done next says so
            os.fchmod(handle, mode | stat.S_IRWXU)
    return handle


def _open_up(name: str, directory: int) -> None:
    """By its descriptor: a link that is put there meanwhile leads nowhere."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        with contextlib.suppress(OSError):
            os.chmod("/proc/self/fd/%d" % handle, stat.S_IRWXU)
    finally:
        os.close(handle)


def walk(root: str) -> t.Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, from the top down, without recursion; and what is too deep to be named is no longer left out in silence."""
    left = [root]
    while left:
        directory = left.pop()
        names: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    (names if _leads_to_directory(entry) else files).append(entry.name)
        except OSError:
            continue
        if len(directory) > _PATH_MAX // 8 and any(
            len(os.fsencode(os.path.join(directory, name))) >= _PATH_MAX for name in names + files
        ):
            raise BeamError(
                "tree_too_deep",
                "%s can't be read" % root,
                "directories in it are so deep that they have no path any more: %.*s..." % (_SHOWN, directory),
                "Find out what made them, and remove them (rm -rf)",
            )
        yield directory, names, files
        left += [
            os.path.join(directory, name)
            for name in reversed(names)
            if not os.path.islink(os.path.join(directory, name))
        ]


def _leads_to_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False

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


def remove_tree(path: str, removal: t.Optional[_Removal] = None) -> None:
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
        (removal or _Removal(path)).remove(os.path.basename(path), parent)
    finally:
        os.close(parent)


def remove_quietly(path: str) -> list[str]:
    """Removes what it can. Returns what it could not remove, and why; the next run or somebody else has to remove that."""
    removal = _Quietly(path)
    try:
        remove_tree(path, removal)
    except (OSError, BeamError) as exc:
        removal.refused(os.path.basename(path.rstrip("/")), exc)
    return removal.left


class _Removal:
    """Of one tree: it ends at the first thing that can't be removed."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.levels: list[_Level] = []
        self.handle = -1

    def refused(self, _name: str, exc: Exception) -> None:
        raise exc

    def remove(self, top: str, parent: int) -> None:
        self.handle = _open_to_empty(top, parent)  # the directory that is worked on
        try:
            mount = _mount_of(parent)
            if _mount_of(self.handle) != mount:
                raise _mounted(self.label, top)
            self._enter(top)
            while self.levels:
                level = self.levels[-1]
                if level.left:
                    self._into(level.left.pop(), mount)
                    continue
                self.levels.pop()
                if self.levels:
                    self._back()
                self._try(_rmdir, level.name, self.handle if self.levels else parent)
        finally:
            os.close(self.handle)

    def _enter(self, name: str) -> None:
        self.levels.append(_Level(name, _identity(self.handle), []))
        self.levels[-1].left = self._empty()

    def _into(self, name: str, mount: t.Any) -> None:
        """It is left out where it can't be entered."""
        try:
            below = _open_to_empty(name, self.handle)
        except (NotADirectoryError, FileNotFoundError):
            # Somebody has put something else there meanwhile, such as a link.
            return self._try(_unlink, name, self.handle)
        except OSError as exc:
            return self.refused(name, exc)
        if _mount_of(below) != mount:
            os.close(below)
            return self.refused(name, _mounted(self.label, name))
        self.handle = _instead(self.handle, below)
        return self._enter(name)

    def _back(self) -> None:
        self.handle = _instead(self.handle, os.open("..", _DIRECTORY, dir_fd=self.handle))
        if _identity(self.handle) != self.levels[-1].identity:
            raise BeamError(
                "tree_moved",
                "%s can't be removed" % self.label,
                "somebody moves directories in it meanwhile",
                "End what works there, and run it again",
            )

    def _empty(self) -> list[str]:
        """Removes all but the directories, and names these."""
        try:
            with os.scandir(self.handle) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError as exc:
            self.refused("", exc)
            return []
        for name, is_directory in found:
            if not is_directory:
                self._try(_unlink, name, self.handle)
        return [name for name, is_directory in found if is_directory]

    def _try(self, remove: t.Callable[[str, int, str], None], name: str, directory: int) -> None:
        try:
            remove(name, directory, self.label)
        except (OSError, BeamError) as exc:
            self.refused(name, exc)


class _Quietly(_Removal):
    """The same, which goes on with the next."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.left: list[str] = []

    def refused(self, name: str, exc: Exception) -> None:
        if isinstance(exc, OSError) and exc.errno == errno.ENOTEMPTY and self.left:
            return  # what is left in it was said
        place = "/".join([os.path.dirname(self.label.rstrip("/")), *(level.name for level in self.levels), name])
        why = exc.why if isinstance(exc, BeamError) else getattr(exc, "strerror", None) or str(exc)
        self.left.append("%.*s (%s)" % (_PATH_MAX, place, why or type(exc).__name__))


def _instead(handle: int, other: int) -> int:
    os.close(handle)
    return other


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

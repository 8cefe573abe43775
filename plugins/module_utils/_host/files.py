# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The file system as an installation needs it: durable, atomic, and never through somebody else's symlink."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import typing as t

from .._errors import BeamError
from .._ours import Foreign, foreign

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# errno -> (code, reason, next step)
_NAMED = {
    errno.ENOSPC: (
        "disk_full",
        "no space is left on the device",
        "Free some space (or inodes), or keep fewer releases",
    ),
    errno.EDQUOT: ("disk_full", "the disk quota is exceeded", "Raise the quota, or keep fewer releases"),
    errno.EROFS: ("disk_read_only", "the file system is read-only", "Mount it read-write, or choose another base"),
    errno.EACCES: (
        "disk_denied",
        "permission is denied",
        "Run as the owner of the base directory (become), or give it to this user",
    ),
    errno.EPERM: (
        "disk_denied",
        "the operation is not permitted",
        "Run as the owner of the base directory (become), or give it to this user",
    ),
    errno.EIO: (
        "disk_failed",
        "the device reports an input/output error",
        "Look at the kernel's log: the disk may be failing",
    ),
    errno.ELOOP: (
        "symlink_refused",
        "it is a symlink, or has one in its path",
        "Remove the symlink, and find out who made it",
    ),
    errno.ENAMETOOLONG: ("path_too_long", "the path is too long", "Choose a shorter base"),
}


@contextlib.contextmanager
def named_errors(what: str) -> t.Iterator[None]:
    """An OSError inside becomes a BeamError that says what could not be done."""
    try:
        yield
    except OSError as exc:
        code, why, hint = _NAMED.get(
            exc.errno or 0, ("disk_failed", exc.strerror or str(exc), "Look at the base directory on this server")
        )
        if exc.filename:
            why += " (%s)" % os.fsdecode(exc.filename)
        raise BeamError(code, what, why, hint, errno=errno.errorcode.get(exc.errno or 0, "")) from exc


@contextlib.contextmanager
def plain_umask() -> t.Iterator[None]:
    """The modes that files are made with are the modes they get, whatever the caller's umask is."""
    umask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(umask)


def open_directory(path: str, create: bool = False) -> int:
    """A file descriptor of a directory of ours: no symlink, owned by us or root, and not writable by others."""
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755)
    try:
        handle = os.open(path, _DIRECTORY)
    except NotADirectoryError as exc:
        # O_DIRECTORY wins over O_NOFOLLOW: a symlink ends here, too.
        kind = "a symlink" if os.path.islink(path) else "no directory"
        code = "symlink_refused" if os.path.islink(path) else "not_a_directory"
        raise BeamError(
            code, "%s can't be used" % path, "it is %s" % kind, "Remove it, and find out who made it"
        ) from exc
    info = os.fstat(handle)
    why = ""
    if info.st_uid not in (0, os.geteuid()):
        why = "it belongs to the user with the id %d, who could change releases under our hands" % info.st_uid
    elif info.st_mode & stat.S_IWOTH:
        why = "everybody may write to it"
    if why:
        os.close(handle)
        raise BeamError(
            "directory_not_ours",
            "%s can't be used" % path,
            why,
            "Run as its owner (become_user), or give it to the user who installs (chown, chmod go-w)",
        )
    return handle


def refuse_foreign_base(base: str) -> None:
    """Whoever may write to a directory above the base can put another one in its place, whatever the modes in it are.

    base: as it was given, with its links. The base itself is looked at where it is opened.
    """
    _refuse(foreign(base, but=(os.path.realpath(base),)), base, "a base")


def refuse_foreign_root(root: str) -> None:
    """The same, of a directory whose programs are run, and that nobody opens before they are put into it."""
    _refuse(foreign(root), root, "the root of a bundle")


def _refuse(found: Foreign | None, path: str, what: str) -> None:
    if found is None:
        return
    where = "" if found.place == path else ": on the way to it is %s" % found.place
    raise BeamError(
        "base_foreign",
        "%s can't be used as %s%s" % (path, what, where),
        "%s, so all that is installed could be replaced" % found.why,
        "Say `%s`, or choose a place below directories of root" % found.mend,
        place=found.place,
    )


def sync_directory(path: str) -> None:
    handle = os.open(path, _DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(directory: int) -> None:
    """Everything below this directory is on the disk afterwards.

    One syncfs costs less than an fsync of each of two thousand files. Python has no function for it; a libc may have none: then all disks are synced.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(directory) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def prepare_file(path: str, data: bytes, tmp: str, mode: int = 0o644) -> str:
    """A file in tmp with all of data on the disk, ready to be renamed to path."""
    name = os.path.join(tmp, os.path.basename(path) + ".new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    return name


def write_atomically(path: str, data: bytes, tmp: str) -> None:
    """path holds all of data, durably, or what it held before. tmp: a directory on the same file system."""
    os.rename(prepare_file(path, data, tmp), path)
    sync_directory(os.path.dirname(path))


def prepare_symlink(path: str, target: str, tmp: str) -> str:
    """A symlink in tmp, ready to be renamed to path: a reader sees the old target or the new one, never nothing."""
    name = os.path.join(tmp, os.path.basename(path) + ".link")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    os.symlink(target, name)
    return name


def owner_may_write(directory: str) -> None:
    """A directory that somebody made read-only, and that is ours, can be renamed and emptied afterwards."""
    if (
        os.path.isdir(directory)
        and not os.path.islink(directory)
        and not os.access(directory, os.R_OK | os.W_OK | os.X_OK)
    ):
        with contextlib.suppress(PermissionError):  # of another user: what is done next says so
            os.chmod(directory, stat.S_IMODE(os.stat(directory).st_mode) | 0o700)

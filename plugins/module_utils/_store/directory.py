# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A store in a directory: a local disk, or a network file system that honours flock.

An object appears by link(2), which fails where one is there already, and is replaced by rename under a lock, so that a
reader sees a whole object or none. Everything below the root is opened without following symbolic links: a link that
somebody planted in the store can't lead a write or a read elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import secrets
import stat as st
import time
import typing as t

from .._errors import BeamError, Conflict, NotFound
from .._flock import set_mode
from .base import Found, Noted, Stat, Store
from .flock import locked

CHUNK = 1024 * 1024
# Whatever the umask is: with one of 000 anyone could move a channel, with 077 no server could read it.
OPEN_DIRECTORY = 0o755
OBJECT = 0o644
_TMP = ".tmp-"
_DEEPEST = 16  # no key of ours has as many parts
_NEXT = (
    _TMP + "next"
)  # the name of what replaces an object, for a moment and below the lock: what a killed writer left the next one takes away
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_Rows = list[tuple[str, os.stat_result]]
_Keys = list[str]
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_UNNAMED = {
    errno.EOPNOTSUPP,
    errno.EISDIR,
    errno.ENOSYS,
    errno.EINVAL,
}  # a file system, or a kernel, that knows no O_TMPFILE

# errno -> code, why, hint
_ERRORS: dict[int, tuple[str, str, str]] = {
    errno.ENOSPC: (
        "store_full",
        "the disk is full",
        "Free some space, or prune old releases with release_artifact state=pruned",
    ),
    errno.EDQUOT: (
        "store_full",
        "the quota is used up",
        "Free some space, or prune old releases with release_artifact state=pruned",
    ),
    errno.EFBIG: (
        "store_full",
        "the file is larger than a limit of this user or file system allows",
        "Raise the limit",
    ),
    errno.EROFS: ("store_read_only", "the file system is read-only", "Mount it writable, or use another store"),
    errno.EACCES: (
        "store_denied",
        "this user lacks the rights",
        "Give the user who runs the task the rights, or run it as another one (become)",
    ),
    errno.EPERM: (
        "store_denied",
        "this user lacks the rights",
        "Give the user who runs the task the rights, or run it as another one (become)",
    ),
    errno.EIO: (
        "store_io",
        "the disk can't be read or written",
        "Look at the kernel's log (dmesg) for the disk's errors",
    ),
    errno.ESTALE: ("store_io", "the network file system lost the file", "Mount it again"),
    errno.ELOOP: (
        "store_symlink",
        "a symbolic link is in the way, and none is followed inside a store",
        "Find out who put it there, and remove it",
    ),
    errno.ENOTDIR: (
        "store_symlink",
        "a file or a symbolic link is where a directory belongs",
        "Find out who put it there, and remove it",
    ),
}


class DirectoryStore(Store):
    def __init__(self, root: str, location: str = "") -> None:
        self.root = os.path.abspath(root)
        self.location = location or "file://" + self.root

    # The interface.

    def get(self, key: str, limit: int) -> Found:
        with self.open(key) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limit:
                raise BeamError(
                    "store_object_too_large",
                    "%s of the store %s can't be read" % (key, self.location),
                    "it has %d bytes, %d are allowed" % (size, limit),
                    "Find out who wrote it",
                )
            data = stream.read(limit + 1)
        return Found(data, _etag(data))

    @contextlib.contextmanager
    def open(self, key: str, start: int = 0) -> t.Iterator[t.BinaryIO]:
        with self._errors(key), self._directory(key) as (directory, name):
            fd = _open_regular(name, directory)
        with os.fdopen(fd, "rb") as stream:
            stream.seek(start)
            yield stream

    def put_if_absent(self, key: str, data: bytes | t.BinaryIO, size: int) -> bool:
        with self._errors(key), self._directory(key, create=True) as (directory, name):
            if _exists(name, directory):
                return False
            with _fresh(directory, data, size, key) as fresh:
                try:
                    fresh.link(name)
                except FileExistsError:
                    return False
                except OSError as exc:
                    if exc.errno not in _NO_LINKS:
                        raise
                    with locked(directory, self._where(key)):
                        if _exists(name, directory):
                            return False
                        fresh.rename(name)
            os.fsync(directory)
        self._wrote()
        return True

    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        # The lock is held as briefly as can be: a writer that is stopped just then keeps all others out.
        with (
            self._errors(key),
            self._directory(key, create=True) as (directory, name),
            _fresh(directory, data, len(data), key) as fresh,
        ):
            with locked(directory, self._where(key)):
                if self._etag_of(name, directory) != etag:
                    raise Conflict(
                        "store_conflict",
                        "%s of the store %s was not written" % (key, self.location),
                        "somebody else changed it meanwhile",
                        "Look at it, and run the task again",
                    )
                fresh.rename(name)
            os.fsync(directory)
        self._wrote()
        return _etag(data)

    def list(self, prefix: str) -> t.Iterator[Stat]:
        parent, _slash, start = prefix.rpartition("/")
        with self._errors(prefix):
            rows = sorted(self._walk(parent, start))
        for key, info in rows:
            yield Stat(key, info.st_size, "", info.st_mtime)

    def delete(self, key: str, etag: str | None = None) -> bool:
        try:
            with self._errors(key), self._directory(key) as (directory, name), locked(directory, self._where(key)):
                current = self._etag_of(name, directory)
                if current is None:
                    return False
                if etag is not None and current != etag:
                    raise Conflict(
                        "store_conflict",
                        "%s of the store %s was not removed" % (key, self.location),
                        "somebody else changed it meanwhile",
                        "Look at it, and run the task again",
                    )
                os.unlink(name, dir_fd=directory)
                os.fsync(directory)
        except NotFound:
            return False
        self._wrote()
        return True

    def stat(self, key: str) -> Stat | None:
        try:
            with self.open(key) as stream:
                info = os.fstat(stream.fileno())
                digest = hashlib.sha256()
                for chunk in iter(lambda: stream.read(CHUNK), b""):
                    digest.update(chunk)
                return Stat(key, info.st_size, digest.hexdigest(), info.st_mtime)
        except NotFound:
            return None

    def noted(self, key: str) -> Noted | None:
        found = self.stat(key)
        return None if found is None else Noted(found.size, found.etag)

    def sweep(self, prefix: str, older_than: float) -> int:
        """Temporary files of writers that were killed."""
        count = 0
        with self._errors(prefix):
            for key, info in self._walk(prefix.rstrip("/"), "", temporary=True):
                if time.time() - info.st_mtime > older_than:
                    with self._directory(key) as (directory, name), contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=directory)
                        count += 1
        return count

    # Below the interface.

    @contextlib.contextmanager
    def _errors(self, key: str) -> t.Iterator[None]:
        try:
            yield
        except FileNotFoundError as exc:
            raise NotFound(
                "store_key_missing", "%s is not in the store %s" % (key, self.location), "there is no such file"
            ) from exc
        except OSError as exc:
            code, why, hint = _ERRORS.get(
                exc.errno or 0, ("store_io", exc.strerror or str(exc), "Look at the directory")
            )
            raise BeamError(
                code, "%s of the store %s can't be used" % (key or "the root", self.location), why, hint
            ) from exc

    def _where(self, key: str) -> str:
        return "the directory %s of the store %s" % (key.rpartition("/")[0] or "/", self.location)

    def _root(self) -> int:
        try:
            return os.open(self.root, _DIR)
        except FileNotFoundError as exc:
            raise BeamError(
                "store_missing",
                "the store %s can't be used" % self.location,
                "there is no such directory",
                "Create it (mkdir -p %s), or mend the name" % self.root,
            ) from exc
        except NotADirectoryError as exc:
            raise BeamError(
                "store_missing",
                "the store %s can't be used" % self.location,
                "it is not a directory",
                "Name a directory",
            ) from exc

    @contextlib.contextmanager
    def _directory(self, key: str, create: bool = False) -> t.Iterator[tuple[int, str]]:
        """The file descriptor of the directory that key is in, and the key's last part."""
        *parents, name = key.split("/")
        fd = self._root()
        try:
            for part in parents:
                fd = _enter(fd, part, create)
            yield fd, name
        finally:
            os.close(fd)

    def _walk(self, parent: str, start: str, temporary: bool = False) -> _Rows:
        """Regular files below parent whose path there starts with start."""
        rows, below = self._files(parent, start, temporary)
        while below:
            more, deeper = self._files(below.pop(), "", temporary)
            rows += more
            below += [key for key in deeper if key.count("/") < _DEEPEST]
        return rows

    def _files(self, parent: str, start: str, temporary: bool) -> tuple[_Rows, _Keys]:
        """Of one directory; and the directories in it."""
        rows: _Rows = []
        below: _Keys = []
        try:
            with self._directory(parent + "/x" if parent else "x") as (directory, _name):
                for name in os.listdir(directory):
                    key = parent + "/" + name if parent else name
                    try:
                        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    hidden = name.startswith(".")
                    if not name.startswith(start):
                        continue
                    if st.S_ISDIR(info.st_mode) and not hidden:
                        below.append(key)
                    elif st.S_ISREG(info.st_mode) and (name.startswith(_TMP) if temporary else not hidden):
                        rows.append((key, info))
        except FileNotFoundError:
            pass
        return rows, below

    def _etag_of(self, name: str, directory: int) -> str | None:
        try:
            with os.fdopen(_open_regular(name, directory), "rb") as stream:
                return _etag(stream.read())
        except FileNotFoundError:
            return None


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _enter(fd: int, part: str, create: bool) -> int:
    """The directory part in fd, which is closed where that works."""
    made = False
    try:
        inner = os.open(part, _DIR | os.O_NOFOLLOW, dir_fd=fd)
    except FileNotFoundError:
        if not create:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=fd)
            made = True
        inner = os.open(part, _DIR | os.O_NOFOLLOW, dir_fd=fd)
        if made:
            _share(inner, fd)
            os.fsync(fd)
    if create and not made:
        _mend(inner, fd)
    os.close(fd)
    return inner


def _share(made: int, parent: int) -> None:
    """Read by all, written by the owner; by the group, too, where the directory above says so, and never by all."""
    above = os.fstat(parent)
    shared = above.st_mode & st.S_IWGRP if not above.st_mode & st.S_IWOTH else 0
    here = os.fstat(made)
    if shared and here.st_gid != above.st_gid:
        try:
            os.fchown(made, -1, above.st_gid)
        except PermissionError:  # not in that group: it would be shared with another one
            shared = 0
    set_mode(made, OPEN_DIRECTORY | shared | above.st_mode & st.S_ISGID)


def _mend(there: int, parent: int) -> None:
    """One of ours that others can't read in a store that they can: of a former version under umask 077, or of a writer that was killed just then."""
    info = os.fstat(there)
    if (
        info.st_uid == os.geteuid()
        and st.S_IMODE(info.st_mode) & 0o777 == 0o700
        and os.fstat(parent).st_mode & 0o005 == 0o005
    ):
        _share(there, parent)


def _open_regular(name: str, directory: int) -> int:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    if not st.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, "not a regular file")
    return fd


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class _Fresh:
    """A file that has its content and not yet its name. Where the file system can do that it has none at all, and so ends with its writer."""

    def __init__(self, directory: int) -> None:
        self.directory = directory
        self.name = ""
        try:
            self.fd = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=directory)
        except OSError as exc:
            if exc.errno not in _NO_UNNAMED:
                raise
            self.fd = self._named()

    def _named(self) -> int:
        self.name = _TMP + secrets.token_hex(8)
        return os.open(
            self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.directory
        )

    def fill(self, data: bytes | t.BinaryIO, size: int, key: str) -> None:
        set_mode(self.fd, OBJECT)
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        written = 0
        with os.fdopen(os.dup(self.fd), "wb") as out:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                out.write(chunk)
                written += len(chunk)
        if written != size:
            raise ValueError("%s: %d bytes were announced, %d came" % (key, size, written))
        os.fsync(self.fd)

    def link(self, name: str) -> None:
        if self.name:
            os.link(self.name, name, src_dir_fd=self.directory, dst_dir_fd=self.directory, follow_symlinks=False)
            return
        try:
            os.link("/proc/self/fd/%d" % self.fd, name, dst_dir_fd=self.directory, follow_symlinks=True)
        except FileNotFoundError as exc:  # there is no /proc
            raise OSError(errno.ENOSYS, exc.strerror) from exc

    def rename(self, name: str) -> None:
        """Whoever calls holds the lock of the directory: only so is _NEXT ours."""
        own = self.name or self._next()
        try:
            os.rename(own, name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
            self.name = ""
        except OSError:
            if own == _NEXT:
                os.unlink(_NEXT, dir_fd=self.directory)
            raise

    def _next(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_NEXT, dir_fd=self.directory)
        try:
            self.link(_NEXT)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            self._copy()
            return self.name
        return _NEXT

    def _copy(self) -> None:
        """With a name of its own, as this one can't get any."""
        unnamed, self.fd = self.fd, self._named()
        with os.fdopen(unnamed, "rb") as stream:
            stream.seek(0)
            self.fill(t.cast(t.BinaryIO, stream), os.fstat(unnamed).st_size, self.name)

    def close(self) -> None:
        os.close(self.fd)
        if self.name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.name, dir_fd=self.directory)


@contextlib.contextmanager
def _fresh(directory: int, data: bytes | t.BinaryIO, size: int, key: str) -> t.Iterator[_Fresh]:
    """A file with data, on the disk for good; it is gone afterwards unless it got the name of the object."""
    fresh = _Fresh(directory)
    try:
        fresh.fill(data, size, key)
        yield fresh
    finally:
        fresh.close()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Lock files: who may open one, and who holds it.

Whoever can open a file, if only to read it, can flock it and keep everybody else waiting. So a lock file is for those alone who may write beside it.
Who holds one is asked of the kernel: what is written in it says who wrote last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import stat as st
import time
import typing as t

from ._proc import read_stat


def lock_mode(directory: os.stat_result) -> int:
    """0600, and the same for the group or for all where those may write in the directory."""
    mode = 0o600
    for write, both in ((st.S_IWGRP, 0o060), (st.S_IWOTH, 0o006)):
        if directory.st_mode & write:
            mode |= both
    return mode


def open_lock(name: str, directory: int) -> int:
    """The lock file of that name in directory, made where it is missing, and tightened where former versions left it open to readers.

    Who had it open by then can hold it until that process ends; nobody can open it anew. Another file in its place would be no lock:
    somebody may be at work under the old one.
    """
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except PermissionError as exc:  # of somebody else who writes there: reading is enough to lock it
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            raise exc from None
    beside, there = os.fstat(directory), os.fstat(fd)
    mode = lock_mode(beside)
    if st.S_IMODE(there.st_mode) != mode and os.geteuid() in (there.st_uid, 0):
        if there.st_gid != beside.st_gid:
            with contextlib.suppress(OSError):  # not in that group
                os.fchown(fd, -1, beside.st_gid)
        set_mode(fd, mode)
    return fd


def take(fd: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether it is ours now, without waiting."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def taken_within(fd: int, seconds: float, kind: int = fcntl.LOCK_EX, pause: float = 0.1) -> bool:
    """Whether it became ours in that time. pause: seconds between two tries."""
    deadline = time.monotonic() + seconds
    while not take(fd, kind):
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def set_mode(fd: int, mode: int) -> None:
    """Whatever the umask is. A file system that keeps no modes is left as it is mounted."""
    try:
        os.fchmod(fd, mode)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def describe_holders(fd: int) -> str:
    """Who has locked this file, as far as this machine can see."""
    found = [_describe(pid) for pid in holders(fd)]
    if not found:
        return "no process that is seen here holds it: it is one of another user's namespace, of a container or of another machine"
    return " and ".join(found)


def holders(fd: int) -> list[int]:
    """The processes with a lock on this file that the kernel tells of."""
    info = os.fstat(fd)
    places = {"%02x:%02x:%d" % (os.major(info.st_dev), os.minor(info.st_dev), info.st_ino)}
    rows: list[tuple[int, str]] = []
    try:
        with open("/proc/locks", encoding="ascii") as stream:
            for line in stream:
                words = line.split()
                if len(words) > 5 and words[1] == "FLOCK":  # "->" stands there for one who waits
                    rows.append((int(words[4]), words[5]))
    except (OSError, ValueError, IndexError):
        return []
    exact = [pid for pid, place in rows if place in places]
    # Of some file systems the kernel's device is another one than stat's.
    loose = [pid for pid, place in rows if place.rpartition(":")[2] == str(info.st_ino)]
    return sorted({pid for pid in exact or loose if pid > 0})


def strangers(pids: t.Iterable[int]) -> list[int]:
    """Those of other users than root and us."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found += [pid] if os.stat("/proc/%d" % pid).st_uid not in (0, os.geteuid()) else []
    return found


def _describe(pid: int) -> str:
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as stream:
            name = stream.read().strip()
        uid = os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return "process %d holds it" % pid
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return "process %d (%s, of the user %s) holds it" % (pid, name, user)


def stopped(pids: t.Iterable[int]) -> list[int]:
    """Those that are stopped (state T), and so can't go on by themselves."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            if read_stat(pid).state in "Tt":
                found.append(pid)
    return found

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""One installation at a time on a base directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from .._errors import BeamError


@contextlib.contextmanager
def exclusive(path: str, seconds: float) -> t.Iterator[None]:
    """Hold the lock; after waiting that long, say who holds it. The kernel frees it with its process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, fcntl.LOCK_EX, path, seconds)
        os.pwrite(handle, b"%-19d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def settled(path: str, seconds: float) -> t.Iterator[None]:
    """Nobody installs meanwhile. It writes nothing, so that a rehearsal may wait, too."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        _acquire(handle, fcntl.LOCK_SH, path, seconds)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, kind: int, path: str, seconds: float) -> None:
    if not taken_within(handle, kind, seconds):
        holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
        raise BeamError(
            "install_locked", "%s is busy" % os.path.dirname(path),
            "another installation (process %s) has been running for more than %g seconds" % (holder, seconds),
            "Wait for it, and run it again (lock_timeout of alchemist.beam.release_install waits longer)", holder=holder,
        )


def taken_within(handle: int, kind: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _taken(handle, kind):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _taken(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""One installation at a time on a base directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from .._errors import BeamError
from .._flock import describe_holders, holders, open_lock, stopped, strangers, taken_within

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def exclusive(path: str, seconds: float) -> t.Iterator[None]:
    """Hold the lock; after waiting that long, say who holds it. The kernel frees it with its process."""
    handle = open_lock_at(path)
    try:
        _acquire(handle, fcntl.LOCK_EX, path, seconds)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def settled(path: str, seconds: float) -> t.Iterator[None]:
    """While this is held, nobody installs. It writes nothing, so a rehearsal may hold it, too; a user who may not install need not wait."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        yield
        return
    try:
        _acquire(handle, fcntl.LOCK_SH, path, seconds)
        yield
    finally:
        os.close(handle)


def open_lock_at(path: str) -> int:
    directory = os.open(os.path.dirname(path), _DIRECTORY)
    try:
        return open_lock(os.path.basename(path), directory)
    except OSError as exc:
        exc.filename = path
        raise
    finally:
        os.close(directory)


def _acquire(handle: int, kind: int, path: str, seconds: float) -> None:
    if not taken_within(handle, seconds, kind):
        pids = holders(handle)
        raise BeamError(
            "install_locked",
            "%s is busy" % os.path.dirname(path),
            "its lock file %s has been locked for more than %g seconds: %s"
            % (os.path.basename(path), seconds, describe_holders(handle)),
            _hint(pids),
            holders=pids,
        )


def _hint(pids: t.Sequence[int]) -> str:
    if strangers(pids):
        return (
            "That is no installation: end it (kill %d), and run it again. Nobody else can open this file any more"
            % strangers(pids)[0]
        )
    if stopped(pids):
        return "That process is stopped (state T in `ps`): let it go on (kill -CONT) or end it, and run it again"
    return "Wait for it, and run it again (lock_timeout of alchemist.beam.release_install waits longer)"

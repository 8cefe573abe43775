# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""One writer at a time in a directory of a store."""

from __future__ import annotations

import contextlib
import os
import stat as st
import typing as t

from .._errors import BeamError
from .._flock import describe_holders, holders, open_lock, stopped, taken_within

LOCK_SECONDS = 30
_LOCK = ".lock"


@contextlib.contextmanager
def locked(directory: int, where: str) -> t.Iterator[None]:
    try:
        fd = open_lock(_LOCK, directory)
    except PermissionError as exc:
        raise BeamError(
            "store_denied",
            "%s can't be written" % where,
            "this user can't open its lock file %s: %s" % (_LOCK, _owner(directory)),
            "Run the task as that user or as root (become); or give the directory and the lock file to a group of all who write there (chmod 2775 and 660)",
        ) from exc
    try:
        if not taken_within(fd, LOCK_SECONDS, pause=0.002):
            raise BeamError(
                "store_busy",
                "%s can't be written" % where,
                "its lock file %s was locked for %d seconds: %s" % (_LOCK, LOCK_SECONDS, describe_holders(fd)),
                _busy_hint(fd),
            )
        yield
    finally:
        os.close(fd)


def _busy_hint(fd: int) -> str:
    if stopped(holders(fd)):
        return "That process is stopped (state T in `ps`): let it go on (kill -CONT) or end it, and run the task again"
    return "Find out what that process does there: a write to the store takes milliseconds. End it if it is none, and run the task again"


def _owner(directory: int) -> str:
    try:
        info = os.stat(_LOCK, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return "it can't be made here"
    return "it is of the uid %d with the mode %04o" % (info.st_uid, st.S_IMODE(info.st_mode))

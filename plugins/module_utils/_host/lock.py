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
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise BeamError(
                    "install_locked", "%s is busy" % os.path.dirname(path),
                    "another installation (process %s) has been running for more than %g seconds" % (holder, seconds),
                    "Wait for it, or raise lock_timeout", holder=holder,
                ) from exc
        os.pwrite(handle, b"%-19d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(handle)

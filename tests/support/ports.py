# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports for servers that are started later, or stopped and started again: nobody else gets them until the process that asked has ended.

The kernel gives ports of its own range to connections that go out, so none of those is safe while its server is not up. Between processes of the tests,
those of other work trees too, a lock on a file decides.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import typing as t
from pathlib import Path

LOWEST, MOST = 15000, 17000
_locks: list[t.IO[bytes]] = []


def free_ports(count: int, bind: str = "127.0.0.1") -> list[int]:
    directory = Path("/tmp", "beam-test-ports-%d" % os.getuid())  # not TMPDIR, which may be each one's own
    directory.mkdir(mode=0o700, exist_ok=True)
    found: list[int] = []
    span = range(LOWEST, min(LOWEST + MOST, _first_of_the_kernels()))
    for port in random.sample(span, len(span)):
        if len(found) == count:
            return found
        if _mine(directory / str(port)) and _unused(bind, port):
            found.append(port)
    raise OSError("there are no %d free ports from %d to %d" % (count, span.start, span.stop - 1))


def free_port() -> int:
    return free_ports(1)[0]


def _mine(path: Path) -> bool:
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return False
    _locks.append(handle)
    return True


def _unused(bind: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((bind, port))
        except OSError:
            return False
        return True


def _first_of_the_kernels() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except OSError:
        return 32768

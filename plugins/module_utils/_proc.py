# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the kernel tells of a process below /proc, and the end of a child. A process that is gone, or not ours to look at, is an OSError."""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t


class Stat(t.NamedTuple):
    parent: int
    started: int  # in clock ticks since boot
    state: str  # one letter, see proc(5)
    command: str


def read_stat(pid: int) -> Stat:
    with open("/proc/%d/stat" % pid, "rb") as stream:
        data = stream.read()
    # The command may hold blanks and parentheses: the fields begin after the last one.
    left, right = data.index(b"("), data.rindex(b")")
    fields = data[right + 2 :].split()
    return Stat(
        int(fields[1]), int(fields[19]), fields[0].decode("ascii"), data[left + 1 : right].decode("utf-8", "replace")
    )


def open_files(pid: int) -> list[str]:
    """What each of its descriptors leads to, such as a path, `socket:[INODE]` or `/memfd:NAME (deleted)`."""
    found = []
    for name in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(OSError):  # closed by now
            found.append(os.readlink("/proc/%d/fd/%s" % (pid, name)))
    return found


def end(child: subprocess.Popen[t.Any]) -> None:
    """Kill a command of ours. What it has started may hold its outputs open for ever, so nobody reads them to their end."""
    child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(2)
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()

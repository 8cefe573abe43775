# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which release directories are in use: by a running process, or by a mount."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from .layout import Layout


def live_versions(layout: Layout, proc: str = "/proc") -> frozenset[str]:
    """Versions that a process still refers to: program, arguments, working directory, environment, mapped files.

    A VM whose directory is removed dies later, at its first use of a helper program. After a hot upgrade the old root is
    still in use. The arguments of another user's process can be read where its memory can't; they name the root, too.
    """
    pattern = re.compile(re.escape(os.fsencode(layout.releases)) + rb"/([0-9A-Za-z][0-9A-Za-z.+_~-]*)(?=[/\s\0\"']|$)")
    found: set[str] = set()
    for name in os.listdir(proc):
        if name.isdigit() and name != str(os.getpid()):
            for text in _texts(os.path.join(proc, name)):
                found.update(match.decode("ascii") for match in pattern.findall(text))
    return frozenset(found)


def _texts(process: str) -> t.Iterator[bytes]:
    """What can be read of a process; it may end meanwhile, or belong to somebody else."""
    for link in ("exe", "cwd"):
        with contextlib.suppress(OSError):
            yield os.fsencode(os.readlink(os.path.join(process, link)))
    for file in ("cmdline", "environ", "maps"):
        with contextlib.suppress(OSError), open(os.path.join(process, file), "rb") as stream:
            yield stream.read()


def mounted_versions(layout: Layout, mountinfo: str = "/proc/self/mountinfo") -> frozenset[str]:
    """Versions with a mount point in or at their directory: removing one could empty another file system."""
    found = set()
    prefix = layout.releases + "/"
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        fields = line.split(" ")
        if len(fields) > 4:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
            if point.startswith(prefix):
                found.add(point[len(prefix) :].split("/")[0])
    return frozenset(found)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Native libraries (NIFs, drivers) that a node has loaded, and what becomes of them in a release.

The code of a module can be the same in both releases while its library is not. A library that is loaded stays as it is until the node restarts, whatever
the code paths say. The kernel knows which ones are mapped, so nothing has to be asked of the node.
"""

from __future__ import annotations

import filecmp
import glob
import os
import typing as t

from ..._errors import BeamError

_DELETED = " (deleted)"


def libraries(pid: int, base: str, proc: str = "/proc") -> tuple[str, ...]:
    """The files of shared libraries of a process that lie below base/releases. What can't be seen is an error: it is not known to be the same."""
    releases = os.path.realpath(os.path.join(base, "releases")) + os.sep
    try:
        with open(os.path.join(proc, str(pid), "maps"), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as exc:
        raise BeamError(
            "node_denied",
            "Cannot see which libraries process %d has loaded" % pid,
            exc.strerror or str(exc),
            "Run as the user that owns the node, or become root",
            pid=pid,
        ) from None
    # address, permissions, offset, device, inode, path
    paths = {columns[5] for columns in (line.split(None, 5) for line in lines) if len(columns) == 6}
    return tuple(sorted(path for path in paths if path.startswith(releases) and _is_library(path)))


def others(loaded: t.Iterable[str], base: str, root: str) -> tuple[str, ...]:
    """Of these libraries, as application/path, those that the release at root has not, or has with other bytes."""
    releases = os.path.realpath(os.path.join(base, "releases"))
    found = set()
    for path in loaded:
        # version of the release, lib, application-version, path
        parts = os.path.relpath(path, releases).split(os.sep, 3)
        if len(parts) < 4 or parts[1] != "lib":
            continue
        app, rest = parts[2].rpartition("-")[0] or parts[2], parts[3]
        there = _in_release(root, app, rest)
        if there is None or not _equal(path, there):
            found.add("%s/%s" % (app, rest.removesuffix(_DELETED)))
    return tuple(sorted(found))


def _is_library(path: str) -> bool:
    name = os.path.basename(path).removesuffix(_DELETED)
    return name.endswith(".so") or ".so." in name


def _in_release(root: str, app: str, rest: str) -> t.Optional[str]:
    for directory in sorted(glob.glob(os.path.join(glob.escape(root), "lib", glob.escape(app) + "-*"))):
        if os.path.basename(directory).rpartition("-")[0] == app and os.path.isfile(os.path.join(directory, rest)):
            return os.path.join(directory, rest)
    return None


def _equal(one: str, other: str) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # the one that is loaded is no longer on the disk

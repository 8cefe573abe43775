# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether the code of a node that runs was replaced since it was booted, and by which release's.

/proc knows only the release that a process was booted from. After a hot upgrade the node's own code paths name another one. A note below the base says of
which process that may be so. Without it nobody has to be asked.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._errors import BeamError
from .._notes import read_note, write_note
from . import etf
from .ask import connect
from .ending import boot_id
from .manager import Status
from .process import NodeProcess
from .target import instance_of

TIMEOUT = 2.0  # seconds for a node to say where its code comes from


def remember(base: str, pointer: str, process: NodeProcess) -> None:
    """From now on this process has to be asked what it runs. Before its code is touched: a controller may die in between."""
    try:
        write_note(note_of(base, pointer), _identity(process))
    except OSError as exc:
        raise BeamError(
            "upgrade_not_noted",
            "Cannot note that process %d is upgraded" % process.pid,
            "%s: %s" % (exc.filename or base, exc.strerror),
            "Make room in %s, and let whoever runs this write there. Nothing was touched" % base,
        ) from None


def as_it_runs(base: str, pointer: str, process: NodeProcess, timeout: float = TIMEOUT) -> NodeProcess:
    """The process with the release that its code comes from. As it was booted, where it was not upgraded, or does not say."""
    if read_note(note_of(base, pointer)) != _identity(process):
        return process
    try:
        with connect(process, timeout) as node:
            paths = node.call("code", "get_path", timeout=timeout)
    except BeamError:
        return process
    return with_paths(base, process, paths)


def status_as_it_runs(base: str, pointer: str, status: Status) -> Status:
    if status.process is None:
        return status
    return dataclasses.replace(status, process=as_it_runs(base, pointer, status.process))


def with_paths(base: str, process: NodeProcess, paths: t.Any) -> NodeProcess:
    """paths: as the node says them. Where they name no release, or several, nobody can tell."""
    found = releases_of(base, paths)
    if len(found) != 1:
        return process
    (version,) = found
    root = os.path.join(os.path.realpath(base), "releases", version)
    if os.path.realpath(process.root) == root:
        return process
    return dataclasses.replace(process, root=root, version=version, booted=process.version)


def releases_of(base: str, paths: t.Any) -> set[str]:
    """The releases below a base that the code paths of a node name."""
    releases = os.path.join(os.path.realpath(base), "releases") + "/"
    said = [os.path.normpath(etf.text(path)) for path in paths if isinstance(path, (list, bytes, str))]
    return {path[len(releases) :].split("/")[0] for path in said if path.startswith(releases)}


def note_of(base: str, pointer: str) -> str:
    """The file that tells which process was upgraded."""
    return os.path.join(base, "." + instance_of("upgraded", pointer))


def _identity(process: NodeProcess) -> bytes:
    return ("%s %d %d\n" % (boot_id(), process.pid, process.ticks)).encode("ascii")

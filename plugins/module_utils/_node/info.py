# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What really runs: from /proc, and one round trip to the node."""

from __future__ import annotations

import os
import time
import typing as t

from .._errors import BeamError
from .._mask import NOTHING_NAMED, Mask
from . import dist, etf
from .ask import connect
from .crash import crash_dumps
from .ending import boot_id
from .manager import Status
from .process import NodeProcess
from .replaced import with_paths
from .target import current_root, resolve

_COMPARED = 10.0  # seconds for a node to read all of its code
_CALLS: tuple[tuple[str, str, list[t.Any]], ...] = (
    ("application", "which_applications", [1000]),
    ("erlang", "memory", []),
    ("erlang", "statistics", [etf.Atom("run_queue")]),
    ("erlang", "system_info", [etf.Atom("process_count")]),
    ("erlang", "system_info", [etf.Atom("process_limit")]),
    ("erlang", "system_info", [etf.Atom("port_count")]),
    ("erlang", "system_info", [etf.Atom("port_limit")]),
    ("erlang", "system_info", [etf.Atom("atom_count")]),
    ("erlang", "system_info", [etf.Atom("atom_limit")]),
    ("erlang", "nodes", []),
    ("erlang", "system_info", [etf.Atom("otp_release")]),
    ("erlang", "system_info", [etf.Atom("schedulers_online")]),
    ("init", "get_status", []),
    ("code", "get_path", []),
)


def gather(
    base: str,
    name: str,
    status: Status,
    crash_dirs: t.Sequence[str] = (),
    timeout: float = 2.0,
    pointer: str = "current",
    mask: Mask = NOTHING_NAMED,
    modified: bool = False,
) -> dict[str, t.Any]:
    """Everything known about the node. That it does not run, or does not answer, is part of the answer.

    modified: the node compares what it has loaded with its files, which takes it a fifth of a second.
    """
    process = status.process
    root = current_root(base, pointer)
    facts: dict[str, t.Any] = {
        "running": process is not None,
        "state": status.state,
        "restarts": status.restarts,
        "enabled": status.enabled,
        "boot_id": boot_id() or None,
        "uptime": None,
        "upgraded_from": None,
        "modified": None,
        **(process.facts() if process else {"pid": None, "started": None, "version": None, "root": None, "node": None}),
        "current": _on_disk(base, name, pointer),
        "rss": _rss(process) if process else None,
        **_unasked(""),
    }
    if process is not None:
        facts["uptime"] = round(time.time() - process.started, 1)
        said, process = _asked(base, process, timeout, modified)
        facts.update(said, **process.facts())
    elsewhere = process is not None and bool(root) and os.path.realpath(process.root) != root
    facts["drift"] = elsewhere or bool(facts["modified"])
    hidden = mask.also(process.argv_cookie) if process is not None else mask
    facts["crash_dumps"] = crash_dumps(_dump_places(process, crash_dirs), hidden)
    return facts


def _on_disk(base: str, name: str, pointer: str) -> dict[str, t.Any]:
    root = current_root(base, pointer)
    try:
        target = resolve(base, name, pointer=pointer)
        return {"root": target.root, "version": target.version, "problem": None}
    except BeamError as exc:
        return {"root": root, "version": None, "problem": exc.message}


def _unasked(reason: str) -> dict[str, t.Any]:
    keys = (
        "applications",
        "memory",
        "run_queue",
        "processes",
        "ports",
        "atoms",
        "nodes",
        "otp_release",
        "schedulers",
        "booted",
    )
    return {**dict.fromkeys(keys), "answers": False, "problem": reason or None}


def _asked(base: str, process: NodeProcess, timeout: float, modified: bool) -> tuple[dict[str, t.Any], NodeProcess]:
    """What it says, and the process with the release that its code comes from."""
    try:
        with connect(process, timeout) as node:
            *answers, paths = node.calls(_CALLS, timeout=timeout)
            found = digest(answers)
            if modified:
                found["modified"] = _modified(node)
            return found, with_paths(base, process, paths)
    except BeamError as exc:
        return _unasked(exc.message), process


def _modified(node: dist.Connection) -> t.Optional[list[str]]:
    """The modules that are loaded as other code than lies where the node would load them from now. None: it did not say."""
    try:
        found = node.call("code", "modified_modules", timeout=_COMPARED)
    except BeamError:
        return None
    return sorted(map(str, found)) if isinstance(found, list) else None


def digest(answers: t.Sequence[t.Any]) -> dict[str, t.Any]:
    """Pure: the answers to _CALLS but for the last, as a module returns them."""
    (
        applications,
        memory,
        run_queue,
        processes,
        process_limit,
        ports,
        port_limit,
        atoms,
        atom_limit,
        nodes,
        otp,
        schedulers,
        status,
    ) = answers
    return {
        "answers": True,
        "problem": None,
        "applications": {str(item[0]): etf.text(item[2]) for item in sorted(applications)},
        "memory": {str(key): value for key, value in memory},
        "run_queue": run_queue,
        "processes": {"count": processes, "limit": process_limit},
        "ports": {"count": ports, "limit": port_limit},
        "atoms": {"count": atoms, "limit": atom_limit},
        "nodes": sorted(map(str, nodes)),
        "otp_release": etf.text(otp),
        "schedulers": schedulers,
        "booted": isinstance(status, tuple) and status[:1] == ("started",),
    }


def _rss(process: NodeProcess) -> t.Optional[int]:
    try:
        with open("/proc/%d/statm" % process.pid, encoding="ascii") as handle:
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None


def _dump_places(process: t.Optional[NodeProcess], extra: t.Sequence[str]) -> list[str]:
    """Files and directories where a dump of this node may be: the configured place, else the directory where it was started."""
    places = list(extra)
    if process is not None:
        places.append(process.crash_dump or "/proc/%d/cwd" % process.pid)
        places.append(process.root)
    return places

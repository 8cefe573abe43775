# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cgroups of a host. Each host needs its own, in each hierarchy that this machine has: two containers that share one also share their services."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from common import Fleet, wait_for


def hierarchies() -> list[Path]:
    """The last one is always the unified one, which can freeze and kill."""
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.controllers").exists():
        return [top]
    if (top / "unified" / "cgroup.procs").exists() and (top / "systemd" / "cgroup.procs").exists():
        return [top / "systemd", top / "unified"]
    return []


def _group(hierarchy: Path, fleet: Fleet) -> Path:
    return hierarchy / ("beam-fleet-" + fleet.name)


def unified(fleet: Fleet, host: str) -> Path:
    return _group(hierarchies()[-1], fleet) / host


def make(fleet: Fleet, host: str) -> list[Path]:
    groups = [_group(hierarchy, fleet) / host for hierarchy in hierarchies()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    return groups


def kill(fleet: Fleet, host: str) -> None:
    """All processes at once, as a power cut does. Killing only the supervisor would leave the container running."""
    group = unified(fleet, host)
    if group.exists():
        thaw(fleet, host)
        (group / "cgroup.kill").write_text("1")
        wait_for("the end of %s's processes" % host, lambda: "populated 0" in (group / "cgroup.events").read_text())


def remove(fleet: Fleet, host: str) -> None:
    """After a kill too: a killed cgroup keeps killing what systemd starts in it directly, so the next start needs a new one."""
    for hierarchy in hierarchies():
        top = _group(hierarchy, fleet) / host
        for directory, _names, _files in os.walk(top, topdown=False):
            wait_for("the end of cgroup %s" % directory, functools.partial(_removed, directory))


def remove_all(fleet: Fleet) -> list[str]:
    """The hosts of which a cgroup is left, also after a crash of this program: all are ended."""
    left = {path.name for hierarchy in hierarchies() for path in _group(hierarchy, fleet).glob("*") if path.is_dir()}
    for host in left:
        kill(fleet, host)
        remove(fleet, host)
    for hierarchy in hierarchies():
        _removed(str(_group(hierarchy, fleet)))
    return sorted(left)


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def freeze(fleet: Fleet, host: str) -> None:
    (unified(fleet, host) / "cgroup.freeze").write_text("1")
    wait_for("the freeze of %s" % host, lambda: "frozen 1" in (unified(fleet, host) / "cgroup.events").read_text())


def thaw(fleet: Fleet, host: str) -> None:
    (unified(fleet, host) / "cgroup.freeze").write_text("0")


def frozen(fleet: Fleet, host: str) -> bool:
    return "frozen 1" in (unified(fleet, host) / "cgroup.events").read_text()


def init_pid(fleet: Fleet, host: str) -> int | None:
    """The host's PID 1, as this machine numbers it; None while it is off."""
    try:
        pids = (unified(fleet, host) / "payload" / "init.scope" / "cgroup.procs").read_text().split()
    except (FileNotFoundError, OSError):
        return None
    # Numbers wrap around, so the lowest may be a child that is on its way to a cgroup of its own.
    return next((int(pid) for pid in pids if _is_first(pid)), None)


def _is_first(pid: str) -> bool:
    """Whether the process is number 1 in its own namespace."""
    try:
        status = Path("/proc", pid, "status").read_text()
    except OSError:
        return False
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())

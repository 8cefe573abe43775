# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The options of the modules that a step of a rollout calls on a server. They are written once, whichever the strategy. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Server:
    """What a server's steps are made of: the plan, and the role's variables as they are for this server and this task.

    color: the node that the step is about; `current` where the server has one. version: which ought to run afterwards; empty where none ran before.
    """

    name: str
    base: str
    channel: str
    digest: str
    version: str
    color: str = "current"
    manager: str = "systemd"
    unit: str = ""
    keep: int = 5
    abi_ignore: t.Sequence[str] = ()
    allow_ghost: bool = False
    force: bool = False
    stop_timeout: float = 30
    boot_timeout: float = 60
    health: Options = field(default_factory=dict)
    # Of the lock: the fence is none where the lock is not ours, as in a rehearsal.
    fence: int | None = None
    # How it reaches the store, where the release is not staged yet: in a rehearsal.
    reach: Options = field(default_factory=dict)


def calls(steps: t.Sequence[str], server: Server) -> dict[str, dict[str, t.Any]]:
    """`point` and `restart` of the module rollout_host, for those of them that these steps need."""
    found: dict[str, dict[str, t.Any]] = {}
    for step in steps:
        key, make = _CALLS[step]
        found[key] = {
            "name": server.name,
            "base": server.base,
            **_fence(server),
            "pointer": server.color,
            **make(server),
        }
    return found


def _fence(server: Server) -> dict[str, t.Any]:
    return {} if server.fence is None else {"fence": server.fence, "fence_channel": server.channel}


def _point(server: Server) -> dict[str, t.Any]:
    return {
        "state": "active",
        "digest": server.digest,
        "allow_ghost": server.allow_ghost,
        **_kept(server),
        **server.reach,
    }


def _point_back(server: Server) -> dict[str, t.Any]:
    """What ran here before is the best there is, whatever is said of it."""
    where = {"state": "active", "version": server.version} if server.version else {"state": "inactive"}
    return {**where, "allow_ghost": True, **_kept(server)}


def _kept(server: Server) -> dict[str, t.Any]:
    return {"keep": server.keep, "abi_ignore": server.abi_ignore}


def _restart(server: Server) -> dict[str, t.Any]:
    return {
        **_node(server),
        "state": "restarted",
        "force": server.force,
        "expect_version": server.version,
        "health": server.health,
    }


def _restart_back(server: Server) -> dict[str, t.Any]:
    """A server that had nothing before ends as it began: nothing runs."""
    if not server.version:
        return {**_node(server), "state": "stopped"}
    return {**_node(server), "state": "restarted", "expect_version": server.version, "health": server.health}


def _node(server: Server) -> dict[str, t.Any]:
    return {
        "manager": server.manager,
        "unit": server.unit,
        "stop_timeout": server.stop_timeout,
        "boot_timeout": server.boot_timeout,
    }


_CALLS: t.Mapping[str, tuple[str, t.Callable[[Server], dict[str, t.Any]]]] = {
    "activate": ("point", _point),
    "restart": ("restart", _restart),
    "back_point": ("point", _point_back),
    "back_restart": ("restart", _restart_back),
}

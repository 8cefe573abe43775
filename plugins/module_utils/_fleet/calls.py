# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The modules that a step of a rollout calls on a server, and their options. They are the same for every strategy. Pure."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from .nodes import CURRENT

Options = t.Mapping[str, t.Any]
POINT, RESTART, UPGRADE, INFO, MEMBER, SYSTEMD = "point", "restart", "upgrade", "info", "member", "systemd"
SETTINGS = "settings"
# The first two, alone or both, are one call of rollout_host.
MODULES: t.Mapping[str, str] = {
    POINT: "alchemist.beam.release_install",
    RESTART: "alchemist.beam.beam_restart",
    UPGRADE: "alchemist.beam.beam_upgrade",
    INFO: "alchemist.beam.beam_info",
    MEMBER: "alchemist.beam.balancer_member",
    SYSTEMD: "ansible.builtin.systemd_service",
    SETTINGS: "alchemist.beam.service_settings",
}


@dataclass(frozen=True)
class Server:
    """What a server's steps are made from: the plan, and the role's variables for this server and this task.

    color: the node that the step is about; `current` if the server has one node. others: the nodes that make room for it.
    version: the one that should run afterwards; empty if none ran before. unit: of the node without a colour.
    """

    name: str
    base: str
    channel: str
    digest: str
    version: str
    host: str = ""
    color: str = CURRENT
    others: tuple[str, ...] = ()
    manager: str = "systemd"
    unit: str = ""
    keep: int = 5
    abi_ignore: t.Sequence[str] = ()
    allow_ghost: bool = False
    force: bool = False
    stop_timeout: float = 30
    boot_timeout: float = 60
    health: Options = field(default_factory=dict)
    # For a look, which does not watch a node that has just started.
    sight: Options = field(default_factory=dict)
    ready: Options = field(default_factory=dict)
    hot: Options = field(default_factory=dict)  # for a hot upgrade: the options that the user gives
    drain_timeout: float = 60
    drain_quiet: float = 2
    join_timeout: float = 60
    # From the lock. There is no fence if the lock is not ours, as in a rehearsal.
    fence: int | None = None
    # How the server reaches the store if the release is not staged yet, as in a rehearsal.
    reach: Options = field(default_factory=dict)
    # Environment files with a staged successor beside them, if the rollout brings new settings.
    settings: tuple[str, ...] = ()

    def unit_of(self, color: str) -> str:
        return self.unit if color == CURRENT else "%s-%s" % (self.unit, color)


@dataclass(frozen=True)
class Call:
    """One module on one server."""

    step: str
    module: str
    options: Options
    then: Call | None = None  # what comes next in the same call if this succeeds


def calls(steps: t.Sequence[str], server: Server) -> list[Call]:
    """The calls in order. Pointing and restarting a node is one call."""
    found: list[Call] = []
    for step in steps:
        for module, options in _CALLS[step](server):
            call = Call(step, module, options)
            last = found[-1] if found else None
            if last and _PAIRS.get(last.step) == step:
                found[-1] = dataclasses.replace(last, then=call)
            else:
                found.append(call)
    return found


Made = t.Iterable[tuple[str, dict[str, t.Any]]]


def _base(server: Server) -> dict[str, t.Any]:
    return {"name": server.name, "base": server.base}


def _fenced(server: Server) -> dict[str, t.Any]:
    fence = {} if server.fence is None else {"fence": server.fence, "fence_channel": server.channel}
    return {**_base(server), **fence}


def _kept(server: Server) -> dict[str, t.Any]:
    return {"keep": server.keep, "abi_ignore": server.abi_ignore}


def _point(server: Server, pointer: str = "") -> Made:
    own = {"state": "active", "digest": server.digest, "allow_ghost": server.allow_ghost}
    return [(POINT, {**_fenced(server), "pointer": pointer or server.color, **own, **_kept(server), **server.reach})]


def _point_back(server: Server, pointer: str = "") -> Made:
    """What ran here before is the best that there is, ghost or not."""
    where = {"state": "active", "version": server.version} if server.version else {"state": "inactive"}
    own = {"pointer": pointer or server.color, **where, "allow_ghost": True, **_kept(server)}
    return [(POINT, {**_fenced(server), **own})]


def _settings(server: Server, state: str) -> list[tuple[str, dict[str, t.Any]]]:
    return [(SETTINGS, {**_fenced(server), "files": list(server.settings), "state": state})] if server.settings else []


def _node(server: Server, color: str = "") -> dict[str, t.Any]:
    return {
        **_fenced(server),
        "pointer": color or server.color,
        "manager": server.manager,
        "unit": server.unit_of(color or server.color),
        "stop_timeout": server.stop_timeout,
    }


def _started(server: Server) -> dict[str, t.Any]:
    own = {"boot_timeout": server.boot_timeout, "expect_version": server.version, "health": server.health}
    return {**_node(server), "state": "restarted", **own}


def _restart(server: Server) -> Made:
    return [(RESTART, {**_started(server), "force": server.force})]


def _restart_back(server: Server) -> Made:
    """A server on which nothing ran before ends as it began: nothing runs."""
    stopped = {**_node(server), "boot_timeout": server.boot_timeout, "state": "stopped"}
    return [(RESTART, _started(server) if server.version else stopped)]


def upgrade_plan(
    name: str, base: str, manager: str, unit: str, version: str, abi_ignore: t.Sequence[str]
) -> dict[str, t.Any]:
    """The options of beam_upgrade for a node. As with a restart, a rollout may also go to an older version."""
    node = {"name": name, "base": base, "pointer": CURRENT, "manager": manager, "unit": unit}
    return {**node, "version": version, "downgrade": True, "abi_ignore": abi_ignore}


def _upgrade(server: Server) -> Made:
    """A blocker is an error, because nothing may be restarted here: a server that restarts leaves the balancers first."""
    asked = upgrade_plan(server.name, server.base, server.manager, server.unit, server.version, server.abi_ignore)
    return [(UPGRADE, {**_fenced(server), **server.hot, **asked, "health": server.health})]


def _readiness(state: str) -> t.Callable[[Server], Made]:
    def made(server: Server) -> Made:
        waits: dict[str, t.Any] = {"timeout": server.join_timeout}
        if state == "drained":
            waits = {"timeout": server.drain_timeout, "quiet": server.drain_quiet}
        file = {"kind": "file", **server.ready}
        return [(MEMBER, {"balancers": [file], "members": {server.host: {}}, "state": state, **waits})]

    return made


def _look(server: Server) -> Made:
    own = {"manager": server.manager, "unit": server.unit_of(server.color), "pointer": server.color}
    return [(INFO, {**_base(server), **own, "health": server.sight})]


def _boot(enabled: bool, own: bool) -> t.Callable[[Server], Made]:
    """Whether systemd starts a node at boot: its own one, or the others."""

    def made(server: Server) -> Made:
        names = () if server.manager != "systemd" else (server.color,) if own else server.others
        return [(SYSTEMD, {"name": server.unit_of(name) + ".service", "enabled": enabled}) for name in names]

    return made


def _stop(server: Server) -> Made:
    return [(RESTART, {**_node(server, color), "state": "stopped"}) for color in server.others]


def _remove(server: Server) -> Made:
    return [(POINT, {**_fenced(server), "pointer": CURRENT, "state": "inactive"})]


_PAIRS = {"activate": "restart", "back_point": "back_restart"}
_CALLS: t.Mapping[str, t.Callable[[Server], Made]] = {
    "hide": _readiness("drained"),
    # Settings come first, forward and back: pointing at the release and restarting is one call.
    "activate": lambda server: [*_settings(server, "applied"), *_point(server)],
    "restart": _restart,
    "upgrade": _upgrade,
    "show": _readiness("joined"),
    "look": _look,
    "switch": lambda server: _point(server, CURRENT),
    "enable": _boot(True, own=True),
    "disable": _boot(False, own=False),
    "stop": _stop,
    "confirm": _look,
    "back_upgrade": _upgrade,
    "back_point": lambda server: [*_settings(server, "returned"), *_point_back(server)],
    "back_restart": _restart_back,
    "back_show": _readiness("joined"),
    "back_switch": lambda server: _point_back(server, CURRENT),
    "back_enable": _boot(True, own=True),
    "back_disable": _boot(False, own=False),
    "back_stop": _stop,
    "back_remove": _remove,
    "back_unlist": _boot(False, own=True),
}
SERVER_STEPS = tuple(_CALLS)

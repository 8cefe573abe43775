# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout acts on: servers with one node or two, a balancer, a channel, and the real journal. Each act is whole, or does nothing."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import CURRENT, member_name, nodes_at
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.notes import notes
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import Plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import StepResult, batch_state
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.rollout import Progress, Turn
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Stamp
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import (
    Journal,
    Opening,
    close,
    open_journal,
    raise_fence,
    record,
)

OLD, NEW = "0.1.0", "0.2.0"
DIGESTS = {OLD: "a" * 64, NEW: "b" * 64}
COLORS = ("blue", "green")


@dataclass
class Server:
    current: str = ""  # the version that `current` points at
    pointers: dict[str, str] = field(default_factory=dict)  # of each colour
    nodes: dict[str, str] = field(default_factory=dict)  # what runs, the oldest first
    at_boot: set[str] = field(default_factory=set)
    fence: int = 0

    def key(self) -> t.Any:
        return (
            self.current,
            tuple(sorted(self.pointers.items())),
            tuple(self.nodes.items()),
            tuple(sorted(self.at_boot)),
            self.fence,
        )

    def live(self) -> str:
        """As _node/colors.py tells it."""
        booted = [color for color in self.nodes if color in self.at_boot]
        pointed = [color for color, version in self.nodes.items() if version == self.current]
        return next((chosen[0] for chosen in (booted, pointed) if len(chosen) == 1), next(iter(self.nodes), ""))


class Refused(Exception):
    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code


@dataclass
class World:
    servers: dict[str, Server]
    colored: bool = False
    balanced: bool = True
    sick: frozenset[str] = frozenset()  # versions that never become healthy
    blocked: frozenset[str] = frozenset()  # hosts whose node can't be upgraded without a restart
    one_way: bool = False  # and no host can go back so
    inside: set[str] = field(default_factory=set)  # members that the balancer sends requests to
    stable: str = OLD
    candidate: str = ""
    ghosts: frozenset[str] = frozenset()
    serial: int = 0
    journal: Journal = field(default_factory=lambda: Journal("beacon", "production"))

    def key(self) -> t.Any:
        hosts = tuple((name, row.step, row.before, row.out) for name, row in sorted(self.journal.hosts.items()))
        store = (self.stable, self.candidate, self.ghosts, self.serial, self.journal.state, self.journal.version, hosts)
        return tuple((name, server.key()) for name, server in self.servers.items()), tuple(sorted(self.inside)), store

    def members(self, host: str) -> list[str]:
        return [member_name(host, color) for color in COLORS] if self.colored else [host]

    def fit(self, host: str, color: str) -> bool:
        return self.servers[host].nodes.get(color, "") not in (*self.sick, "")

    def serving(self) -> set[str]:
        """The hosts that answer requests."""
        colors = COLORS if self.colored else (CURRENT,)
        return {
            host
            for host in self.servers
            for color in colors
            if member_name(host, color) in self.inside and self.fit(host, color)
        }

    def out(self) -> set[str]:
        return {host for host in self.servers if self.balanced and not self.inside.intersection(self.members(host))}


class Run:
    """One deployer: does a turn in the world. `now` has its plan and what it was answered."""

    def __init__(self, world: World, now: Progress, origins: t.Mapping[str, t.Any]) -> None:
        self.world, self.now, self.plan, self.origins, self.serial = world, now, now.plan, origins, 0

    # Each act raises Refused, or gives the facts of its answer.

    def act(self, turn: Turn, host: str, code: str = "") -> dict[str, t.Any]:
        """code: what goes wrong with the node, where the release is what fails."""
        step = turn.step.name
        if turn.step.where == "hook" or step in ("watch", "look", "stand_by"):
            return {}
        if step.startswith("note_"):
            return self._note(turn, step[len("note_") :])
        if step in ("leave", "clear", "back_leave", "back_clear"):
            return self._leave(turn)
        if step in ("join", "rejoin", "back_join"):
            return self._join(turn)
        if step in ("bake", "confirm"):
            return self._look(host, code)
        if hasattr(self, "_do_" + step):
            return getattr(self, "_do_" + step)(turn) or {}
        return self._on_server(step, self.world.servers[host], host, code)

    def stamp(self) -> Stamp:
        return Stamp("me", "now", "token", fence=self.serial)

    def _fenced(self) -> None:
        if self.serial < self.world.serial:
            raise Refused("lock_lost")

    def _note(self, turn: Turn, phase: str) -> dict[str, t.Any]:
        told = notes(self.now.records, turn.hosts, self.plan, phase)
        try:
            self.world.journal = record(self.world.journal, told, phase in ("returning", "returned"), self.stamp())
        except BeamError as error:
            raise Refused(error.code) from None
        return {}

    def _nodes(self, turn: Turn) -> dict[str, list[str]]:
        if not self.world.colored:
            return {host: [CURRENT] for host in turn.hosts}
        return {host: nodes_at(self.plan, host, turn.step.name) for host in turn.hosts}

    def _leave(self, turn: Turn) -> dict[str, t.Any]:
        gone = {member_name(host, color) for host, colors in self._nodes(turn).items() for color in colors}
        before = self.world.serving()
        after = replace(self.world, inside=self.world.inside - gone).serving()
        if len(after) < len(before) and len(after) < self.plan.floor:
            raise Refused("capacity_floor")
        told = {name: {"before": "in" if name in self.world.inside else "out"} for name in sorted(gone)}
        self.world.inside -= gone
        return {"members": told}

    def _join(self, turn: Turn) -> dict[str, t.Any]:
        came = {
            member_name(host, color): (host, color) for host, colors in self._nodes(turn).items() for color in colors
        }
        self.world.inside |= set(came)
        if not all(self.world.fit(*node) for node in came.values()):
            raise Refused("not_joined")
        return {"members": {name: {} for name in came}}

    def _look(self, host: str, code: str) -> dict[str, t.Any]:
        color = self.plan.sides[host].to if self.world.colored and host else CURRENT
        if code and host:
            self.world.servers[host].nodes.pop(color, None)
        version = self.world.servers[host].nodes.get(color) if host else None
        return {"running": bool(version), "pid": version}

    def _do_lock(self, _turn: Turn) -> None:
        self.world.serial += 1
        self.serial = self.world.serial
        self.world.journal = raise_fence(self.world.journal, self.stamp())

    def _do_open(self, _turn: Turn) -> None:
        draft, name = self.plan.draft, "20260101T000000Z-%08x" % self.serial
        opening = Opening(name, draft.kind, draft.version, draft.digest, draft.stable, draft.strategy, self.origins)
        self._fenced()
        self.world.journal = open_journal(self.world.journal, opening, self.stamp())

    def _do_propose(self, _turn: Turn) -> None:
        self._fenced()
        self.world.candidate = self.plan.draft.version

    def _do_promote(self, _turn: Turn) -> None:
        self._fenced()
        self.world.stable, self.world.candidate = self.plan.draft.version, ""

    def _do_ghost(self, _turn: Turn) -> None:
        self._fenced()
        self.world.ghosts, self.world.candidate = self.world.ghosts | {self.plan.draft.version}, ""

    def _do_withdraw(self, _turn: Turn) -> None:
        self._fenced()
        self.world.candidate = ""

    def _do_close(self, _turn: Turn) -> None:
        self._fenced()
        self.world.journal = close(self.world.journal, "failed", self.stamp())

    def _do_release(self, _turn: Turn) -> None:
        pass

    def _do_give_way(self, turn: Turn) -> None:
        for name in batch_state(self.now.records, turn.batch).taken:
            host, _dash, color = name.partition("-")
            self.world.inside |= {name} if self.world.fit(host, color or CURRENT) else set()

    def _on_server(self, step: str, server: Server, host: str, code: str) -> dict[str, t.Any]:
        if self.serial < server.fence:
            raise Refused("lock_lost")
        server.fence = self.serial
        back, version = step.startswith("back_"), self.plan.draft.version
        side = self.plan.sides.get(host)
        before, color = self.plan.before(host), CURRENT
        if side:
            color = (side.back or side.to) if back else side.to
        aside = [one for one in (side.others if side and not back else COLORS if side else ()) if one != color]
        wanted = before if back else version
        if step in ("activate", "back_point"):
            if side:
                server.pointers[color] = wanted
            else:
                server.current = wanted
        elif step in ("upgrade", "back_upgrade"):
            return self._upgrade(server, host, wanted, back, code)
        elif step in ("restart", "back_restart"):
            return self._restart(server, color, wanted, code)
        elif step in ("switch", "back_switch", "back_remove"):
            server.current = wanted if step != "back_remove" else ""
        elif step in ("enable", "back_enable"):
            server.at_boot.add(color)
        elif step in ("disable", "back_disable"):
            server.at_boot.difference_update(aside)
        elif step == "back_unlist":
            server.at_boot.discard(color)
        else:
            for one in aside:
                server.nodes.pop(one, None)
        return {}

    def _upgrade(self, server: Server, host: str, wanted: str, back: bool, code: str) -> dict[str, t.Any]:
        """Whole, or not at all: what fails leaves the node with the version before."""
        running = server.nodes.get(CURRENT, "")
        if running != wanted and (not running or host in self.world.blocked or (back and self.world.one_way)):
            raise Refused("upgrade_blocked")
        if code:
            server.nodes.pop(CURRENT, None)
            raise Refused("upgrade_lost")
        if wanted in self.world.sick:
            raise Refused("upgrade_failed")
        server.nodes[CURRENT] = server.current = wanted
        return {"after": {"version": wanted, "pid": wanted}}  # as `_look` calls it

    def _restart(self, server: Server, color: str, wanted: str, code: str) -> dict[str, t.Any]:
        if not wanted:
            server.nodes.pop(color, None)
            return {"after": None}
        if (server.current if color == CURRENT else server.pointers.get(color)) != wanted:
            raise Refused("version_on_disk")
        if server.nodes.get(color) != wanted:
            server.nodes.pop(color, None)
            server.nodes[color] = wanted
        if code:
            server.nodes.pop(color, None)
            raise Refused(code)
        if wanted in self.world.sick:
            raise Refused("unhealthy")
        return {"after": {"version": wanted, "pid": wanted}}


def answer(run: Run, turn: Turn, host: str, fault: str) -> StepResult:
    """What a deployer is told of a step on one host, or of one that is done once (host is "" then). fault: see faults()."""
    name = turn.step.name
    tried = name == "back_upgrade"  # who can't go back so is restarted
    if fault in ("other", "lost") and tried:
        return StepResult(name)
    if fault == "other":
        return _told(name, turn, Refused("disk_full"))
    if fault == "lost":
        return StepResult(name, False, "", "no route", lost=True)
    try:
        facts = run.act(turn, host, fault if fault in ("node_died", "canary_worse") else "")
    except Refused as refused:
        return StepResult(name) if tried else _told(name, turn, refused)
    if fault == "answer_lost" and tried:
        return StepResult(name)
    if fault == "answer_lost":
        return (
            StepResult(name, False, "", "no route", lost=True)
            if not turn.step.once
            else _told(name, turn, Refused("unreachable"))
        )
    if fault == "canary_worse":
        return StepResult(name, False, fault, fault)
    return StepResult(name, began=1.0, seconds=1.0, facts=facts)


def _told(name: str, turn: Turn, refused: Refused) -> StepResult:
    # A store that is away for a while must not keep hosts out of service: these notes are written with the next one.
    tolerated = name in ("note_moved", "note_joined", "note_returning") and refused.code != "lock_lost"
    return StepResult(name, tolerated, refused.code, str(refused))


def hostvars(world: World, plan_version: str) -> dict[str, dict[str, t.Any]]:
    """What the look at the servers registers."""
    found = {}
    for host, server in world.servers.items():
        live = server.live() if world.colored else CURRENT
        version = server.nodes.get(live)
        passed = version not in world.sick
        action = "none" if version == plan_version else "restart" if version else "start"
        seen: dict[str, t.Any] = {
            "running": bool(version),
            "version": version,
            "health": {"passed": passed},
            "restart": {"action": action},
            "enabled": live in server.at_boot,
        }
        if world.colored:
            idle = min((color for color in COLORS if color != live), key=lambda color: color in server.nodes)
            colors = {
                c: {"running": c in server.nodes, "version": server.nodes.get(c), "enabled": c in server.at_boot}
                for c in COLORS
            }
            seen.update(live=live, idle=idle, colors=colors, plain={})
        look = {"seen": seen, "staged": {"current": server.current or None}}
        if world.colored and action != "none":
            look["foreseen"] = {"action": "none" if server.nodes.get(idle) == plan_version else "start"}
        if action == "restart" and not world.colored:
            look["hot"] = {"action": "blocked" if host in world.blocked else "hot", "blockers": [{"why": "NIFs"}]}
        found[host] = {"rollout_look": look}
    return found


def balanced(world: World) -> dict[str, t.Any]:
    if not world.balanced:
        return {}
    found = {}
    for host in world.servers:
        for color in COLORS if world.colored else (CURRENT,):
            name = member_name(host, color)
            found[name] = {"before": "in" if name in world.inside else "out", "healthy": world.fit(host, color)}
    return {"members": found, "balancers": ["lb"]}


def proven_at(world: World, host: str, version: str, plan: Plan) -> bool:
    """Whether a server runs a version, would start it at its next boot, and nothing else runs or would be started. '': nothing."""
    server = world.servers[host]
    if not world.colored:
        return server.current == version and server.nodes.get(CURRENT, "") == version
    live = server.live()
    return (server.current, server.nodes.get(live, ""), set(server.nodes)) == (
        version,
        version,
        {live} if version else set(),
    ) and server.at_boot == ({live} if version else set())

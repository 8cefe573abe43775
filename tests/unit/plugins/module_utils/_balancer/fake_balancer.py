# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A balancer in memory, on a clock of its own, that lags, lies, throttles and refuses as told."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._balancer.base import (
    DRAINING,
    IN,
    OUT,
    UNKNOWN,
    Counters,
    MemberState,
    Unavailable,
)
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


class FakePlace:
    """lag: seconds until it does what it was told. sessions: end of each open session, by host. keeps: requests that it sends all the same, until then."""

    pace = 0.5
    adds = False
    sees_all = True

    def __init__(self, clock: Clock, hosts: t.Iterable[str], label: str = "fake", fails_open: bool = False) -> None:
        self.label, self.clock, self.fails_open = label, clock, fails_open
        self.rotation = dict.fromkeys(hosts, IN)
        self.healthy = dict.fromkeys(self.rotation, True)
        self.lag = 0.0
        self.sessions: dict[str, list[float]] = {}
        self.keeps: dict[str, float] = {}
        self.silent = False  # tells no sessions
        self.curt = False  # says out while sessions are open, as HAProxy does of a server in maintenance
        self.never: set[str] = set()  # commands that it answers and does not obey
        self.fail: t.Callable[[str, str], t.Optional[BeamError]] = lambda verb, name: None
        self.commands: list[tuple[str, str]] = []
        self._due: list[tuple[float, str, str]] = []
        self._total = dict.fromkeys(self.rotation, 100)

    def _settle(self) -> None:
        for at, name, rotation in list(self._due):
            if at <= self.clock():
                self.rotation[name] = rotation
                self._due.remove((at, name, rotation))

    def _raise(self, verb: str, name: str = "") -> None:
        error = self.fail(verb, name)
        if error is not None:
            raise error

    def look(self) -> dict[str, MemberState]:
        self._raise("look")
        self._settle()
        found = {}
        for name, rotation in self.rotation.items():
            if self.keeps.get(name, 0) > self.clock():
                self._total[name] += 1
            open_now = sum(end > self.clock() for end in self.sessions.get(name, ()))
            if rotation == OUT and open_now and not self.curt:
                rotation = DRAINING
            found[name] = MemberState(
                rotation,
                self.healthy[name] and rotation != UNKNOWN,
                None if self.silent else open_now,
                "",
                Counters(self._total[name], self._total[name]),
            )
        return found

    def _told(self, verb: str, name: str, rotation: str) -> None:
        self.commands.append((verb, name))
        self._raise(verb, name)
        if verb not in self.never:
            self._due.append((self.clock() + self.lag, name, rotation))
            self._settle()

    def leave(self, name: str) -> None:
        self._told("leave", name, OUT)

    def shut(self, name: str) -> None:
        self.commands.append(("shut", name))
        self._raise("shut", name)

    def join(self, name: str, checked: bool = True) -> None:
        self._told("join", name, IN)

    def forecast(self) -> dict[str, float]:
        return {}


def busy(what: str = "balancer_busy") -> Unavailable:
    return Unavailable(what, "asking fake failed", "Throttling", "Later")


def denied() -> BeamError:
    return BeamError("balancer_denied", "asking fake failed", "AccessDenied", "Rights")

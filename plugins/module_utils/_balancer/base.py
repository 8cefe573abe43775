# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The one shape of every load balancer: look, leave, shut, join.

A *place* is one list of members that gets traffic: a backend of HAProxy, a target group, the readiness file of a server. A host may be in several
places; each is a Balancer object of its own. What a place says is all that is believed: a command that was answered proves nothing.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from .._errors import BeamError

IN, DRAINING, OUT, UNKNOWN = "in", "draining", "out", "unknown"
PARTLY = "partly"  # only of a host in several places: in here, out there


class Unavailable(BeamError):
    """It may answer a moment later: not reachable, throttled, overloaded. Asked again, within bounds."""


@dataclass(frozen=True)
class Counters:
    """What a place counted for a member since it started; every number only grows, except the two times.

    total: requests (or connections, if it knows no HTTP) that it sent there, answered or not. requests: those with an answer or an error.
    response_ms, total_ms: mean milliseconds until the answer's head, and until its end, over the last requests: a sliding mean, whose newest
    `window` requests weigh most (compare.py takes it apart).
    """

    total: int
    requests: int
    responses_1xx: int = 0
    responses_2xx: int = 0
    responses_3xx: int = 0
    responses_4xx: int = 0
    responses_5xx: int = 0
    connect_errors: int = 0
    response_errors: int = 0
    aborted: int = 0
    response_ms: float = 0.0
    total_ms: float = 0.0
    window: int = 512

    def facts(self) -> dict[str, t.Any]:
        return {key: value for key, value in asdict(self).items() if key != "window"}


@dataclass(frozen=True)
class MemberState:
    """What a place says of one member.

    rotation: `in` gets new requests, `draining` gets none and has some to finish, `out` has none, `unknown`: the place does not know it.
    sessions: requests and connections in flight, None where the place does not tell. half: it is in although it was told to leave.
    """

    rotation: str
    healthy: bool
    sessions: t.Optional[int] = None
    note: str = ""
    counters: t.Optional[Counters] = None
    half: bool = False

    @property
    def serves(self) -> bool:
        return self.rotation == IN and self.healthy and not self.half

    def facts(self) -> dict[str, t.Any]:
        return {"rotation": self.rotation, "healthy": self.healthy, "sessions": self.sessions, "note": self.note}


Look = t.Mapping[str, MemberState]  # by host; members that nobody named, by the place's own name for them
Looks = t.Mapping[str, Look]  # by the label of the place


class Balancer(t.Protocol):
    """One place. Every method may raise Unavailable (asked again) or another BeamError (given up at once)."""

    label: str  # names it in results and messages
    pace: float  # seconds between two looks that it takes without harm
    fails_open: bool  # sends requests to everyone when no member is healthy
    adds: bool  # join() can put in a member that the place does not know
    sees_all: bool  # look() shows every member, not only the hosts it was made for

    def look(self) -> dict[str, MemberState]:
        """All its members; of a host that it was made for and does not know: `unknown`."""

    def leave(self, name: str) -> None:
        """No new requests; what is in flight goes on."""

    def shut(self, name: str) -> None:
        """After it is drained, or at the deadline: nothing more in any case, such as requests of sticky sessions."""

    def join(self, name: str, checked: bool = True) -> None:
        """The next step towards `in`, if there is one; asked in every round until it serves. checked: not before the place finds
        it healthy, if it can; otherwise at once, and whatever the last look showed."""

    def forecast(self) -> dict[str, float]:
        """Seconds that `leave` and `join` take at most, as configured; {} if it does not tell."""


def beam_option(what: str, why: str, hint: str = "Correct the option") -> BeamError:
    return BeamError("balancer_option", what, why, hint)

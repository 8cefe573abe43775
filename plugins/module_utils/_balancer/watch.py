# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Watch members under load for a while, against the rest of the fleet."""

from __future__ import annotations

import time
import typing as t
from dataclasses import replace

from .._errors import BeamError
from .base import Counters, Looks
from .compare import (
    CHANCE,
    CHANCE_EARLY,
    NOT_COUNTED,
    TOO_FEW,
    WORSE,
    Bake,
    Delta,
    Limits,
    Verdict,
    delta,
    judge,
    restarted,
    total,
)
from .move import Mover
from .plan import fleet_of, serves, states_of

ROW = 2  # looks in a row that find it worse: one may be chance


class Tally:
    """What was counted since the beginning, of each place and host; a balancer that was restarted counts on from nothing."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], Counters] = {}
        self._last: dict[tuple[str, str], Counters] = {}
        self._done: dict[tuple[str, str], list[Delta]] = {}
        self.labels: dict[str, None] = {}  # of all places

    def feed(self, looks: Looks) -> None:
        for label, look in looks.items():
            self.labels[label] = None
            for name, state in look.items():
                if state.counters is None:
                    continue
                key = (label, name)
                last = self._last.get(key)
                if last is None:
                    self._first[key] = state.counters
                elif restarted(last, state.counters):
                    self._done.setdefault(key, []).append(delta(self._first[key], last))
                    self._first[key] = Counters(0, 0)
                self._last[key] = state.counters

    def of(self, names: t.Collection[str]) -> Delta:
        keys = [key for key in self._last if key[1] in names]
        return total(
            [one for key in keys for one in [*self._done.get(key, ()), delta(self._first[key], self._last[key])]]
        )

    def counts(self, names: t.Collection[str]) -> bool:
        return any(key[1] in names for key in self._last)

    @property
    def began_again(self) -> tuple[str, ...]:
        return tuple(label for label in self.labels if any(key[0] == label for key in self._done))


def watch(
    mover: Mover,
    members: t.Collection[str],
    fleet: t.Optional[t.Collection[str]],
    bake: float,
    interval: float,
    limits: Limits,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
    wall: t.Callable[[], float] = time.time,
) -> Verdict:
    """The verdict after `bake` seconds; canary_worse as soon as the members are worse, or no longer in and healthy."""
    canary, tally, began, start, row = set(members), Tally(), wall(), clock(), {"worse": 0, "sick": 0}
    end = start + bake
    if not mover.places:
        sleep(bake)
        return Verdict(
            NOT_COUNTED,
            ("no balancer was asked",),
            limits=limits,
            bake=Bake(tuple(sorted(canary)), (), began, clock() - start),
        )
    while True:
        looks = mover.look()
        tally.feed(looks)
        rest = {name for name in fleet_of(looks, fleet) - canary if serves(looks, name)}
        over = clock() >= end
        sick = sorted(name for name in canary if not serves(looks, name))
        row["sick"] = row["sick"] + 1 if sick else 0
        found = judge(tally.of(canary), tally.of(rest), limits, CHANCE if over else CHANCE_EARLY)
        verdict = replace(
            found, bake=Bake(tuple(sorted(canary)), tuple(sorted(rest)), began, clock() - start, tally.began_again)
        )
        row["worse"] = row["worse"] + 1 if verdict.verdict == WORSE else 0
        if row["sick"] >= ROW or sick and over:
            said = [
                "%s: %s in %s (%s)" % (name, state.rotation, label, state.note)
                for name in sick
                for label, state in states_of(looks, name).items()
            ]
            raise _worse(sick, "it is no longer in and healthy: %s" % "; ".join(said), verdict)
        if row["worse"] >= ROW or row["worse"] and over:
            raise _worse(sorted(canary), "; ".join(verdict.reasons), verdict)
        if over:
            return _uncompared(verdict, tally)
        sleep(min(interval, max(0.01, end - clock())))


def _uncompared(verdict: Verdict, tally: Tally) -> Verdict:
    """The same, with the reason that lies deepest where nothing was compared."""
    if verdict.verdict != TOO_FEW:
        return verdict
    if not tally.counts(verdict.bake.canary):
        return replace(verdict, verdict=NOT_COUNTED, reasons=("%s tells no counters" % ", ".join(tally.labels),))
    if not verdict.bake.rest:
        return replace(verdict, reasons=("no other server was in and healthy",))
    return verdict


def _worse(names: t.Sequence[str], why: str, verdict: Verdict) -> BeamError:
    return BeamError(
        "canary_worse",
        "%s does worse than the rest" % ", ".join(names),
        why,
        "Go back to the version before, or raise the limits if this is what the new version ought to do",
        comparison=verdict.facts(),
    )

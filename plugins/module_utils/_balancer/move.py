# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Bring members out of rotation and back in, over any balancers at once, and wait until that is seen.

A host has left when every place says that it is out, with nothing in flight and nothing new, all of that for `quiet` seconds. It is back when every
place says in and healthy, twice. What a place answers to a command is not believed; what it shows afterwards is.
"""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass, field, replace

from .._deadline import Limit
from .._errors import BeamError
from .base import DRAINING, IN, OUT, UNKNOWN, Balancer, Look, MemberState, Unavailable
from .plan import Pair, Plan, rotation_of, states_of
from .undo import Undo

PATIENCE = 15.0  # seconds of failing without a break after which a place is given up
UNDO = 30.0  # seconds for putting back
GOOD_LOOKS = 2
LAST_LOOK = 0.5  # seconds that a look is given, however late it is
CLOSING = 0.9  # seconds after the deadline, in which a drain is brought to its end
NEVER = float("inf")
# What a balancer says of a member that it could not even connect to.
_UNREACHED = re.compile(r"refused|time(?:d )?out|unreachable|\bL4", re.IGNORECASE)


@dataclass(frozen=True)
class Timing:
    timeout: float = 60.0
    quiet: float = 1.0
    interval: t.Optional[float] = None  # default: what the slowest place takes
    patience: float = PATIENCE
    undo: float = UNDO


@dataclass
class Row:
    """What became of one host."""

    before: str
    after: str = UNKNOWN
    began: float = 0.0
    seconds: float = 0.0
    cut: t.Optional[int] = 0  # None: not drained at the deadline, and the place does not say how many
    note: str = ""
    taken: tuple[str, ...] = ()
    states: t.Mapping[str, MemberState] = field(default_factory=dict)

    def facts(self) -> dict[str, t.Any]:
        states = self.states.values()
        known = [state.sessions for state in states if state.sessions is not None]
        counted = [state.counters for state in states if state.counters]
        totals = None
        if counted:
            totals = {
                key: sum(getattr(c, key) for c in counted) for key in counted[0].facts() if not key.endswith("_ms")
            }
            for key in ("response_ms", "total_ms"):
                totals[key] = round(
                    sum(getattr(c, key) * c.requests for c in counted) / max(1, sum(c.requests for c in counted)), 1
                )
        return {
            "before": self.before,
            "after": self.after,
            "healthy": bool(self.states) and all(state.healthy for state in states),
            "sessions": sum(known) if known else None,
            "began": round(self.began, 3),
            "seconds": round(self.seconds, 3),
            "cut": self.cut,
            "note": self.note,
            "taken": list(self.taken),
            "counters": totals,
            "places": {label: state.facts() for label, state in self.states.items()},
        }


class Mover:
    def __init__(
        self,
        places: t.Sequence[Balancer],
        timing: Timing,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
        wall: t.Callable[[], float] = time.time,
    ) -> None:
        self.places = {place.label: place for place in places}
        self._timing, self._clock, self._sleep, self._wall = timing, clock, sleep, wall
        self._interval = max(
            0.01, timing.interval if timing.interval is not None else max([place.pace for place in places] or [0.2])
        )
        self._failing: dict[str, float] = {}  # place -> since when
        self._end = NEVER  # of what is done now: no question goes on after it
        self.looks: dict[str, Look] = {}

    def _given_up(self) -> float:
        """When the first of the places that fail has failed for too long. It holds for all: they are asked one after the other."""
        return min(self._failing.values(), default=self._clock()) + self._timing.patience

    def _try(self, label: str, work: t.Callable[[], t.Any]) -> bool:
        """False: not now. A place that fails for too long, or for good, ends it."""
        begun = self._failing.get(label, self._clock())
        end = min(self._given_up() + LAST_LOOK, self._end)
        try:
            with Limit(end - self._clock()):
                work()
        except Unavailable as exc:
            since = self._failing.setdefault(label, begun)
            now = self._clock()
            if now >= min(since + self._timing.patience, self._end):
                raise BeamError(exc.code, exc.what, "%s (for %d s)" % (exc.why, now - since), exc.hint) from None
            return False
        self._failing.pop(label, None)
        return True

    def _pause(self, end: float = NEVER) -> None:
        """Until the next look, which comes no later than the last moment that counts."""
        last = min(end, self._end, self._given_up() if self._failing else NEVER)
        self._sleep(min(self._interval, max(0.01, last - self._clock())))

    def _look(self, label: str) -> bool:
        def work() -> None:
            self.looks[label] = self.places[label].look()

        return self._try(label, work)

    def look(self) -> dict[str, Look]:
        """Of every place, however often it takes within the patience."""
        waiting = list(self.places)
        while True:
            waiting = [label for label in waiting if not self._look(label)]
            if not waiting:
                return dict(self.looks)
            self._pause()

    def until(self, good: t.Callable[[t.Mapping[str, Look]], bool], seconds: float) -> dict[str, Look]:
        """Look again for a while: a place may not have noticed yet who is back."""
        end = self._clock() + seconds
        while True:
            looks = self.look()
            if good(looks) or self._clock() >= end:
                return looks
            self._pause(end)

    def drain(self, plan: Plan) -> dict[str, Row]:
        names = sorted({name for _label, name in plan.pairs})
        rows = {name: self._row(plan, name) for name in names}
        told: set[Pair] = set()
        try:
            self._drain(plan, rows, told)
        except BeamError as exc:
            raise self._undone(exc, rows, told) from exc
        finally:
            self._end = NEVER
        return rows

    def _drain(self, plan: Plan, rows: dict[str, Row], told: set[Pair]) -> None:
        start, timing = self._clock(), self._timing
        deadline = start + timing.timeout
        self._end = deadline + LAST_LOOK
        calm_since: dict[str, float] = {}
        totals: dict[Pair, int] = {}
        while True:
            fresh = {label for label in self.places if self._look(label)}
            now = self._clock()
            for label, name in plan.pairs:
                if label in fresh and self.looks[label][name].rotation == IN:
                    told.add((label, name))  # before asking: an answer that is lost may have been obeyed
                    self._try(label, lambda label=label, name=name: self.places[label].leave(name))  # type: ignore[misc]
            for name, row in rows.items():
                pairs = [pair for pair in plan.pairs if pair[1] == name]
                if all(label in fresh for label, _name in pairs):
                    found = [self._calm(pair, totals) for pair in pairs]  # each of them is asked: totals are remembered
                    calm = all(found)
                    calm_since[name] = calm_since.get(name, now) if calm else now
                    if not calm:
                        calm_since.pop(name)
                        row.seconds = 0.0
                    elif not row.seconds and now - calm_since[name] >= timing.quiet:
                        row.seconds = max(0.001, now - start)
            if all(row.seconds for row in rows.values()):
                break
            if now >= deadline:
                self._at_deadline(rows)
                break
            self._pause(deadline)
        self._end = deadline + CLOSING
        for label, name in plan.pairs:
            if (label, name) in told:
                self._insist(label, lambda label=label, name=name: self.places[label].shut(name))  # type: ignore[misc]
        self.look()
        for name, row in rows.items():
            row.seconds = row.seconds or self._clock() - start
            row.taken = tuple(label for label, each in plan.pairs if each == name and (label, name) in told)
            row.states = states_of(self.looks, name)
            row.after = rotation_of(row.states.values())
            row.note = self._notes(row)
        still = [
            name for name, row in rows.items() if any(state.rotation in (IN, UNKNOWN) for state in row.states.values())
        ]
        if still:
            raise self._not_drained(still, rows)

    def _calm(self, pair: Pair, totals: dict[Pair, int]) -> bool:
        """Out, nothing in flight, and nothing came since the last look: a balancer that lags may say out and send on."""
        state = self.looks[pair[0]][pair[1]]
        total = state.counters.total if state.counters else 0
        came = totals.get(pair, total) != total
        totals[pair] = total
        return state.rotation == OUT and not state.sessions and not came

    def _at_deadline(self, rows: t.Mapping[str, Row]) -> None:
        late = {name: states_of(self.looks, name) for name, row in rows.items() if not row.seconds}
        stuck = [
            name for name, states in late.items() if any(state.rotation in (IN, UNKNOWN) for state in states.values())
        ]
        if stuck:
            raise self._not_drained(stuck, rows)
        for name, states in late.items():
            known = [state.sessions for state in states.values() if state.sessions is not None]
            rows[name].cut = (
                sum(known) if known or not any(state.rotation == DRAINING for state in states.values()) else None
            )

    def _not_drained(self, names: t.Sequence[str], rows: t.Mapping[str, Row]) -> BeamError:
        states = [
            "%s is %s in %s" % (name, state.rotation, label)
            for name in names
            for label, state in states_of(self.looks, name).items()
        ]
        return BeamError(
            "not_drained",
            "%s did not leave the balancer within %g s" % (", ".join(names), self._timing.timeout),
            "; ".join(states),
            "Raise timeout if the balancer is slow, and look at what it says of these members",
        )

    def _insist(self, label: str, work: t.Callable[[], t.Any]) -> None:
        while not self._try(label, work):
            self._pause()

    def _undone(self, exc: BeamError, rows: t.Mapping[str, Row], told: set[Pair]) -> BeamError:
        undo, end = Undo(self.places, told), self._clock() + self._timing.undo
        while True:
            with Limit(max(LAST_LOOK, end - self._clock())):
                done = undo.attempt()
            if done or self._clock() >= end:
                break
            self._sleep(min(self._interval, max(0.01, end - self._clock())))
        self.looks.update(undo.looks)
        left = {name: rotation_of(states_of(self.looks, name).values()) for name in rows}
        return undo.error(exc, {name: row.before for name, row in rows.items()}, left)

    def join(self, plan: Plan) -> dict[str, Row]:
        names = sorted({name for _label, name in plan.pairs})
        rows = {name: self._row(plan, name) for name in names}
        start, timing = self._clock(), self._timing
        deadline = start + timing.timeout
        self._end = deadline + LAST_LOOK
        good: dict[str, int] = dict.fromkeys(names, 0)
        touched = set(plan.steps)
        try:
            while True:
                fresh = {label for label in self.places if self._look(label)}
                now = self._clock()
                for label, name in plan.pairs:
                    state = self.looks[label][name] if label in fresh else None
                    if state and not state.serves:
                        if state.rotation != IN or state.half:
                            touched.add((label, name))
                        self._try(label, lambda label=label, name=name: self.places[label].join(name))  # type: ignore[misc]
                for name, row in rows.items():
                    states = self._wanted(plan, name)
                    if all(label in fresh for label in states):
                        good[name] = good[name] + 1 if all(state.serves for state in states.values()) else 0
                        row.seconds = (row.seconds or max(0.001, now - start)) if good[name] >= GOOD_LOOKS else 0.0
                if all(row.seconds for row in rows.values()):
                    break
                if now >= deadline:
                    raise self._not_joined(plan, rows)
                self._pause(deadline)
        except BeamError as exc:
            left = {}
            for name, row in rows.items():
                states = states_of(self.looks, name)
                notes = {label: state.note for label, state in states.items()}
                left[name] = {
                    "before": row.before,
                    "left": rotation_of(states.values()),
                    "healthy": all(s.healthy for s in states.values()),
                    "notes": notes,
                }
            raise BeamError(
                exc.code, exc.what, exc.why, exc.hint, **{**exc.details, "changed": bool(touched), "members": left}
            ) from exc
        finally:
            self._end = NEVER
        for name, row in rows.items():
            row.states = states_of(self.looks, name)
            row.after = rotation_of(row.states.values())
            row.note = self._notes(row)
            row.taken = tuple(label for label, each in plan.steps if each == name)
        return rows

    def _wanted(self, plan: Plan, name: str) -> dict[str, MemberState]:
        return {label: self.looks[label][name] for label, each in plan.pairs if each == name and label in self.looks}

    def _not_joined(self, plan: Plan, rows: t.Mapping[str, Row]) -> BeamError:
        late = [name for name, row in rows.items() if not row.seconds]
        said = []
        for name in late:
            for label, state in self._wanted(plan, name).items():
                if not state.serves:
                    health = "healthy" if state.healthy else "not healthy"
                    said.append(
                        "%s is %s and %s in %s%s"
                        % (name, state.rotation, health, label, " (%s)" % state.note if state.note else "")
                    )
        hint = "Check what the balancer's own health check asks, and that the service answers it"
        if any(_UNREACHED.search(one) for one in said):
            hint = (
                "Does it listen where the balancer reaches it? 127.0.0.1 is reached from the host itself only: see its address and port in beam_env. "
                + hint
            )
        return BeamError(
            "not_joined",
            "%s did not come back into the balancer within %g s" % (", ".join(late), self._timing.timeout),
            "; ".join(said) or "it was in and healthy only now and then",
            hint,
        )

    def _row(self, plan: Plan, name: str) -> Row:
        return Row(rotation_of(states_of(plan.looks, name).values()), began=self._wall())

    @staticmethod
    def _notes(row: Row) -> str:
        if row.before == OUT and row.after == OUT:
            return "was out before"
        if row.cut is None:
            return "the balancer still says draining, and not how much is in flight"
        return "%d sessions still open at the deadline" % row.cut if row.cut else ""


def unmoved(plan: Plan) -> dict[str, Row]:
    """For check mode: what would be."""
    rows = {}
    for name in sorted({name for _label, name in plan.pairs}):
        states = states_of(plan.looks, name)
        steps = tuple(label for label, each in plan.steps if each == name)
        wanted = OUT if plan.verb == "drained" else IN
        after = [replace(state, rotation=wanted) if label in steps else state for label, state in states.items()]
        rows[name] = Row(rotation_of(states.values()), rotation_of(after), taken=steps, states=states)
    return rows

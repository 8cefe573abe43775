# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The reports of a history as values. What can't be used is named with the reason, and hides no other."""

from __future__ import annotations

import datetime
import math
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._release.names import check_digest, check_rollout, check_version

SCHEMA = 1
KINDS = ("rollout", "restart", "rollback")
_MOST_STEPS = 200
Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Span:
    """A step of a server: seconds since the epoch."""

    step: str
    start: float
    end: float
    ok: bool = True


@dataclass(frozen=True)
class Row:
    host: str
    outcome: str
    spans: tuple[Span, ...] = ()  # in the order of the report
    two_nodes: bool = False


@dataclass(frozen=True)
class Rollout:
    id: str
    key: str
    kind: str
    version: str
    digest: str
    begun: float
    ended: float
    succeeded: bool
    blame: bool
    before: str  # the digest that was stable; "" for none
    after: str
    shielded: bool  # something keeps people away from a server until it has joined
    rows: tuple[Row, ...] = ()
    reason: str = ""
    interrupted: str = ""  # the id of the rollout that it took up
    outside: frozenset[str] = frozenset()  # hosts that it left alone

    @property
    def deploys(self) -> bool:
        """It is meant to bring another release than the one that is stable."""
        return self.kind == "rollout" and self.digest != self.before

    @property
    def landed(self) -> bool:
        return self.deploys and self.succeeded and self.after == self.digest


@dataclass(frozen=True)
class Damaged:
    key: str
    why: str


def seconds_of(value: t.Any) -> float:
    """Of an ISO 8601 time; one without a zone is UTC. ValueError where it is none."""
    if not isinstance(value, str) or not value:
        raise ValueError("%.60r is not a time" % (value,))
    text = value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("%.60r is not a time" % (value,)) from None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)).timestamp()


def read_reports(raw: t.Iterable[Raw], name: str, channel: str) -> tuple[tuple[Rollout, ...], tuple[Damaged, ...], int]:
    """raw: as the history holds them, with `key`, the oldest first. Rollouts, what can't be read, and how many were told twice: a rollout that was
    reported under two locks is one, and its last report counts. Rehearsals and reports of nothing are left out.
    """
    found: dict[str, Rollout] = {}
    damaged: list[Damaged] = []
    twice = 0
    for report in raw:
        key = str(report.get("key") or "")
        try:
            if report.get("damaged"):
                raise ValueError(str(report["damaged"]))
            if report.get("check") is True:
                continue
            one = parse_report(report, name, channel)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, BeamError) as exc:
            said = "%s is missing" % exc if isinstance(exc, KeyError) else str(exc)
            damaged.append(Damaged(key, said or type(exc).__name__))
            continue
        twice += one.id in found
        found.pop(one.id, None)
        found[one.id] = one
    return tuple(found.values()), tuple(damaged), twice


def parse_report(doc: Raw, name: str, channel: str) -> Rollout:
    if doc.get("schema") != SCHEMA:
        raise ValueError("its schema is %.40r, this collection reads %d" % (doc.get("schema"), SCHEMA))
    if (doc["name"], doc["channel"]) != (name, channel):
        raise ValueError("it is of %.80s on the channel %.80s" % (doc["name"], doc["channel"]))
    if doc["kind"] not in KINDS:
        raise ValueError("its kind is %.40r" % (doc["kind"],))
    rows = tuple(_row(row) for row in _list(doc["rows"], "rows"))
    begun, ended = seconds_of(doc["begun"]), seconds_of(doc["ended"])
    moves = any(span.step in ("drain", "join") for row in rows for span in row.spans)
    interrupted = doc.get("interrupted")
    return Rollout(
        check_rollout(doc["id"]),
        str(doc.get("key") or ""),
        doc["kind"],
        check_version(doc["version"]),
        check_digest(doc["digest"]),
        begun,
        ended,
        _flag(doc, "succeeded"),
        _flag(doc, "blame"),
        _target(doc.get("stable_before")),
        _target(doc.get("stable_after")),
        bool(doc.get("balancers")) or moves or doc.get("strategy") == "blue_green",
        tuple(_in_time(row, begun, ended) for row in rows),
        str(doc.get("reason") or "")[:300],
        str(interrupted.get("id") or "") if isinstance(interrupted, dict) else "",
        frozenset(str(one["host"]) for one in _list(doc.get("drift") or [], "drift")),
    )


def _flag(doc: Raw, key: str) -> bool:
    value = doc[key]
    if not isinstance(value, bool):
        raise ValueError("%s is %.40r" % (key, value))
    return value


def _list(value: t.Any, what: str) -> list[t.Any]:
    if not isinstance(value, list):
        raise ValueError("its %s are no list" % what)
    return value


def _target(doc: t.Any) -> str:
    return check_digest(doc["digest"]) if doc else ""


def _row(doc: t.Any) -> Row:
    spans = tuple(_span(step) for step in _list(doc.get("steps") or [], "steps")[:_MOST_STEPS])
    return Row(str(doc["host"]), str(doc["outcome"]), spans, bool(doc.get("color")))


def _span(doc: t.Any) -> Span:
    start, seconds = float(doc["start"]), float(doc["seconds"])
    if not (math.isfinite(start) and math.isfinite(seconds)):
        raise ValueError("a step takes %r s from %r on" % (seconds, start))
    return Span(str(doc["step"]), start, start + max(seconds, 0.0), doc.get("ok") is not False)


# What the controller does, by its own clock; all else is by the clock of the server.
BALANCED = ("drain", "join", "bake")
_TOLERANCE = 1.0


def _in_time(row: Row, begun: float, ended: float) -> Row:
    """With the steps of a server whose clock is off where they fit, as the page of the report shows them."""
    shift = _shift(row, begun, ended)
    if not shift:
        return row
    moved = (s if s.step in BALANCED else Span(s.step, s.start + shift, s.end + shift, s.ok) for s in row.spans)
    return Row(row.host, row.outcome, tuple(moved), row.two_nodes)


def _shift(row: Row, begun: float, ended: float) -> float:
    own = [span for span in row.spans if span.step not in BALANCED]
    if not own:
        return 0.0
    drained = [span.end for span in row.spans if span.step == "drain" and span.ok]
    after = [s.start for s in own if (s.step == "stop" if row.two_nodes else s.step not in ("stage", "return"))]
    if drained and after and min(after) < min(drained) - _TOLERANCE:
        return min(drained) - min(after)
    first, last = min(span.start for span in own), max(span.end for span in own)
    if first < begun - _TOLERANCE:
        return begun - first
    # Times of a report are whole seconds, and its last step may end in the second that it names.
    return ended + 1 - last if last > ended + 1 + _TOLERANCE else 0.0

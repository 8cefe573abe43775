# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a channel requires of a release before it may become candidate or stable: gates that its commit has passed. Pure."""

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .gates import Statement, check_gate

MAX_GATES = 50
AHEAD = datetime.timedelta(minutes=10)  # how far the clock of a build server may be off
_AGE = re.compile(r"([1-9][0-9]{0,4})(h|d|w)")
_HOURS = {"h": 1, "d": 24, "w": 168}
_KEYS = ("gates", "coverage", "max_age", "unstable")


@dataclass(frozen=True)
class Requires:
    gates: tuple[str, ...] = ()
    coverage: float | None = None  # the least percentage
    max_age: str = ""  # such as 30d; "": any
    unstable: str = "refuse"  # or allow

    @property
    def names(self) -> tuple[str, ...]:
        """Of all gates that need a statement."""
        asked = self.gates + (("coverage",) if self.coverage is not None else ())
        return tuple(dict.fromkeys(asked))


@dataclass(frozen=True)
class Glass:
    """A release that was let through although it did not fulfil what the channel requires."""

    version: str
    digest: str
    reason: str
    unmet: str
    by: str
    at: str


@dataclass(frozen=True)
class Checked:
    gate: str
    verdict: str  # passed, unstable, failed, stale, or missing
    finished: str = ""
    note: str = ""
    ok: bool = False


def parse_requires(given: t.Any) -> Requires | None:
    """Of the option of a module, or of a channel's document. None for an empty one."""
    if not isinstance(given, t.Mapping):
        raise _refused("it is no dictionary", "Give gates, coverage, max_age and unstable")
    given = {key: value for key, value in given.items() if value is not None}
    unknown = sorted(str(key) for key in given if key not in _KEYS)
    if unknown:
        raise _refused("it has no key %s" % unknown[0], "It may have %s" % ", ".join(_KEYS))
    gates = given.get("gates", [])
    if not isinstance(gates, (list, tuple)) or len(gates) > MAX_GATES:
        raise _refused("gates is no list of at most %d names" % MAX_GATES, "Give names such as test")
    names = tuple(check_gate(name) for name in gates)
    coverage = given.get("coverage")
    if coverage is not None and (
        isinstance(coverage, bool) or not isinstance(coverage, (int, float)) or not 0 <= coverage <= 100
    ):
        raise _refused("coverage is %.40r" % (coverage,), "Give a percentage, 0 to 100")
    age = given.get("max_age", "")
    if not isinstance(age, str) or (age and not _AGE.fullmatch(age)):
        raise _refused("max_age is %.40r" % (age,), "Give a number with h, d or w, such as 30d")
    unstable = given.get("unstable", "refuse")
    if unstable not in ("refuse", "allow"):
        raise _refused("unstable is %.40r" % (unstable,), "Give refuse or allow")
    found = Requires(names, coverage, age, unstable)
    return found if found.names else None


def _refused(why: str, hint: str) -> BeamError:
    return BeamError("invalid_requires", "requires can't be used", why, hint)


def check(requires: Requires, statements: t.Iterable[Statement], now: datetime.datetime) -> tuple[Checked, ...]:
    """statements: of the release's commit, the newest first. The newest of a gate counts, whoever ran it."""
    newest: dict[str, list[Statement]] = {}
    for one in statements:
        newest.setdefault(one.gate, []).append(one)
    return tuple(_checked(requires, name, newest.get(name, []), now) for name in requires.names)


def _checked(requires: Requires, gate: str, found: t.Sequence[Statement], now: datetime.datetime) -> Checked:
    if not found:
        return Checked(gate, "missing", note="its commit has no statement of this gate")
    one = found[0]
    others = {other.verdict for other in found[1:]} - {one.verdict}
    more = "; an earlier run said %s" % " and ".join(sorted(others)) if others else ""
    if one.time > now + AHEAD:
        return Checked(gate, "stale", one.finished, "its time is in the future")
    if one.verdict == "failed":
        return Checked(gate, "failed", one.finished, (one.reason or "it failed") + more)
    age = _AGE.fullmatch(requires.max_age)
    if age and now - one.time > datetime.timedelta(hours=int(age[1]) * _HOURS[age[2]]):
        return Checked(
            gate, "stale", one.finished, "it ran at %s, and may be %s old" % (one.finished, requires.max_age)
        )
    if one.verdict == "unstable" and requires.unstable == "refuse":
        return Checked(gate, "unstable", one.finished, one.reason + more)
    if gate == "coverage" and requires.coverage is not None:
        if one.coverage is None:
            return Checked(gate, "failed", one.finished, "its statement has no percentage")
        if one.coverage < requires.coverage:
            note = "%.2f %% of the lines ran, and the channel requires %g %%" % (one.coverage, requires.coverage)
            return Checked(gate, "failed", one.finished, note)
    return Checked(gate, one.verdict, one.finished, one.reason + more if more else one.reason, ok=True)

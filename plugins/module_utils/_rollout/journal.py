# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The journal of a rollout as a value, and its transitions as pure functions.

It says of each host how far it is and what it ran before, so that whoever comes after a controller that died can bring it home. Its writer is
the holder of the lock; its fence is the serial of the newest lock, raised by whoever takes the lock, so that no other writes it.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field, replace

from .._errors import BeamError, Conflict
from .._json import parse_json
from .._release.channel import LAST_SERIAL, Stamp, Target
from .._release.names import check_channel, check_digest, check_name, check_rollout, check_version, is_whole

SCHEMA = 1
MAX_JOURNAL_BYTES = 16 * 1024 * 1024
EVENTS_PER_HOST = 20
MAX_ERROR = 500  # characters
STATES = ("running", "reverting", "finished")
KINDS = ("rollout", "restart", "rollback")
STEPS = (
    "planned",
    "leaving",
    "moving",
    "moved",
    "joined",
    "failed",
    "returning",
    "returned",
    "stranded",
    "unreachable",
    "skipped",
)
# Where a rollout that ends here leaves a host that somebody has to look after.
MIDDLE = frozenset(("leaving", "moving", "moved", "failed", "returning", "stranded", "unreachable"))
UNTOUCHED = frozenset(("planned", "skipped"))


@dataclass(frozen=True)
class Host:
    step: str
    before: str | None = None  # the version that it ran before; "from" in the document
    out: bool = False  # from the moment it may be out of a balancer until it was seen back in
    at: str = ""
    error: str = ""


@dataclass(frozen=True)
class Event:
    at: str
    host: str
    step: str
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Step:
    """What is to be recorded of a host; None: as it was."""

    step: str
    before: str | None = None
    out: bool | None = None
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Opening:
    id: str
    kind: str
    version: str
    digest: str
    stable: Target | None
    strategy: str
    hosts: t.Mapping[str, str | None]  # host -> the version that it runs


@dataclass(frozen=True)
class Journal:
    name: str
    channel: str
    fence: int = 0
    id: str = ""  # "": nothing was ever rolled out; the document is there for its fence
    state: str = "finished"
    kind: str = "rollout"
    version: str = ""
    digest: str = ""
    stable: Target | None = None  # what was stable when it began
    strategy: str = ""
    by: str = ""
    at: str = ""
    outcome: str = ""
    hosts: t.Mapping[str, Host] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    token: str = ""  # unique to each write

    @property
    def unfinished(self) -> bool:
        return bool(self.id) and self.state != "finished"

    def interrupted_hosts(self) -> list[str]:
        """Who has to be looked after: out of a balancer, or in the middle of a step of a rollout that did not end."""
        return sorted(
            name for name, host in self.hosts.items() if host.out or (self.unfinished and host.step in MIDDLE)
        )

    def document(self) -> dict[str, t.Any]:
        hosts = {
            name: {"step": h.step, "from": h.before, "out": h.out, "at": h.at, "error": h.error}
            for name, h in self.hosts.items()
        }
        events = [
            {key: value for key, value in vars(event).items() if value not in (None, "")} for event in self.events
        ]
        return {
            "schema": SCHEMA,
            **vars(self),
            "stable": self.stable and vars(self.stable),
            "hosts": hosts,
            "events": events,
        }

    def to_bytes(self) -> bytes:
        return (json.dumps(self.document(), sort_keys=True, indent=1) + "\n").encode("ascii")


def _next(journal: Journal, stamp: Stamp, **changes: t.Any) -> Journal:
    if stamp.fence is None or stamp.fence < journal.fence:
        raise Conflict(
            "lock_lost",
            "the journal of %s on the channel %s was not written" % (journal.name, journal.channel),
            "the lock %s of this rollout was taken: %d is the newest" % (stamp.fence, journal.fence),
            "Look at what goes on (playbook alchemist.beam.status); if this rollout is still wanted, run it again",
            fence=stamp.fence,
            newest=journal.fence,
        )
    changes["fence"] = stamp.fence
    if all(getattr(journal, key) == value for key, value in changes.items()):
        return journal
    return replace(journal, **{**changes, "token": stamp.token})


def raise_fence(journal: Journal, stamp: Stamp) -> Journal:
    """The lock was taken: from now on, whoever held it before writes nothing here."""
    return _next(journal, stamp)


def open_journal(journal: Journal, opening: Opening, stamp: Stamp) -> Journal:
    """A rollout begins. What an interrupted one left behind is not forgotten: who is out, and what ran there before it."""
    if journal.unfinished and journal.id == opening.id:
        return _next(journal, stamp)  # the same task once more
    same = journal.unfinished and journal.digest == opening.digest
    hosts = {name: Host("planned", before, at=stamp.at) for name, before in opening.hosts.items()}
    for name, old in journal.hosts.items():
        touched = old.step not in UNTOUCHED and old.step != "returned"
        if name in hosts and (old.out or (journal.unfinished and old.step in MIDDLE) or (same and touched)):
            hosts[name] = replace(hosts[name], before=old.before or hosts[name].before, out=old.out)
        elif old.out:
            hosts[name] = old
    return _next(
        journal,
        stamp,
        id=check_rollout(opening.id),
        state="running",
        kind=opening.kind,
        version=opening.version,
        digest=opening.digest,
        stable=opening.stable,
        strategy=opening.strategy,
        by=stamp.by,
        at=stamp.at,
        outcome="",
        hosts=hosts,
        events=(),
    )


def record(journal: Journal, steps: t.Mapping[str, Step], reverting: bool, stamp: Stamp) -> Journal:
    journal = _need_open(journal, stamp)
    hosts, events = dict(journal.hosts), list(journal.events)
    for name, step in steps.items():
        old = hosts.get(name, Host(""))
        new = Host(
            step.step,
            old.before if step.before is None else step.before,
            old.out if step.out is None else step.out,
            old.at,
            step.error[:MAX_ERROR],
        )
        if new != old:
            hosts[name] = replace(new, at=stamp.at)
            events.append(Event(stamp.at, name, step.step, step.seconds, new.error))
    return _next(journal, stamp, state="reverting" if reverting else journal.state, hosts=hosts, events=_cap(events))


def close(journal: Journal, outcome: str, stamp: Stamp) -> Journal:
    if journal.id and not journal.unfinished and journal.outcome == outcome:
        return _next(journal, stamp)
    return _next(_need_open(journal, stamp), stamp, state="finished", outcome=outcome)


def _need_open(journal: Journal, stamp: Stamp) -> Journal:
    _next(journal, stamp)  # the fence comes first
    if not journal.unfinished:
        raise BeamError(
            "journal_closed",
            "the journal of %s on the channel %s was not written" % (journal.name, journal.channel),
            "the rollout %s is finished" % journal.id if journal.id else "no rollout was opened",
            "Open it with state=opened",
        )
    return journal


def _cap(events: t.Sequence[Event]) -> tuple[Event, ...]:
    """The newest of each host."""
    counts: dict[str, int] = {}
    kept = []
    for event in reversed(events):
        counts[event.host] = counts.get(event.host, 0) + 1
        if counts[event.host] <= EVENTS_PER_HOST:
            kept.append(event)
    return tuple(reversed(kept))


def check_host(name: t.Any) -> str:
    if not isinstance(name, str) or not name or len(name) > 255 or not name.isprintable():
        raise BeamError(
            "invalid_host",
            "%r is not the name of a host" % (name,),
            "it must be 1 to 255 printable characters",
            "Give inventory_hostname",
        )
    return name


def _one_of(value: t.Any, allowed: t.Collection[str]) -> str:
    if value not in allowed:
        raise ValueError("%r is none of %s" % (value, ", ".join(allowed)))
    return str(value)


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise ValueError("%r is not a text" % (value,))
    return value


def _host(doc: t.Any) -> Host:
    before = None if doc["from"] is None else check_version(doc["from"])
    if not isinstance(doc["out"], bool):
        raise ValueError("out is %r" % (doc["out"],))
    return Host(_one_of(doc["step"], STEPS), before, doc["out"], _text(doc["at"]), _text(doc["error"]))


def _event(doc: t.Any) -> Event:
    seconds = doc.get("seconds")
    return Event(
        _text(doc["at"]),
        check_host(doc["host"]),
        _text(doc["step"]),
        None if seconds is None else float(seconds),
        _text(doc.get("error", "")),
    )


def parse_journal(data: bytes, name: str, channel: str, counters: bool = True) -> Journal:
    """counters=False: whatever its fence says, which is 0 then. For whoever writes it anew."""
    try:
        if len(data) > MAX_JOURNAL_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_JOURNAL_BYTES)
        doc = parse_json(data)
        if doc.pop("schema") != SCHEMA:
            raise ValueError("its schema is unknown")
        if not counters:
            doc["fence"] = 0
        if not is_whole(doc["fence"]) or not 0 <= doc["fence"] <= LAST_SERIAL:
            raise ValueError("%.40r is not a fence" % (doc["fence"],))
        _one_of(doc["state"], STATES)
        _one_of(doc["kind"], KINDS)
        if doc["id"]:
            check_rollout(doc["id"])
            check_version(doc["version"])
            check_digest(doc["digest"])
        for key in ("id", "version", "digest", "strategy", "by", "at", "outcome", "token"):
            _text(doc[key])
        if doc["stable"] is not None:
            doc["stable"] = Target(check_version(doc["stable"]["version"]), check_digest(doc["stable"]["digest"]))
        doc["hosts"] = {check_host(host): _host(row) for host, row in doc["hosts"].items()}
        doc["events"] = tuple(_event(row) for row in doc["events"])
        journal = Journal(**doc)
        if (check_name(journal.name), check_channel(journal.channel)) != (name, channel):
            raise ValueError("it is of %s %s" % (journal.name, journal.channel))
        return journal
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, BeamError) as exc:
        raise BeamError(
            "journal_invalid",
            "the journal of %s on the channel %s can't be read" % (name, channel),
            str(exc) or type(exc).__name__,
            "Where only its fence is wrong, the playbook alchemist.beam.unlock mends it; else see what each host runs, and bring those back into their"
            " balancers that are out (playbook alchemist.beam.status); then remove the journal's file from the store",
        ) from exc

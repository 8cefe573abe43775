# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The plan of a rollout as a frozen value. It is parsed once, from the dictionary that the role keeps as rollout_plan."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field

from .._release.channel import Target
from .balanced import Balanced, parse_balanced
from .draft import target_of
from .way_back import Past, parse_past

Doc = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Side:
    """For a host with two nodes: `live` serves now, `to` will, `others` end up out and stopped; `back` and `before` are the way back."""

    live: str = ""
    to: str = ""
    back: str = ""
    before: str = ""
    others: tuple[str, ...] = ()
    starts: bool = False
    action: str = "none"


def side_doc(side: Side) -> dict[str, t.Any]:
    """As rollout_plan has it."""
    return {
        "live": side.live,
        "to": side.to,
        "back": side.back,
        "from": side.before or None,
        "others": list(side.others),
        "starts": side.starts,
        "action": side.action,
    }


@dataclass(frozen=True)
class Row:
    """A host as it was seen before anything moved, and its part in the plan."""

    host: str
    before: str = ""  # the version to go back to; empty if there is none
    current: str = ""
    action: str = "none"
    activate: bool = False
    healthy: bool = False

    @property
    def moves(self) -> bool:
        return self.action != "none" or self.activate

    @property
    def hot(self) -> bool:
        """Whether its node is upgraded without a restart."""
        return self.action == "upgrade"


def row_doc(row: Row) -> dict[str, t.Any]:
    """As rollout_plan has it."""
    return {
        "host": row.host,
        "from": row.before or None,
        "current": row.current or None,
        "action": row.action,
        "activate": row.activate,
        "healthy": row.healthy,
    }


@dataclass(frozen=True)
class Draft:
    """What the user asked for, and what the store said."""

    name: str
    channel: str
    version: str
    digest: str
    kind: str = "rollout"  # rollout, restart, rollback
    settings: bool = False  # of a restart: only hosts whose settings change, with the new ones
    why: str = "named"  # named, stable, resumed, reverted, swept
    strategy: str = "rolling"
    homecoming: bool = False  # to what is stable already
    stable: Target | None = None
    candidate: Target | None = None
    ready: bool = False  # there is a readiness file
    colors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    everyone: tuple[str, ...] = ()  # with those that --limit leaves out
    batch_sizes: t.Any = (1,)  # as beam_batches gives them
    min_healthy: t.Any = "auto"
    interrupted: bool = False  # an earlier rollout has to be taken up
    past: Past = field(default_factory=lambda: Past(""))
    balanced: Balanced | None = None  # None without a balancer


@dataclass(frozen=True)
class Plan:
    draft: Draft
    order: tuple[str, ...] = ()
    batches: tuple[tuple[str, ...], ...] = ()
    rows: tuple[Row, ...] = ()
    sides: t.Mapping[str, Side] = field(default_factory=dict)
    fleet: tuple[str, ...] = ()  # with those outside of the plan that carry load, too
    floor: int = 0
    idle: bool = False
    moves: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()  # we may change its balancer
    absent: frozenset[str] = frozenset()  # somebody else took them out
    aside: t.Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # the places that these are out of, all or some
    unready: tuple[str, ...] = ()  # without their readiness file, if nothing moves
    recovers: frozenset[str] = frozenset()  # left half way by a rollout that was interrupted
    canary: str = ""
    born: tuple[str, ...] = ()

    @property
    def known(self) -> frozenset[str]:
        """The members that a balancer has."""
        return self.draft.balanced.known if self.draft.balanced else frozenset()

    @property
    def balanced(self) -> bool:
        return bool(self.known)

    def row(self, host: str) -> Row:
        return self._rows_by_host.get(host) or Row(host)

    @functools.cached_property
    def _rows_by_host(self) -> dict[str, Row]:
        return {row.host: row for row in self.rows}

    def before(self, host: str) -> str:
        """The version that a host goes back to; empty where it had none."""
        return self.sides[host].before if host in self.sides else self.row(host).before

    def stays(self, host: str) -> bool:
        """Whether it stays in service while it moves. A host that was left half way may be out, and comes back like any other."""
        return self.row(host).hot and host not in self.recovers

    def hidden(self, host: str) -> bool:
        """Whether its move takes it out of service. To withdraw the readiness file does so as much as a balancer does."""
        return host in self.leaves or (self.draft.ready and host in self.moves)

    def as_document(self) -> dict[str, t.Any]:
        """What rollout_plan has beside its draft."""
        return {
            "order": list(self.order),
            "batches": [len(batch) for batch in self.batches],
            "members": [list(batch) for batch in self.batches],
            "rows": [row_doc(row) for row in self.rows],
            "sides": {host: side_doc(one) for host, one in self.sides.items()},
            "colors": list(self.draft.colors),
            "fleet": list(self.fleet),
            "floor": self.floor,
            "idle": self.idle,
            "moves": self._in_order(self.moves),
            "leaves": self._in_order(self.leaves),
            "absent": self._in_order(self.absent),
            "aside": {host: list(places) for host, places in self.aside.items()},
            "hidden": list(self.unready),
            "recovers": self._in_order(self.recovers),
            "canary": self.canary,
        }

    def _in_order(self, hosts: frozenset[str]) -> list[str]:
        return [host for host in self.order if host in hosts]


def parse_draft(doc: Doc) -> Draft:
    """doc: rollout_plan, as a draft or as a plan."""
    return Draft(
        name=str(doc["name"]),
        channel=str(doc["channel"]),
        version=str(doc["version"]),
        digest=str(doc["digest"]),
        kind=doc.get("kind") or "rollout",
        settings=bool(doc.get("settings")),
        why=doc.get("why") or "named",
        strategy=doc.get("strategy") or "rolling",
        homecoming=bool(doc.get("homecoming")),
        stable=target_of(doc.get("stable")),
        candidate=target_of(doc.get("candidate")),
        ready=bool(doc.get("ready")),
        colors=_names(doc.get("colors")),
        hosts=_names(doc.get("hosts")),
        everyone=_names(doc.get("everyone")),
        batch_sizes=doc.get("batch_sizes", (1,)),
        min_healthy=doc.get("min_healthy", "auto"),
        interrupted=bool(doc.get("interrupted")),
        past=parse_past(doc),
        balanced=parse_balanced(doc.get("balanced")),
    )


def parse_plan(doc: Doc) -> Plan:
    """doc: rollout_plan, as a draft or as a plan."""
    return Plan(
        draft=parse_draft(doc),
        order=_names(doc.get("order")),
        batches=tuple(_names(batch) for batch in doc.get("members") or ()),
        rows=tuple(_row(row) for row in doc.get("rows") or ()),
        sides={host: _side(side) for host, side in (doc.get("sides") or {}).items()},
        fleet=_names(doc.get("fleet")),
        floor=int(doc.get("floor") or 0),
        idle=bool(doc.get("idle")),
        moves=frozenset(doc.get("moves") or ()),
        leaves=frozenset(doc.get("leaves") or ()),
        absent=frozenset(doc.get("absent") or ()),
        aside={host: _names(places) for host, places in (doc.get("aside") or {}).items()},
        unready=_names(doc.get("hidden")),
        recovers=frozenset(doc.get("recovers") or ()),
        canary=str(doc.get("canary") or ""),
        born=_names(doc.get("born")),
    )


def _names(value: t.Any) -> tuple[str, ...]:
    return tuple(str(one) for one in value or ())


def _side(doc: Doc) -> Side:
    return Side(
        live=doc.get("live") or "",
        to=doc.get("to") or "",
        back=doc.get("back") or "",
        before=doc.get("from") or "",
        others=_names(doc.get("others")),
        starts=bool(doc.get("starts")),
        action=doc.get("action") or "none",
    )


def _row(doc: Doc) -> Row:
    return Row(
        host=str(doc["host"]),
        before=doc.get("from") or "",
        current=doc.get("current") or "",
        action=doc.get("action") or "none",
        activate=bool(doc.get("activate")),
        healthy=bool(doc.get("healthy")),
    )

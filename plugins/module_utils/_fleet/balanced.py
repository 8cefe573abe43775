# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the balancers say of their members before anything moves. Pure."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field

Doc = t.Mapping[str, t.Any]
ASIDE = ("out", "draining", "partly")  # the words of balancer_member's `before`; one place only says the first two
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Member:
    """before: in, out, draining, partly or unknown; empty if it was not asked. out_of: the places that send it no requests."""

    before: str = ""
    healthy: bool = False
    out_of: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return self.before not in ("", UNKNOWN)

    @property
    def serves(self) -> bool:
        return self.before == "in" and self.healthy


@dataclass(frozen=True)
class Balanced:
    """The members that were asked about, by name; and the names of the balancers."""

    members: t.Mapping[str, Member] = field(default_factory=dict)
    balancers: tuple[str, ...] = ()

    def of(self, name: str) -> Member:
        return self.members.get(name, Member())

    @functools.cached_property
    def known(self) -> frozenset[str]:
        return frozenset(name for name, member in self.members.items() if member.before != UNKNOWN)


def parse_balanced(doc: Doc | None) -> Balanced | None:
    """doc: the answer of balancer_member; empty without a balancer."""
    if not doc:
        return None
    members = {name: parse_member(member) for name, member in (doc.get("members") or {}).items()}
    return Balanced(members, tuple(doc.get("balancers") or ()))


def parse_member(doc: Doc) -> Member:
    return Member(str(doc.get("before") or ""), bool(doc.get("healthy")), tuple(places_out(doc)))


def places_out(doc: Doc) -> list[str]:
    """The places that send no requests to a member, such as `haproxy lb1:9999 shop`. doc: what balancer_member said of it."""
    return [label for label, place in (doc.get("places") or {}).items() if place.get("rotation") in ASIDE]

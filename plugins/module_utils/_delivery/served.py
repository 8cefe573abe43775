# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Since when a server served a version, and until when, as the steps of its rollouts tell. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .reports import Rollout, Row

_BACK = ("returned", "stranded")


@dataclass(frozen=True)
class Stay:
    """A server on a version; left is None where it has not left it, as far as is known."""

    host: str
    joined: float
    left: float | None = None


def joined_at(row: Row, shielded: bool) -> float | None:
    """When people could meet the new version on it; None where they never did.

    The new node has joined when a join ends well that comes after a boot and before the way back. Where nothing keeps people away, a node that has booted
    is met.
    """
    up: float | None = None
    for span in row.spans:
        if span.step == "return":
            return None
        if span.step in ("boot", "gate"):
            if not shielded and span.step == "boot" and span.ok:
                return span.end
            up = span.end if span.ok else None
        elif span.step == "join" and span.ok and up is not None:
            return span.end
    return None


def taken_back_at(row: Row, shielded: bool) -> float | None:
    """When a server left the new version again in the same rollout: out of the balancer, else when its way back began."""
    joined = joined_at(row, shielded)
    if joined is None or row.outcome not in _BACK:
        return None
    drained = [span.end for span in row.spans if span.step == "drain" and span.ok and span.end >= joined]
    back = [span.start for span in row.spans if span.step == "return"]
    # Of two nodes, the former one may have left before.
    return max(drained) if drained else back[0] if back else None


def left_at(row: Row) -> float | None:
    """When a server left what it served before this rollout."""
    for span in row.spans:
        if span.step == "return":
            return None
        if span.step == "drain" and span.ok:
            return span.end
    # Nothing drains it: it stops.
    return next((span.start for span in row.spans if span.step in ("stop", "activate")), None)


def stays(bad: Rollout, others: t.Sequence[Rollout]) -> list[Stay]:
    """The servers that joined on the version of bad. others: what was rolled out afterwards and may have brought them off it, in its order."""
    found = []
    for row in bad.rows:
        joined = joined_at(row, bad.shielded)
        if joined is None:
            continue
        left = taken_back_at(row, bad.shielded)
        if left is None:
            left = _left_later(row.host, bad, others)
        found.append(Stay(row.host, joined, None if left is None else max(left, joined)))
    return found


def _left_later(host: str, bad: Rollout, others: t.Sequence[Rollout]) -> float | None:
    """What a later rollout brought off it; or when that began, if it found the server elsewhere, or no longer in the fleet."""
    for other in others:
        if other.digest == bad.digest or host in other.outside:
            continue
        row = next((row for row in other.rows if row.host == host), None)
        left = left_at(row) if row else None
        if left is not None:
            return left
        if (row is None and other.succeeded) or (row is not None and row.outcome == "unchanged"):
            return other.begun
    return None

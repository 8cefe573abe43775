# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a person does outside of a rollout: bring servers back into their balancers, break a lock. Here is what is refused, and what is said. Pure."""

from __future__ import annotations

import typing as t

from .._errors import BeamError

Doc = t.Mapping[str, t.Any]


def check_quiet(lock: Doc | None) -> None:
    """A rollout that still runs brings back what it took out itself. One whose holder is dead does not. lock: as rollout_info gives it."""
    if lock and lock.get("held") and not lock.get("dead"):
        raise BeamError(
            "rollout_goes_on",
            "%s rolls out since %s (%s)"
            % (lock.get("owner") or "somebody", lock.get("since") or "", lock.get("purpose") or ""),
            "that rollout brings back what it takes out",
            "Run it again when that has ended; alchemist.beam.status tells",
        )


def check_serves(host: str, seen: Doc) -> None:
    """A server that can't serve gets no requests. seen: what beam_info says about its node."""
    health = seen.get("health") or {}
    if seen.get("running") and health.get("passed", True):
        return
    why = health.get("reason") or "its node is not healthy" if seen.get("running") else "no node runs there"
    raise BeamError(
        "server_unfit",
        "%s stays out" % host,
        why,
        "alchemist.beam.rollout starts nodes and proves them; --limit leaves this server out",
    )


def broken(lock: Doc | None) -> str:
    """The holder of the lock that was broken."""
    if not lock:
        return "Nobody held the lock."
    return "The lock of %s (%s, since %s) was broken." % (lock["owner"], lock["purpose"], lock["since"])

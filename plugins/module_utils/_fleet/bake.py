# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the bake of a canary has shown: how long it served, what was compared or why nothing was, and whether that is enough. Pure."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .plan import Plan

Doc = t.Mapping[str, t.Any]
PASS, FAIL = "pass", "fail"
ON_NO_TRAFFIC = (PASS, FAIL)


def bake_of(plan: Plan, hosts: t.Sequence[str], told: Doc, on_no_traffic: str) -> dict[str, t.Any]:
    """The bake as a report shows it. hosts: the batch of the canary. told: what balancer_member said of it."""
    found: Doc = told.get("comparison") or {}
    return {
        "hosts": list(hosts),
        "seconds": found.get("seconds"),
        "compared": bool(found.get("compared")),
        "verdict": found.get("verdict"),
        "reasons": _reasons(plan, hosts, told),
        "on_no_traffic": on_no_traffic,
        "canary": _side(found.get("canary")),
        "rest": _side(found.get("rest")),
        "limits": found.get("limits"),
        "began_again": list(found.get("began_again") or ()),
    }


def _side(found: Doc | None) -> dict[str, t.Any] | None:
    return (
        {key: found.get(key) for key in ("hosts", "requests", "errors", "error_rate", "response_ms")} if found else None
    )


def _reasons(plan: Plan, hosts: t.Sequence[str], told: Doc) -> list[str]:
    """Why it is worse, or why nothing was compared."""
    found: Doc = told.get("comparison") or {}
    if not found or told.get("balancers"):
        return list(found.get("reasons") or ())
    if plan.balanced:
        return [
            "%s %s out of the balancer, and got no requests" % (", ".join(hosts), "is" if len(hosts) == 1 else "are")
        ]
    return ["there is no balancer (beam_balancers)"]


def check_compared(plan: Plan, bake: Doc) -> None:
    """A version that is stable already passes: a refusal would only keep it from the other servers."""
    if bake["compared"] or bake["on_no_traffic"] != FAIL or plan.draft.homecoming:
        return
    raise BeamError(
        "canary_not_compared",
        "Nothing was compared while the canary %s served" % ", ".join(bake["hosts"]),
        "%s, and beam_canary says on_no_traffic: fail" % "; ".join(bake["reasons"]),
        "Send it requests while it bakes, let it bake for longer (beam_bake), ask for fewer requests (min_requests in beam_canary), or say on_no_traffic: pass",
    )


def note(plan: Plan, bake: Doc) -> str:
    """The note in the report if a canary passed and nothing was compared; empty if something was."""
    if bake["compared"]:
        return ""
    served = "served for %.0f s" % bake["seconds"] if bake["seconds"] is not None else "served"
    way = "To refuse a version then, say beam_canary: {on_no_traffic: fail}."
    if bake["on_no_traffic"] == FAIL:
        way = "on_no_traffic: fail does not refuse it, because %s is stable already." % plan.draft.version
    return (
        "Nothing was compared while the canary %s %s: %s. It passed on its process, its health and its memory alone. %s"
        % (
            ", ".join(bake["hosts"]),
            served,
            "; ".join(bake["reasons"]),
            way,
        )
    )

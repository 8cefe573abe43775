# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""For a host that gets another version: whether its node is upgraded without a restart or restarted, and why. Pure."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .plan import Draft
from .sight import Sight
from .strategies import HOT_ONLY, IN_PLACE

Doc = t.Mapping[str, t.Any]
UPGRADE, RESTART = "upgrade", "restart"
_MOST = 5  # hosts in one sentence


def asks(plan: Doc, look: Doc, step: str, check_mode: bool) -> bool:
    """Whether a server is asked what a hot upgrade would do: if its node gets another version and that is on its disk."""
    wanted = plan.get("strategy") in IN_PLACE and plan.get("kind") != "restart" and step == "stage"
    seen, staged = look.get("seen") or {}, look.get("staged") or {}
    there = not (check_mode and staged.get("changed"))
    return wanted and there and bool(seen.get("running")) and (seen.get("restart") or {}).get("action") == "restart"


def told(found: Doc, error: str) -> dict[str, t.Any]:
    """What is kept of the answer of beam_upgrade. error: why there is none."""
    if error:
        return {"action": "blocked", "blockers": [{"code": "unknown", "why": error}]}
    return {key: found[key] for key in ("action", "blockers", "modules", "processes") if key in found}


def in_place(draft: Draft, sight: Sight, reason: str) -> tuple[str, str]:
    """The action, and why. reason: why its node would be restarted, as beam_restart says it."""
    if draft.strategy not in IN_PLACE or draft.kind == "restart" or draft.colors:
        return RESTART, reason
    told = sight.hot.get("action")
    if told == "hot":
        return UPGRADE, _size(sight)
    if told == "blocked":
        return RESTART, "; ".join(str(one.get("why")) for one in sight.hot.get("blockers") or ()) or reason
    if told:
        return RESTART, reason  # it runs this code already, and the reason is another, such as its settings
    return UPGRADE, "" if not sight.runs else "what speaks against it is known once the release is staged"


def _size(sight: Sight) -> str:
    modules = sum(len(found or ()) for found in (sight.hot.get("modules") or {}).values())
    processes = sum(int(one.get("count") or 0) for one in sight.hot.get("processes") or ())
    return "modules: %d, processes: %d" % (modules, processes)


def refuse_blocked(draft: Draft, restarted: t.Sequence[tuple[str, str]]) -> None:
    """The refusal of the strategy that restarts nothing, before anything is touched. restarted: the hosts that would restart, and why."""
    if draft.strategy != HOT_ONLY or draft.kind == "restart" or not restarted:
        return
    named = ["%s: %s" % (host, why or "no reason given") for host, why in restarted[:_MOST]]
    more = " and %d more" % (len(restarted) - _MOST) if len(restarted) > _MOST else ""
    raise BeamError(
        "hot_blocked",
        "%d of %d hosts can't be upgraded without a restart" % (len(restarted), len(draft.hosts)),
        ". ".join(named) + more,
        "Use the strategy auto, which restarts these, or remove the reason (docs/hot-upgrade.md). Nothing was touched",
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether a canary is fit after it has served for a while: restarts, health and memory. What the balancer counted is judged there. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.bake import PASS, bake_of, check_compared, note
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import host_ended
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error, failed, looked, said_of

Vars = t.Mapping[str, t.Any]
MEMORY_RATIO = 2.0  # a canary may take that many times what the host's node took before, and what the others take
MEMORY_FLOOR = 64 * 1048576  # bytes by which a canary may always exceed the fleet


def judge(hostvars: Vars, host: str, plan: Vars, limits: t.Optional[Vars] = None) -> dict[str, t.Any]:
    """What the balancer said, with the report of the bake as `bake`; and with `failed` and `error` where the canary is not fit."""
    limits, baked, parsed = limits or {}, _found(hostvars.get(host) or {}, "watch"), parse_plan(plan)
    batch = next((hosts for hosts in parsed.batches if host in hosts), (host,))
    bake = bake_of(parsed, batch, baked, str(limits.get("on_no_traffic") or PASS))
    refusal = _unfit(hostvars, host, plan, limits)
    if not refusal:
        try:
            check_compared(parsed, bake)
        except BeamError as exc:
            refusal = NOTHING_NAMED.error(exc).as_failure()
    return {**baked, "bake": bake, **refusal}


def _found(of: Vars, step: str) -> Vars:
    """What a step found that fails nothing by itself."""
    return t.cast("Vars", said_of(of, step).get("found") or {})


def bake_report(hostvars: Vars, plan: Vars) -> tuple[dict[str, t.Any] | None, list[str]]:
    """The report of the bake, and the notes about it; None if there was no canary."""
    found = [
        baked
        for baked in (said_of(hostvars.get(host) or {}, "bake") for host in plan.get("order") or ())
        if baked.get("bake")
    ]
    if not found:
        return None, []
    bake, refused = dict(found[0]["bake"]), [error(baked) for baked in found if failed(baked)]
    if refused:
        return {**bake, "passed": False, "reasons": refused}, []
    told = note(parse_plan(plan), bake)
    return {**bake, "passed": True}, [told] if told else []


def _unfit(hostvars: Vars, host: str, plan: Vars, limits: Vars) -> dict[str, t.Any]:
    of = hostvars.get(host) or {}
    baked, moved, seen = _found(of, "watch"), said_of(of, "restart"), _found(of, "look")
    lost = _lost(moved, seen)
    verdict = baked.get("error")
    if verdict or failed(baked):
        # What the balancer sees of a server that is gone is no verdict on the release.
        return (
            _refusal("canary_lost", host, "%s; %s" % (lost, error(baked)))
            if lost and (verdict or {}).get("code") == "canary_worse"
            else {"failed": True}
        )
    reasons: list[str] = []
    expected = (moved.get("after") or {}).get("pid")
    if "running" not in seen:
        return _refusal("canary_lost", host, lost)
    if not seen["running"]:
        reasons.append("it does not run any more")
    else:
        if expected is not None and seen.get("pid") != expected:
            reasons.append("its process %s ended, and %s took its place" % (expected, seen.get("pid")))
        elif (seen.get("restarts") or 0) > 0:
            reasons.append("its manager restarted it %d times" % seen["restarts"])
        health = seen.get("health") or {}
        if health and not health.get("passed"):
            reasons.append(str(health.get("reason") or "it is not healthy"))
        reasons += _memory(hostvars, host, plan, seen, float(limits.get("memory_ratio") or MEMORY_RATIO))
    if not reasons:
        return {}
    return (
        _refusal("canary_lost", host, "; ".join([lost, *reasons]))
        if lost
        else _refusal("canary_worse", host, "; ".join(reasons))
    )


def _lost(moved: Vars, seen: Vars) -> str:
    """Why nothing that was seen of the canary blames its release."""
    return host_ended(moved, seen) if "running" in seen else "it could not be asked: %s" % error(seen)


def _refusal(code: str, host: str, why: str) -> dict[str, t.Any]:
    what = "the canary %s %s" % (host, "is worse than what ran before" if code == "canary_worse" else "can't be judged")
    return {
        "failed": True,
        "msg": "%s: %s." % (what, why),
        "error": {"code": code, "what": what, "why": why, "next": "Look at its log"},
    }


def _memory(hostvars: Vars, host: str, plan: Vars, seen: Vars, ratio: float) -> list[str]:
    own = seen.get("rss")
    others = [looked(hostvars.get(h) or {}, "seen").get("rss") for h in plan["order"]]
    known = sorted(int(x) for x in others if x)
    if not own or not known:
        return []
    usual = known[len(known) // 2]
    if own > max(ratio * usual, usual + MEMORY_FLOOR):
        return ["it takes %d MiB of memory, the fleet's nodes took %d MiB" % (own // 1048576, usual // 1048576)]
    return []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How one host fared, read from what its tasks registered. Pure, so that nothing can be claimed by accident: a host whose tasks say nothing is
`skipped` while the rollout goes on, and `lost` at its end.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._node.boot_words import cut
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import VERDICTS

Vars = t.Mapping[str, t.Any]

CURRENT = "current"  # the pointer, and in place of a colour the node of a host that has only one
# Only these speak against the release itself; a masked unit, a full disk or a balancer's whim does not.
BLAMING = (*VERDICTS, "canary_worse")
# The registers of a rollout; tasks/stage.yml of the role resets them before each.
FORWARD = (
    "rollout_leaving", "rollout_rejoined", "rollout_cleared", "rollout_left", "rollout_unready", "rollout_activated", "rollout_restarted",
    "rollout_ready_again", "rollout_joined", "rollout_baked", "rollout_switched", "rollout_enabled", "rollout_disabled", "rollout_stopped",
)
BACKWARD = (
    "rollout_returning", "rollout_back_cleared", "rollout_back_left", "rollout_pointed", "rollout_returned", "rollout_back_joined",
    "rollout_back_ready", "rollout_back_switched", "rollout_back_enabled", "rollout_back_disabled", "rollout_back_stopped", "rollout_back_removed",
    "rollout_back_unlisted",
)
REGISTERS = (*FORWARD, *BACKWARD, "rollout_moved", "rollout_in")
# Before these a host is as the way forward left it.
_BACK_BEGINS = ("rollout_returning", "rollout_back_cleared", "rollout_back_left")
# With these the former version serves again; the others of the way back see to it that the server's next boot starts that one, too.
_BACK_PROVEN = ("rollout_pointed", "rollout_returned", "rollout_back_joined", "rollout_back_ready")
_BACK_ENDS = tuple(name for name in BACKWARD if name not in (*_BACK_BEGINS, *_BACK_PROVEN))


def result(hostvars: Vars, name: str) -> Vars:
    """What a task registered; empty where it was skipped or never ran."""
    found = hostvars.get(name)
    return found if isinstance(found, t.Mapping) and not found.get("skipped") else {}


def parts(found: Vars) -> list[Vars]:
    """What a task with a loop registered, item by item; what one without a loop registered, as the only one."""
    items = found.get("results")
    return [item for item in items if not item.get("skipped")] if isinstance(items, list) else [found] if found else []


def error(found: Vars) -> str:
    found = next((item for item in parts(found) if failed(item)), found)
    said = found.get("error")
    if isinstance(said, t.Mapping) and said.get("what"):
        return "%s: %s" % (said["what"], said["why"]) if said.get("why") else str(said["what"])
    return str(found.get("msg") or "failed without a message").strip()


def next_step(found: Vars) -> str:
    """What its user can do about a failure; empty where the task said nothing of it."""
    said = next((item for item in parts(found) if failed(item)), found).get("error")
    return str(said.get("next") or "").strip() if isinstance(said, t.Mapping) else ""


def sentence(text: str) -> str:
    """It begins with a capital, unless its first word is a name that would be another one then."""
    word = text.split(" ", 1)[0]
    return text if not word.isalpha() else text[:1].upper() + text[1:]


def failed(found: Vars) -> bool:
    return bool(found.get("failed")) or bool(found.get("unreachable"))


def code(found: Vars) -> str:
    said = next((item for item in parts(found) if failed(item)), found).get("error")
    return str(said.get("code") or "") if isinstance(said, t.Mapping) else ""


def state(hostvars: Vars) -> str:
    """returned, stranded, kept, unreachable, failed, moved or skipped."""
    back = [result(hostvars, name) for name in ("rollout_pointed", "rollout_returned")]
    begins = any(failed(result(hostvars, name)) for name in _BACK_BEGINS)
    hook = bool(hostvars.get("rollout_back_hook_error"))
    if any(back):
        ends = [result(hostvars, name) for name in _BACK_ENDS]
        if any(r.get("unreachable") for r in (*back, *ends)):
            return "unreachable"
        if any(failed(result(hostvars, name)) for name in (*_BACK_PROVEN, *_BACK_ENDS)) or hook:
            return "stranded"
        return "kept" if begins else "returned"
    if (begins or hook) and _serves(hostvars):
        return "kept"  # and could not be taken out to go back
    steps = [result(hostvars, name) for name in FORWARD]
    if any(r.get("unreachable") for r in steps):
        return "unreachable"
    if any(failed(r) for r in steps) or hostvars.get("rollout_hook_error"):
        return "failed"
    if "after" not in result(hostvars, "rollout_restarted"):
        return "skipped"
    if begins or hook:
        return "failed"  # it moved, and never joined
    last = result(hostvars, "rollout_confirmed")
    if last.get("unreachable"):
        return "unreachable"
    return "failed" if last and since(hostvars) else "moved"


def _serves(hostvars: Vars) -> bool:
    """Whether the new version serves, as far as the way forward came."""
    went, came = (
        [result(hostvars, name) for name in names]
        for names in (("rollout_cleared", "rollout_left", "rollout_unready"), ("rollout_restarted", "rollout_joined", "rollout_ready_again"))
    )
    return bool(came[0].get("after")) and not any(failed(r) for r in came) and (any(came[1:]) or not any(went))


def serves_again(hostvars: Vars) -> bool:
    """Whether the version before runs, proven, and nothing says that it does not serve."""
    found = [result(hostvars, name) for name in (*_BACK_PROVEN, "rollout_back_left")]
    return bool(found[0]) and bool(found[1].get("after")) and not any(failed(r) for r in found)


def since(hostvars: Vars) -> str:
    """What became of a host after its batch; empty where it is as it was."""
    last, moved = result(hostvars, "rollout_confirmed"), result(hostvars, "rollout_restarted")
    if not last or last.get("unreachable"):
        return ""
    if "running" not in last:
        return "it was healthy, and could not be asked again: %s" % error(last)
    expected, health = (moved.get("after") or {}).get("pid"), last.get("health") or {}
    if not last["running"]:
        text = "and does not run any more%s" % (": %s" % last["why"] if last.get("why") else "")
    elif expected is not None and last.get("pid") != expected:
        text = "then its process %s ended, and %s took its place" % (expected, last.get("pid"))
    elif health and not health.get("passed"):
        text = "then not any more: %s" % (health.get("reason") or "no reason given")
    else:
        return ""
    ended = host_ended(moved, last)
    return "it was healthy, %s%s" % (text, " (%s)" % ended if ended else "")


def host_ended(before: Vars, now: Vars) -> str:
    """Why what became of a node is its server's doing. before, now: what modules said of it."""
    if now.get("ending"):
        return str(now["ending"])
    boots = [found.get("boot_id") for found in (before, now)]
    return "its server was started again" if all(boots) and boots[0] != boots[1] else ""


def reason(hostvars: Vars) -> str:
    """The first error of the way forward, and the first of the way back."""
    texts = []
    for names in (FORWARD, BACKWARD):
        bad = [error(r) for r in (result(hostvars, name) for name in names) if failed(r)]
        hook = "rollout_hook_error" if names is FORWARD else "rollout_back_hook_error"
        if not bad and hostvars.get(hook):
            bad = [str(hostvars[hook])]
        if names is FORWARD and not bad and since(hostvars):
            bad = [since(hostvars)]
        texts.append(bad[0] if bad else "")
    return " and then, on the way back: ".join(text for text in texts if text) if texts[0] else texts[1]


def way_out(hostvars: Vars) -> str:
    """The next step of the error that `reason` begins with."""
    found = [result(hostvars, name) for names in (FORWARD, BACKWARD) for name in names]
    return next((next_step(one) for one in found if failed(one)), "")


def blames(hostvars: Vars) -> bool:
    last = result(hostvars, "rollout_confirmed")
    # A server that can't be asked, that itself has ended, or of which a setting is at fault, says nothing of the release.
    told = "running" in last and not last.get("misconfigured") and not host_ended(result(hostvars, "rollout_restarted"), last)
    return bool(told and since(hostvars)) or any(code(result(hostvars, name)) in BLAMING for name in FORWARD)


def fenced(hostvars: Vars) -> bool:
    """Another deployer has taken over: nothing more may be written, not even to undo."""
    return any(code(result(hostvars, name)) == "lock_lost" for name in REGISTERS)


def touched(hostvars: Vars) -> bool:
    """Whether a step was begun that may have to be undone."""
    return any(result(hostvars, name) for name in ("rollout_left", "rollout_unready", "rollout_activated", "rollout_restarted"))


def batch(hostvars: Vars, hosts: t.Sequence[str]) -> dict[str, t.Any]:
    """How a batch fared: `failed`, `fenced` (another deployer took over), and which of its hosts are `moved`, `unsettled`, `serving` and `healed`.

    Unsettled is what was touched and not taken back yet.
    """
    states = {host: state(hostvars.get(host) or {}) for host in hosts}
    begun = [host for host in hosts if touched(hostvars.get(host) or {}) and not result(hostvars[host], "rollout_pointed")]
    return {
        "failed": any(s in ("failed", "unreachable", "stranded") for s in states.values()),
        "fenced": any(fenced(hostvars.get(host) or {}) for host in hosts),
        "states": states,
        "moved": [host for host in hosts if states[host] == "moved"],
        "unsettled": begun,
        # Back in a balancer already, so they have to leave it once more before they return.
        "serving": [host for host in begun if result(hostvars[host], "rollout_joined") or result(hostvars[host], "rollout_ready_again")],
        "healed": [host for host in hosts if serves_again(hostvars.get(host) or {})],
    }


def unfinished_from(plan: Vars, host: str) -> str:
    """The version that ran before a rollout that was interrupted and never ended on this host; empty where there was none."""
    left = plan.get("interrupted") or {}
    before = (left.get("hosts") or {}).get(host) or {}
    if left.get("state") == "finished" and not before.get("out"):
        return ""  # it ended, and left only others behind
    found = before.get("from") if before.get("step") not in ("planned", "skipped") else None
    return str(found) if found and found != plan["version"] else ""


def came_from(hostvars: Vars, plan: Vars, host: str) -> str:
    """The version to go back to: what ran before this rollout, or before the one that was interrupted."""
    return unfinished_from(plan, host) or str(result(hostvars, "rollout_staged").get("current") or "")


def member_name(host: str, color: str) -> str:
    """What a balancer's member is called here; `current` is the node of a host that has only one."""
    return host if color == CURRENT else "%s-%s" % (host, color)


def member_of(found: Vars, host: str, *colors: t.Any) -> Vars:
    """What balancer_member said of a host; of one with two nodes, of the first of these that took part."""
    members = found.get("members") or {}
    names = [member_name(host, color) for color in colors if color] or [host]
    return next((members[name] for name in names if name in members), {})


def _seconds(hostvars: Vars) -> float:
    return round(sum(float(((result(hostvars, name).get("seconds") or {}).get("total")) or 0) for name in ("rollout_activated", "rollout_restarted")), 3)


def steps(hostvars: Vars, hosts: t.Sequence[str], plan: Vars, phase: str) -> dict[str, dict[str, t.Any]]:
    """What the journal is told of a batch. phase: leaving, moved, joined, returning or returned."""
    found: dict[str, dict[str, t.Any]] = {}
    for host in hosts:
        of = hostvars.get(host) or {}
        # A readiness file is withdrawn where something moves, and hides a server as a balancer does.
        leaves = host in plan.get("leaves", ()) or bool(plan.get("ready")) and host in plan.get("moves", ())
        if phase == "leaving":
            found[host] = {"step": "leaving", "from": (plan.get("froms") or {}).get(host) or None, "out": leaves}
        elif phase == "returning":
            found[host] = {"step": "returning", "out": leaves}
        elif phase == "joined":
            found[host] = {"step": "joined", "out": False}
        else:
            now = state(of)
            # The journal has no word for it: it serves, and could not be taken out to go back.
            found[host] = {"step": "failed" if now == "kept" else now, "error": cut(reason(of), 500), "seconds": _seconds(of)}
            if phase == "returned" and now == "returned" and in_again(of, host, plan):
                found[host]["out"] = False
    return found


def in_again(of: Vars, host: str, plan: Vars) -> bool:
    """Whether a host on its way back was seen to be in where it was taken out. One that had nothing to go back to was not."""
    joined, colors = result(of, "rollout_back_joined").get("members") or {}, plan.get("colors") or ()
    balanced = host not in plan.get("leaves", ()) or any(member_name(host, color) in joined for color in (CURRENT, *colors))
    return balanced and (not plan.get("ready") or bool(result(of, "rollout_back_ready")))

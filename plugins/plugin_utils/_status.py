# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What runs where: one row per server, from what its process and its node said."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import LOOK, looked
from ansible_collections.alchemist.beam.plugins.plugin_utils._rotation import column, standing
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]
COLUMNS = (
    "host",
    "color",
    "running",
    "current",
    "channel",
    "since",
    "health",
    "balancer",
    "ready",
    "restarts",
    "memory MiB",
    "note",
)


def _row(host: str, info: Vars, stable: str) -> dict[str, t.Any]:
    row: dict[str, t.Any] = {"host": host, "channel": stable, "color": info.get("live")}
    if info.get("unreachable"):
        return {**row, "running": "?", "health": "unreachable", "note": info.get("msg")}
    if "running" not in info:
        return {**row, "running": "?", "health": "unknown", "note": info.get("msg") or "the host said nothing"}
    memory = (info.get("memory") or {}).get("total")
    notes = []
    current = (info.get("current") or {}).get("version")
    if not info["running"]:
        notes.append("not running: %s" % info["why"] if info.get("why") else "not running")
    elif info.get("modified"):
        some = ", ".join(str(name).replace("Elixir.", "", 1) for name in info["modified"][:3])
        notes.append("%d modules are not those of its release: %s" % (len(info["modified"]), some))
    elif info.get("drift"):
        notes.append("runs another version than current")
    if info["running"] and info.get("upgraded_from"):
        notes.append("upgraded hot from %s" % info["upgraded_from"])
    if info["running"] and stable and info.get("version") != stable:
        notes.append("not what the channel says")
    beside = [
        color for color, node in (info.get("colors") or {}).items() if node.get("running") and color != info.get("live")
    ]
    beside += ["the node without a colour"] if info.get("live") and (info.get("plain") or {}).get("running") else []
    if beside:
        notes.append("%s runs beside it" % " and ".join(beside))
    if info.get("crash_dumps"):
        notes.append("%d crash dump%s" % (len(info["crash_dumps"]), "" if len(info["crash_dumps"]) == 1 else "s"))
    health = info.get("health") or {}
    if not info["running"]:
        state = "down"
    elif health:
        state = "healthy" if health.get("passed") else "unhealthy"
        notes += [health["reason"]] if health.get("reason") else []
    elif info.get("answers"):
        state = "up" if info.get("booted") else "booting"
    else:
        state = "silent"
        notes += [info["problem"]] if info.get("problem") else []
    return {
        **row,
        "running": info.get("version") if info["running"] else None,
        "current": current,
        "since": info.get("started"),
        "health": state,
        "restarts": info.get("restarts"),
        "memory MiB": memory and int(memory) // 1048576,
        "note": "; ".join(notes),
    }


def _told(of: Vars) -> Vars:
    """What a server said; or that it could not be asked."""
    return looked(of, "seen") or of.get(LOOK) or {}


def fleet_status(
    hostvars: Vars,
    hosts: t.Sequence[str],
    channel: t.Optional[Vars],
    known: t.Optional[Vars] = None,
    balanced: t.Optional[Vars] = None,
) -> list[str]:
    """balanced: what balancer_member said of all of them, where there are balancers."""
    stable = ((channel or {}).get("stable") or {}).get("version") or ""
    rows = []
    for host in hosts:
        of = hostvars.get(host) or {}
        row, added = _row(host, _told(of), stable), of.get("rollout_added")
        row["balancer"], row["ready"] = column(hostvars, host, balanced or {})
        if added:
            row["note"] = "; ".join(
                filter(
                    None,
                    ["not in the inventory, %s in %s" % (added["lifecycle_state"], added["group"]), row.get("note")],
                )
            )
        rows.append(row)
    return render(rows, COLUMNS) + _notes(known or {}) + standing(hostvars, hosts, known or {}, balanced or {})


def _notes(known: Vars) -> list[str]:
    """Who rolls out at the moment, or what a rollout that died left behind. known: the result of rollout_info."""
    lock, journal = known.get("lock") or {}, known.get("journal") or {}
    found = locked_by(lock)
    if known.get("unfinished") and (not lock.get("held") or lock.get("dead")):
        left = known.get("interrupted_hosts") or []
        found.append(
            "The %s %s of %s was interrupted%s. alchemist.beam.rollout goes on with it, or brings the hosts back."
            % (
                journal.get("kind") or "rollout",
                journal.get("id"),
                journal.get("version"),
                "; left half way: %s" % ", ".join(left) if left else "",
            )
        )
    return found


def locked_by(lock: Vars) -> list[str]:
    """One line, or none if nobody holds it. lock: as rollout_info tells it."""
    if not lock.get("held"):
        return []
    gone = ", and is known to be gone" if lock.get("dead") else ""
    return [
        "Locked by %s since %s for a %s; last sign of life %s%s."
        % (lock.get("owner"), lock.get("since"), lock.get("purpose"), lock.get("renewed"), gone)
    ]

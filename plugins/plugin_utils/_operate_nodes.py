# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""start, ping and version: which node is started, who answers, and which version is where. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

CURRENT = "current"


def choose(desk: Desk) -> Result:
    """Of a server with two nodes the one that serves; where none runs, the one that is started at boot."""
    seen = desk.told("operate_seen")
    node = _node(seen, desk.ask("operate_colors") or ())
    if seen.get("running"):
        version = seen.get("version")
    elif node == CURRENT:
        version = (seen.get("current") or {}).get("version")
    else:
        version = seen["colors"][node].get("points_at")
    return {"node": node, "version": version or ""}


def _node(seen: Vars, colors: t.Sequence[str]) -> str:
    if not colors or (seen.get("plain") or {}).get("running"):
        return str(seen.get("live") or CURRENT)
    of = seen.get("colors") or {}
    if seen.get("live"):
        return str(seen["live"])
    at_boot = [color for color in colors if (of.get(color) or {}).get("enabled")]
    installed = [color for color in colors if (of.get(color) or {}).get("points_at")]
    return str((at_boot or installed or [CURRENT])[0])


def ping(desk: Desk) -> Result:
    said = desk.all_told("operate_pinged")
    rows = [
        {"host": host, "answer": "%.1f ms" % of["ms"], "node": of["node"], "version": of["version"], "pid": of["pid"]}
        if "ms" in of
        else {"host": host, "answer": "no", "note": error(of)}
        for host, of in said.items()
    ]
    silent = [host for host, of in said.items() if "ms" not in of]
    wrong = "%d of %d do not answer: %s." % (len(silent), len(said), ", ".join(silent)) if silent else ""
    return {"lines": render(rows, ("host", "answer", "node", "version", "pid", "note")), "wrong": wrong}


def version(desk: Desk) -> Result:
    channel = desk.told("operate_channel_now")
    stable = ((channel.get("channel") or {}).get("stable") or {}).get("version") or ""
    rows = [_version(host, of, stable) for host, of in desk.all_told("operate_seen").items()]
    lines = render(rows, ("host", "color", "runs", "current", "stable", "since", "note"))
    if "channel" not in channel:
        lines.append("What is stable is not known: %s" % error(channel))
    return {"lines": lines, "wrong": ""}


def _version(host: str, seen: Vars, stable: str) -> dict[str, t.Any]:
    row: dict[str, t.Any] = {"host": host, "stable": stable}
    if "running" not in seen:
        return {**row, "runs": "?", "note": error(seen)}
    current = (seen.get("current") or {}).get("version")
    notes = []
    if not seen["running"]:
        notes.append("it does not run")
    elif seen.get("drift"):
        notes.append("runs another version than current")
    if seen["running"] and seen.get("upgraded_from"):
        notes.append("upgraded hot from %s" % seen["upgraded_from"])
    if stable and current and current != stable:
        notes.append("current is not what is stable")
    return {
        **row,
        "color": seen.get("live"),
        "runs": seen.get("version") if seen["running"] else None,
        "current": current,
        "since": seen.get("started"),
        "note": "; ".join(notes),
    }

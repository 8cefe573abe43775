# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""rotate: a new cookie for all nodes. What is refused before anything is changed, and what came of it. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.by_hand import check_quiet
from ansible_collections.alchemist.beam.plugins.module_utils._node.cookie import check_cookie
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render


def rotating(desk: Desk) -> Result:
    """All of the fleet takes part: whoever is left out could not connect to the others any more. Nobody rolls out meanwhile."""
    check_cookie(str(desk.ask("operate_cookie") or ""))
    here = set(desk.ask("ansible_play_hosts_all") or ())
    away = [host for host in desk.ask("operate_fleet_hosts") or () if host not in here]
    if away:
        raise BeamError(
            "rotation_partial",
            "No cookie is replaced",
            "%s would be left out, and could not connect to the others any more" % ", ".join(away),
            "Leave out --limit",
        )
    check_quiet(desk.told("operate_history").get("lock"))
    return {}


def rotated(desk: Desk) -> Result:
    """Who has it, and who has lost a connection over it."""
    after = {host: _connected(said) for host, said in desk.all_told("operate_looked_again").items()}
    rows: list[dict[str, t.Any]] = []
    bad = []
    for host, said in desk.all_told("operate_rotated").items():
        if "nodes" not in said:
            bad.append(host)
            rows.append({"host": host, "cookie": "?", "note": error(said)})
            continue
        lost = {} if desk.check_mode or host not in after else _lost(_connected(said), after[host])
        if lost:
            bad.append(host)
        rows += [
            {
                "host": host,
                "node": node["node"],
                "cookie": _state(node, desk.check_mode),
                "connected": len(node["connected"]),
                "note": "not connected any more: %s" % ", ".join(lost[node["node"]]) if node["node"] in lost else None,
            }
            for node in said["nodes"]
        ] or [{"host": host, "cookie": _file(said, desk.check_mode), "note": "it does not run"}]
    lines = render(rows, ("host", "node", "cookie", "connected", "note"))
    return {"lines": lines, "wrong": "The cookie is not as it should be on %s." % ", ".join(bad) if bad else ""}


def _state(node: Vars, check_mode: bool) -> str:
    if node["had"] is None:
        return "none is asked for"
    return "it had it" if node["had"] == "new" else "would be new" if check_mode else "new"


def _file(said: Vars, check_mode: bool) -> str:
    return "it had it" if not said["files"] else "would be new" if check_mode else "new"


def _connected(said: Vars) -> dict[str, set[str]]:
    return {node["node"]: set(node["connected"]) for node in said.get("nodes") or ()}


def _lost(before: t.Mapping[str, set[str]], after: t.Mapping[str, set[str]]) -> dict[str, list[str]]:
    lost = {node: sorted(peers - after.get(node, set())) for node, peers in before.items()}
    return {node: peers for node, peers in lost.items() if peers}

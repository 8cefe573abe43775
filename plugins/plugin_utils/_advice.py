# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Notes of a plan beside its table: the rollout goes on, but a person should know. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import DRIFT, error, failed, parts, result

Vars = t.Mapping[str, t.Any]
UNWATCHED = (
    "beam_health asks nothing that a user would notice: neither http nor tcp. A node that runs and listens nowhere passes. Say what answers,"
    ' such as beam_health: {http: {url: "http://127.0.0.1:4000/"}}.'
)


def advice(plan: Vars, hostvars: Vars) -> list[str]:
    found = [] if plan.get("idle") or plan.get("watched", True) else [UNWATCHED]
    return found + _settings(plan.get("order") or plan["hosts"], hostvars, bool(plan.get("settings")))


def _settings(hosts: t.Sequence[str], hostvars: Vars, applied: bool) -> list[str]:
    """Of servers whose settings are not those of the inventory: nothing but `setup` writes them. applied: but for those that this rollout brings."""
    same: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    for host in hosts:
        drifted = result(hostvars.get(host) or {}, DRIFT)
        brought = [text for item in parts(drifted) for text in item.get("settings") or ()] if applied else []
        said = [text for item in parts(drifted) for text in item.get("differs") or () if text not in brought]
        bad = next((item for item in parts(drifted) if failed(item)), None)
        if bad is not None:
            unknown.setdefault(error(bad)[:300].rstrip("."), []).append(host)
        elif said:
            same.setdefault("; ".join(said), []).append(host)
    found = [
        "The settings on %s could not be compared with the inventory: %s." % (", ".join(on), why)
        for why, on in unknown.items()
    ]
    for text, on in same.items():
        found.append(
            "Settings of the inventory that are not on %s: %s. The nodes go on with what is there. To apply them: ansible-playbook -i INVENTORY"
            " alchemist.beam.setup --limit %s, and then a rollout, which restarts whoever they changed for."
            % (", ".join(on), text, ",".join(on))
        )
    return found

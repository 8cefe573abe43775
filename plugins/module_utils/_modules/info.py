# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module beam_info: its options, and what becomes of them. Apart from the module, so that rollout_look does the same."""

from __future__ import annotations

import dataclasses
import typing as t

from .._node.colors import survey
from .._node.ending import ending
from .._node.explain import why_down
from .._node.info import gather
from .._node.probes import ask_once
from .._node.restart import foresee
from .._node.spec import HEALTH_SPEC, NODE_SPEC, health_of, manager_of, managers_of

OPTIONS: dict[str, t.Any] = {
    **NODE_SPEC,
    "colors": {"type": "list", "elements": "str", "default": []},
    "expect_version": {"type": "str"},
    "crash_dumps": {"type": "list", "elements": "path", "default": []},
    "modified": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 2.0},
    "health": HEALTH_SPEC,
}
Options = t.Mapping[str, t.Any]


def work(options: Options) -> dict[str, t.Any]:
    return look(options, lambda _pointer: options["health"])


def look(options: Options, health_for: t.Callable[[str], Options | None]) -> dict[str, t.Any]:
    """health_for: the health checks of a node, by its pointer. Of two nodes, the one that serves is checked."""
    colors: dict[str, t.Any] = {"live": None, "idle": None, "colors": {}, "plain": {}}
    manager, pointer = manager_of(options), options["pointer"]
    if options["colors"]:
        managers = managers_of(options)
        colors, pointer = survey(options["base"], options["colors"], managers)
        manager = managers[pointer]
    wanted = health_for(pointer)
    health = health_of(wanted)
    status = manager.status()
    mask = manager.mask()
    facts = gather(
        options["base"],
        options["name"],
        status,
        options["crash_dumps"],
        options["timeout"],
        options["pointer"],
        mask,
        options["modified"],
    )
    if facts["upgraded_from"] and status.process is not None:
        process = dataclasses.replace(
            status.process, root=facts["root"], version=facts["version"], booted=facts["upgraded_from"]
        )
        status = dataclasses.replace(status, process=process)
    answer = ask_once(health, status.process, mask) if status.process and wanted else None
    well = status.process is not None and (answer is None or answer["passed"])
    end = None if well else ending(options["base"])
    restart = (
        foresee(options["base"], options["name"], options["expect_version"], status)
        if options["expect_version"]
        else None
    )
    reason = why_down(manager, status)
    why = {"why": reason.text if reason else None, "misconfigured": reason is not None and reason.setting}
    return {
        "changed": False,
        **facts,
        **colors,
        "health": answer,
        **why,
        "restart": restart,
        "ending": end and end.why,
    }

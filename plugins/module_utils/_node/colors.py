# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Two nodes on one server, and which of them serves. The running processes show it; no file records it."""

from __future__ import annotations

import os
import typing as t

from .manager import Manager, Status
from .target import current_root


def live_color(statuses: t.Mapping[str, Status], current: t.Optional[str]) -> t.Optional[str]:
    """Pure: the colour that serves, if any runs.

    Where several run, a deploy is under way or was cut off: then it is the one that is started at boot, else the one that
    runs what `current` points at, else the oldest, which served before the other one was begun.
    """
    running = {
        color: (status.process, status.enabled) for color, status in statuses.items() if status.process is not None
    }
    at_boot = [color for color, (_process, enabled) in running.items() if enabled]
    as_current = [
        color for color, (process, _enabled) in running.items() if current and os.path.realpath(process.root) == current
    ]
    for chosen in (at_boot, as_current):
        if len(chosen) == 1:
            return chosen[0]
    return min(running, key=lambda color: running[color][0].started, default=None)


def idle_color(colors: t.Sequence[str], statuses: t.Mapping[str, Status], live: t.Optional[str]) -> t.Optional[str]:
    """Pure: the colour that the next release is for. One that does not run goes before one that does."""
    others = [color for color in colors if color != live]
    return min(others, key=lambda color: statuses[color].process is not None, default=None)


def survey(base: str, colors: t.Sequence[str], managers: t.Mapping[str, Manager]) -> tuple[dict[str, t.Any], str]:
    """Facts about each of the nodes, and the pointer of the one that serves (`current` if it has no colour)."""
    statuses = {pointer: manager.status() for pointer, manager in managers.items()}
    colored = {color: statuses[color] for color in colors}
    live = live_color(colored, current_root(base))
    facts = {}
    for color, status in colored.items():
        root = current_root(base, color)
        facts[color] = {
            "running": status.process is not None,
            "state": status.state,
            "restarts": status.restarts,
            "enabled": status.enabled,
            **(
                status.process.facts()
                if status.process
                else {"pid": None, "started": None, "version": None, "root": None, "node": None}
            ),
            "points_at": os.path.basename(root) if root else None,
        }
    single = statuses[
        "current"
    ]  # what ran before there were colours, and may run still after a switch that was cut off
    plain = {"running": single.process is not None, "enabled": single.enabled}
    return {
        "live": live,
        "idle": idle_color(colors, statuses, live),
        "colors": facts,
        "plain": plain,
    }, live or "current"

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module beam_restart: its options, and what becomes of them. Apart from the module, so that rollout_host does the same."""

from __future__ import annotations

import typing as t

from .._host.fence import check_fence, fence_of
from .._node.replaced import status_as_it_runs
from .._node.restart import Result, apply, plan, preflight
from .._node.spec import HEALTH_SPEC, NODE_SPEC, health_of, manager_of
from .._node.target import rehearse, resolve

OPTIONS: dict[str, t.Any] = {
    **NODE_SPEC,
    "state": {"type": "str", "choices": ["restarted", "started", "stopped"], "default": "restarted"},
    "force": {"type": "bool", "default": False},
    "expect_version": {"type": "str"},
    "stop_timeout": {"type": "float", "default": 30.0},
    "boot_timeout": {"type": "float", "default": 90.0},
    "lines": {"type": "int", "default": 50},
    "fence": {"type": "int"},
    "fence_channel": {"type": "str"},
    "health": HEALTH_SPEC,
}
# Further arguments of AnsibleModule about them.
RULES: dict[str, t.Any] = {"required_together": [("fence", "fence_channel")]}


def work(options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    check_fence(options["base"], options["name"], fence_of(options))
    health = health_of(options["health"])
    manager = manager_of(options)
    # In check mode the expected version may be neither installed nor activated yet.
    rehearsed = check_mode and options["expect_version"] is not None
    if options["state"] == "stopped":
        target = None
    elif rehearsed:
        target = rehearse(options["base"], options["name"], options["expect_version"])
    else:
        target = resolve(options["base"], options["name"], options["expect_version"], options["pointer"])
    status = manager.status()
    if target is not None:
        status = status_as_it_runs(options["base"], options["pointer"], status)
    what = plan(options["state"], status, target, options["force"])
    if check_mode:
        if not rehearsed:
            preflight(what, manager, health, rehearsal=True)
        result = Result(what, after=what.before)
    else:
        result = apply(what, manager, health, options["stop_timeout"], options["boot_timeout"], options["lines"])
    return {**result.facts(), "diff": what.diff()}

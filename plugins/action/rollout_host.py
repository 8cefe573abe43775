# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import Server, calls

MODULES = {"point": "alchemist.beam.release_install", "restart": "alchemist.beam.beam_restart"}


class ActionModule(ActionBase):
    """The module of the same name. Its steps become the options of the modules that they call."""

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        steps = arguments.get("steps")
        if steps:
            made = calls(steps, self._server(steps, task_vars or {}))
            arguments.update({key: {**self._defaults(MODULES[key]), **options} for key, options in made.items()})
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result

    def _server(self, steps: t.Sequence[str], of: t.Mapping[str, t.Any]) -> Server:
        def value(name: str) -> t.Any:
            return self._templar.template(of["rollout_" + name])

        here = of["hostvars"]["localhost"]
        plan, held = (self._templar.template(here[name]) for name in ("rollout_plan", "rollout_held"))
        rehearsed = self._task.check_mode and "activate" in steps
        return Server(
            name=value("name"),
            base=value("base"),
            channel=value("channel"),
            digest=plan["digest"],
            version=value("expected_version") or "",
            color=value("color"),
            manager=value("manager"),
            unit=value("color_unit"),
            keep=value("keep"),
            abi_ignore=value("abi_ignore"),
            allow_ghost=value("force"),
            force=plan.get("kind") == "restart" and plan.get("strategy") != "blue_green",
            stop_timeout=value("stop_timeout"),
            boot_timeout=value("boot_timeout"),
            health=value("gate"),
            fence=held.get("fence") if held.get("mine") else None,
            reach=value("reach") if rehearsed else {},
        )

    def _defaults(self, module: str) -> dict[str, t.Any]:
        """What a play sets in module_defaults for the module that is called."""
        found: dict[str, t.Any] = {}
        for defaults in self._task.module_defaults or ():
            found.update(self._templar.template(defaults.get(module) or {}))
        return found

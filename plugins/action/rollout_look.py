# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.looks import STEPS, Look
from ansible_collections.alchemist.beam.plugins.module_utils._modules.look import OPTIONS
from ansible_collections.alchemist.beam.plugins.plugin_utils._module_defaults import defaults_of

MODULES = ("alchemist.beam.release_install", "alchemist.beam.beam_info")
NODE = ("name", "base", "manager", "unit", "colors")
STAGE = ("keep", "abi_ignore")


class ActionModule(ActionBase):
    """The module of the same name. Its step becomes options, made from the plan and from the variables of the role."""

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        likely = (self._plan(variables).get("stable") or {}).get("version") or ""

        def call(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
            found = self._execute_module(
                module_args={**self._defaults(), **self._task.args, **options}, task_vars=variables
            )
            return t.cast("dict[str, t.Any]", found)

        def health(pointer: str, version: str) -> t.Mapping[str, t.Any]:
            own = {**variables, "rollout_color": pointer, "rollout_expected_version": version}
            templar = self._templar.copy_with_new_env(available_variables=own)
            return t.cast("t.Mapping[str, t.Any]", templar.template(variables["rollout_health"]))

        look = Look(
            self._step,
            self._options(variables),
            self._value(variables, "colors"),
            str(self._task.args.get("version", likely)),
        )
        result.update(look.ask(call, health if self._asks_health(variables) else None, AnsibleError))
        return result

    @property
    def _step(self) -> t.Any:
        return STEPS[self._task.args["step"]]

    def _value(self, variables: t.Mapping[str, t.Any], name: str) -> t.Any:
        return self._templar.template(variables["rollout_" + name])

    def _plan(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Empty where nothing is rolled out."""
        return self._templar.template(variables["hostvars"]["localhost"].get("rollout_plan")) or {}

    def _asks_health(self, variables: t.Mapping[str, t.Any]) -> bool:
        """Before anything is staged, who is healthy counts only where no balancer says who serves."""
        if self._task.args["step"] != "foresee":
            return True
        return not self._value(variables, "balancers") and bool(self._value(variables, "health"))

    def _options(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        step, plan = self._step, self._plan(variables)
        found = {name: self._value(variables, name) for name in NODE}
        if step.foresees:
            found.update(expect_version=plan["version"], force=plan.get("kind") == "restart")
        if step.stages:
            found.update({name: self._value(variables, name) for name in STAGE}, digest=plan["digest"])
            found.update(self._value(variables, "reach"), allow_ghost=self._value(variables, "force"))
        ready = self._value(variables, "ready") if step.ready else None
        return {**found, **({"ready": ready} if ready else {})}

    def _defaults(self) -> dict[str, t.Any]:
        """Of the modules that do the same, what this one knows."""
        found = defaults_of(self._task, self._templar, *MODULES)
        return {key: value for key, value in found.items() if key in OPTIONS}

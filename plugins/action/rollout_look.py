# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import MODULES as CALLED
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import UPGRADE, upgrade_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.hot import asks, told
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.looks import STEPS, Look
from ansible_collections.alchemist.beam.plugins.module_utils._modules.look import OPTIONS
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import Memory, remembered, rollout_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._module_defaults import defaults_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error, failed, plain
from ansible_collections.alchemist.beam.plugins.plugin_utils._reach import PRESIGNED, PUSH, reach

INSTALL = "alchemist.beam.release_install"
MODULES = (INSTALL, "alchemist.beam.beam_info")
LACKS = "lacks"  # the step that only asks for what is lacking
NODE = ("name", "base", "manager", "unit", "colors")
STAGE = ("keep", "abi_ignore")
# Of what a server lacks, what is told.
TOLD = ("lacks", "warnings", "deprecations")


class ActionModule(ActionBase):
    """The module of the same name. Its step becomes options, made from the plan and from the variables of the role."""

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        way = self._value(variables, "way") if self._task.args["step"] in (LACKS, "stage") else ""
        lacking: dict[str, t.Any] = {"changed": False}
        if self._task.args["step"] == LACKS or way == PRESIGNED:
            lacking = self._lacking(variables)
        if self._task.args["step"] == LACKS or failed(lacking):
            result.update(lacking)
            return result
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
            self._options(variables, lacking.get("lacks") or ()),
            self._value(variables, "colors"),
            str(self._task.args.get("version", likely)),
        )
        result.update(look.ask(call, health if self._asks_health(variables) else None, AnsibleError))
        if not failed(result) and asks(self._plan(variables), result, self._task.args["step"], self._task.check_mode):
            result["hot"] = self._hot(variables)
        if way == PUSH and not failed(result):
            pushed = {"path": self._value(variables, "pushed"), "state": "absent"}
            gone = self._beside("ansible.builtin.file", pushed, variables, rehearse=False)
            result.update(plain(gone) if failed(gone) else {})
        return result

    def _beside(
        self, name: str, options: dict[str, t.Any], variables: t.Mapping[str, t.Any], rehearse: bool
    ) -> dict[str, t.Any]:
        """What another module says, whose changes are not shown."""
        shown = self._task.check_mode, self._task.diff
        self._task.check_mode, self._task.diff = rehearse, False
        try:
            return dict(self._execute_module(module_name=name, module_args=options, task_vars=variables))
        finally:
            self._task.check_mode, self._task.diff = shown

    def _hot(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Whether the node can be upgraded without a restart. Whatever prevents that it is told speaks against it."""
        node = {name: str(self._value(variables, name)) for name in ("name", "base", "manager", "unit")}
        version, ignored = str(self._plan(variables)["version"]), self._value(variables, "abi_ignore")
        asked = upgrade_plan(**node, version=version, abi_ignore=ignored)
        defaults = defaults_of(self._task, self._templar, CALLED[UPGRADE])
        found = self._beside(
            CALLED[UPGRADE], {**defaults, **self._value(variables, "hot"), **asked}, variables, rehearse=True
        )
        return told(found, error(found) if failed(found) else "")

    def _lacking(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """What the server lacks of the release, of which it reads the documents for that."""
        options = {"name": self._value(variables, "name"), "base": self._value(variables, "base"), "state": "staged"}
        options.update(self._release(variables, ()))
        defaults = defaults_of(self._task, self._templar, INSTALL)
        found = self._beside(INSTALL, {**defaults, **options}, variables, rehearse=True)
        if failed(found):
            return found
        return {"changed": False, **{name: found[name] for name in TOLD if name in found}}

    def _release(self, variables: t.Mapping[str, t.Any], lacks: t.Collection[str]) -> dict[str, t.Any]:
        """What is to be staged, and where it is."""
        plan = self._plan(variables)
        urls = Memory(rollout_of(plan), constants.DEFAULT_LOCAL_TMP).urls
        return {
            **{name: self._value(variables, name) for name in STAGE},
            "digest": plan["digest"],
            "allow_ghost": self._value(variables, "force"),
            **reach(lambda name: self._templar.template(variables[name]), urls, lacks),
        }

    @property
    def _step(self) -> t.Any:
        return STEPS[self._task.args["step"]]

    def _value(self, variables: t.Mapping[str, t.Any], name: str) -> t.Any:
        return self._templar.template(variables["rollout_" + name])

    def _plan(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Empty where nothing is rolled out."""
        return remembered(variables["hostvars"], "rollout_plan") or {}

    def _asks_health(self, variables: t.Mapping[str, t.Any]) -> bool:
        """Before anything is staged, who is healthy counts only where no balancer says who serves."""
        if self._task.args["step"] != "foresee":
            return True
        return not self._value(variables, "balancers") and bool(self._value(variables, "health"))

    def _options(self, variables: t.Mapping[str, t.Any], lacks: t.Collection[str]) -> dict[str, t.Any]:
        step, plan = self._step, self._plan(variables)
        found = {name: self._value(variables, name) for name in NODE}
        if step.foresees:
            found.update(expect_version=plan["version"], force=plan.get("kind") == "restart")
        if step.stages:
            found.update(self._release(variables, lacks))
        if step.modified:
            found.update(modified=True)
        ready = self._value(variables, "ready") if step.ready else None
        return {**found, **({"ready": ready} if ready else {})}

    def _defaults(self) -> dict[str, t.Any]:
        """Of the modules that do the same, what this one knows."""
        found = defaults_of(self._task, self._templar, *MODULES)
        return {key: value for key, value in found.items() if key in OPTIONS}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.alchemist.beam.plugins.modules import (
    autoscaling_info,
    balancer_member,
    release_artifact_info,
    release_channel,
    rollout_info,
    rollout_journal,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import (
    SeenHosts,
    load,
    remembered,
    rollout_of,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_steps import do
from ansible_collections.alchemist.beam.plugins.plugin_utils._in_process import InProcess

# The others run in a Python of their own: the keeper of a lock is forked from its module, and outlives the task.
IN_PROCESS = {
    "autoscaling_info": autoscaling_info,
    "balancer_member": balancer_member,
    "release_artifact_info": release_artifact_info,
    "release_channel": release_channel,
    "rollout_info": rollout_info,
    "rollout_journal": rollout_journal,
}


class ActionModule(InProcess):
    """The module of the same name: it needs the variables of the role, which only the controller has."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        given = dict(self._task.args)
        step = given.pop("step")
        told: dict[str, list[t.Any]] = {}

        def call(name: str, arguments: dict[str, t.Any], rehearse: bool = False) -> dict[str, t.Any]:
            check_mode = self._task.check_mode
            self._task.check_mode = check_mode or rehearse
            try:
                found = self._run_module(IN_PROCESS.get(name), "alchemist.beam." + name, arguments, variables)
            except AnsibleConnectionFailure as exc:
                return {"unreachable": True, "msg": str(exc)}
            finally:
                self._task.check_mode = check_mode
            for key in ("warnings", "deprecations"):
                told.setdefault(key, []).extend(found.pop(key, None) or ())
            return found

        memory = load(constants.DEFAULT_LOCAL_TMP, rollout_of(remembered(variables["hostvars"], "rollout_plan")))
        fleet = Fleet(
            lambda name: self._templar.template(variables.get(name)),
            SeenHosts(variables["hostvars"], memory),
            call,
            bool(self._task.check_mode),
            memory=memory,
        )
        found = do(fleet, step, **given)
        return {**found, **{key: values for key, values in told.items() if values}}

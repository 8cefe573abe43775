# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate import STEPS
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk


class ActionModule(ActionBase):
    """The module of the same name: it needs the variables of the play, which only the controller has."""

    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        given = dict(self._task.args)
        step = STEPS[given.pop("step")]
        desk = Desk(
            lambda name: self._templar.template(variables.get(name)),
            variables["hostvars"],
            bool(self._task.check_mode),
        )
        try:
            return {"changed": False, **step(desk, **given)}
        except BeamError as exc:
            return NOTHING_NAMED.error(exc).as_failure()

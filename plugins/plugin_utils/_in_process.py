# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Modules that the controller runs for itself, run in the process that Ansible has forked for the task already.

A rollout notes each step in the store, and asks the balancer, from the controller. To pack a module, start another Python and import all of
it from the archive again takes most of a second each time, of which a tenth is what was to be done. Everything else is as usual: the same
module, its arguments, its checks and its answer. Where the task runs anywhere else, as another user, or with another Python, it goes there.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback
import types
import typing as t

from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_decoder, get_module_encoder
from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.alchemist.beam.plugins.module_utils._aws import read_ahead

# Once, by ansible-playbook itself, not anew in each process that it forks for a task.
read_ahead("s3")

_PROFILE = "legacy"  # what Ansible calls the way in which modules of collections are talked to


class InProcess(Normal):
    """To be subclassed by an action with the name of a module."""

    module: types.ModuleType

    def _execute_module(
        self, *words: t.Any, task_vars: t.Any = None, wrap_async: t.Any = False, **more: t.Any
    ) -> t.Any:
        if words or more or wrap_async or not self._is_here(task_vars or {}):
            return super()._execute_module(*words, task_vars=task_vars, wrap_async=wrap_async, **more)
        return self._run_module(self.module, self._task.action, self._task.args, task_vars)

    def _run_module(
        self, module: types.ModuleType | None, name: str, arguments: dict[str, t.Any], task_vars: t.Mapping[str, t.Any]
    ) -> dict[str, t.Any]:
        """For an action that runs other modules. module: to be run in this process if it can be."""
        if module is None or not self._is_here(task_vars):
            return dict(super()._execute_module(module_name=name, module_args=arguments, task_vars=task_vars))
        given = dict(arguments)
        self._update_module_args(name, given, task_vars)
        return call(module, given)

    def _is_here(self, task_vars: t.Mapping[str, t.Any]) -> bool:
        """Whether it would run on this machine, by this user and with this very Python."""
        if (
            self._connection.transport != "local"
            or self._connection.become
            or self._task.async_val
            or any(self._task.environment or ())
        ):
            return False
        of = task_vars
        if self._task.delegate_to:
            of = (task_vars.get("ansible_delegated_vars") or {}).get(self._task.delegate_to) or {}
        return bool(self._templar.template(of.get("ansible_python_interpreter") or "") == sys.executable)


def call(module: types.ModuleType, arguments: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the module answers, read as if another process had written it."""
    encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
    said, problem = io.StringIO(), ""
    # This process ends with the task: settings made here disturb nothing else.
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder).encode()
    basic._ANSIBLE_PROFILE = _PROFILE
    with contextlib.redirect_stdout(said):
        try:
            module.main()
        except SystemExit:
            pass
        except Exception:
            problem = traceback.format_exc()
    try:
        return dict(json.loads(said.getvalue(), cls=get_module_decoder(_PROFILE, Direction.MODULE_TO_CONTROLLER)))
    except ValueError:
        what = "%s ended without an answer" % module.__name__.rpartition(".")[2]
        return {"failed": True, "msg": what, "module_stdout": said.getvalue(), "module_stderr": problem, "rc": 1}

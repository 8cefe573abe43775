# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import MODULES, Call, Server, calls
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import Memory, remembered, rollout_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._module_defaults import defaults_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import files_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._reach import reach
from ansible_collections.alchemist.beam.plugins.plugin_utils._server_steps import Answers


class ActionModule(ActionBase):
    """The module of the same name. In a rollout, the steps of a server's turn become calls of modules, one after the other until one fails."""

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        steps, variables = arguments.pop("steps", None), task_vars or {}
        if not steps:
            result.update(self._execute_module(module_args=arguments, task_vars=variables))
            return result
        turn = variables["rollout_turn"]
        answers = Answers(turn["turn"])
        for call in calls(steps, self._server(turn, steps, variables)):
            if not answers.take(call, self._call(call, variables)):
                break
        result.update(answers.result(steps))
        return result

    def _call(self, call: Call, variables: t.Any) -> dict[str, t.Any]:
        pair = [call, *([call.then] if call.then else [])]
        options: dict[str, t.Any] = {one.module: self._options(one) for one in pair}
        name = MODULES[call.module]
        if call.module in ("point", "restart"):
            name, given = "alchemist.beam.rollout_host", options
        else:
            given = options[call.module]
        shown = self._task.no_log
        # URLs are credentials, and Ansible has a module log its options on the server.
        self._task.no_log = shown or any("presigned" in one for one in options.values())
        try:
            return dict(self._execute_module(module_name=name, module_args=given, task_vars=variables))
        except AnsibleConnectionFailure as exc:
            return {"unreachable": True, "msg": str(exc)}
        except AnsibleError as exc:
            return {"failed": True, "msg": str(exc)}
        finally:
            self._task.no_log = shown

    def _server(self, turn: t.Mapping[str, t.Any], steps: t.Sequence[str], of: t.Mapping[str, t.Any]) -> Server:
        def value(name: str) -> t.Any:
            return self._templar.template(of["rollout_" + name])

        host = str(of["inventory_hostname"])
        plan, held = (remembered(of["hostvars"], name) for name in ("rollout_plan", "rollout_held"))
        # What was rehearsed has been staged nowhere.
        reaches = self._task.check_mode and not {"activate", "switch"}.isdisjoint(steps)
        return Server(
            name=value("name"),
            base=value("base"),
            channel=value("channel"),
            digest=plan["digest"],
            version=turn["expected"].get(host) or "",
            host=host,
            color=turn["nodes"].get(host) or "current",
            others=tuple(turn["others"].get(host) or ()),
            manager=value("manager"),
            unit=value("unit"),
            keep=value("keep"),
            abi_ignore=value("abi_ignore"),
            allow_ghost=value("force"),
            force=self._forced(plan, host),
            stop_timeout=value("stop_timeout"),
            boot_timeout=value("boot_timeout"),
            health=value("gate"),
            sight=value("health"),
            ready=value("ready"),
            hot=value("hot"),
            drain_timeout=value("drain_timeout"),
            drain_quiet=value("drain_quiet"),
            join_timeout=value("join_timeout"),
            fence=held.get("fence") if held.get("mine") else None,
            reach=self._reach(plan, of) if reaches else {},
            settings=tuple(files_of(of)) if plan.get("settings") else (),
        )

    @staticmethod
    def _forced(plan: t.Mapping[str, t.Any], host: str) -> bool:
        """Of new settings a node takes notice by itself; in a rehearsal they are not there."""
        if plan.get("kind") != "restart" or plan.get("strategy") == "blue_green":
            return False
        return not plan.get("settings") or host in plan["moves"]

    def _reach(self, plan: t.Mapping[str, t.Any], of: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """For a rehearsal, which fetches no layer."""
        urls = Memory(rollout_of(plan), constants.DEFAULT_LOCAL_TMP).urls
        return reach(lambda name: self._templar.template(of[name]), urls)

    def _options(self, call: Call) -> dict[str, t.Any]:
        return {**defaults_of(self._task, self._templar, MODULES[call.module]), **call.options}

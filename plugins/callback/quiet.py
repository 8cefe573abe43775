# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: quiet
type: stdout
short_description: What happens in a play of this collection, on one screen
description:
  - Shows what changes, what is waited for, what goes wrong and what is told. What is as it was, and what is skipped, is not shown.
  - It is for plays of this collection. Any other play of the same run looks as ever, and so does everything with C(-v).
  - The playbooks of this collection bring it along, where no other callback was chosen.
    C(ANSIBLE_STDOUT_CALLBACK=ansible.builtin.default) chooses Ansible's own.
author: alchemist.beam contributors (@alchemist-beam)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - in a playbook of your own, set C(stdout_callback = alchemist.beam.quiet) in C(ansible.cfg), or E(ANSIBLE_STDOUT_CALLBACK)
seealso:
  - plugin: alchemist.beam.rollout
    plugin_type: callback
    description: Writes the report of a rollout, beside any other callback.
"""

import functools
import os
import typing as t
from pathlib import Path

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_progress import NEXT, Progress
from ansible_collections.alchemist.beam.plugins.plugin_utils._screen import Screen, is_noise

Method = t.TypeVar("Method", bound=t.Callable[..., None])
ROOT = os.path.realpath(Path(__file__).resolve().parents[2])
REPORTER = "alchemist.beam.rollout"


def _quietly(method: Method) -> Method:
    """In a play of this collection; otherwise, and where something goes wrong in here, it is as ever."""
    name = method.__name__

    @functools.wraps(method)
    def chosen(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
        if self._quiet:
            try:
                method(self, *args, **kwargs)
                return
            except Exception as exc:
                self._quiet = False
                self._display.warning(
                    "the callback alchemist.beam.quiet could not go on in %s: %s: %s" % (name, type(exc).__name__, exc)
                )
        getattr(super(CallbackModule, self), name)(*args, **kwargs)

    return t.cast("Method", chosen)


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "alchemist.beam.quiet"

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._quiet = False
        self._screen = Screen()
        self._progress = Progress()

    def _show(self, lines: t.Iterable[str], color: t.Optional[str] = None) -> None:
        for line in lines:
            self._display.display(line, color=color)

    def _settle(self) -> None:
        """What changed is told in one line for all hosts, once the next thing begins."""
        self._show(self._screen.changed(), constants.COLOR_CHANGED)

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._settle()
        path = os.path.realpath(str(play.get_path()).rpartition(":")[0] or "/")
        self._quiet = self._display.verbosity == 0 and path.startswith(ROOT + os.sep)
        if not self._quiet:
            super().v2_playbook_on_play_start(play)
        self._play = play

    def _print_task_banner(self, task: t.Any) -> None:
        if self._quiet:
            self._last_task_banner = task._uuid
        else:
            super()._print_task_banner(task)

    @_quietly
    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._settle()
        self._task_start(task, prefix="TASK")

    @_quietly
    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self._settle()
        self._task_start(task, prefix="RUNNING HANDLER")

    @_quietly
    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        step = task.get_vars().get("rollout_step")
        if isinstance(step, str) and REPORTER not in (constants.CALLBACKS_ENABLED or ()):
            said = self._progress.begins(host.get_name(), self._progress.waits(step), bool(task.check_mode))
            self._show([said] if said else [], constants.COLOR_HIGHLIGHT)
        else:
            begun = self._screen.begins(
                host.get_name(), task.get_name().strip(), str(task.resolved_action or task.action), task._uuid
            )
            self._show(begun, constants.COLOR_HIGHLIGHT)

    def _learn(self, result: t.Any) -> None:
        self._progress.learn(result.result)
        facts = result.result.get("ansible_facts")
        if isinstance(facts, t.Mapping):
            if isinstance(facts.get("rollout_plan"), t.Mapping):
                self._progress = self._progress.follow(facts["rollout_plan"])
            if facts.get("rollout_halted") is True:
                self._progress.halted = True

    def _warn(self, result: t.Any) -> None:
        for warning in result.result.get("warnings") or ():
            if not is_noise(str(warning)):
                self._display.warning(str(warning))

    @_quietly
    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._learn(result)
        self._warn(result)
        task = result.task
        step = bool(task.get_vars().get("rollout_step"))
        self._show(
            self._screen.ok(
                result.host.get_name(),
                task.get_name().strip(),
                str(task.resolved_action or task.action),
                result.result,
                step,
            )
        )

    @_quietly
    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self._warn(result)

    @_quietly
    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._settle()
        self._progress.failing = True
        self._learn(result)
        self._warn(result)
        # What fails in a turn of a batch is not ignored: it decides what comes next.
        ignore_errors = ignore_errors and result.task.get_vars().get("rollout_step") != NEXT
        host, task = result.host.get_name(), result.task.get_name().strip()
        self._show(
            self._screen.failed(host, task, result.result, ignore_errors),
            constants.COLOR_SKIP if ignore_errors else constants.COLOR_ERROR,
        )

    @_quietly
    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self._warn(result)

    @_quietly
    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._settle()
        said = self._screen.failed(
            result.host.get_name(),
            result.task.get_name().strip(),
            result.result,
            result.task.ignore_unreachable,
            "unreachable",
        )
        self._show(said, constants.COLOR_UNREACHABLE)

    @_quietly
    def v2_runner_on_skipped(self, result: t.Any) -> None:
        pass

    @_quietly
    def v2_runner_item_on_skipped(self, result: t.Any) -> None:
        pass

    @_quietly
    def v2_playbook_on_no_hosts_matched(self) -> None:
        pass

    @_quietly
    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        pass

    @_quietly
    def v2_runner_retry(self, result: t.Any) -> None:
        pass

    @_quietly
    def v2_on_file_diff(self, result: t.Any) -> None:
        self._settle()
        found = result.result.get("results") if result.task.loop else [result.result]
        diffs = [self._get_diff(one["diff"]) for one in found or () if one.get("diff") and one.get("changed")]
        self._show(
            self._screen.diffs(result.host.get_name(), result.task.get_name().strip(), [diff for diff in diffs if diff])
        )

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._settle()
        super().v2_playbook_on_stats(stats)

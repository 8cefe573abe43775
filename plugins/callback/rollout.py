# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rollout
type: aggregate
short_description: Tell what a rollout waits for, and write its report
description:
  - While the role P(alchemist.beam.rollout#role) works, shows one line for each step of a batch that says what is being waited for.
  - At the end shows one line for each host, and writes the report as a page of HTML that needs nothing else, and as JSON.
  - Any other playbook is left alone. What goes wrong in here is a warning, and never ends a run.
  - The files hold the report of the role, in which secrets are masked, and nothing of the arguments or results of other tasks. Their mode is 0640.
author: alchemist.beam contributors (@alchemist-beam)
requirements:
  - enable it with C(callbacks_enabled = alchemist.beam.rollout) in C(ansible.cfg), or with the environment variable E(ANSIBLE_CALLBACKS_ENABLED)
options:
  directory:
    description:
      - Where to write the reports, as C(<name>-<channel>-<id>.html) and C(.json), readable by their owner and its group. It is created if it is missing.
      - A relative path is relative to where the playbook was started, and in C(ansible.cfg) to that file.
    type: path
    default: rollouts
    env:
      - name: BEAM_ROLLOUT_DIRECTORY
    ini:
      - section: beam_rollout
        key: directory
  write:
    description:
      - Whether to write the reports. A rehearsal (C(--check)) writes one too, because it is asked for in order to be read.
    type: bool
    default: true
    env:
      - name: BEAM_ROLLOUT_WRITE
    ini:
      - section: beam_rollout
        key: write
  progress:
    description: Whether to show what each batch waits for.
    type: bool
    default: true
    env:
      - name: BEAM_ROLLOUT_PROGRESS
    ini:
      - section: beam_rollout
        key: progress
  summary:
    description: Whether to show a table of the hosts and the verdict at the end.
    type: bool
    default: true
    env:
      - name: BEAM_ROLLOUT_SUMMARY
    ini:
      - section: beam_rollout
        key: summary
seealso:
  - plugin: alchemist.beam.rollout_html
    plugin_type: filter
    description: Makes the same page of a report that was kept.
"""

import functools
import os
import re
import typing as t

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_files import keep, render_files, stem
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_progress import (
    NEXT,
    Progress,
    find_report,
    summary,
)

Method = t.TypeVar("Method", bound=t.Callable[..., None])


def _harmless(method: Method) -> Method:
    @functools.wraps(method)
    def guarded(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as exc:
            # What a rollout does is worth more than what is said about it.
            self._warn(
                "the callback alchemist.beam.rollout could not go on in %s: %s: %s"
                % (method.__name__, type(exc).__name__, exc)
            )

    return t.cast("Method", guarded)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "alchemist.beam.rollout"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._progress = Progress()
        self._reports: dict[str, dict[str, t.Any]] = {}
        self._written: dict[str, list[str]] = {}

    def _warn(self, message: str) -> None:
        try:
            self._display.warning(message)
        except Exception:
            pass  # a terminal that is gone is no reason to end a rollout

    @staticmethod
    def _step(task: t.Any) -> str:
        step = task.get_vars().get("rollout_step")
        return str(step) if isinstance(step, str) and re.fullmatch(r"[a-z_]{1,30}", step) else ""

    @_harmless
    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        step = self._progress.waits(self._step(task))
        said = self._progress.begins(host.get_name(), step, bool(task.check_mode)) if step else None
        if said and self.get_option("progress"):
            self._display.display(said, color=constants.COLOR_HIGHLIGHT)

    def _learn(self, result: t.Any) -> None:
        found = result._result
        self._progress.learn(found)
        facts = found.get("ansible_facts") or {}
        if isinstance(facts, t.Mapping):
            if isinstance(facts.get("rollout_plan"), t.Mapping):
                self._progress = self._progress.follow(facts["rollout_plan"])
            if facts.get("rollout_halted") is True:
                self._progress.halted = True
        report = find_report(found)
        if report is not None:
            key = stem(report)
            self._reports[key] = report
            # Now, not at the end of the run: whoever is interrupted in between has it.
            if self.get_option("write"):
                self._written[key] = self._write(key, report)

    def _write(self, name: str, report: dict[str, t.Any]) -> list[str]:
        directory = str(self.get_option("directory"))
        if not os.path.isdir(directory):
            os.makedirs(directory, exist_ok=True)
            os.chmod(directory, 0o750)
        written = []
        for suffix, data in render_files(report).items():
            path = os.path.join(directory, name + suffix)
            keep(path, data)
            written.append(path)
        return written

    def _ended(self, result: t.Any) -> None:
        step = self._progress.waited(self._step(result._task), result._result)
        if step and self.get_option("progress"):
            said = self._progress.failed(result._host.get_name(), step, result._result, bool(result._task.run_once))
            self._display.display(said, color=constants.COLOR_ERROR)

    @_harmless
    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._learn(result)

    @_harmless
    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        # What fails in a turn of a batch is not ignored: it decides what comes next.
        if not ignore_errors or self._step(result._task) == NEXT:
            self._ended(result)
        self._learn(result)

    @_harmless
    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._ended(result)

    @_harmless
    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        for key, report in self._reports.items():
            if self.get_option("summary"):
                self._display.banner("ROLLOUT")
                good = report.get("succeeded") is True
                for said in summary(report):
                    self._display.display(said, color=constants.COLOR_OK if good else constants.COLOR_ERROR)
            for path in self._written.get(key, []):
                self._display.display("report: %s" % path)
        if self._progress.moving and not self._reports:
            self._warn(
                "this rollout ended without a verdict. alchemist.beam.status tells what it left, and the next rollout goes on from there"
            )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The lines that a person reads while a playbook runs: changes, messages, failures. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED

Vars = t.Mapping[str, t.Any]
# Their changes are the machinery of a rollout, which tells itself what it does.
SILENT = (
    "alchemist.beam.rollout_journal",
    "alchemist.beam.rollout_lock",
    "ansible.builtin.set_fact",
    "ansible.builtin.include_tasks",
    "ansible.builtin.include_role",
    "ansible.builtin.meta",
    "ansible.builtin.add_host",
)
# What may take minutes says that it began; what a rollout waits for says so itself.
SLOW = (
    "alchemist.beam.mix_release",
    "alchemist.beam.release_artifact",
    "alchemist.beam.bootstrap_bundle",
    "alchemist.beam.autoscaling_refresh",
    "ansible.builtin.apt",
    "ansible.builtin.dnf",
    "ansible.builtin.package",
    "ansible.builtin.pip",
    "ansible.builtin.get_url",
)
MOST = 12  # lines of what a program wrote before it failed
_INTERPRETER = re.compile(r"discovered Python interpreter|interpreter discovery", re.IGNORECASE)


def is_noise(warning: str) -> bool:
    """Which Python of several was found says nothing to who deploys; where none fits, the task fails and says so."""
    return bool(_INTERPRETER.search(warning))


class Screen:
    def __init__(self) -> None:
        self._task = ""
        self._hosts: list[str] = []
        self._told: set[str] = set()
        self._begun = ""

    def begins(self, host: str, task: str, action: str, key: str) -> list[str]:
        """key: of the task, which begins once for all of its hosts."""
        if action not in SLOW or key == self._begun:
            return []
        self._begun = key
        return ["%s | %s" % (host, _role_less(task))]

    def ok(self, host: str, task: str, action: str, result: Vars, step: bool = False) -> list[str]:
        """step: its beginning was told, so that its end needs no line, unless it moved the channel."""
        if action in ("ansible.builtin.debug", "debug"):
            return self.changed() + self._message(result)
        machinery = action in SILENT or bool(result.get("machinery"))
        if result.get("changed") and not machinery and (not step or "channel" in result):
            found = self.changed() if task != self._task else []
            self._task = task
            self._hosts.append(host)
            return found
        return []

    def changed(self) -> list[str]:
        """The task before, if it changed something on some hosts."""
        found = ["changed: %s (%s)" % (_role_less(self._task), ", ".join(self._hosts))] if self._hosts else []
        self._task, self._hosts = "", []
        return found

    def _message(self, result: Vars) -> list[str]:
        said = result.get("msg")
        lines = (
            [str(line) for line in said]
            if isinstance(said, (list, tuple))
            else str(said).splitlines()
            if said is not None
            else []
        )
        shown = {
            key: value
            for key, value in result.items()
            if not str(key).startswith("_") and key not in ("changed", "failed", "msg")
        }
        lines += ["%s: %s" % item for item in shown.items()] if said is None else []
        self._told.update(lines)
        return lines

    def failed(self, host: str, task: str, result: Vars, ignored: bool = False, word: str = "failed") -> list[str]:
        bad = next((one for one in result.get("results") or () if isinstance(one, t.Mapping) and one.get("failed")), {})
        said = NOTHING_NAMED.text(
            str(bad.get("msg") or result.get("msg") or result.get("censored") or "without a message").strip()
        )
        head = "%s: [%s] %s" % ("ignored" if ignored else word, host, _role_less(task))
        if said in self._told:
            return [head]
        self._told.add(said)
        found = [
            "%s: %s" % (head, line) if number == 0 else "    " + line for number, line in enumerate(said.splitlines())
        ]
        # Of a command that failed, and of a module that never came to its answer.
        error = NOTHING_NAMED.text(
            str(bad.get("stderr") or result.get("stderr") or result.get("module_stderr") or "").strip()
        )
        if error and not ignored:
            found += ["    " + line for line in error.splitlines()[-MOST:]]
        return found

    def diffs(self, host: str, task: str, diffs: t.Sequence[str]) -> list[str]:
        return ["%s (%s):" % (_role_less(task), host), *diffs] if diffs else []


def _role_less(task: str) -> str:
    """`alchemist.beam.build : Build` is `Build`: which role it is of is no news to who started it."""
    return task.rpartition(" : ")[2] if task.startswith("alchemist.beam.") else task

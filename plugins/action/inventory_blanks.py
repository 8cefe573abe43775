# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.plugin_utils import _blanks


class ActionModule(ActionBase):
    """The module of the same name: it needs the variables as they stand in the inventory, which only the controller has."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        wanted = self._task.args.get("groups") or {}
        hostvars, groups = task_vars["hostvars"], task_vars["groups"]
        raw = {host: hostvars.raw_get(host) for host in dict.fromkeys(groups.get("all") or ("localhost",))}
        # Only what the inventory says counts, and none of it is evaluated but what may be blank.
        inventory = {
            host: {name: value for name, value in values.items() if name not in ("hostvars", "groups", "vars")}
            for host, values in raw.items()
        }

        def is_defined(host: str, text: str) -> bool:
            templar = self._templar.copy_with_new_env(available_variables=raw[host])
            try:
                return bool(templar.template(text, fail_on_undefined=True) is not None)
            except AnsibleError:
                return False

        found = [*_blanks.empty(groups, wanted), *_blanks.blanks(inventory, is_defined)]
        result["blanks"] = [{"name": one.name, "hint": one.hint, "hosts": one.hosts} for one in found]
        if found:
            result.update(failed=True, msg=_blanks.message(found))
        return result

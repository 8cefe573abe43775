# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._known import OWN, strays, told
from ansible_collections.alchemist.beam.plugins.plugin_utils._settings import asked, problems
from ansible_collections.alchemist.beam.plugins.plugin_utils._shapes import strange_in

Vars = t.Mapping[str, t.Any]
WAY_OUT = "Correct the name; a variable of your own that only looks like ours is named in %s: [%s]."


class ActionModule(ActionBase):
    """The module of the same name."""

    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        given = dict(self._task.args)
        variables = _variables(task_vars or {})
        own = self._templar.template((task_vars or {}).get(OWN) or [])
        found = strays(
            variables,
            [part.strip() for part in own.split(",")] if isinstance(own, str) else [str(name) for name in own],
        )
        wrong = [told(stray, len(variables)) for stray in found if stray.refused]
        if wrong:
            wrong = [
                "Nothing reads these variables, so they would be ignored.",
                *wrong,
                WAY_OUT % (OWN, ", ".join(s.name for s in found if s.refused)),
            ]
        wrong += _once("%s (of %s)" % (said, host) for host, each in variables.items() for said in strange_in(each))
        servers = given.get("servers")
        if not wrong and servers is not None and not servers:
            pattern = given.get("pattern") or "beam"
            wrong.append(
                "The pattern %s matches no host. Put the servers into the group `beam` of the inventory, or say beam_hosts."
                % pattern
            )
        if given.get("of_rollout"):
            rollout = {name: self._templar.template((task_vars or {})["rollout_" + name]) for name in asked()}
            everyone = (task_vars or {}).get("ansible_play_hosts_all") or []
            groups = ((task_vars or {}).get("groups") or {}).get("all") or []
            told_already = {said.rpartition(" (of ")[0] for said in wrong}
            more = problems(
                {**rollout, "inventory": [*groups, "localhost"]},
                list(everyone),
                list(servers or ()),
                self._file,
            )
            wrong += [said for said in more if said not in told_already]
        unread = [stray.name for stray in found if not stray.refused]
        wrong = NOTHING_NAMED.each(wrong)  # a setting that is refused may be a URL with a password
        if wrong:
            return {"failed": True, "changed": False, "msg": " ".join(wrong), "problems": wrong}
        for stray in found:
            Display().warning(
                "nothing here reads the variable %s"
                % told(stray, len(variables)).replace("there is nothing like it.", "it is ignored")
            )
        return {"changed": False, "unread": unread}

    def _file(self, path: str) -> str:
        return str(self._find_needle("tasks", path))


def _once(said: t.Iterable[str]) -> list[str]:
    """The same of each host is told of the first."""
    found: dict[str, str] = {}
    for each in said:
        found.setdefault(each.rpartition(" (of ")[0], each)
    return list(found.values())


def _variables(task_vars: Vars) -> dict[str, Vars]:
    """Of each host that this is about, as they were written. Those of the rest of a large inventory are nobody's affair here."""
    groups, hostvars = task_vars.get("groups") or {}, task_vars.get("hostvars")
    pattern = task_vars.get("beam_hosts")
    names = re.split(r"[:,&!]+", pattern) if isinstance(pattern, str) else []
    here = str(task_vars.get("inventory_hostname") or "localhost")
    found: dict[str, Vars] = {
        here: {key: value for key, value in task_vars.items() if key not in ("hostvars", "vars", "groups")}
    }
    wanted = [
        *(task_vars.get("ansible_play_hosts_all") or ()),
        *(host for name in ("beam", "build", "image", *names) for host in groups.get(name) or ()),
    ]
    for host in dict.fromkeys([*wanted, *(name for name in names if name in (groups.get("all") or ())), "localhost"]):
        raw = getattr(hostvars, "raw_get", None)
        if host != here and raw is not None:
            of = raw(host)
            found[host] = of if isinstance(of, t.Mapping) else {}
    return found

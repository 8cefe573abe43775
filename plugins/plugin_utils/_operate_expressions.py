# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""rpc, eval and migrate: what is confirmed, who takes part, what is evaluated and what came of it. Pure."""

from __future__ import annotations

import re

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk, Result
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error

_APP = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MIGRATION = re.compile(r"[0-9]{1,20}")
# With the repositories that the application names, as `mix ecto.migrate` has it. The application is loaded for that, and not started.
_EACH = "Application.ensure_all_started(:ssl); Application.load(:{app}); for repo <- Application.fetch_env!(:{app}, :ecto_repos), do: {work}"
_RUN = "{{:ok, _done, _apps}} = Ecto.Migrator.with_repo(repo, &Ecto.Migrator.run(&1, {how}))"
_SHOW = "(with {:ok, found, _apps} <- Ecto.Migrator.with_repo(repo, &Ecto.Migrator.migrations/1), do: {repo, found})"


def confirm(desk: Desk, command: str) -> Result:
    """What could do harm where people are served is said twice. A rehearsal does none."""
    channel, said = str(desk.ask("operate_channel")), str(desk.ask("operate_confirm"))
    if desk.check_mode or not boolean(desk.ask("operate_production"), strict=False) or said == channel:
        return {}
    why = "it is production, and beam_confirm is %s" % said if said else "it is production"
    raise BeamError(
        "command_unconfirmed",
        "%s is not begun on the channel %s" % (command, channel),
        why,
        "Say -e beam_confirm=%s if that is what you mean; --check shows what would be done" % channel,
    )


def whom(desk: Desk) -> Result:
    """Whether the server of this task takes part."""
    first = next(iter(desk.ask("ansible_play_hosts_all") or ()), "")
    return {"takes_part": desk.ask("operate_on") == "all" or desk.ask("inventory_hostname") == first}


def evaluated(desk: Desk) -> Result:
    """The value of each server; what it printed stands before it."""
    said = desk.all_told("operate_evaluated")
    lines: list[str] = []
    bad = []
    for host, of in said.items():
        lines += ["%s | %s" % (host, line) for line in of.get("printed") or ()]
        if "value" in of:
            lines += _value(host, str(of["value"]))
        elif "would_run" in of:
            where = "in the node %s" % of["node"] if "node" in of else "with %s" % of.get("version")
            lines += ["%s: would evaluate %s:" % (host, where), *("  " + line for line in of["would_run"].splitlines())]
        else:
            bad.append(host)
            lines += ["%s failed: %s" % (host, error(of)), *("  " + line for line in of.get("output") or ())]
    wrong = "%d of %d failed: %s." % (len(bad), len(said), ", ".join(bad)) if bad else ""
    return {"lines": lines, "wrong": wrong}


def _value(host: str, text: str) -> list[str]:
    first, *more = text.split("\n")
    return ["%s => %s" % (host, first)] if not more else ["%s =>" % host, "  " + first, *("  " + line for line in more)]


def migration(desk: Desk) -> Result:
    """Whether the server of this task migrates, and by which expression. undoes: what was noted as done may not be so afterwards."""
    direction, to = str(desk.ask("operate_direction")), str(desk.ask("operate_migrate_to"))
    given = str(
        desk.ask({"up": "operate_migrate", "down": "operate_migrate_down", "show": "operate_migrate_show"}[direction])
    )
    if direction == "down" and not given and not _MIGRATION.fullmatch(to):
        raise BeamError(
            "migrate_to_missing",
            "Nothing is migrated down",
            "beam_migrate_to is %s, which is no version of a migration" % (to or "empty"),
            "Give the version of the last migration to undo, as -e beam_migrate_to=20260131120000; beam_direction=show lists them",
        )
    chosen = str(desk.ask("operate_migrate_host")) or next(iter(desk.ask("ansible_play_hosts_all") or ()), "")
    if chosen not in (desk.ask("ansible_play_hosts_all") or ()):
        raise BeamError(
            "migrate_host_elsewhere",
            "Nothing is migrated",
            "beam_migrate_host is %s, which is no server of this play" % chosen,
            "Say another one, or leave out --limit",
        )
    return {
        "takes_part": desk.ask("inventory_hostname") == chosen,
        "expression": given or _by_ecto(direction, str(desk.ask("operate_app")), to),
        "undoes": direction == "down",
    }


def _by_ecto(direction: str, app: str, to: str) -> str:
    if not _APP.fullmatch(app):
        raise BeamError(
            "app_invalid",
            "Nothing is migrated",
            "%s can't be the name of an OTP application" % app,
            "Give beam_app, which is app in mix.exs, or the expression itself",
        )
    how = {"up": ":up, all: true", "down": ":down, to: %s" % to}
    work = _SHOW if direction == "show" else _RUN.format(how=how[direction])
    return _EACH.format(app=app, work=work)


def migrated(desk: Desk) -> Result:
    """What the server said that migrated."""
    said = desk.all_told("operate_migrated")
    lines: list[str] = []
    bad = []
    for host, of in said.items():
        lines += ["%s | %s" % (host, line) for line in of.get("output") or ()]
        if "command" in of and "rc" not in of:
            lines.append("%s: would evaluate with %s: %s" % (host, of["version"], of["command"][-1]))
        elif of.get("rc") == 0:
            lines.append(
                "%s: done with %s in %.1f s; all it said is in %s"
                % (host, of["version"], of["seconds"], of["log_file"])
            )
        else:
            bad.append(host)
            lines.append("%s failed: %s" % (host, error(of)))
    return {"lines": lines, "wrong": "The migration failed on %s." % ", ".join(bad) if bad else ""}

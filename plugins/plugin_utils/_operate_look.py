# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""console, logs and audit: how to get into a node, what it wrote, and who rolled out what. Pure."""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import locked_by
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render


def one_host(desk: Desk) -> Result:
    """Whether the task is about its server: beam_host may name one."""
    chosen = str(desk.ask("operate_host"))
    hosts = desk.ask("ansible_play_hosts_all") or ()
    if chosen and chosen not in hosts:
        raise BeamError(
            "host_elsewhere",
            "There is nothing to do on %s" % chosen,
            "it is no server of this play",
            "Name one of %s, or correct beam_hosts and --limit" % ", ".join(hosts),
        )
    return {"takes_part": chosen in ("", desk.ask("inventory_hostname"))}


def console(desk: Desk) -> Result:
    lines: list[str] = []
    bad = []
    for host, seen in desk.all_told("operate_seen").items():
        if not seen.get("running"):
            bad.append(host)
            lines.append("%s: %s" % (host, "its node does not run" if "running" in seen else error(seen)))
            continue
        of = desk.hostvars[host]
        args = of.get("ansible_ssh_args") or desk.ask("operate_ssh_args")
        lines.append("%s: %s" % (host, _over_ssh(of, host, _lasting(shlex.split(str(args))), _shell(desk, seen))))
    return {"lines": lines, "wrong": "There is no console of %s." % ", ".join(bad) if bad else ""}


def _shell(desk: Desk, seen: Vars) -> list[str]:
    """On the server: the command that the role service has put there; of a daemon, the launcher of the release that runs."""
    pointer = str(seen.get("live") or "current")
    suffix = "" if pointer == "current" else "-" + pointer
    if desk.ask("operate_manager") == "systemd":
        return ["/usr/local/sbin/%s%s-remote" % (desk.ask("operate_unit"), suffix)]
    name, node = desk.ask("operate_name"), str(seen["node"])
    # The cookie is in a file of this home. Given twice, the flag makes the VM read it there, and no argument list has it.
    return [
        "env",
        "HOME=%s/shared/run/%s%s" % (desk.ask("operate_base"), name, suffix),
        "RELEASE_TMP=%s/shared/run/%s%s" % (desk.ask("operate_base"), name, suffix),
        "RELEASE_DISTRIBUTION=%s" % ("name" if "." in node.partition("@")[2] else "sname"),
        "RELEASE_NODE=%s" % node,
        "RELEASE_COOKIE=unused",
        "ERL_ZFLAGS=-setcookie unused",
        "%s/bin/%s" % (seen["root"], name),
        "remote",
    ]


def _over_ssh(of: Vars, host: str, args: t.Sequence[str], command: t.Sequence[str]) -> str:
    """As Ansible itself logs in, as far as its usual variables say so."""
    user = str(of.get("ansible_user") or "")
    if of.get("ansible_connection") == "local":
        return shlex.join(command)
    words = ["ssh", "-t"]
    if of.get("ansible_port"):
        words += ["-p", str(of["ansible_port"])]
    if of.get("ansible_ssh_private_key_file"):
        words += ["-i", str(of["ansible_ssh_private_key_file"])]
    words += args
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(str(of.get(name) or ""))
    there = "%s%s" % (user + "@" if user else "", of.get("ansible_host") or host)
    asroot = ["sudo"] if command[0] != "env" and user != "root" else []
    return shlex.join([*words, there, shlex.join([*asroot, *command])])


def _lasting(args: t.Sequence[str]) -> list[str]:
    """Without compression and the sharing of connections, which are there for many short commands."""
    words: list[str] = []
    for word in args:
        if word.startswith("Control") and words and words[-1] == "-o":
            words.pop()
        elif word != "-C" and not word.startswith("-oControl"):
            words.append(word)
    return words


def logs(desk: Desk) -> Result:
    lines: list[str] = []
    bad = []
    for host, said in desk.all_told("operate_logged").items():
        if "log" not in said:
            bad.append(host)
            lines.append("%s: the log can't be read: %s" % (host, error(said)))
            continue
        lines += ["%s | %s" % (host, line) for line in said["log"]] or ["%s: nothing was written" % host]
    return {"lines": lines, "wrong": "The log of %s can't be read." % ", ".join(bad) if bad else ""}


def audit(desk: Desk) -> Result:
    """Each rollout of the channel, the newest first, and who moved the channel last."""
    known = desk.told("operate_history")
    rows = [_rollout(report) for report in known.get("history") or ()]
    lines = render(rows, ("when", "by", "what", "version", "before", "result", "seconds", "why")) if rows else []
    lines = lines or ["No rollout of the channel %s is known." % desk.ask("operate_channel")]
    return {"lines": lines + _channel(known.get("channel") or {}) + locked_by(known.get("lock") or {}), "wrong": ""}


def _rollout(report: Vars) -> dict[str, t.Any]:
    if report.get("damaged"):
        return {"when": report.get("id"), "result": "damaged", "why": report["damaged"]}
    kind, strategy = report.get("kind") or "rollout", report.get("strategy")
    return {
        "when": report.get("begun"),
        "by": report.get("by"),
        "what": "%s, %s" % (kind, strategy) if strategy else kind,
        "version": report.get("version"),
        "before": _version(report.get("stable_before")),
        "result": "succeeded" if report.get("succeeded") else "failed",
        "seconds": report.get("seconds"),
        "why": report.get("reason"),
    }


def _version(target: t.Any) -> t.Any:
    return target.get("version") if isinstance(target, t.Mapping) else target


def _channel(channel: Vars) -> list[str]:
    if not channel.get("serial"):
        return []
    ghosts = [str(ghost.get("version")) for ghost in channel.get("ghosts") or ()]
    return [
        "%s is at %s (serial %s), moved last by %s at %s%s."
        % (
            channel["channel"],
            _version(channel.get("stable")) or "nothing",
            channel["serial"],
            channel.get("by"),
            channel.get("at"),
            "; ghosts: %s" % ", ".join(ghosts) if ghosts else "",
        )
    ]

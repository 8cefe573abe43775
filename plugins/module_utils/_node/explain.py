# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How a failed start is reported: the reason that the node itself gave, and whether the release or a setting of its host is to blame."""

from __future__ import annotations

import glob
import os
import re
import typing as t
from dataclasses import replace

from .._errors import BeamError
from . import sockets
from .boot_reason import Reason, endpoint_off, first, no_server, of_unit, read
from .ending import MISCONFIGURED, VERDICTS
from .manager import Manager, Status
from .process import NodeProcess
from .target import Target

_LOOPBACK = re.compile(r"127\.[0-9.]+|::1|localhost")
_REFUSED = re.compile(r"connection refused", re.IGNORECASE)
# Words that say no more than that there is no more.
_MUTE = ("ended", "start_limit")


def explained(
    error: BeamError, lines: t.Sequence[str], slogan: str, alive: bool, target: Target, env: t.Mapping[str, str]
) -> BeamError:
    """The same, told by its reason; with the code `misconfigured`, which makes no ghost, where that is a setting.

    lines, slogan: the log since the start, and of a crash dump since then. alive: the node runs, and is not well. env: of its process, where that is known.
    """
    if error.code not in VERDICTS:
        return error
    selinux = enforcing()
    if alive and error.code == "unhealthy":
        reason, why = _unwell(error, lines, target, env)
    else:
        reason = read(lines, slogan, selinux)
        if reason is None or reason.kind in _MUTE:
            reason = (
                of_unit(str(error.details.get("result") or ""), str(error.details.get("exit_status") or ""), selinux)
                or reason
            )
        why = _told(reason, error) if reason else error.why
    if reason is None:
        return error
    code = MISCONFIGURED if reason.setting else error.code
    return type(error)(code, error.what, why, reason.hint or error.hint, **{**error.details, "cause": reason.kind})


def _told(reason: Reason, error: BeamError) -> str:
    # Of a setting the reason is all there is to know; what else failed may be understood better with how it ended.
    return reason.text if reason.setting or not error.why else "%s (%s)" % (reason.text.rstrip("."), error.why)


def _unwell(
    error: BeamError, lines: t.Sequence[str], target: Target, env: t.Mapping[str, str]
) -> tuple[t.Optional[Reason], str]:
    """A node that is up and does not answer as it should. Its log need not show the reason."""
    reason: t.Optional[Reason] = None
    if _REFUSED.search(error.why):
        endpoint = endpoint_off(lines)
        if endpoint or (env and "PHX_SERVER" not in env and phoenix(target)):
            reason = no_server(endpoint, error.why)
            return reason, reason.text
    reason = first(lines)
    return reason, "%s; its log says: %s" % (error.why, reason.text) if reason else error.why


def why_down(manager: Manager, status: Status) -> t.Optional[Reason]:
    """Why a node that should run does not, as logged by its last start; None if it runs, was stopped, or logged nothing."""
    again = (
        status.state == "activating" and status.restarts > 0
    )  # in a loop: it boots at the moment, and its last boot failed
    if status.process is not None and not again:
        return None
    selinux = enforcing()
    reason = next(filter(None, (read(lines, selinux=selinux) for lines in manager.last_boots())), None) or of_unit(
        *manager.fate(), selinux
    )
    return replace(reason, text=manager.mask().text(reason.text)) if reason else None


def note_of(lines: t.Sequence[str], process: t.Optional[NodeProcess], target: Target) -> str:
    """What a user of the application would notice, and no check was asked to."""
    endpoint = endpoint_off(lines)
    if not endpoint:
        # Its logger may not say so.
        env = environment_of(process.pid) if process is not None and phoenix(target) else {}
        ports = listening(process.pid) if env and process is not None else None
        if not env or "PHX_SERVER" in env or ports is None or ports - {process.port or 0 if process else 0}:
            return ""
    reason = no_server(endpoint)
    return "%s. If users are to reach it: %s" % (reason.text, reason.hint)


def alone(process: t.Optional[NodeProcess]) -> str:
    """A node that is set up for a cluster, and that no other server can reach."""
    name, _at, host = process.node.partition("@") if process is not None else ("", "", "")
    if process is None or process.interface not in ("0.0.0.0", "::") or not _LOOPBACK.fullmatch(host):
        return ""
    return (
        "%s is set up for a cluster, and its name has an address that only its own server reaches. Give each host a service_node, such as %s"
        % (process.node, "%s@{{ ansible_host }}, or name it in rel/env.sh.eex" % name)
    )


def listening(pid: int) -> t.Optional[set[int]]:
    """The TCP ports that a process listens on; None if we can't find out."""
    seen = sockets.seen_of(pid)
    return None if seen is None else {one.port for one in seen}


def phoenix(target: Target) -> bool:
    return bool(glob.glob(os.path.join(glob.escape(target.root), "lib", "phoenix-*")))


def environment_of(pid: int) -> dict[str, str]:
    """Of a process; empty where it is gone, or not ours to read."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as stream:
            words = stream.read(1 << 20).decode("utf-8", "replace").split("\0")
    except OSError:
        return {}
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def enforcing(path: str = "/sys/fs/selinux/enforce") -> bool:
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read(1) == "1"
    except OSError:
        return False

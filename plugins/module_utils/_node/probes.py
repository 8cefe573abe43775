# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The questions of a health gate, for one process that runs a node."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._mask import NOTHING_NAMED, Mask
from . import cluster, etf
from .ask import connect
from .health import BOOTED, Health, NodeCheck, Verdict, probe_http, probe_tcp
from .process import NodeProcess


def ask_once(health: Health, process: NodeProcess, mask: Mask = NOTHING_NAMED) -> dict[str, t.Any]:
    """One round, for a look at what is: no waiting, no counting of passes. mask: for what an answer must not show."""
    verdicts = {name: probe() for name, probe in probes_for(health, process).items()}
    said = {name: mask.text(verdict.reason) for name, verdict in verdicts.items()}
    failed = [said[name] for name, verdict in verdicts.items() if not verdict.ok]
    return {"passed": not failed if verdicts else None, "reason": "; ".join(failed), "checks": said}


def probes_for(health: Health, process: NodeProcess, peers: t.Sequence[str] = ()) -> dict[str, t.Callable[[], Verdict]]:
    """peers: the nodes that the one before it was connected to."""
    probes: dict[str, t.Callable[[], Verdict]] = {}
    http, tcp, node = health.http, health.tcp, health.node
    if health.empty and process.askable:
        node = BOOTED
    if http is not None:
        probes["http"] = lambda: probe_http(http)
    if tcp is not None:
        probes["tcp"] = lambda: probe_tcp(tcp)
    if node is not None:
        probes["node"] = lambda: probe_node(node, process, peers)
    return probes


def probe_node(check: NodeCheck, process: NodeProcess, peers: t.Sequence[str] = ()) -> Verdict:
    try:
        with connect(process, check.timeout) as node:
            pid, status, applications, *others = node.calls(
                [
                    ("os", "getpid", []),
                    ("init", "get_status", []),
                    ("application", "which_applications", [int(check.timeout * 1000)]),
                    *([("erlang", "nodes", [])] if check.gathers else []),
                ],
                timeout=check.timeout,
            )
        verdict = judge_node(check, process.pid, pid, status, applications)
        if not verdict.ok or not others:
            return verdict
        now = cluster.names(others[0])
        gathered = cluster.judge(check, now, cluster.lost(check, process, peers if check.rejoin else (), now))
        return Verdict(gathered.ok, "%s, %s" % (verdict.reason, gathered.reason) if gathered.ok else gathered.reason)
    except BeamError as exc:
        return Verdict(False, exc.message)


def judge_node(check: NodeCheck, pid: int, answered: t.Any, status: t.Any, applications: t.Any) -> Verdict:
    """Pure: does this answer come from our process, and has it booted with the requested applications?"""
    if etf.text(answered) != str(pid):
        return Verdict(
            False, "another process (%s) answers under the name of the node, not %d" % (etf.text(answered), pid)
        )
    if not (isinstance(status, tuple) and status[:1] == ("started",)):
        return Verdict(False, "the node is %s" % (status[0] if isinstance(status, tuple) and status else "not started"))
    running = {str(item[0]) for item in applications}
    missing = [name for name in check.applications if name not in running]
    if missing:
        return Verdict(False, "applications not started: %s" % ", ".join(missing))
    return Verdict(True, "%d applications are started" % len(running))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A connection to the node that a process runs, wherever its distribution listens."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from . import dist, sockets
from .process import NodeProcess


def connect(process: NodeProcess, timeout: float) -> dist.Connection:
    """The port is the one that its flags fix; else the one that epmd knows; else its own sockets tell."""
    if not process.askable:
        why = (
            "it runs without distribution"
            if process.distribution == "none"
            else "its distribution speaks TLS, and would want a certificate of ours"
        )
        raise dist.NodeUnreachable(
            "node_not_asked", "Node %s cannot be asked" % process.node, why, "Let beam_health ask it by http or tcp"
        )
    if process.port is None and not process.registers:
        return _by_sockets(
            process,
            timeout,
            dist.NodeDown("node_down", "Node %s is down" % process.node, "process %d listens on no port" % process.pid),
        )
    try:
        return _at(process, process.port, process.address, timeout)
    except (dist.NodeDown, dist.NoEpmd) as exc:
        if process.port is not None:
            raise
        return _by_sockets(process, timeout, exc)


def _at(process: NodeProcess, port: t.Optional[int], address: str, timeout: float) -> dist.Connection:
    return dist.connect(process.node, process.cookie(), port, timeout=timeout, address=address, epmd=process.epmd)


def _by_sockets(process: NodeProcess, timeout: float, last: BeamError) -> dist.Connection:
    """What the application listens on is among them, and answers something else. last: what to say where it listens on none."""
    listening = sockets.of_process(process.pid)
    listening.sort(key=lambda one: sockets.reached_at(one.address) != process.address)
    for one in listening:
        found = _tried(process, one, timeout / len(listening))
        if isinstance(found, dist.Connection):
            return found
        last = found
    raise last


def _tried(process: NodeProcess, one: sockets.Listener, timeout: float) -> t.Union[dist.Connection, BeamError]:
    try:
        return _at(process, one.port, sockets.reached_at(one.address), timeout)
    except dist.WrongCookie:
        raise  # it is the one
    except BeamError as exc:
        return exc

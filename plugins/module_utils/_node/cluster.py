# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The other nodes that a node is connected to: who they are, whether they are up, and whether they would take the cookie of its next start."""

from __future__ import annotations

import enum
import typing as t

from .._errors import BeamError
from . import dist, sockets
from .ask import connect
from .health import NodeCheck, Verdict
from .process import NodeProcess

SHOWN = 5  # names in a message


class Standing(enum.Enum):
    """What another node says to a cookie."""

    KNOWS = "it takes the cookie"
    REFUSES = "it runs with another cookie"
    AWAY = "it does not answer, or another node answers in its place"


def connected(process: NodeProcess, timeout: float) -> tuple[str, ...]:
    """As the node itself has it. Hidden nodes, such as a remote console or us, are not among them."""
    with connect(process, timeout) as node:
        return names(node.call("erlang", "nodes", timeout=timeout))


def names(answer: t.Any) -> tuple[str, ...]:
    return tuple(sorted(str(one) for one in answer))


def ask(process: NodeProcess, peer: str, cookie: str, timeout: float) -> Standing:
    standing, answered = _ask(process, peer, cookie, timeout)
    return standing if answered == peer else Standing.AWAY


def _ask(process: NodeProcess, peer: str, cookie: str, timeout: float) -> tuple[Standing, str]:
    """And who answered. Where the port is fixed, it is that of the whole cluster, as the VM has it too; else the peer's epmd knows it."""
    host = dist.split(peer)[1]
    try:
        with dist.connect(peer, cookie, process.port, timeout=timeout, address=host, epmd=process.epmd) as found:
            return Standing.KNOWS, found.answered
    except dist.WrongCookie as exc:
        return Standing.REFUSES, str(exc.details.get("answered", ""))
    except BeamError:
        return Standing.AWAY, ""


def check_cookie(process: NodeProcess, cookie: str, check: NodeCheck) -> None:
    """Before a restart: with another cookie the node would come back alone. It is a fault of the settings, which no other version mends."""
    if not (check.gathers and cookie and process.askable):
        return
    try:
        peers = connected(process, check.timeout)
        if process.cookie() == cookie:
            return
    except dist.WrongCookie:
        # The file of its cookie was changed under it, so that it can't be asked for the others. Its connections tell where they are.
        peers = tuple("@" + address for address in sockets.partners(process.pid, process.port or -1))
    except BeamError:
        return
    for place in peers:
        standing, peer = _ask(process, place, cookie, check.timeout)
        if standing is Standing.REFUSES:
            raise BeamError(
                "cluster_cookie",
                "The node %s would not find its cluster again" % process.node,
                "it is connected to %s, which refuses the cookie that the next start takes" % peer,
                "Give all nodes of the cluster the same beam_cookie, and run alchemist.beam.setup",
                peer=peer,
            )


def judge(check: NodeCheck, now: t.Sequence[str], lost: t.Sequence[str]) -> Verdict:
    """Pure. now: whom the node is connected to. lost: of those it was connected to before, whoever is up and not connected."""
    if lost:
        return Verdict(
            False,
            "the node is not connected to %s, which it was connected to before, and which %s up"
            % (_list(lost), "is" if len(lost) == 1 else "are"),
        )
    if len(now) < check.connected:
        return Verdict(
            False,
            "the node is connected to %d other nodes%s, and %d are wanted"
            % (len(now), " (%s)" % _list(now) if now else "", check.connected),
        )
    return Verdict(True, "connected to %d other nodes" % len(now))


def lost(check: NodeCheck, process: NodeProcess, before: t.Iterable[str], now: t.Collection[str]) -> list[str]:
    """Nodes that went down meanwhile, such as another server of the same batch, are not waited for."""
    missing = [peer for peer in before if peer not in now]
    cookie = process.cookie() if missing else ""
    return [peer for peer in missing if ask(process, peer, cookie, check.timeout) is not Standing.AWAY]


def _list(peers: t.Sequence[str]) -> str:
    return ", ".join(peers[:SHOWN]) + (" and %d more" % (len(peers) - SHOWN) if len(peers) > SHOWN else "")

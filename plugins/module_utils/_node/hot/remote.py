# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Run a text of Erlang inside a node, with what it is given as bound variables."""

from __future__ import annotations

import typing as t

from ..._errors import BeamError
from .. import etf
from ..dist import Connection
from .scripts import BOOT


class Remote:
    """A connection that evaluates texts. What they are given: bytes, atoms, numbers, lists, tuples; chars() of what Erlang wants as a string."""

    def __init__(self, node: Connection) -> None:
        self.node = node
        scanned = node.call("erl_scan", "string", chars(BOOT))
        parsed = node.call("erl_parse", "parse_exprs", scanned[1])
        if parsed[0] != "ok":
            raise AssertionError(parsed)
        self._boot = parsed[1]

    def run(self, text: str, timeout: float, **bound: t.Any) -> t.Any:
        given = [(etf.Atom("Text"), text.encode("utf-8")), (etf.Atom("Bound"), names(bound))]
        answer = self.node.call("erl_eval", "exprs", self._boot, given, timeout=timeout)
        if isinstance(answer, tuple) and answer[0] == "unreadable":
            raise BeamError(
                "upgrade_unreadable",
                "Node %s can't read %s" % (self.node.node, etf.text(answer[1])),
                etf.text(answer[2]),
                "Let the user that runs the node read the releases, or install the release again",
            )
        if not isinstance(answer, tuple) or answer[0] != "value":
            raise BeamError(
                "upgrade_answer", "Node %s gave an answer that makes no sense" % self.node.node, repr(answer)[:300]
            )
        return answer[1]


def names(bound: t.Mapping[str, t.Any]) -> list[tuple[etf.Atom, t.Any]]:
    """snake_case here is CamelCase there. In order, because erl_eval looks for a name only until a greater one comes."""
    found = {"".join(part.capitalize() for part in key.split("_")): value for key, value in bound.items()}
    return [(etf.Atom(name), found[name]) for name in sorted(found)]


def chars(text: str) -> list[int]:
    return [ord(char) for char in text]

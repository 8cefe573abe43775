# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How a fleet is cut into batches, and how many hosts stay in service meanwhile. Pure."""

from __future__ import annotations

import re
import typing as t

from .._errors import BeamError
from .strategies import STRATEGIES


def share(value: t.Any, of: int, what: str) -> int:
    """A number of hosts: 3, "3" or "25%" of `of`, rounded down."""
    text = str(value).strip()
    percent = re.fullmatch(r"([0-9]{1,3})\s*%", text)
    if percent and int(percent.group(1)) <= 100:
        return of * int(percent.group(1)) // 100
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)
    raise BeamError(
        "number_invalid",
        "%s can't be %r" % (what, value),
        "it is neither a number of hosts nor a percentage of them",
        'Write it as 2 or "25%"',
    )


def sizes(strategy: str, batches: t.Any, hosts: int) -> list[int]:
    """The sizes of all batches; their sum is hosts. A percentage that rounds to nothing is one host, the last size repeats."""
    if strategy not in STRATEGIES:
        raise BeamError(
            "strategy_unknown",
            "the strategy %r is not known" % (strategy,),
            "there are %s" % ", ".join(STRATEGIES),
            "Say one of them",
        )
    if hosts < 1:
        raise BeamError(
            "no_hosts",
            "there is nothing to roll out to",
            "no host is in scope",
            "Check the group, beam_hosts and --limit",
        )
    if strategy == "all_at_once":
        return [hosts]
    if isinstance(batches, str):
        batches = [
            part.strip() for part in batches.split(",")
        ]  # a survey of AWX can only give text, so a list may be text
    wanted = list(batches) if isinstance(batches, (list, tuple)) else [batches]
    if not wanted:
        raise BeamError(
            "batches_invalid", "the fleet can't be cut into batches", "beam_batches is empty", 'Write it as [1, "25%"]'
        )
    found: list[int] = []
    left = hosts
    while left:
        spec = wanted[min(len(found), len(wanted) - 1)]
        size = share(spec, hosts, "a batch")
        if size == 0 and "%" not in str(spec):
            raise BeamError(
                "batches_invalid",
                "the fleet can't be cut into batches",
                "a batch of 0 hosts would never end",
                'Write beam_batches as [1, "25%"]',
            )
        found.append(min(max(size, 1), left))
        left -= found[-1]
    return found


def floor(min_healthy: t.Any, strategy: str, hosts: int) -> int:
    """How many hosts have to stay in service: half of them (rounded down) unless said otherwise, none if all move at once."""
    if str(min_healthy).strip() == "auto":
        return 0 if strategy == "all_at_once" else hosts // 2
    found = share(min_healthy, hosts, "beam_min_healthy")
    if found >= hosts and strategy != "blue_green":
        raise BeamError(
            "floor_too_high",
            "no host could ever be restarted",
            "%s of %d hosts have to stay in service" % (min_healthy, hosts),
            "Lower beam_min_healthy, or use the strategy blue_green",
        )
    return found


def refuse_below(
    lowest: int, batches: t.Sequence[t.Sequence[str]], healthy: t.Collection[str], aside: t.Collection[str] = ()
) -> None:
    """Goes through the batches as if all went well. A plan that can't hold the floor is refused before anything is touched.

    aside: hosts that somebody has taken out of the balancer, and that stay out.
    """
    serving = set(healthy)
    for number, batch in enumerate(batches, 1):
        leaving = serving.intersection(batch)
        if leaving and len(serving) - len(leaving) < lowest:
            raise BeamError(
                "capacity_floor",
                "batch %d of %d can't move" % (number, len(batches)),
                "%d of %d healthy hosts would leave, and %d have to stay in service"
                % (len(leaving), len(serving), lowest),
                "Make the batches smaller (beam_batches), lower beam_min_healthy, or bring more hosts into service first (alchemist.beam.join)",
            )
        serving.update(set(batch).difference(aside))


def cut(order: t.Sequence[str], lengths: t.Sequence[int]) -> list[list[str]]:
    found, begin = [], 0
    for length in lengths:
        found.append(list(order[begin : begin + length]))
        begin += length
    return found

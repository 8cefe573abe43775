# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The strategies of a rollout as data: for each a table of steps forward and a table of steps back.

A table is a list of groups. Within a group, a host at which a step failed takes no part in the steps that follow; a step that is done once for the batch
fails for all of it. On the way forward a failure ends the batch. On the way back, each group says which hosts it is for.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# Where a step is done: once for a batch, in the journal or at the balancers; or on each of its servers. A hook is a task file of the user, run for each.
JOURNAL, BALANCER, SERVER, HOOK, DECISION = "journal", "balancer", "server", "hook", "decision"


@dataclass(frozen=True)
class Step:
    """name: as in record.py, or of a hook. where: what it asks; a decision asks nothing. who: which hosts of the batch take part, see rollout.py.

    keeps: the name under which its answer is kept, if another step has the same answer.
    """

    name: str
    where: str
    who: str = "all"
    keeps: str = ""

    @property
    def once(self) -> bool:
        return self.where in (JOURNAL, BALANCER)


@dataclass(frozen=True)
class Group:
    steps: tuple[Step, ...]
    who: str = "all"
    # A failure here does not fail the host and ends nothing: the next note, or the end of the rollout, says the same.
    tolerant: bool = False


@dataclass(frozen=True)
class Strategy:
    name: str
    forward: tuple[Group, ...]
    back: tuple[Group, ...]


def _hook(name: str, who: str = "all") -> Step:
    return Step(name, HOOK, who)


ROLLING = (
    Group(
        (
            Step("note_leaving", JOURNAL),
            _hook("before_batch"),
            Step("leave", BALANCER, "leavers"),
            Step("hide", SERVER, "hidden"),
            _hook("leave"),
            Step("activate", SERVER),
            _hook("before_restart"),
            Step("restart", SERVER),
            _hook("after_restart"),
            Step("note_moved", JOURNAL),
            _hook("join"),
            Step("show", SERVER, "ready"),
            Step("join", BALANCER, "joiners"),
            Step("note_joined", JOURNAL, "settled"),
            # What the balancer counts and how the server is afterwards fails nothing by itself; both are judged together.
            Step("watch", BALANCER, "canary"),
            Step("look", SERVER, "canary"),
            Step("bake", DECISION, "canary"),
            _hook("after_batch"),
        )
    ),
)
ROLLING_BACK = (
    Group(
        (
            Step("note_returning", JOURNAL),
            _hook("before_return"),
            Step("back_leave", BALANCER, "serving"),
            _hook("leave"),
            Step("back_point", SERVER),
            Step("back_restart", SERVER),
            _hook("join", "had_one"),
            Step("back_show", SERVER, "shown_again"),
            _hook("after_return"),
        ),
        "returning",
    ),
    Group((Step("back_join", BALANCER, "back_joiners"),), "healed"),
    Group((Step("note_returned", JOURNAL),), "returning", tolerant=True),
)

# A host is upgraded without a restart and stays in its balancers; or it is restarted as in ROLLING. The plan says which.
HOT = (
    Group(
        (
            Step("note_leaving", JOURNAL),
            _hook("before_batch"),
            Step("leave", BALANCER, "leavers"),
            Step("hide", SERVER, "hidden"),
            _hook("leave", "leaving"),
            Step("activate", SERVER, "cold"),
            _hook("before_restart", "cold"),
            Step("restart", SERVER, "cold"),
            # It points `current`, too, and proves what runs, so its answer counts like a restart's.
            Step("upgrade", SERVER, "hot", keeps="restart"),
            _hook("after_restart"),
            Step("note_moved", JOURNAL),
            _hook("join", "leaving"),
            Step("show", SERVER, "ready"),
            Step("join", BALANCER, "joiners"),
            Step("note_joined", JOURNAL, "settled"),
            _hook("after_batch"),
        )
    ),
)
HOT_BACK = (
    Group(
        (
            Step("note_returning", JOURNAL),
            _hook("before_return"),
            # It fails nothing: a host that can't go back hot leaves the balancers and is restarted, like those that had been restarted.
            Step("back_upgrade", SERVER, "hot"),
            Step("back_leave", BALANCER, "fallen"),
            _hook("leave", "not_back_hot"),
            # For hosts that went back hot, these prove what runs, and that the next boot starts it.
            Step("back_point", SERVER),
            Step("back_restart", SERVER),
            _hook("join", "had_one_and_fell"),
            Step("back_show", SERVER, "shown_again"),
            _hook("after_return"),
        ),
        "returning",
    ),
    Group((Step("back_join", BALANCER, "back_joiners"),), "healed"),
    Group((Step("note_returned", JOURNAL),), "returning", tolerant=True),
)

# With two nodes on a host, the successor serves before the other one is touched.
BLUE_GREEN = (
    Group(
        (
            Step("note_leaving", JOURNAL),
            _hook("before_batch"),
            Step("rejoin", BALANCER, "rejoin"),
            Step("clear", BALANCER, "clear"),
            Step("activate", SERVER),
            _hook("before_restart"),
            Step("restart", SERVER),
            _hook("after_restart"),
            Step("note_moved", JOURNAL),
        )
    ),
    Group(
        (
            _hook("join"),
            Step("join", BALANCER, "join"),
            _hook("leave"),
            Step("leave", BALANCER, "leave"),
            Step("switch", SERVER),
            Step("enable", SERVER),
            Step("disable", SERVER),
            Step("stop", SERVER),
        ),
        "unharmed",
    ),
    Group((Step("note_joined", JOURNAL),), "unharmed"),
    Group((_hook("after_batch"),)),
)
BLUE_GREEN_BACK = (
    Group(
        (
            Step("note_returning", JOURNAL),
            _hook("before_return"),
            Step("back_clear", BALANCER, "back_clear"),
            Step("back_point", SERVER),
            Step("back_restart", SERVER),
            _hook("after_return"),
        ),
        "returning",
    ),
    Group(
        (
            Step("back_join", BALANCER, "back_join"),
            Step("back_leave", BALANCER, "back_leave"),
            Step("back_switch", SERVER),
            Step("back_enable", SERVER),
            Step("back_disable", SERVER),
            Step("back_stop", SERVER),
        ),
        "healed",
    ),
    Group((Step("back_remove", SERVER), Step("back_unlist", SERVER)), "had_none"),
    Group((Step("note_returned", JOURNAL),), "returning", tolerant=True),
)

STRATEGIES: t.Mapping[str, Strategy] = {
    "rolling": Strategy("rolling", ROLLING, ROLLING_BACK),
    "canary": Strategy("canary", ROLLING, ROLLING_BACK),
    "blue_green": Strategy("blue_green", BLUE_GREEN, BLUE_GREEN_BACK),
    "all_at_once": Strategy("all_at_once", ROLLING, ROLLING_BACK),
    "hot": Strategy("hot", HOT, HOT_BACK),
    "auto": Strategy("auto", HOT, HOT_BACK),
}
# The strategies that replace code in running nodes. If a node can't be upgraded so, the first one refuses, and the second one restarts it.
HOT_ONLY, HOT_OR_COLD = "hot", "auto"
IN_PLACE = (HOT_ONLY, HOT_OR_COLD)


def steps(groups: t.Iterable[Group]) -> t.Iterator[Step]:
    for group in groups:
        yield from group.steps

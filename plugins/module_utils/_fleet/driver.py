# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Takes a batch through the table of its strategy, from one Ansible task to the next. Pure.

Each task is a process of its own. So all answers are kept, and the next task replays them: the same answers lead to the same turn.
"""

from __future__ import annotations

import itertools
import typing as t

from .record import StepResult
from .rollout import STORE, Answers, Progress, Turn, Turns, confirm, move, take_back
from .strategies import BALANCER, HOOK, SERVER

PARTS: t.Mapping[str, t.Callable[[Progress, tuple[str, ...]], Turns]] = {
    "move": move,
    "confirm": confirm,
    "take_back": take_back,
}

# What the user waits for during a step. The callbacks have the words.
WAITS: t.Mapping[str, str] = {
    "rejoin": "join",
    "leave": "drain",
    "hide": "drain",
    "activate": "activate",
    "restart": "restart",
    "upgrade": "upgrade",
    "join": "join",
    "show": "join",
    "watch": "bake",
    "stop": "stop",
    "back_upgrade": "return",
    "back_leave": "drain",
    "back_point": "return",
    "back_restart": "return",
    "back_join": "join",
    "back_stop": "stop",
}
# The name of a task that does this step, or several steps of which this is the longest.
TITLES: t.Mapping[str, str] = {
    "drain": "take out of the balancer, and wait until nothing is in flight",
    "activate": "activate the release",
    "restart": "restart the node and prove what runs",
    "upgrade": "upgrade the node without a restart and prove what runs",
    "join": "put into the balancer, and wait until it finds them healthy",
    "bake": "let the canary serve, and compare it with the rest",
    "stop": "point current at what serves, and stop the former node",
    "return": "point current back, and restart the node on it",
    "": "note in the journal how they fared",
}


class Batch:
    """begun: what was known when this part began. answered: all answers since then, turn by turn.

    one_place: the store and the balancers are asked from the same host, which is the default.
    """

    def __init__(self, begun: Progress, batch: tuple[str, ...], part: str, one_place: bool = True) -> None:
        self._begun, self._batch, self._part, self._one_place = begun, batch, part, one_place
        self.answered: list[Answers] = []
        self.now, self._turns, self.turn = self._play(())

    def _play(self, answered: t.Sequence[Answers]) -> tuple[Progress, Turns, t.Optional[Turn]]:
        begun = self._begun
        now = Progress(begun.plan, begun.options, dict(begun.records), begun.fleet, begun.halted, begun.fenced)
        turns = PARTS[self._part](now, self._batch)
        turn = next(turns, None)
        for answers in answered:
            turn = _send(turns, answers)
        return now, turns, turn

    def answer(self, answers: Answers) -> None:
        """Takes the answers to the turn that is due."""
        self.answered.append(answers)
        self.turn = _send(self._turns, answers)

    def place(self, turn: Turn) -> str:
        """Where a turn is done: on the servers, in a hook, where the store is, or where the balancers are."""
        where = turn.step.where
        return where if where in (SERVER, HOOK) or (where == BALANCER and not self._one_place) else STORE

    def ahead(self) -> t.Iterator[Turn]:
        """The turns from the one that is due on, if all goes well."""
        turn, guessed = self.turn, list(self.answered)
        while turn is not None:
            yield turn
            guessed.append({host: StepResult(turn.step.name) for host in (("",) if turn.step.once else turn.hosts)})
            turn = self._play(guessed)[2]

    def due(self) -> list[Turn]:
        """The turns that the next task takes if all goes well: all at one place, or all on the same servers. A server stops at the first
        step that fails. A hook is a task of its own.
        """
        first = self.turn
        if first is None or first.step.where == HOOK:
            return [first] if first else []
        together = (first.hosts, first.back) if first.step.where == SERVER else None
        return list(
            itertools.takewhile(
                lambda turn: (
                    self.place(turn) == self.place(first) and (together is None or (turn.hosts, turn.back) == together)
                ),
                self.ahead(),
            )
        )

    def next_place(self) -> str:
        """Where the task runs that follows the servers or a hook."""
        return next((place for place in map(self.place, self.ahead()) if place not in (SERVER, HOOK)), STORE)


def _send(turns: Turns, answers: Answers) -> t.Optional[Turn]:
    try:
        return turns.send(answers)
    except StopIteration:
        return None


def waits(due: t.Sequence[Turn]) -> str:
    """What a task with these turns waits for, in the callbacks' words; empty if it takes no time. One call of a server is called after the longest
    of its steps, which is the last; at the balancers one waits for one thing after the other.
    """
    labels = [WAITS[turn.step.name] for turn in due if turn.step.where != HOOK and turn.step.name in WAITS]
    return labels[-1 if due[0].step.where == SERVER else 0] if labels else ""


def expected(now: Progress, turn: Turn) -> dict[str, str]:
    """By host, the version that should run after its turn. On the way back it is empty if none ran before."""
    return {host: now.plan.before(host) if turn.back else now.plan.draft.version for host in turn.batch}


def nodes(now: Progress, turn: Turn) -> dict[str, str]:
    """Of hosts with two nodes, the one that a turn is about. If nothing ran before, it is the node that was begun, which is taken away."""
    sides = {host: now.plan.sides[host] for host in turn.batch if host in now.plan.sides}
    return {host: (side.back or side.to) if turn.back else side.to for host, side in sides.items()}


def others(now: Progress, turn: Turn) -> dict[str, list[str]]:
    """Of hosts with two nodes, those that make room for the one that a turn is about."""
    found = {}
    for host in turn.batch:
        side = now.plan.sides.get(host)
        if side:
            back = [color for color in dict.fromkeys([side.to, *side.others]) if color != side.back]
            found[host] = back if turn.back else list(side.others)
    return found

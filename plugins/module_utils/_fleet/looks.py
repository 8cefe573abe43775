# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How a rollout looks at a server: what it asks the module rollout_look, and whether it asks again. Pure, except for what it is given to call.

What must hold of a healthy node may depend on which of two nodes serves, and on the version that runs. Neither is known before the server has answered. So
the first look uses the likely version. There is a second one only if the health means something else for the version that runs.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from .nodes import CURRENT

Doc = t.Mapping[str, t.Any]
# The health that a node must have, by its pointer and the version that should answer.
Health = t.Callable[[str, str], Doc]
Call = t.Callable[[Doc], Doc]
# What is done once, even if the server is asked twice.
_ONCE = ("digest", "presigned", "ready")


@dataclass(frozen=True)
class Step:
    """stages: puts the release there first. foresees: tells what a restart would do. ready: tells whether the readiness file is there.
    modified: compares the node's code with its files.

    expects: which version the health is about. `current` is the one on the disk (with two nodes, the one that runs), `running` is the one that runs, and
    `given` is the task's.
    """

    stages: bool = False
    foresees: bool = False
    ready: bool = False
    modified: bool = False
    expects: str = "current"


STEPS: t.Mapping[str, Step] = {
    "stage": Step(stages=True, foresees=True, ready=True),
    "foresee": Step(foresees=True),
    "join": Step(expects="running"),
    "status": Step(ready=True, modified=True, expects="given"),
}


@dataclass(frozen=True)
class Look:
    """colors: the two nodes of a host that has them. likely: the version that probably runs, or the given one."""

    step: Step
    options: Doc
    colors: t.Sequence[str] = ()
    likely: str = ""

    def ask(self, call: Call, health: t.Optional[Health] = None, unknown: type[Exception] = KeyError) -> Doc:
        """health: none if the health is not asked. unknown: what it raises if it knows nothing about a node or a version."""
        if health is None:
            return call(self.options)
        guessed: dict[str, Doc] = {}
        for pointer in (CURRENT, *self.colors):
            with contextlib.suppress(unknown):  # the node that serves is asked below
                guessed[pointer] = health(pointer, self.likely)
        answer = call({**self.options, "healths": _healths(guessed)})
        seen = answer.get("seen") or {}
        if not seen.get("running"):
            return answer  # a node that does not run is not asked
        pointer = str(seen.get("live") or CURRENT)
        wanted = health(pointer, self._version(answer))
        if wanted == guessed.get(pointer):
            return answer
        once_more = {key: value for key, value in self.options.items() if key not in _ONCE}
        again = call({**once_more, "healths": _healths({pointer: wanted})})
        if "seen" in again:
            return {**answer, "seen": again["seen"]}
        return {**again, **({"staged": answer["staged"]} if "staged" in answer else {})}

    def _version(self, answer: Doc) -> str:
        """The node as it is now, not as it would be."""
        seen = answer["seen"]
        if self.step.expects == "given":
            return self.likely
        if self.colors or self.step.expects == "running":
            return str(seen.get("version") or "")
        disk = answer["staged"].get("current") if "staged" in answer else (seen.get("current") or {}).get("version")
        return str(disk or "")


def _healths(known: t.Mapping[str, Doc]) -> list[Doc]:
    return [{"pointer": pointer, "health": health} for pointer, health in known.items()]

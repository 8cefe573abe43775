# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How a rollout looks at a server: what the module rollout_look is asked, and whether it has to be asked again. Pure but for what it is given to call.

What must hold of a healthy node may depend on which of two nodes serves, and on the version that runs. Neither is known before the server has answered. So
the health is asked with the likely version; it is asked again only where it reads otherwise with the one that runs.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from .nodes import CURRENT

Doc = t.Mapping[str, t.Any]
# The health that must hold of a node, by its pointer and the version that ought to answer.
Health = t.Callable[[str, str], Doc]
Call = t.Callable[[Doc], Doc]
# What is done once, however often the server is asked.
_ONCE = ("digest", "presigned", "ready")


@dataclass(frozen=True)
class Step:
    """stages: the release is put there first. foresees: it is told what a restart would do. ready: it is seen whether the readiness file is there.
    modified: the node compares its code with its files.

    expects: the version that the health is asked of. `current` is what is on the disk (of two nodes, what runs), `running` is what runs, and `given` is
    what the task says.
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
    """colors: of a host with two nodes. likely: the version that probably runs, or that is given."""

    step: Step
    options: Doc
    colors: t.Sequence[str] = ()
    likely: str = ""

    def ask(self, call: Call, health: t.Optional[Health] = None, unknown: type[Exception] = KeyError) -> Doc:
        """health: none where nobody is asked how it is. unknown: what it raises where it knows nothing of a node or of a version."""
        if health is None:
            return call(self.options)
        guessed: dict[str, Doc] = {}
        for pointer in (CURRENT, *self.colors):
            with contextlib.suppress(unknown):  # of the one that serves it is asked below
                guessed[pointer] = health(pointer, self.likely)
        answer = call({**self.options, "healths": _healths(guessed)})
        seen = answer.get("seen") or {}
        if not seen.get("running"):
            return answer  # of a node that does not run nothing is asked
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
        """How the node is now, not how it would be."""
        seen = answer["seen"]
        if self.step.expects == "given":
            return self.likely
        if self.colors or self.step.expects == "running":
            return str(seen.get("version") or "")
        disk = answer["staged"].get("current") if "staged" in answer else (seen.get("current") or {}).get("version")
        return str(disk or "")


def _healths(known: t.Mapping[str, Doc]) -> list[Doc]:
    return [{"pointer": pointer, "health": health} for pointer, health in known.items()]

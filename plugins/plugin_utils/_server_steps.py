# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the modules of a server's turn answered, step by step. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import SETTINGS, Call
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed, plain

Vars = t.Mapping[str, t.Any]
Said = dict[str, t.Any]
# A look fails nothing: what it has seen is judged later.
SEEN = ("look",)
# What fails here is done in another way later.
TRIED = ("back_upgrade",)
LAST_LOOK = "confirm"


class Answers:
    """turn: which one it is, so that nobody takes an older answer for this one."""

    def __init__(self, turn: str) -> None:
        self._turn = turn
        self._steps: dict[str, list[Said]] = {}

    def take(self, call: Call, found: Said) -> bool:
        """Whether the next call may follow."""
        found = {key: value for key, value in found.items() if not key.startswith("_ansible") and key != "invocation"}
        if call.step in SEEN:
            found = {"changed": False, "found": found}
        elif call.step in TRIED and failed(found):
            found = {"changed": False, "found": found}
        elif call.step == "upgrade":
            found = _foreseen(found)
        elif call.step == LAST_LOOK and not found.get("unreachable"):
            found["failed"] = False
        if call.module == SETTINGS and not failed(found):
            return True  # the step is told by what comes after it
        if call.then is None:
            self._steps.setdefault(call.step, []).append(found)
            return not failed(found)
        pointed = found.pop("pointed", None)
        if not isinstance(pointed, t.Mapping):
            # It never came to an answer: whether it came to the second step is not known.
            self._steps[call.step] = [found]
            return False
        self._steps[call.step] = [dict(pointed)]
        if not failed(pointed):
            self._steps[call.then.step] = [found]
        return not failed(pointed) and not failed(found)

    def result(self, steps: t.Sequence[str]) -> Said:
        """What the task shows is of its last step, or of the one that failed; the answers are for who asked."""
        said = [one for found in self._steps.values() for one in found]
        last = said[-1] if said else {}
        warnings = [word for one in said for word in one.get("warnings") or ()]
        diffs = [diff for one in said if one.get("diff") for diff in _listed(one["diff"])]
        shown = {key: value for key, value in last.items() if key not in ("warnings", "diff", "found")}
        return {
            **shown,
            "changed": any(one.get("changed") for one in said),
            **({"warnings": warnings} if warnings else {}),
            **({"diff": diffs} if diffs else {}),
            "turn": self._turn,
            "answers": {step: self._of(step) for step in self._reached(steps, failed(last))},
        }

    def _reached(self, steps: t.Sequence[str], ended: bool) -> t.Sequence[str]:
        return steps[: list(steps).index(list(self._steps)[-1]) + 1] if ended else steps

    def _of(self, step: str) -> Said:
        """Of a step that was done for several nodes, each of them. Of one that had nothing to do, that it was skipped."""
        found = self._steps.get(step) or []
        if not found:
            return {"changed": False, "skipped": True}
        if len(found) == 1:
            return found[0]
        bad = next((one for one in found if failed(one)), {})
        return {"changed": any(one.get("changed") for one in found), "results": found, **plain(bad)}


def _foreseen(found: Said) -> Said:
    """In a rehearsal nothing is staged, so beam_upgrade can't look at it. That it is missing then speaks against nothing."""
    codes = [one.get("code") for one in found.get("blockers") or ()]
    rehearsed = found.get("action") == "blocked" and codes == ["release_missing"] and not failed(found)
    return {**found, "changed": True} if rehearsed else found


def _listed(diff: t.Any) -> list[t.Any]:
    return list(diff) if isinstance(diff, list) else [diff]

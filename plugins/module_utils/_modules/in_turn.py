# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Two calls on one server as one: `current` is pointed at a release, then the node is restarted on it. Pure but for what it is given to call."""

from __future__ import annotations

import typing as t

from .._errors import BeamError

Result = t.Mapping[str, t.Any]
Call = t.Callable[[], Result]


def in_turn(point: t.Optional[Call], restart: t.Optional[Call]) -> dict[str, t.Any]:
    """What the restart answered, and under `pointed` what the call before it answered. Nothing is restarted where that failed.

    Of one call alone, what that answered.
    """
    if point is None or restart is None:
        return dict(t.cast("Call", point or restart)())
    try:
        pointed = dict(point())
    except BeamError as exc:
        raise _with(exc, exc.as_failure()) from exc
    try:
        done = dict(restart())
    except BeamError as exc:
        raise _with(exc, pointed) from exc
    return {
        **done,
        "changed": bool(done.get("changed") or pointed.get("changed")),
        **_both(pointed, done),
        "pointed": pointed,
    }


def _both(pointed: Result, done: Result) -> dict[str, t.Any]:
    """What Ansible shows of a task, of both calls."""
    warnings = [*pointed.get("warnings", ()), *done.get("warnings", ())]
    diffs = [one["diff"] for one in (pointed, done) if one.get("diff")]
    return {**({"warnings": warnings} if warnings else {}), **({"diff": diffs} if diffs else {})}


def _with(exc: BeamError, pointed: Result) -> BeamError:
    return BeamError(exc.code, exc.what, exc.why, exc.hint, **{**exc.details, "pointed": pointed})

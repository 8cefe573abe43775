# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The rows of the result, the table for people, and the failure. Pure."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .findings import Finding
from .kept import Kept
from .wanted import Gate

_SHOWN = 20  # lines of a gate that failed


def row_of(
    gate: Gate, finding: Finding, kept: Kept | None, reused: bool, reports: t.Mapping[str, str]
) -> dict[str, t.Any]:
    return {
        "gate": gate.name,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "hint": finding.hint,
        "seconds": finding.seconds,
        "counts": dict(finding.counts),
        "coverage": finding.coverage,
        "named": list(finding.named),
        "reused": reused,
        "finished": kept.statement.finished if kept else None,
        "statement": kept.statement.id if kept else None,
        "reports": dict(reports),
    }


def _note(row: t.Mapping[str, t.Any]) -> str:
    if row["reason"]:
        return str(row["reason"])
    if row["coverage"] is not None:
        return "%.2f %% of the lines" % row["coverage"]
    passed = row["counts"].get("passed")
    return "%d test%s" % (passed, "" if passed == 1 else "s") if passed else ""


def table(rows: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """One line for each gate: name, verdict, time, and what there is to say."""
    wide = max((len(row["gate"]) for row in rows), default=0)
    lines = []
    for row in rows:
        took = "unchanged" if row["reused"] else "%.1f s" % row["seconds"]
        lines.append("%-*s  %-8s  %9s  %s" % (wide, row["gate"], row["verdict"], took, _note(row)))
    return [line.rstrip() for line in lines]


def failure(result: dict[str, t.Any], lacking: str, unstable: str) -> BeamError | None:
    """lacking: skip, if a gate that the project can't run is no failure; unstable: pass or fail."""
    outputs = result.pop("output")
    bad = [
        row
        for row in result["gates"]
        if row["verdict"] == "failed"
        or (row["verdict"] == "skipped" and lacking == "fail")
        or (row["verdict"] == "unstable" and unstable == "fail")
    ]
    if not bad:
        return None
    names = [row["gate"] for row in bad]
    said = "the gate %s" % names[0] if len(names) == 1 else "the gates %s and %s" % (", ".join(names[:-1]), names[-1])
    of = "%s %s" % (result["name"], result["commit"][:12] or "of no commit")
    why = bad[0]["reason"] if len(bad) == 1 else "%s: %s" % (names[0], bad[0]["reason"])
    details = {key: value for key, value in result.items() if key not in ("changed", "warnings")}
    return BeamError(
        "gate_failed",
        "%s does not pass %s" % (of, said),
        why,
        next((row["hint"] for row in bad if row["hint"]), "") or "Correct it, and commit",
        **details,
        output=[*result["table"], *outputs.get(names[0], [])[-_SHOWN:]],
    )

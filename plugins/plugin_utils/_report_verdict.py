# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a report says in a word: of the whole, of a host, of what runs now. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_time import rows
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import line

Vars = t.Mapping[str, t.Any]

GOOD = ("moved", "unchanged", "would move")
BAD = ("failed", "stranded", "unreachable", "lost", "unproven")


def tone(row: Vars) -> str:
    outcome = line(row.get("outcome"))
    return "bad" if outcome in BAD else "good" if outcome in GOOD else "warn"


def rehearsed(report: Vars) -> bool:
    return report.get("check") is True or any(row.get("outcome") == "would move" for row in rows(report))


def standing(report: Vars) -> tuple[str, str]:
    """The tone and the word of the whole."""
    if rehearsed(report):
        return ("plan", "◌ rehearsal") if report.get("succeeded") is not False else ("bad", "✕ would fail")
    if report.get("succeeded") is True:
        return "good", "✓ succeeded"
    return ("bad", "✕ failed") if report.get("succeeded") is False else ("warn", "? no verdict")


def versions(report: Vars) -> str:
    """What runs now: the numbers of hosts by version."""
    found: dict[str, int] = {}
    for row in rows(report):
        now = line(row.get("now"), 60) or ("nothing" if row.get("outcome") in ("returned", "skipped") else "unknown")
        found[now] = found.get(now, 0) + 1
    return ", ".join("%s on %s" % (version, values.plural(hosts, "host")) for version, hosts in sorted(found.items()))

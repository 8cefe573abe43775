# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the journal of an interrupted rollout says that a host ran before, held against what the host itself and the channel say.

Whoever can write below journal/ could otherwise send a server back to any version that was ever published. So the journal may only name what the host
runs, has a pointer to or ran before this, or what is stable on the channel; and no ghost, but one that the host runs at this moment.
"""

from __future__ import annotations

import typing as t

Vars = t.Mapping[str, t.Any]


def noted(plan: Vars, host: str) -> str:
    """By the journal: the version that ran before a rollout that was interrupted and never ended on this host; empty where there was none."""
    left = plan.get("interrupted") or {}
    before = (left.get("hosts") or {}).get(host) or {}
    if left.get("state") == "finished" and not before.get("out"):
        return ""  # it ended, and left only others behind
    found = before.get("from") if before.get("step") not in ("planned", "skipped") else None
    return str(found) if found and found != plan["version"] else ""


def believed(version: str, staged: Vars, seen: Vars, plan: Vars) -> bool:
    """staged, seen: what release_install and beam_info say of the host. One that could not be asked is no reason to forget what was noted."""
    if "previous" not in staged:
        return True
    runs = {staged.get("current"), seen.get("version"), *(staged.get("pointers") or {}).values()}
    if version in runs:
        return True
    return version not in _ghosts(plan) and version in (staged["previous"], (plan.get("stable") or {}).get("version"))


def instead(staged: Vars, plan: Vars) -> str:
    """The version to go back to by what the host says alone."""
    current, previous = str(staged.get("current") or ""), str(staged.get("previous") or "")
    if current in ("", plan["version"]) and previous not in ("", plan["version"]) and previous not in _ghosts(plan):
        return previous
    return current


def doubt(host: str, version: str, staged: Vars, plan: Vars) -> str:
    """The sentence that tells of it before anything moves."""
    why = "a ghost of the channel" if version in _ghosts(plan) else "a version that %s has never run" % host
    told = "The journal of %s says that %s ran %s before, which is %s. It is not believed: if this fails, %s goes back to %s."
    return (told + " Find out who else can write journal/ in the store.") % (
        (plan.get("interrupted") or {}).get("id") or "an interrupted rollout", host, version, why, host, instead(staged, plan) or "nothing",
    )


def _ghosts(plan: Vars) -> set[str]:
    return {str(ghost.get("version")) for ghost in plan.get("ghosts") or ()}

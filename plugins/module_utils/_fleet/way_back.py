# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The version that a host goes back to: what the journal of an interrupted rollout says, checked against what the host and the channel say.

Whoever can write below journal/ could otherwise send a server back to any version that was ever published. So the journal may only name a version
that the host runs, has a pointer to or ran before, or that is stable on the channel; and no ghost, unless the host runs it at this moment.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._rollout.journal import UNTOUCHED, Host
from .sight import Sight

Doc = t.Mapping[str, t.Any]
# With a host in one of these states, an interrupted rollout was done.
SETTLED = (*UNTOUCHED, "joined", "returned")


@dataclass(frozen=True)
class Past:
    """All that the way back depends on, from the plan and from the rollout before it. Versions."""

    version: str
    stable: str = ""
    ghosts: frozenset[str] = frozenset()
    id: str = ""  # of the rollout that was interrupted; empty if none was
    state: str = ""  # running, reverting or finished
    hosts: t.Mapping[str, Host] = field(default_factory=dict)  # of its journal

    @property
    def finished(self) -> bool:
        """Whether it ended, and left only some hosts behind."""
        return self.state == "finished"

    def took_out(self, host: str) -> bool:
        """Whether it took a host out of the balancer, and did not see it in again."""
        return host in self.hosts and self.hosts[host].out

    def left_half_way(self, host: str) -> bool:
        return self.took_out(host) or (host in self.hosts and self.hosts[host].step not in SETTLED)

    @property
    def touched(self) -> frozenset[str]:
        return frozenset(host for host, one in self.hosts.items() if one.step not in UNTOUCHED)


def parse_past(plan: Doc) -> Past:
    """plan: rollout_plan, as a draft or as a plan."""
    left = plan.get("interrupted") or {}
    return Past(
        version=str(plan["version"]),
        stable=str((plan.get("stable") or {}).get("version") or ""),
        ghosts=frozenset(str(ghost.get("version")) for ghost in plan.get("ghosts") or ()),
        id=str(left.get("id") or ""),
        state=str(left.get("state") or ""),
        hosts={host: _left(one) for host, one in (left.get("hosts") or {}).items()},
    )


def _left(doc: Doc) -> Host:
    return Host(str(doc.get("step") or ""), doc.get("from") or None, bool(doc.get("out")))


def noted(past: Past, host: str) -> str:
    """What the journal says: the version before a rollout that was interrupted and never ended on this host; empty if there was none."""
    left = past.hosts.get(host)
    if left is None or (past.finished and not left.out) or left.step in UNTOUCHED:
        return ""
    return str(left.before) if left.before and left.before != past.version else ""


def believed(version: str, sight: Sight, past: Past) -> bool:
    """If the host could not be asked, what was noted still counts."""
    if not sight.answered or version in sight.versions:
        return True
    return version not in past.ghosts and version in (sight.previous, past.stable)


def instead(sight: Sight, past: Past) -> str:
    """The version to go back to if only the host is asked."""
    if (
        sight.current in ("", past.version)
        and sight.previous not in ("", past.version)
        and sight.previous not in past.ghosts
    ):
        return sight.previous
    return sight.current


def unfinished_from(sight: Sight, past: Past, host: str) -> str:
    """The version before a rollout that was interrupted and never ended on this host; empty if there was none that is believed."""
    found = noted(past, host)
    return found if found and believed(found, sight, past) else ""


def came_from(sight: Sight, past: Past, host: str) -> str:
    """The version to go back to: the one before this rollout, or before the one that was interrupted."""
    return unfinished_from(sight, past, host) or (instead(sight, past) if noted(past, host) else sight.current)


def doubt(sight: Sight, past: Past, host: str) -> str:
    """The sentence that says, before anything moves, that the journal names a version that is not believed; empty if it is believed."""
    version = noted(past, host)
    if not version or believed(version, sight, past):
        return ""
    why = "a ghost of the channel" if version in past.ghosts else "a version that %s has never run" % host
    told = "The journal of %s says that %s ran %s before, which is %s. It is not believed: if this fails, %s goes back to %s."
    return (told + " Find out who else can write journal/ in the store.") % (
        past.id or "an interrupted rollout",
        host,
        version,
        why,
        host,
        instead(sight, past) or "nothing",
    )

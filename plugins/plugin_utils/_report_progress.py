# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a rollout is doing right now, as one line for each step of a batch, and what it did, as a table. Pure but for what it remembers."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils import _report_values as values
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_time import rows, step_seconds
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import line
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

Vars = t.Mapping[str, t.Any]

# The variable `rollout_step` of a task says which of these it waits for.
WAITS: t.Mapping[str, str] = {
    "stage": "staging the release",
    "lock": "waiting for the lock",
    "migrate": "migrating",
    "drain": "draining",
    "activate": "activating",
    "restart": "restarting, and waiting until it is healthy",
    "upgrade": "upgrading without a restart, and waiting until it is healthy",
    "gate": "waiting until it is healthy",
    "join": "joining the balancer",
    "stop": "stopping the former node",
    "bake": "baking under watch",
    "return": "going back",
    "sweep": "bringing home who came meanwhile",
}
# These are of the whole rollout, the others of a batch.
WHOLE = ("stage", "lock", "migrate", "sweep")
# What found a batch on its way, and so may have to go back.
FORWARD = ("drain", "activate", "restart", "upgrade")
# Who is upgraded without a restart does none of these.
COLD = ("drain", "activate", "restart", "join")
# What a task waits for that takes whichever turn of its batch is due: what the task before it has told.
NEXT = "next"
_SHOWN = 6
COLUMNS = (
    "batch",
    "host",
    "outcome",
    "before",
    "now",
    "fetched",
    "drain",
    "stop",
    "boot",
    "gate",
    "join",
    "return",
    "outage",
    "error",
)


def names(hosts: t.Sequence[str]) -> str:
    shown = [line(host, 60) for host in hosts]
    return (
        " ".join(shown)
        if len(shown) <= _SHOWN + 1
        else "%s and %d more" % (" ".join(shown[:_SHOWN]), len(shown) - _SHOWN)
    )


class Progress:
    """plan: what the role remembers as rollout_plan, with the hosts of each batch in `members`."""

    def __init__(self, plan: t.Optional[Vars] = None) -> None:
        self._plan = values.mapping(plan)
        self._members = [
            [str(host) for host in values.sequence(batch)] for batch in values.sequence(self._plan.get("members"))
        ]
        self._number = {host: number for number, batch in enumerate(self._members, 1) for host in batch}
        self._said: set[tuple[t.Optional[int], str]] = set()
        self._next, self._fresh = "", True
        self.halted = False
        self.failing = False
        self.moving = False

    def follow(self, plan: Vars) -> Progress:
        """A draft, or other batches, is another rollout. What only adds to the plan is not."""
        found = Progress(plan)
        found.moving = self.moving
        if found._members and found._members == self._members:
            self._plan = found._plan
            return self
        return found

    def learn(self, result: Vars) -> None:
        """result: of any task. One that took a turn of a batch tells what the next one waits for, unless that part of the batch is over."""
        if "over" in result and "halted" in result:
            self._next, self._fresh = str(result.get("waits") or ""), result["over"] is True
            self.halted = self.halted or result["halted"] is True

    def waits(self, step: str) -> str:
        """What a task is about to wait for; empty where that is nothing."""
        return step if step != NEXT else self._first() if self._fresh else self._next

    def waited(self, step: str, result: Vars) -> str:
        """What a task was waiting for that failed."""
        return step if step != NEXT else str(result.get("failed_while") or self._next or "begin")

    def _first(self) -> str:
        """What the first task of a batch waits for: before that one nobody tells. Two nodes are in service by turns, so that none leaves before."""
        return "" if self._plan.get("strategy") == "blue_green" or self.halted else "drain"

    def _batch(self, host: str) -> t.Optional[int]:
        return self._number.get(host)

    def _concerned(self, step: str, hosts: t.Sequence[str]) -> list[str]:
        """Without those for whom the step is a word only: who leaves no balancer is not drained."""
        # A readiness file is for everyone, balancers only for those that they know.
        keys = {
            "drain": ("leaves", "moves"),
            "join": ("leaves",),
            "activate": ("moves",),
            "restart": ("moves",),
            "upgrade": ("moves",),
            "gate": ("moves",),
        }.get(step, ())
        lists = [self._plan.get(key) for key in keys if not (key == "leaves" and self._plan.get("ready"))]
        concerned = [frozenset(map(str, found)) for found in lists if isinstance(found, (list, tuple))]
        rows = values.mappings(self._plan.get("rows"))
        hot = frozenset(str(row.get("host")) for row in rows if row.get("action") == "upgrade")
        return [
            host
            for host in hosts
            if all(host in found for found in concerned)
            and (host in hot if step == "upgrade" else host not in hot or step not in COLD)
        ]

    def _label(self, number: t.Optional[int], hosts: t.Sequence[str]) -> str:
        return "batch %d of %d: %s" % (number, len(self._members), names(hosts)) if number is not None else names(hosts)

    def begins(self, host: str, step: str, rehearsal: bool = False) -> t.Optional[str]:
        """The line to show when a task of this step begins on this host; None where that was said, or where the step is not going to happen."""
        number = None if step in WHOLE else self._batch(host)
        if (
            step not in WAITS
            or (number, step) in self._said
            or (self.halted and step != "return")
            or self._plan.get("idle")
        ):
            return None
        # A batch goes back that was on its way, and only after something failed.
        if step == "return" and not (
            (self.halted or self.failing) and any((number, before) in self._said for before in FORWARD)
        ):
            return None
        hosts = self._concerned(step, self._members[number - 1]) if number is not None else []
        if number is not None and not hosts:
            return None
        self._said.add((number, step))
        self.moving = self.moving or (number is not None and not rehearsal)
        label = self._label(number, hosts) if number is not None else "rollout"
        return "%s%s | %s" % ("rehearsal, " if rehearsal else "", label, WAITS[step])

    def failed(self, host: str, step: str, result: Vars, whole_batch: bool = False) -> str:
        self.failing = True
        number = None if step in WHOLE else self._batch(host)
        hosts = self._members[number - 1] if number is not None and whole_batch else [host]
        error = values.mapping(result.get("error"))
        said = (
            ": ".join(line(error[key]) for key in ("what", "why") if error.get(key))
            or line(result.get("msg"))
            or "failed without a message"
        )
        said = ". ".join(filter(None, (line(NOTHING_NAMED.text(said), 400), line(error.get("next"), 300))))
        return "%s | failed while %s: %s" % (self._label(number, hosts), WAITS.get(step, line(step, 40)), said)


def find_report(result: t.Any) -> t.Optional[dict[str, t.Any]]:
    """The report in what a task returned: as `rollout_report` or `rollout_result`, beside its other results or among the facts that it set."""
    holder = values.mapping(result)
    for place in (holder, values.mapping(holder.get("ansible_facts")), *values.mappings(holder.get("results"))):
        for found in (place.get("rollout_report"), place.get("rollout_result")):
            if isinstance(found, t.Mapping) and isinstance(found.get("rows"), (list, tuple)):
                return t.cast("dict[str, t.Any]", values.plain(found))
    return None


def summary(report: Vars) -> list[str]:
    lines = []
    for row in rows(report):
        shown: dict[str, t.Any] = {
            key: line(row.get(key), 160) for key in ("host", "outcome", "before", "now", "error")
        }
        shown.update({step: seconds for step, seconds in step_seconds(row).items() if step in COLUMNS})
        shown.update(
            batch=values.whole(row.get("batch")),
            outage=values.number(row.get("outage")),
            fetched=values.size(row.get("fetched")),
        )
        lines.append(shown)
    notes = [line(note, 400) for note in values.sequence(report.get("notes"))]
    return (
        (render(lines, COLUMNS) if lines else [])
        + notes
        + [line(report.get("verdict"), 1500) or "The rollout gave no verdict."]
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the steps of a rollout said about one host, and all that is read from that: its outcome, the reason, whether the release is to blame. Pure.
Nothing can be claimed by accident: a host without any step is `skipped`.
"""

from __future__ import annotations

import functools
import types
import typing as t
from dataclasses import dataclass, field

from .._node.ending import VERDICTS

Facts = t.Mapping[str, t.Any]

# Only these speak against the release itself. A masked unit, a full disk or a balancer's refusal does not.
BLAMING = (*VERDICTS, "canary_worse")
LOCK_LOST, UNREACHABLE = "lock_lost", "unreachable"

# Every step of a host, in the order that all strategies keep. A hook is last: the reason is rather what a step said itself.
FORWARD = (
    "note_leaving",
    "rejoin",
    "clear",
    "leave",
    "hide",
    "activate",
    "restart",
    "note_moved",
    "show",
    "join",
    "watch",
    "look",
    "bake",
    "switch",
    "enable",
    "disable",
    "stop",
    "note_joined",
    "hook",
)
CONFIRM = "confirm"
BACKWARD = (
    "note_returning",
    "back_upgrade",
    "back_clear",
    "back_leave",
    "back_point",
    "back_restart",
    "back_join",
    "back_show",
    "back_switch",
    "back_enable",
    "back_disable",
    "back_stop",
    "back_remove",
    "back_unlist",
    "back_hook",
)
ORDER = {name: number for number, name in enumerate((*FORWARD, CONFIRM, *BACKWARD))}
# What may have to be undone.
TOUCHES = ("leave", "hide", "activate", "restart")
# Until these have succeeded, a host is as the way forward left it.
BACK_BEGINS = ("note_returning", "back_clear", "back_leave")
# With these the former version serves again. The other steps of the way back make the next boot start it, too.
BACK_PROVES = ("back_point", "back_restart", "back_join", "back_show")
BACK_ENDS = tuple(name for name in BACKWARD if name not in (*BACK_BEGINS, *BACK_PROVES, "back_hook"))


@dataclass(frozen=True)
class StepResult:
    step: str
    ok: bool = True
    code: str = ""  # of the error, even if the step went on in spite of it
    text: str = ""  # what went wrong, and why
    hint: str = ""  # what its user can do about it
    lost: bool = False  # the server did not answer, so what it did is not known
    began: float | None = None
    seconds: float | None = None
    facts: Facts = field(default_factory=lambda: types.MappingProxyType({}), compare=False)  # all that the step said

    def told(self, key: str) -> Facts:
        """A part of the facts that is a mapping."""
        found = self.facts.get(key)
        return found if isinstance(found, t.Mapping) else {}


NOTHING = StepResult("")


@dataclass(frozen=True)
class HostRecord:
    """results: at most one of each step, in any order."""

    results: tuple[StepResult, ...] = ()

    @functools.cached_property
    def _by_step(self) -> dict[str, StepResult]:
        return {result.step: result for result in self.results}

    def __getitem__(self, step: str) -> StepResult:
        """What a step said; an empty result if it did not run."""
        return self._by_step.get(step, NOTHING)

    def __contains__(self, step: object) -> bool:
        return step in self._by_step

    def with_result(self, result: StepResult) -> HostRecord:
        return HostRecord((*(one for one in self.results if one.step != result.step), result))

    def before(self, step: str) -> HostRecord:
        """The record as it was when this step began."""
        return HostRecord(tuple(one for one in self.results if ORDER[one.step] < ORDER[step]))

    def _failed(self, steps: t.Iterable[str]) -> list[StepResult]:
        return [self[step] for step in steps if not self[step].ok]

    @property
    def outcome(self) -> str:
        """returned, stranded, kept, unreachable, failed, moved or skipped."""
        not_begun, hook = bool(self._failed(BACK_BEGINS)), not self["back_hook"].ok
        if "back_point" in self or "back_restart" in self:
            if any(self[step].lost for step in ("back_point", "back_restart", *BACK_ENDS)):
                return "unreachable"
            if self._failed((*BACK_PROVES, *BACK_ENDS, "back_hook")):
                return "stranded"
            if not_begun:
                return "kept" if self.serves else "stranded"
            return "returned"
        if (not_begun or hook) and self.serves:
            return "kept"  # and could not be taken out to go back
        failed = self._failed(FORWARD)
        if failed:
            return "unreachable" if any(one.lost for one in failed) else "failed"
        if "after" not in self["restart"].facts:
            return "skipped"
        if not_begun or hook:
            return "failed"  # it moved, and never joined
        if self[CONFIRM].lost:
            return "unreachable"
        return "failed" if self.since else "moved"

    @property
    def serves(self) -> bool:
        """Whether the way forward came so far that the new version serves."""
        if not self["restart"].facts.get("after") or self._failed(("restart", "join", "show")):
            return False
        return "join" in self or "show" in self or not any(step in self for step in ("clear", "leave", "hide"))

    @property
    def serves_again(self) -> bool:
        """Whether the former version is proven to run, and nothing says that it does not serve."""
        return "back_point" in self and bool(self["back_restart"].facts.get("after")) and not self._failed(BACK_PROVES)

    @property
    def back_hot(self) -> bool:
        """Whether the former version runs again without a restart."""
        return bool(self["back_upgrade"].facts.get("after"))

    @property
    def since(self) -> str:
        """What became of a host after its batch; empty if nothing changed."""
        if CONFIRM not in self:
            return ""
        now, moved = self[CONFIRM].facts, self["restart"]
        if "running" not in now:
            return "it was healthy, and could not be asked again: %s" % self[CONFIRM].text
        expected, health = moved.told("after").get("pid"), self[CONFIRM].told("health")
        if not now["running"]:
            text = "and does not run any more%s" % (": %s" % now["why"] if now.get("why") else "")
        elif expected is not None and now.get("pid") != expected:
            text = "then its process %s ended, and %s took its place" % (expected, now.get("pid"))
        elif health and not health.get("passed"):
            text = "then not any more: %s" % (health.get("reason") or "no reason given")
        else:
            return ""
        ended = host_ended(moved.facts, now)
        return "it was healthy, %s%s" % (text, " (%s)" % ended if ended else "")

    @property
    def reason(self) -> str:
        """The first error of the way forward, and the first of the way back."""
        there = next((one.text for one in self._failed(FORWARD)), "") or self.since
        back = next((one.text for one in self._failed(BACKWARD)), "")
        return " and then, on the way back: ".join(text for text in (there, back) if text)

    @property
    def way_out(self) -> str:
        """The hint of the error that `reason` begins with."""
        return next((one.hint for one in self._failed((*FORWARD, *BACKWARD))), "")

    @property
    def blames(self) -> bool:
        """Whether the failure speaks against the release. It does not if the server can't be asked, has shut down, or has a wrong setting."""
        now = self[CONFIRM].facts
        told = "running" in now and not now.get("misconfigured") and not host_ended(self["restart"].facts, now)
        return bool(told and self.since) or any(self[step].code in BLAMING for step in FORWARD)

    @property
    def fenced(self) -> bool:
        """Whether another deployer has taken over. Then nothing more may be written, not even to undo."""
        return any(one.code == LOCK_LOST for one in self.results)

    @property
    def touched(self) -> bool:
        """Whether a step was begun that may have to be undone."""
        return any(step in self for step in TOUCHES)

    @property
    def unsettled(self) -> bool:
        """Whether it was touched, and not taken back yet."""
        return self.touched and "back_point" not in self

    @property
    def seconds(self) -> float:
        """How long it took to point `current`, and to restart."""
        return round(sum(self[step].seconds or 0.0 for step in ("activate", "restart")), 3)


def host_ended(before: Facts, now: Facts) -> str:
    """Why its server is the cause of what became of a node. before, now: what modules said about it."""
    if now.get("ending"):
        return str(now["ending"])
    boots = [found.get("boot_id") for found in (before, now)]
    return "its server was started again" if all(boots) and boots[0] != boots[1] else ""


@dataclass(frozen=True)
class BatchState:
    """How a batch fared. unsettled: touched and not taken back yet; serving: those of them that leave a balancer once more before they return; taken: what
    was taken out of a balancer and did not join it again.
    """

    states: t.Mapping[str, str]
    fenced: bool
    moved: tuple[str, ...]
    unsettled: tuple[str, ...]
    serving: tuple[str, ...]
    healed: tuple[str, ...]
    taken: tuple[str, ...]

    @property
    def failed(self) -> bool:
        return any(state in ("failed", "unreachable", "stranded") for state in self.states.values())


def batch_state(records: t.Mapping[str, HostRecord], hosts: t.Sequence[str]) -> BatchState:
    of = {host: records.get(host, HostRecord()) for host in hosts}
    states = {host: record.outcome for host, record in of.items()}
    unsettled = tuple(host for host in hosts if of[host].unsettled)
    return BatchState(
        states=states,
        fenced=any(record.fenced for record in of.values()),
        moved=tuple(host for host in hosts if states[host] == "moved"),
        unsettled=unsettled,
        serving=tuple(host for host in unsettled if "join" in of[host] or "show" in of[host]),
        healed=tuple(host for host in hosts if of[host].serves_again),
        taken=_taken(list(of.values())),
    )


# Out of a balancer, forward and back: kept out, taken out, put in again.
_WAYS = (("clear", "leave", "join"), ("back_clear", "back_leave", "back_join"))


def _taken(records: t.Sequence[HostRecord]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    last: list[int] = []
    for record in records:
        # A balancer answers once for a whole batch. To read that answer for each host again would take the square of the batch's size.
        same = [id(record[step].facts) for way in _WAYS for step in way]
        if same == last:
            continue
        last = same
        for clear, leave, join in _WAYS:
            # A node that is kept out until it is proven was out already, unless another deployer has let it in meanwhile.
            found.update(
                (name, None)
                for name, member in record[clear].told("members").items()
                if member.get("before") in ("in", "partly")
            )
            found.update(dict.fromkeys(record[leave].told("members")))
            for name in record[join].told("members") if record[join].ok else ():
                found.pop(name, None)
    return tuple(found)

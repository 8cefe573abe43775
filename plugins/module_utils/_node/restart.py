# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A restart is a proof, not a command.

The plan says what would be done and why. Applying it returns only when another process runs the expected release directory and its
health checks hold; it trusts no exit status of the launcher, no `version`, no answer that the old VM could have given.
"""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._mask import NOTHING_NAMED, Mask
from .boot_words import cut, plain
from .cluster import connected
from .crash import LONGEST, slogan
from .ending import Pace, boot_id, judged
from .explain import alone, environment_of, explained, note_of
from .health import BOOTED, Health, Outcome, gate
from .manager import Manager, Status
from .preflight import preflight as look_ahead
from .probes import probes_for
from .process import NodeProcess
from .target import Target, rehearse

_MOST = 5000  # lines of a log in which the reason of a failure is looked for


@dataclass(frozen=True)
class Plan:
    action: str  # none | start | stop | restart
    reason: str
    before: t.Optional[NodeProcess]
    target: t.Optional[Target]  # None: nothing should run
    restarts: int = 0

    @property
    def changed(self) -> bool:
        return self.action != "none"

    def diff(self) -> dict[str, t.Any]:
        def line(root: t.Optional[str], version: t.Optional[str]) -> str:
            return (
                "running %s from %s\n" % (version or "an unknown version", root or "an unknown place")
                if root or version
                else "not running\n"
            )

        before = line(self.before.root, self.before.version) if self.before else "not running\n"
        if self.action == "stop" and self.before is None:
            before = "about to be started again\n"
        after = (
            before
            if self.action == "none"
            else line(self.target.root, self.target.version)
            if self.target
            else "not running\n"
        )
        return {"before": before, "after": after}


def plan(state: str, status: Status, target: t.Optional[Target], force: bool = False) -> Plan:
    """Pure: what to do so that `state` holds."""
    process = status.process
    if state == "stopped":
        if process is None and status.state not in ("activating", "active"):
            return Plan("none", "it does not run", None, None)
        return Plan("stop", "it runs" if process else "it is %s" % status.state, process, None)
    if target is None:
        raise AssertionError("a plan of this kind has it")
    if process is None:
        return Plan("start", "it does not run", None, target, status.restarts)
    if state == "started":
        return Plan("none", "it runs", process, target, status.restarts)
    reason = _difference(process, target)
    if not reason and status.state not in ("active", "running"):
        reason = "its unit is %s" % status.state
    if not reason and status.unread:
        reason = "its configuration changed after it had started"
    if not reason and force:
        reason = "forced"
    if reason:
        return Plan("restart", reason, process, target, status.restarts)
    return Plan("none", "version %s runs already" % target.version, process, target, status.restarts)


def foresee(base: str, name: str, version: str, status: Status) -> dict[str, str]:
    """What would be done once that version is installed and current, which it need not be yet."""
    found = plan("restarted", status, rehearse(base, name, version))
    return {"action": found.action, "reason": found.reason}


def _difference(process: NodeProcess, target: Target) -> str:
    if not process.root or os.path.realpath(process.root) != target.root:
        return "it runs from %s, not %s" % (process.root or "an unknown place", target.root)
    if process.version != target.version:
        return "it runs version %s, not %s" % (process.version or "unknown", target.version)
    return ""


@dataclass
class Result:
    plan: Plan
    after: t.Optional[NodeProcess] = None
    escalated: str = "none"
    stop: t.Optional[float] = None
    boot: t.Optional[float] = None
    outage: t.Optional[float] = None
    gate: t.Optional[float] = None
    total: float = 0.0
    began: t.Optional[float] = None  # seconds since the epoch; stop, boot and gate follow in this order
    health: t.Optional[Outcome] = None
    notes: list[str] = field(default_factory=list)
    mask: Mask = NOTHING_NAMED

    def facts(self) -> dict[str, t.Any]:
        def seconds(value: t.Optional[float]) -> t.Optional[float]:
            return None if value is None else round(value, 3)

        return {
            "changed": self.plan.changed,
            "action": self.plan.action,
            "reason": self.plan.reason,
            "before": self.plan.before.facts() if self.plan.before else None,
            "after": self.after.facts() if self.after else None,
            "began": seconds(self.began),
            "seconds": {key: seconds(getattr(self, key)) for key in ("stop", "boot", "gate", "outage", "total")},
            "escalated": self.escalated,
            # An answer of the application is part of what a check says, and may hold what nobody should see.
            "health": self.mask.data(self.health.facts()) if self.health else None,
            "boot_id": boot_id() or None,
            "notes": self.mask.each(self.notes),
        }


def apply(
    what: Plan,
    manager: Manager,
    health: Health,
    stop_timeout: float,
    boot_timeout: float,
    lines: int = 50,
    sleep: t.Callable[[float], None] = time.sleep,
) -> Result:
    """Do what the plan says, then prove it. A BeamError carries the facts measured so far and the node's last words."""
    with Pace() as pace:
        return _apply(what, manager, health, stop_timeout, boot_timeout, lines, sleep, pace)


def _apply(
    what: Plan,
    manager: Manager,
    health: Health,
    stop_timeout: float,
    boot_timeout: float,
    lines: int,
    sleep: t.Callable[[float], None],
    pace: Pace,
) -> Result:
    begin, begin_wall = time.monotonic(), time.time()
    result = Result(what, after=what.before, began=begin_wall)
    asked: t.Optional[float] = None
    try:
        preflight(what, manager, health)
        peers = _peers(what, health)
        result.began = time.time()
        if what.action == "stop":
            _stop(what, manager, result, stop_timeout)
        elif what.action == "start":
            if what.target is None:
                raise AssertionError("a plan of this kind has it")
            started = manager.start(what.target, boot_timeout)
            result.after, result.boot = started.process, started.seconds
        elif what.action == "restart":
            if what.target is None or what.before is None:
                raise AssertionError("a plan of this kind has both")
            result.after = None
            stopped, started = manager.restart(what.before, what.target, stop_timeout, boot_timeout)
            result.stop, result.escalated, asked = stopped.seconds, stopped.escalated, stopped.asked
            result.after, result.boot = started.process, started.seconds
        if what.target is not None:
            _prove(what, manager, health, result, asked, sleep, peers)
    except BeamError as error:
        result.total = time.monotonic() - begin
        crash = _crash(manager, what.before, result.after, begin_wall)
        said = [plain(line) for line in manager.log(_MOST)]
        exc = error
        if what.target is not None:
            # What the end of its host did to a node is no verdict on it.
            exc = judged(error, os.path.dirname(os.path.dirname(what.target.root)), pace)
            process = result.after
            exc = explained(
                exc,
                said,
                crash,
                process is not None and process.alive(),
                what.target,
                environment_of(process.pid) if process else {},
            )
        result.mask = _mask(manager, what.before, result.after)
        shown = result.mask.error(exc)
        # `error` belongs to BeamError; the measured values are separate keys.
        log, dump = result.mask.lines(said[-lines:] if lines > 0 else []), result.mask.text(crash)
        details = {**result.facts(), "log": log, "crash": cut(dump, LONGEST) or None, **shown.details}
        raise type(exc)(exc.code, shown.what, shown.why, shown.hint, **details) from None
    if what.target is not None and what.action in ("start", "restart"):
        unasked = health.http is None and health.tcp is None
        result.notes = [
            note
            for note in (alone(result.after), note_of(manager.log(_MOST), result.after, what.target) if unasked else "")
            if note
        ]
    result.total = time.monotonic() - begin
    result.mask = _mask(manager, what.before, result.after)
    return result


def _mask(manager: Manager, *processes: t.Optional[NodeProcess]) -> Mask:
    return manager.mask().also(*(process.argv_cookie for process in processes if process is not None))


def preflight(what: Plan, manager: Manager, health: Health, rehearsal: bool = False) -> None:
    """Raise what can be known to go wrong, while nothing has been touched. Check mode does this much, too."""
    if what.target is not None and what.action in ("start", "restart"):
        look_ahead(manager, what.target, what.before, health.node or BOOTED, rehearsal)


def _peers(what: Plan, health: Health) -> tuple[str, ...]:
    """Whom the node is connected to before it is stopped. One that can't be asked is restarted all the same: often that is why."""
    if what.action != "restart" or what.before is None or health.node is None or not health.node.rejoin:
        return ()
    try:
        return connected(what.before, health.node.timeout)
    except BeamError:
        return ()


def _crash(manager: Manager, before: t.Optional[NodeProcess], after: t.Optional[NodeProcess], since: float) -> str:
    """Why the VM died, in its own words, if it wrote a crash dump meanwhile."""
    for path in filter(
        None, [after.crash_dump if after else "", manager.crash_dump(), before.crash_dump if before else ""]
    ):
        try:
            fresh = os.stat(path).st_mtime >= since - 1
        except OSError:
            continue
        if fresh:
            return slogan(path) or ""
    return ""


def _stop(what: Plan, manager: Manager, result: Result, timeout: float) -> None:
    stopped = manager.stop(what.before, timeout)
    result.stop, result.escalated = stopped.seconds, stopped.escalated
    result.after = None
    left = manager.status().process
    if left is not None:
        raise BeamError(
            "still_running",
            "The node runs again",
            "process %d was started while we stopped it" % left.pid,
            "See who starts it: heart, a timer, a restart policy",
            pid=left.pid,
        )


def _prove(
    what: Plan,
    manager: Manager,
    health: Health,
    result: Result,
    asked: t.Optional[float],
    sleep: t.Callable[[float], None],
    peers: t.Sequence[str],
) -> None:
    target, process = what.target, result.after
    if target is None or process is None:
        raise AssertionError("a plan of this kind has both")
    if what.action != "none":
        if what.before is not None and process.identity == what.before.identity:
            raise BeamError(
                "old_process",
                "The old process still runs",
                "process %d is the one from before" % process.pid,
                "Look at what manages it",
                pid=process.pid,
            )
        reason = _difference(process, target)
        if reason:
            raise BeamError(
                "wrong_release",
                "The node was started, and is not what was expected",
                reason,
                "Check what overrides the release: RELEASE_* in its environment",
            )
    # A unit counts its restarts from our start on; without one, from what they were.
    base = what.restarts if what.action == "none" else None

    def broken() -> str:
        nonlocal base
        status = manager.status()
        now = status.process
        if base is None:
            base = status.restarts
        if now is None:
            return "process %d ended: %s" % (process.pid, manager.ended() or "no process runs it now")
        if now.identity != process.identity:
            return "process %d ended and process %d took its place" % (process.pid, now.pid)
        if status.restarts != base:
            return "its manager restarted it %d times" % (status.restarts - base)
        return ""

    probes = probes_for(health, process, peers)
    outcome = gate(health, probes, broken, sleep=sleep)
    result.health, result.gate = outcome, outcome.seconds
    if asked is not None and outcome.first_pass is not None:
        result.outage = outcome.first_pass - asked
    if not outcome.passed:
        raise BeamError(
            "unhealthy",
            "%s %s does not become healthy" % (target.name, target.version),
            outcome.reason,
            "Read the lines of its log, or go back to the version before",
        )

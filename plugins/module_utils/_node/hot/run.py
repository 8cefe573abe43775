# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A hot upgrade: look, plan, swap, settle, prove; and the way back of each.

The code and the states are swapped inside the node, in one call. Until that has succeeded nothing else is touched, and what fails later puts all
of it back: the same swap in the other direction.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from dataclasses import dataclass, field, replace

from ..._errors import BeamError
from .. import dist, etf
from ..ask import connect
from ..health import Health, Outcome, gate
from ..manager import Manager, Status
from ..probes import probes_for
from ..process import NodeProcess
from ..replaced import releases_of
from ..target import Target, current_root, rehearse, staged
from . import native, scripts
from . import plan as plans
from .config import evaluate
from .facts import Changed, Group, Look, read_look, whom
from .plan import Blocker, Keys, Place, Plan, Wish
from .remote import Remote, chars

_MORE = 30.0  # seconds beyond what the node was given, until its answer must be here


@dataclass(frozen=True)
class Request:
    base: str
    name: str
    wish: Wish
    pointer: str = "current"
    timeout: float = 60.0  # of a look, and of the evaluation of the configuration
    suspend_timeout: float = 5.0
    change_timeout: float = 30.0


@dataclass
class Session:
    """A node that was looked at. With a remote, it can be upgraded."""

    request: Request
    manager: Manager
    process: t.Optional[NodeProcess]
    target: Target
    plan: Plan
    remote: t.Optional[Remote] = None
    configs: tuple[bytes, bytes] = (b"", b"")
    seconds: dict[str, float] = field(default_factory=dict)
    step: str = "look"  # the last that was begun

    @property
    def pointed(self) -> bool:
        return current_root(self.request.base, self.request.pointer) == self.target.root


@dataclass
class Done:
    suspended: float = 0.0  # seconds
    processes: int = 0
    attempts: int = 0
    old_code: tuple[Group, ...] = ()
    health: t.Optional[Outcome] = None


@contextlib.contextmanager
def opened(request: Request, manager: Manager) -> t.Iterator[Session]:
    """The node is asked and nothing is changed; what speaks against an upgrade is in the plan."""
    status = manager.status()
    process = status.process
    base, name, wish = request.base, request.name, request.wish
    target = rehearse(base, name, wish.version)
    place = Place(target.root, target.version)
    start = Place(os.path.realpath(process.root), process.version) if process else None
    blockers = [*_staged(request), *_reachable(process, name)]
    if blockers or process is None:
        yield Session(request, manager, process, target, plans.blocked(wish, place, start, *blockers))
        return
    with connect(process, request.timeout) as node:
        yield looked_at(Session(request, manager, process, target, plans.blocked(wish, place, start)), node, status)


def _staged(request: Request) -> t.Iterator[Blocker]:
    try:
        staged(request.base, request.name, request.wish.version)
    except BeamError as exc:
        yield Blocker("release_missing", "%s: %s" % (exc.what, exc.why))


def _reachable(process: t.Optional[NodeProcess], name: str) -> t.Iterator[Blocker]:
    if process is None:
        yield Blocker("not_running", "%s does not run" % name)
    elif not process.askable:
        why = "it runs without distribution" if process.distribution == "none" else "its distribution speaks TLS"
        yield Blocker("distribution_off", "the node can't be asked: %s" % why)


def looked_at(session: Session, node: dist.Connection, status: Status) -> Session:
    request = session.request
    began = time.monotonic()
    remote = Remote(node)
    process = t.cast(NodeProcess, session.process)
    start = _runs(request, process, remote)
    place = Place(session.target.root, session.target.version)
    look = look_at(remote, request, start, place)
    session.remote = remote
    session.seconds["look"] = time.monotonic() - began
    loaded = native.others(native.libraries(process.pid, request.base), request.base, place.root)
    session.plan = plans.make(request.wish, start, place, look, unread=status.unread, libraries=loaded)
    if start != place and not session.plan.blockers:
        began = time.monotonic()
        old = replace(session.target, root=start.root, version=start.version)
        found = evaluate(process, session.manager, (old, session.target), request.timeout)
        session.configs = (found[0], found[1])
        rows = remote.run(scripts.KEYS, request.timeout, config_from=found[0], config_to=found[1])
        session.plan = replace(session.plan, keys=_keys(rows))
        session.seconds["configuration"] = time.monotonic() - began
    return session


def _runs(request: Request, process: NodeProcess, remote: Remote) -> Place:
    """The release that its code comes from: after a hot upgrade that is not the one that it was booted from."""
    roots = releases_of(request.base, remote.node.call("code", "get_path", timeout=request.timeout))
    if len(roots) != 1:
        raise BeamError(
            "upgrade_unclear",
            "Cannot tell which release node %s runs" % process.node,
            "its code paths name %s of %s"
            % (", ".join(sorted(roots)) or "none", os.path.join(request.base, "releases")),
            "Restart it (alchemist.beam.beam_restart)",
        )
    root = roots.pop()
    found = staged(request.base, request.name, root)
    return Place(found.root, found.version)


def look_at(remote: Remote, request: Request, start: Place, target: Place) -> Look:
    answer = remote.run(scripts.LOOK, request.timeout, **_between(request, start, target))
    return read_look(answer)


def _between(request: Request, start: Place, target: Place) -> dict[str, t.Any]:
    return {
        "from": chars(start.root),
        "from_vsn": chars(start.version),
        "to": chars(target.root),
        "to_vsn": chars(target.version),
        "name": chars(request.name),
    }


def _keys(rows: t.Iterable[tuple[t.Any, t.Any, t.Any, t.Any]]) -> Keys:
    changed: list[str] = []
    new: list[str] = []
    gone: list[str] = []
    for app, *kinds in rows:
        for kind, names in zip((changed, new, gone), kinds):
            kind += ["%s.%s" % (app, plans.shown(str(name))) for name in names]
    return Keys(tuple(sorted(changed)), tuple(sorted(new)), tuple(sorted(gone)))


def apply(
    session: Session, health: Health, point: t.Callable[[], t.Any], sleep: t.Callable[[float], None] = time.sleep
) -> Done:
    """Swap, settle, prove, then point `current` at it. A BeamError says what went wrong, and that the node runs what it ran."""
    done = Done()
    plan = session.plan
    if plan.nothing:
        point()
        return done
    remote = t.cast(Remote, session.remote)
    start, look = t.cast(Place, plan.start), t.cast(Look, plan.look)
    with _timed(session, "swap"):
        _swap(session, remote, plan, done)
    try:
        with _timed(session, "settle"):
            _settle(session, remote, start, plan.target, look, session.configs)
        with _timed(session, "proof"):
            done.old_code = prove(session, remote)
        with _timed(session, "gate"):
            _healthy(session, health, done, sleep)
        with _timed(session, "point"):
            point()
    except BeamError as exc:
        step = session.step
        with _timed(session, "back"):
            raise _back(session, remote, exc, step) from None
    return done


@contextlib.contextmanager
def _timed(session: Session, step: str) -> t.Iterator[None]:
    began = time.monotonic()
    session.step = step
    try:
        yield
    finally:
        session.seconds[step] = time.monotonic() - began


def change_arguments(one: Changed, down: bool) -> tuple[t.Any, t.Any]:
    """What code_change is told as the former version: there, and on the way back. The newer code does both, and names the older version."""
    if down:
        older = _vsn(one.vsn_to)
        return (etf.Atom("down"), older), older
    older = _vsn(one.vsn)
    return older, (etf.Atom("down"), older)


def _vsn(value: t.Any) -> t.Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _swap(session: Session, remote: Remote, plan: Plan, done: Done) -> None:
    look, request = t.cast(Look, plan.look), session.request
    told = plan.suspended
    limit = request.suspend_timeout + request.change_timeout * 2 + _MORE
    answer = remote.run(
        scripts.SWAP,
        limit,
        mods=[
            (etf.Atom(one.module), one.path.encode(), one.md5, one.was_path.encode(), one.was) for one in look.changed
        ],
        fresh=[(etf.Atom(one.module), one.path.encode(), one.md5) for one in look.added],
        change={etf.Atom(one.module): change_arguments(one, plan.down) for one in told},
        among={etf.Atom(one.module): True for one in told},
        events=any(plans.EVENTS in one.behaviours for one in told),
        down=plan.down,
        limit=int(request.suspend_timeout * 1000),
        change_limit=int(request.change_timeout * 1000),
    )
    if answer[0] == "ok":
        done.suspended, done.processes, done.attempts = answer[1] / 1e6, answer[2], answer[3]
        return
    phase, why, who = str(answer[1]), etf.text(answer[2]), whom(answer[3])
    lost = whom(answer[4]) if answer[0] == "back" else ()
    raise _failure(session, phase, why, who, lost, answer[5] / 1e6 if answer[0] == "back" else 0.0)


_PHASES = {
    "busy": "another upgrade of it is under way",
    "old_code": "processes still use code from before",
    "load": "its code can't be loaded",
    "suspend": "its processes could not be suspended",
    "code_change": "code_change failed",
    "lost": "the way back failed",
    "swap": "the swap failed",
    "paths": "its code paths could not be changed",
    "specs": "its applications' specifications could not be changed",
    "config_change": "config_change failed",
    "settle": "what follows the swap failed",
    "proof": "what runs is not what the release holds",
    "gate": "its health checks do not hold",
}


def _failure(
    session: Session,
    phase: str,
    why: str,
    who: t.Sequence[str] = (),
    lost: t.Sequence[str] = (),
    suspended: float = 0.0,
) -> BeamError:
    what = "%s %s is not running hot" % (session.target.name, session.target.version)
    reason = ": ".join(part for part in (_PHASES.get(phase, phase), why, ", ".join(who)) if part)
    details = {
        "phase": phase,
        "lost": list(lost),
        "suspended_ms": round(suspended * 1000, 3),
        **session.plan.facts(),
    }
    version = session.plan.start.version if session.plan.start else "the version before"
    if phase == "busy":
        return BeamError("upgrade_busy", what, reason, "Wait for it, and run it again", **details)
    if phase == "lost":
        hint = "Restart the node: what it runs is not known (alchemist.beam.beam_restart)"
        return BeamError("upgrade_lost", what, reason, hint, **details)
    hint = "The node goes on with %s and its state" % version
    if lost:
        hint += ", but for processes that were ended or keep a state of the other version: %s" % ", ".join(lost)
    return BeamError("upgrade_failed", what, reason, hint, **details)


def _settle(
    session: Session, remote: Remote, start: Place, target: Place, look: Look, configs: tuple[bytes, bytes]
) -> None:
    request = session.request
    answer = remote.run(
        scripts.SETTLE,
        request.timeout + _MORE,
        **_between(request, start, target),
        config_from=configs[0],
        config_to=configs[1],
        specs=list(map(etf.Atom, look.specs)),
        removed=list(map(etf.Atom, look.removed)),
        purge=[etf.Atom(one.module) for one in look.changed if not one.functions],
        limit=int(request.change_timeout * 1000),
    )
    if answer[0] != "ok":
        raise _failure(session, str(answer[1]), etf.text(answer[2]))


def prove(session: Session, remote: Remote) -> tuple[Group, ...]:
    """What is loaded is what the release holds, and the applications say its versions. Who runs old code still is named."""
    target = session.plan.target
    if _runs(session.request, t.cast(NodeProcess, session.process), remote) != target:
        raise _failure(session, "proof", "its code paths are not those of the release")
    look = look_at(remote, session.request, target, target)
    wrong = [plans.shown(one.module) for one in look.changed]
    if wrong:
        raise _failure(session, "proof", "loaded modules differ from the release: %s" % ", ".join(wrong[:5]))
    loaded = {one.name: one.version for one in look.loaded}
    odd = [one.name for one in look.apps_to if loaded.get(one.name, one.version) != one.version]
    if odd:
        raise _failure(session, "proof", "applications say another version: %s" % ", ".join(odd))
    return look.old_code


def _healthy(session: Session, health: Health, done: Done, sleep: t.Callable[[float], None]) -> None:
    process = t.cast(NodeProcess, session.process)

    def broken() -> str:
        return "" if process.alive() else "process %d ended" % process.pid

    done.health = gate(health, probes_for(health, process), broken, sleep=sleep)
    if not done.health.passed:
        raise _failure(session, "gate", done.health.reason)


def _back(session: Session, remote: Remote, cause: BeamError, step: str) -> BeamError:
    """The same in the other direction. What went wrong stays the reason."""
    plan = session.plan
    start = t.cast(Place, plan.start)
    try:
        look = look_at(remote, session.request, plan.target, start)
        _swap(session, remote, replace(plan, look=look, down=not plan.down), Done())
        _settle(session, remote, plan.target, start, look, (session.configs[1], session.configs[0]))
    except BeamError as exc:
        why = "%s; and the way back failed: %s" % (cause.why, exc.why)
        hint = "Restart the node: what it runs is not known (alchemist.beam.beam_restart)"
        return BeamError("upgrade_lost", cause.what, why, hint, **{**cause.details, "phase": "lost"})
    if cause.code in ("upgrade_failed", "upgrade_unclear"):
        return cause
    hint = "The node goes on with %s and its state" % start.version
    what = "%s %s is not running hot" % (session.target.name, session.target.version)
    return BeamError(
        "upgrade_failed", what, cause.message.rstrip("."), hint, **{**cause.details, **plan.facts(), "phase": step}
    )

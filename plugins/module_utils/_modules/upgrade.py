# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module beam_upgrade: its options, and what becomes of them."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._errors import BeamError
from .._host.fence import check_fence, fence_of, installed_digest
from .._node.ending import boot_id
from .._node.hot.plan import ACCEPTABLE, Blocker, Place, Wish
from .._node.hot.rehearsal import RESTART, Verdict, rehearse
from .._node.hot.run import Done, Request, Session, apply, opened
from .._node.manager import Manager
from .._node.process import NodeProcess
from .._node.replaced import remember
from .._node.spec import HEALTH_SPEC, NODE_SPEC, health_of, manager_of
from . import install, restart
from .in_turn import in_turn

Options = t.Mapping[str, t.Any]

_RESTART = ("stop_timeout", "boot_timeout", "lines")
OPTIONS: dict[str, t.Any] = {
    **NODE_SPEC,
    "version": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "on_blocked": {"type": "str", "choices": ["fail", "restart"], "default": "fail"},
    "downgrade": {"type": "bool", "default": False},
    "expect_running": {"type": "str"},
    "ghosts": {"type": "list", "elements": "str", "default": []},
    "accept": {"type": "list", "elements": "str", "choices": list(ACCEPTABLE), "default": []},
    "suspend_timeout": {"type": "float", "default": 5.0},
    "change_timeout": {"type": "float", "default": 30.0},
    "timeout": {"type": "float", "default": 60.0},
    "rehearse": {"type": "bool", "default": False},
    "rehearse_env": {"type": "dict", "default": {}, "no_log": True},
    "abi_ignore": install.OPTIONS["abi_ignore"],
    **{key: restart.OPTIONS[key] for key in _RESTART},
    "fence": {"type": "int"},
    "fence_channel": {"type": "str"},
    "health": HEALTH_SPEC,
}
# What else AnsibleModule is told of them.
RULES: dict[str, t.Any] = {"required_together": [("fence", "fence_channel")]}
_ALL = 1_000_000  # releases to keep: an upgrade removes none


def work(options: Options, check_mode: bool) -> dict[str, t.Any]:
    began, begun = time.time(), time.monotonic()
    _check(options)
    check_fence(options["base"], options["name"], fence_of(options))
    manager = manager_of(options)
    try:
        return {"began": round(began, 3), **_work(options, manager, check_mode, begun)}
    except BeamError as exc:
        # What an application says of why may hold what nobody should see.
        raise manager.mask().error(exc) from None


def _work(options: Options, manager: Manager, check_mode: bool, begun: float) -> dict[str, t.Any]:
    health = health_of(options["health"])
    with opened(_request(options), manager) as session:
        action = _action(session, options["on_blocked"])
        verdict: t.Optional[Verdict] = None
        if action == "hot" and options["rehearse"]:
            verdict = _rehearse(session, options)
            action = _action(session, options["on_blocked"])
        done: t.Optional[Done] = None
        result: dict[str, t.Any] = {}
        if action == "blocked" and not check_mode:
            raise _blocked(session)
        if action != "restart":
            pointed: dict[str, t.Any] = _point(options, True) if action != "blocked" else {}
            if action == "hot" and not check_mode and session.process is not None:
                remember(options["base"], options["pointer"], session.process)
            if not check_mode and action != "blocked":
                done = apply(session, health, lambda: pointed.update(_point(options, False)))
            result = {key: pointed[key] for key in ("warnings", "diff") if pointed.get(key)}
    if action == "restart":
        result = _restart(options, check_mode)
    before = _ran(session.process, session.plan.start)
    after = before if check_mode or action == "blocked" else _ran(session.process, session.plan.target)
    return {
        "changed": action not in ("none", "blocked"),
        **result,
        "action": action,
        **session.plan.facts(),
        **_measured(session, done or Done()),
        "rehearsal": verdict.facts() if verdict else None,
        "before": before,
        "after": result["restart"].get("after") if action == "restart" else after,
        "boot_id": boot_id() or None,
        "seconds": {
            **{step: round(seconds, 3) for step, seconds in session.seconds.items()},
            "total": round(time.monotonic() - begun, 3),
        },
    }


def _check(options: Options) -> None:
    for name in ("suspend_timeout", "change_timeout", "timeout"):
        if options[name] <= 0:
            why = "%s is %g seconds" % (name, options[name])
            raise BeamError("timeout_invalid", "Nothing can be upgraded", why, "Give more than 0")


def _request(options: Options) -> Request:
    digest = installed_digest(options["base"], options["name"], options["version"])
    if options["digest"] and digest and digest != options["digest"]:
        why = "another release of the same version is staged (digest %s, not %s)" % (
            digest[:12],
            options["digest"][:12],
        )
        raise BeamError(
            "version_differs", "Cannot upgrade to %s" % options["version"], why, "Publish it under a version of its own"
        )
    wish = Wish(
        options["version"],
        options["digest"] or digest,
        options["downgrade"],
        options["expect_running"],
        tuple(options["ghosts"]),
        tuple(options["accept"]),
    )
    return Request(
        options["base"],
        options["name"],
        wish,
        options["pointer"],
        options["timeout"],
        options["suspend_timeout"],
        options["change_timeout"],
    )


def _action(session: Session, on_blocked: str) -> str:
    if session.plan.blockers:
        return "restart" if on_blocked == "restart" else "blocked"
    if not session.plan.nothing:
        return "hot"
    return "none" if session.pointed else "point"


def _rehearse(session: Session, options: Options) -> Verdict:
    """What the rehearsal has found speaks against the upgrade as a blocker does."""
    switches = {str(name): str(value) for name, value in options["rehearse_env"].items()}
    found = rehearse(session, switches, options["boot_timeout"])
    if found.action == RESTART:
        blocker = Blocker("rehearsal_differs", "the rehearsal says restart: %s" % "; ".join(found.why))
        session.plan = dataclasses.replace(session.plan, blockers=(*session.plan.blockers, blocker))
    return found


def _blocked(session: Session) -> BeamError:
    plan = session.plan
    hint = "Restart the node on it (on_blocked: restart does so), or remove the reason. Nothing was touched"
    if [one.code for one in plan.blockers] == ["not_newer"]:
        hint = "Say downgrade: true to go back all the same. Nothing was touched"
    return BeamError(
        "upgrade_blocked",
        "%s %s can't be upgraded hot" % (session.target.name, session.target.version),
        "; ".join(one.why for one in plan.blockers),
        hint,
        **plan.facts(),
    )


def _given(spec: Options, options: Options, **more: t.Any) -> dict[str, t.Any]:
    """The options of one of the modules, as AnsibleModule would hand them over."""
    given = {**{key: value for key, value in options.items() if key in spec}, **more}
    return {key: given[key] if key in given else option.get("default") for key, option in spec.items()}


def _point(options: Options, check_mode: bool) -> dict[str, t.Any]:
    """`current` is switched as release_install switches it."""
    more = {"version": options["version"], "digest": None, "state": "active", "keep": _ALL}
    return install.work(_given(install.OPTIONS, options, **more), check_mode)


def _restart(options: Options, check_mode: bool) -> dict[str, t.Any]:
    expected = {"expect_version": options["version"], "state": "restarted", "force": False}
    given = _given(restart.OPTIONS, options, **expected)
    done = in_turn(lambda: _point(options, check_mode), lambda: restart.work(given, check_mode))
    shown: dict[str, t.Any] = {key: done[key] for key in ("warnings", "diff") if key in done}
    return {**shown, "changed": done["changed"], "restart": {key: done[key] for key in done if key not in shown}}


def _ran(process: t.Optional[NodeProcess], place: t.Optional[Place]) -> t.Optional[dict[str, t.Any]]:
    """The process with the release that its code comes from."""
    if process is None:
        return None
    if place is None or os.path.realpath(process.root) == place.root:
        return process.facts()
    return dataclasses.replace(process, root=place.root, version=place.version, booted=process.version).facts()


def _measured(session: Session, done: Done) -> dict[str, t.Any]:
    process = session.process
    return {
        "suspended_ms": round(done.suspended * 1000, 3),
        "suspended": done.processes,
        "attempts": done.attempts,
        "old_code": [group.facts() for group in done.old_code],
        "health": session.manager.mask().data(done.health.facts()) if done.health else None,
        "node": process.facts() if process else None,
    }

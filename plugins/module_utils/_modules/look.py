# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module rollout_look: it stages a release on one server and reports what that server runs, in one call."""

from __future__ import annotations

import typing as t

from .._balancer.file import readiness
from .._errors import BeamError
from .._node.spec import HEALTH_SPEC
from .._node.target import instance_of
from .._store.spec import STORE_SPEC
from . import info, install, restart

Options = t.Mapping[str, t.Any]

_STAGE = ("digest", "presigned", "keep", "min_free_mb", "verify", "lock_timeout", "abi_ignore", "allow_ghost")
_NODE = ("name", "base", "manager", "unit", "colors", "expect_version", "crash_dumps", "modified", "timeout")
OPTIONS: dict[str, t.Any] = {
    **{key: option for key, option in install.OPTIONS.items() if key in _STAGE or key in STORE_SPEC},
    **{key: info.OPTIONS[key] for key in _NODE},
    "healths": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"pointer": {"type": "str", "required": True}, "health": {**HEALTH_SPEC, "required": True}},
    },
    "force": {"type": "bool", "default": False},
    "ready": {"type": "dict", "options": {"path": {"type": "path", "required": True}, "url": {"type": "str"}}},
}


def work(options: Options, check_mode: bool) -> dict[str, t.Any]:
    """Each part of the answer by its name. If one fails, the error also has the parts before it."""
    found: dict[str, dict[str, t.Any]] = {}
    for name, part in _PARTS.items():
        try:
            said = part(options, found, check_mode)
        except BeamError as exc:
            raise BeamError(exc.code, exc.what, exc.why, exc.hint, **{**exc.details, **found}) from exc
        if said is not None:
            found[name] = said
    staged = found.get("staged", {})
    # What Ansible shows of a task, and would not find in a part.
    shown: dict[str, t.Any] = {key: staged.pop(key) for key in ("warnings", "diff") if key in staged}
    return {"changed": bool(staged.get("changed")), **shown, **found}


def _stage(options: Options, _found: Options, check_mode: bool) -> dict[str, t.Any] | None:
    if not options["digest"]:
        return None
    return install.work(_given(install.OPTIONS, options, state="staged"), check_mode)


def _see(options: Options, _found: Options, _check_mode: bool) -> dict[str, t.Any]:
    healths = {one["pointer"]: one["health"] for one in options["healths"]}
    return info.look(_given(info.OPTIONS, options), healths.get)


def _foresee(options: Options, found: Options, _check_mode: bool) -> dict[str, t.Any] | None:
    """Of two nodes, what would be done to the one that does not serve: where the other one may not stay."""
    seen = found["seen"]
    idle = seen["idle"]
    if not idle or not seen["restart"] or (seen["restart"]["action"] == "none" and not options["force"]):
        return None
    unit = instance_of(options["unit"] or options["name"], idle)
    foreseen = restart.work(_given(restart.OPTIONS, options, pointer=idle, unit=unit, force=False), check_mode=True)
    return {"action": foreseen["action"], "reason": foreseen["reason"]}


def _ready(options: Options, _found: Options, _check_mode: bool) -> dict[str, t.Any] | None:
    if not options["ready"]:
        return None
    return dict(readiness(options["ready"]))


def _given(spec: Options, options: Options, **more: t.Any) -> dict[str, t.Any]:
    """The options of one of the modules, as AnsibleModule would hand them over."""
    given = {**options, **more}
    return {key: given[key] if key in given else option.get("default") for key, option in spec.items()}


_PARTS: dict[str, t.Callable[[Options, Options, bool], dict[str, t.Any] | None]] = {
    "staged": _stage,
    "seen": _see,
    "foreseen": _foresee,
    "ready": _ready,
}

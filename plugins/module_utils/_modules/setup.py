# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module service_setup: its options, and what becomes of them."""

from __future__ import annotations

import os
import typing as t

from .._errors import BeamError
from .._host.claim import Claim, of_service
from .._host.selinux import advice
from .._host.setup import MODE, Place, Server, User, apply_plan, new_cookie, plan_of, text_of

_PLACE: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "required": True},
}
OPTIONS: dict[str, t.Any] = {
    "unit": {"type": "str", "required": True},
    "suffixes": {"type": "list", "elements": "str", "default": []},
    "user": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "home": {"type": "path"},
    "create_user": {"type": "bool", "default": True},
    "base": {"type": "path", "required": True},
    "adopt": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "int", "default": []},
    "directories": {"type": "list", "elements": "dict", "default": [], "options": _PLACE},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {**_PLACE, "content": {"type": "str", "required": True}},
    },
    # Of what is hidden within another option, a module writes to the system log all that has more than one line. So these are options of their own.
    "settings": {"type": "dict", "default": {}, "no_log": True},
    "cookie_file": {"type": "path"},
    "cookie": {"type": "str", "no_log": True},
    "enabled": {"type": "bool"},
}
Options = t.Mapping[str, t.Any]
ROOT = ("root", "root")
OTHER_COOKIE = (
    "%s gets another cookie. Nodes that run keep the former one until they restart. To change it in running nodes, so that a cluster is not split,"
    " take this change back and run alchemist.beam.rotate"
)


def run_setup(options: Options, check_mode: bool) -> dict[str, t.Any]:
    plan = plan_of(_server(options), _claim(options))
    noting = plan.claim is not None
    diff = plan.diff()
    warnings = advice(options["base"])
    if any(_replaces_cookie(place, options) for place in plan.places):
        warnings.append(OTHER_COOKIE % options["cookie_file"])
    if not check_mode:
        apply_plan(plan)
    return {
        "changed": plan.changed or noting,
        "changes": list(plan.changes),
        "diff": diff,
        **({"warnings": warnings} if warnings else {}),
    }


def _replaces_cookie(place: Place, options: Options) -> bool:
    if place.path != options["cookie_file"] or place.once:
        return False
    return os.path.exists(place.path) and text_of(place.path) != place.content


def _place(one: Options) -> Place:
    if not MODE.fullmatch(one["mode"]):
        raise BeamError(
            "mode_invalid",
            "%s can't be made" % one["path"],
            "%s is no mode such as 0644" % one["mode"],
            "Give four octal digits, in quotes",
        )
    return Place(**one)


def _claim(options: Options) -> Claim:
    instances = [options["unit"] + suffix for suffix in options["suffixes"] or [""]]
    wanted = of_service(
        options["unit"],
        instances,
        options["user"],
        options["group"],
        options["base"],
        options["create_user"],
        options["adopt"],
        options["ports"],
    )
    return Claim(wanted)


def _server(options: Options) -> Server:
    users = (User(options["user"], options["group"], options["home"] or "/var/lib/" + options["unit"]),)
    files = [Place(path, *ROOT, "0600", str(text), hidden=True) for path, text in options["settings"].items()]
    if options["cookie_file"]:
        given = options["cookie"] or ""
        account = options["user"], options["group"]
        cookie = Place(options["cookie_file"], *account, "0400", given or new_cookie(), hidden=True, once=not given)
        files.insert(0, cookie)
    files += [_place(one) for one in options["files"]]
    unit = ("%s.service" % options["unit"],)
    return Server(
        users=users if options["create_user"] else (),
        directories=tuple(_place(one) for one in options["directories"]),
        files=tuple(files),
        enable=unit if options["enabled"] is True else (),
        disable=unit if options["enabled"] is False else (),
    )

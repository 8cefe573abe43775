# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module beam_cookie: a new cookie for the nodes of a server, without a restart."""

from __future__ import annotations

import typing as t

from .._node.cookie import Rotation, check_cookie, rotate
from .._node.spec import manager_of, managers_of
from . import node

OPTIONS: dict[str, t.Any] = {
    **node.OPTIONS,
    "cookie": {"type": "str", "required": True, "no_log": True},
    "former": {"type": "str", "default": "", "no_log": True},
    "state": {"type": "str", "choices": ["present", "looked"], "default": "present"},
    "timeout": {"type": "float", "default": 5.0},
}


def work(options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    looks = options["state"] == "looked"
    wanted = Rotation(
        check_cookie(options["cookie"]), options["former"], options["timeout"], check_mode=check_mode or looks
    )
    managers = managers_of(options) if options["colors"] else {options["pointer"]: manager_of(options)}
    found = rotate(managers, wanted)
    return {**found, "changed": found["changed"] and not looks}

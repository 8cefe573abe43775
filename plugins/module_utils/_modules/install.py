# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module release_install: its options, and what becomes of them. Apart from the module, so that rollout_host does the same."""

from __future__ import annotations

import typing as t

from .._host.fence import fence_of
from .._host.install import Request, install
from .._host.resolve import Wanted
from .._host.source import open_source
from .._store.spec import store_spec

OPTIONS: dict[str, t.Any] = {
    **store_spec(store={"required": False}),
    "name": {"type": "str", "required": True},
    "base": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["staged", "active", "inactive", "absent"], "default": "staged"},
    "channel": {"type": "str"},
    "version": {"type": "str"},
    "digest": {"type": "str"},
    "presigned": {"type": "dict", "no_log": True},
    "keep": {"type": "int", "default": 5},
    "min_free_mb": {"type": "int", "default": 100},
    "verify": {"type": "bool", "default": False},
    "allow_ghost": {"type": "bool", "default": False},
    "allow_older_serial": {"type": "bool", "default": False},
    "lock_timeout": {"type": "int", "default": 60},
    "pointer": {"type": "str", "default": "current"},
    "fence": {"type": "int"},
    "fence_channel": {"type": "str"},
    "abi_ignore": {"type": "list", "elements": "str", "default": []},
}
# Further arguments of AnsibleModule about them.
RULES: dict[str, t.Any] = {
    "required_together": [("fence", "fence_channel")],
    "mutually_exclusive": [("channel", "version", "digest")],
    "required_if": [
        ("state", state, ("channel", "version", "digest"), True) for state in ("staged", "active", "absent")
    ],
}


def work(options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    wanted = Wanted(
        options["name"],
        options["channel"],
        options["version"],
        options["digest"],
        options["allow_ghost"],
        options["allow_older_serial"],
    )
    request = Request(
        wanted,
        options["base"],
        options["state"],
        options["keep"],
        options["min_free_mb"],
        options["verify"],
        options["lock_timeout"],
        fence_of(options),
        options["pointer"],
        options["abi_ignore"],
    )
    return install(request, lambda: open_source(options), check_mode)

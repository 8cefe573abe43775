# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module service_settings: a node's environment files, replaced under the fence of a rollout."""

from __future__ import annotations

import typing as t

from .._host.fence import check_fence, fence_of
from .._node.settings import STATES, run_settings

OPTIONS: dict[str, t.Any] = {
    "files": {"type": "list", "elements": "path", "required": True},
    "state": {"type": "str", "choices": list(STATES), "required": True},
    "name": {"type": "str", "required": True},
    "base": {"type": "path", "required": True},
    "fence": {"type": "int"},
    "fence_channel": {"type": "str"},
}
RULES: dict[str, t.Any] = {"required_together": [("fence", "fence_channel")]}


def work(options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    check_fence(options["base"], options["name"], fence_of(options))
    return run_settings(options["files"], options["state"], check_mode)

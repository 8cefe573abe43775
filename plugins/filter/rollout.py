# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What the role `rollout` decides between its tasks. Each filter is documented in the file of its name beside this one.

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of

Vars = t.Mapping[str, t.Any]


def rollout_urls(documents: Vars, layers: Vars, lacks: t.Iterable[str]) -> dict[str, str]:
    """The URLs that one server needs: of the documents, and of the layers that it lacks."""
    wanted = set(lacks)
    mine = {key: url for key, url in layers.items() if key.rsplit("/", 1)[-1].split(".", 1)[0] in wanted}
    return {**documents, **mine}


def _told(work: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(work)
    def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return work(*args, **kwargs)
        except BeamError as exc:
            raise AnsibleFilterError(NOTHING_NAMED.text(exc.message)) from exc

    return wrapped


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        found: dict[str, t.Callable[..., t.Any]] = {
            "rollout_members": members_of,
            "rollout_urls": rollout_urls,
        }
        return {name: _told(work) for name, work in found.items()}

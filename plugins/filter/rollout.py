# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What the role `rollout` makes of URLs between its tasks. It is documented in the file of its name beside this one.

from __future__ import annotations

import typing as t

Vars = t.Mapping[str, t.Any]


def rollout_urls(documents: Vars, layers: Vars, lacks: t.Iterable[str]) -> dict[str, str]:
    """The URLs that one server needs: of the documents, and of the layers that it lacks."""
    wanted = set(lacks)
    mine = {key: url for key, url in layers.items() if key.rsplit("/", 1)[-1].split(".", 1)[0] in wanted}
    return {**documents, **mine}


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"rollout_urls": rollout_urls}

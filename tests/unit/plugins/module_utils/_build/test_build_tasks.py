# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.tasks import in_order

PHOENIX = {"assets.deploy": ("tailwind shop --minify", "esbuild shop --minify", "phx.digest"), "setup": ("deps.get", "assets.setup")}


@pytest.mark.parametrize(
    ("before", "after", "aliases", "expected"),
    [
        (["gen.proto"], [], {}, (["gen.proto"], [])),
        ([], ["assets.deploy"], PHOENIX, ([], ["assets.deploy"])),
        (["assets.deploy"], [], PHOENIX, ([], ["assets.deploy"])),
        (["assets.deploy"], [], {"assets.deploy": ()}, ([], ["assets.deploy"])),  # a function
        (["compile", "assets.deploy"], ["last"], PHOENIX, (["compile"], ["assets.deploy", "last"])),
        (["shop.assets"], [], {"shop.assets": ("cmd npm ci", "web.assets"), "web.assets": ("phx.digest",)}, ([], ["shop.assets"])),
        (["a"], [], {"a": ("b",), "b": ("a",)}, (["a"], [])),  # in a circle
        (["a"], [], {"a": ("a --more", "")}, (["a"], [])),  # an alias that extends the task of its name
    ],
)
def test_order(before: list[str], after: list[str], aliases: dict[str, t.Sequence[str]], expected: tuple[list[str], list[str]]) -> None:
    found = in_order([(task,) for task in before], [(task,) for task in after], aliases)
    assert ([task for (task,) in found[0]], [task for (task,) in found[1]]) == expected


def test_a_task_of_a_child() -> None:
    assets, other = ("do", "--app", "web", "assets.deploy"), ("do", "gen.proto,", "gen.docs")
    assert in_order([assets, other], [], {}) == ([other], [assets])

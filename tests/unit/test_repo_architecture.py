# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/architecture.md names what is there, and all of it, with what it may use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.tests.unit import test_repo_modules as modules

ROOT = Path(__file__).resolve().parents[2]
UTILS = ROOT / "plugins" / "module_utils"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# | `_package` | what it is about | `_other`, `_another` |
ROWS = re.compile(r"^\| `(_[a-z]+)` \| [^|]+ \|([^|]*)\|$", re.MULTILINE)


def test_each_package_is_there_with_what_it_may_use() -> None:
    told = {name: set(re.findall(r"`(_[a-z]+)`", used)) for name, used in ROWS.findall(TEXT)}
    assert told == modules.MAY_USE
    assert set(told) == {
        path.name for path in UTILS.iterdir() if path.is_dir() and path.name.startswith("_") and any(path.glob("*.py"))
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in UTILS.glob("_*.py")))
def test_each_leaf_is_named(name: str) -> None:
    assert "`%s`" % name in TEXT


def test_what_is_named_is_there() -> None:
    for name in re.findall(r"`(_[a-z_]+)`", TEXT):
        assert (UTILS / name).is_dir() or (UTILS / (name + ".py")).is_file(), name
    for path in re.findall(r"`(_[a-z]+/[a-z_]+\.py)`", TEXT):
        assert (UTILS / path).is_file(), path
    for path in re.findall(r"`((?:plugins|roles|playbooks|tests)[a-z_/.]*)`", TEXT):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`([a-z_]+\.py)`", TEXT):
        assert (UTILS / "_bootstrap" / name).is_file(), name
    for name in re.findall(r"\*\*`([a-z_]+)`\*\*", TEXT):
        assert (ROOT / "plugins" / "modules" / (name + ".py")).is_file(), name

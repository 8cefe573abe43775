# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/trust.md: all that one party writes and another one believes has a row, and what the rows name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import BALANCERS_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import notes
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import SOURCES
from ansible_collections.alchemist.beam.plugins.module_utils._host.layout import NAMES
from ansible_collections.alchemist.beam.plugins.module_utils._node import ending
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import Health
from ansible_collections.alchemist.beam.plugins.module_utils._store import check, keys

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
TABLES = TEXT[TEXT.index("## The store") : TEXT.index("## What is not bounded")]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TABLES.splitlines()
    if line.startswith("|") and "---" not in line
]
NAMED = [set(re.findall(r"`([^`]+)`", row[0])) for row in ROWS]


def known() -> list[str]:
    """What the code knows of: places in a store, names in a base, sources of an identity, kinds of balancers and of health checks."""
    kinds = ["%s/" % kind for kind in keys.KINDS]
    checks = ["health." + name for name, field in Health.__dataclass_fields__.items() if "Check" in str(field.type)]
    return [*kinds, check.PREFIX, *NAMES, *SOURCES, *BALANCERS_SPEC["options"]["kind"]["choices"], *checks]


@pytest.mark.parametrize("what", known())
def test_each_has_a_row(what: str) -> None:
    assert any(what in names for names in NAMED)


def test_no_row_is_of_a_place_in_a_store_that_is_gone() -> None:
    places = {name for names in NAMED for name in names if re.fullmatch(r"\.?[a-z]+/", name)}
    assert places == {"%s/" % kind for kind in keys.KINDS} | {check.PREFIX}


def test_the_kinds_of_a_store_are_those_of_its_keys() -> None:
    assert set(re.findall(r'"%s/(\w+)/', Path(keys.__file__).read_text(encoding="utf-8"))) == set(keys.KINDS)


def test_a_base_knows_all_its_notes() -> None:
    assert {ending.FILE, notes.FILE} <= set(NAMES)


def test_each_row_says_who_and_what() -> None:
    for row in ROWS:
        assert len(row) == 5 and all(row[:3]), row[0]
        assert row[3] or row[4], row[0]


def test_each_row_that_is_bounded_names_code_and_tests() -> None:
    for row in ROWS:
        if row[3] and row[0] != "what":
            assert re.search(r"`_\w+(\.\w+)?`", row[3]) and re.search(r"`test_\w+`", row[3]), row[0]


def test_each_module_that_is_named_is_there() -> None:
    names = set(re.findall(r"`(_[a-z]\w*(?:\.\w+)?)`", TEXT))
    assert len(names) > 50
    places = [ROOT / "plugins" / place for place in ("module_utils", "plugin_utils")]
    assert [
        name
        for name in sorted(names)
        if not any((place / (name.replace(".", "/") + ".py")).exists() for place in places)
    ] == []


def test_each_test_that_is_named_is_there() -> None:
    names = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(names) > 80
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert sorted(names - set(re.findall(r"^\s*def (test_\w+)", written, re.MULTILINE))) == []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for all of the repository: files of roles have a mode, options that hold secrets are hidden, and no hint is spoilt by the mask."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKES = ("copy", "template", "file", "get_url", "unarchive", "lineinfile", "blockinfile", "assemble")
TASKS = [
    *sorted((ROOT / "roles").glob("*/tasks/*.yml")),
    *sorted((ROOT / "roles").glob("*/handlers/*.yml")),
    *sorted((ROOT / "playbooks").glob("*.yml")),
]


class Loader(yaml.SafeLoader):
    """Tags such as !unsafe say nothing here."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def tasks(entries: t.Any) -> t.Iterator[dict[str, t.Any]]:
    left = list(entries or ())
    while left:
        entry = left.pop(0)
        yield entry
        left += [
            one
            for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
            for one in entry.get(key) or ()
        ]


@pytest.mark.parametrize("path", TASKS, ids=[str(path.relative_to(ROOT)) for path in TASKS])
def test_what_a_role_makes_has_its_mode_whatever_the_umask(path: Path) -> None:
    for task in tasks(Loader(path.read_text(encoding="utf-8")).get_single_data()):
        for name in MAKES:
            given = task.get("ansible.builtin." + name)
            assert not isinstance(given, dict) or given.get("state") == "absent" or "mode" in given, task.get("name")


def test_no_hint_is_spoilt_by_the_mask() -> None:
    """The texts of errors go through it on their way to a user."""
    pytest.importorskip("ansible_collections.alchemist.beam")
    from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED

    spoilt = []
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("BeamError", "Conflict", "NotFound"):
                for text in (
                    one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ):
                    spoilt += [(path.name, text)] if NOTHING_NAMED.text(text) != text else []
    assert spoilt == []


def test_what_is_shown_without_a_module_is_masked_too() -> None:
    """Actions, filters and what they use: no module masks their errors. `_settings` is told by the action settings_check, which masks all that it says."""
    shows = re.compile(r"\bexc\.(message\b|as_result\()")
    files = [
        path
        for path in sorted((ROOT / "plugins").glob("*/*.py"))
        if path.parent.name not in ("modules", "module_utils")
    ]
    found = {
        path.name
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if shows.search(line) and "NOTHING_NAMED" not in line
    }
    assert found == {"_settings.py", "erlang_address.py"}  # the second one of an address alone

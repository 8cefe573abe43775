# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node.drift import Wanted, differs, run_drift

ENV = "# Copyright (c) 2026, alchemist.beam contributors\nPORT='4000'\nSECRET_KEY_BASE='hunter2hunter2'\n"
UNIT = "# Copyright (c) 2026, alchemist.beam contributors\n[Service]\nExecStart=/srv/shop/current/bin/shop start\nLimitNOFILE=65536\nEnvironment=A=1\n"


@pytest.mark.parametrize(
    ("meant", "found", "kind", "said"),
    [
        (ENV, ENV, "env", ""),
        (ENV, "# another comment\n" + ENV.split("\n", 1)[1] + "MINE='1'\n", "env", ""),
        (
            ENV + "PHX_SERVER='true'\n",
            ENV.replace("4000", "4001") + "OLD='1'\n",
            "env",
            "/x: new: PHX_SERVER; gone: OLD; changed: PORT",
        ),
        (ENV, ENV.replace("hunter2hunter2", "other"), "env", "/x: changed: SECRET_KEY_BASE"),
        (ENV, None, "env", "/x is not there (PORT, SECRET_KEY_BASE)"),
        ("# nothing is set\n", None, "env", ""),
        (UNIT, UNIT, "unit", ""),
        (UNIT, UNIT.replace("65536", "1024").replace("Environment=A=1\n", ""), "unit", "/x: Environment, LimitNOFILE"),
        # Somebody's own unit, and one that is not there: nothing of ours.
        (UNIT, "[Service]\nExecStart=/opt/shop\n", "unit", ""),
        (UNIT, None, "unit", ""),
        ("a\n", "# c\na\n", "text", ""),
        ("a\n", "b\n", "text", "/x is of another version of this collection, or of other settings"),
        ("", "cookie", "secret", ""),
        ("cookie", "cookie\n", "secret", ""),
        ("cookie", "other", "secret", "/x: its content"),
        ("cookie", None, "secret", "/x: its content"),
    ],
)
def test_what_differs_is_named_and_no_value_is_told(meant: str, found: t.Any, kind: str, said: str) -> None:
    assert differs(Wanted("/x", meant, kind), found) == said
    assert "hunter2" not in said


def test_names_that_are_not_meant() -> None:
    assert differs(Wanted("/x", "A='1'\n", "env", ("RELEASE_COOKIE",)), "RELEASE_COOKIE='x'\nA='1'\n") == ""


def test_a_server_is_compared(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(ENV)
    files = [
        {"path": str(tmp_path / "env"), "content": ENV, "kind": "env", "ignore": []},
        {"path": str(tmp_path / "no"), "content": "A=1", "kind": "env"},
    ]
    copies = [{"path": "ca.pem", "content": "PEM"}, {"path": str(tmp_path / "key"), "content": "new"}]
    (tmp_path / "ca.pem").write_text("PEM\n")
    (tmp_path / "key").write_text("old")
    found = run_drift([{"ignore": [], **file} for file in files], copies, str(tmp_path))
    assert found == {
        "changed": False,
        "differs": ["%s is not there (A)" % (tmp_path / "no"), "%s: its content" % (tmp_path / "key")],
        "settings": ["%s is not there (A)" % (tmp_path / "no")],
        "env_files": [str(tmp_path / "env"), str(tmp_path / "no")],
    }

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make lint asks Ansible once for all playbooks and roles. A wrong one among them must still be found, and named."""

from __future__ import annotations

import importlib
import os
import sys
import types
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansiblelint")
ROOT = Path(__file__).resolve().parents[2]
PING, PONG = "{ansible.builtin.ping: {}}", "{ansible.builtin.pong: {}}"


@pytest.mark.parametrize("wrong", ["", "playbook", "role"])
def test_all_that_is_right_is_asked_for_at_once_and_what_is_wrong_by_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "support"))
    lint = importlib.import_module("lint_playbooks")
    files = []
    for name in ("first", "second"):
        task = {kind: PONG if (kind, name) == (wrong, "second") else PING for kind in ("playbook", "role")}
        (tmp_path / name / "tasks").mkdir(parents=True)
        (tmp_path / name / "tasks" / "main.yml").write_text("[%s]" % task["role"])
        (tmp_path / (name + ".yml")).write_text("[{hosts: localhost, tasks: [%s]}]" % task["playbook"])
        files.append(types.SimpleNamespace(kind="playbook", path=tmp_path / (name + ".yml")))
        files.append(types.SimpleNamespace(kind="role", path=tmp_path / name))
    asked: list[t.Any] = []

    def each(_self: t.Any, _worker: t.Any, left: list[t.Any]) -> list[t.Any]:
        asked.extend(left)
        return ["said"]

    monkeypatch.setattr(lint, "_map_syntax_check_workers", each)
    monkeypatch.setattr(lint, "_has_playbook", lambda _self, _playbook, basedir: False)
    path = "%s:%s" % (Path(sys.executable).parent, os.environ["PATH"])
    options = types.SimpleNamespace(extra_vars=None)
    runtime = types.SimpleNamespace(environ={**os.environ, "PATH": path})
    runner = types.SimpleNamespace(app=types.SimpleNamespace(options=options, runtime=runtime))

    assert lint.together(runner, None, files) == (["said"] if wrong else [])
    assert asked == (files if wrong else [])
    assert lint.has_playbook(None, "first.yml", basedir=tmp_path) is not bool(wrong)

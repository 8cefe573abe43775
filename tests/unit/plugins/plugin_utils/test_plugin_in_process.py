# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible_collections.alchemist.beam.plugins.modules import release_channel, rollout_info
from ansible_collections.alchemist.beam.plugins.plugin_utils._in_process import call


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task has a process of its own, a test has not."""
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", None)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", None, raising=False)


def test_the_answer_of_a_module(tmp_path: Path) -> None:
    arguments = {
        "store": "file://%s" % tmp_path,
        "name": "shop",
        "channel": "production",
        "history": 0,
        "_ansible_check_mode": False,
    }
    answer = call(rollout_info, arguments)
    assert (answer["changed"], answer["lock"], answer["unfinished"]) == (False, None, False)
    refused = call(release_channel, {**arguments, "history": None, "state": "promoted", "version": "1.0.0"})
    assert refused["failed"] and "history" in refused["msg"]  # its own checks of what it was given
    del arguments["history"]
    missing = call(release_channel, {**arguments, "state": "promoted", "version": "1.0.0"})
    assert missing["failed"] and missing["error"]["code"] == "release_missing"


def broken() -> t.NoReturn:
    print("half an answer")
    raise ValueError("nobody foresaw this")


def test_a_module_that_breaks_is_a_failed_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_info, "main", broken)
    answer = call(rollout_info, {})
    assert (
        answer["failed"]
        and answer["module_stdout"] == "half an answer\n"
        and "nobody foresaw this" in answer["module_stderr"]
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node is asked, and what is said where there is none."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import Mask
from ansible_collections.alchemist.beam.plugins.module_utils._modules import node, ping
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import Status

OPTIONS = {
    "name": "shop",
    "base": "/nowhere",
    "manager": "daemon",
    "unit": None,
    "pointer": "current",
    "env_file": None,
    "colors": [],
    "timeout": 2.0,
}


class Answers:
    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def call(self, *words: str, timeout: float) -> str:
        assert words == ("erlang", "node") and timeout == 2.0
        return "shop@h1"


class Process:
    pid = 7
    version = "1.0.0"
    argv_cookie = ""


class Manager:
    def mask(self) -> Mask:
        return Mask({"TOKEN": "hunter2hunter2"})

    def last_boots(self) -> list[list[str]]:
        return [["** (RuntimeError) the token hunter2hunter2 is bad"]]

    def crash_dump(self) -> str:
        return ""

    def fate(self) -> tuple[str, str]:
        return "", ""


def found(process: t.Any, state: str = "running") -> node.Node:
    return node.Node("shop", "current", t.cast("t.Any", Manager()), Status(process, state))


def test_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "node_of", lambda _options: found(Process()))
    monkeypatch.setattr(ping, "connect", lambda _process, _timeout: Answers())
    times = iter([10.0, 10.002, 10.0035])
    said = ping.work(OPTIONS, lambda: next(times))
    assert said == {
        "changed": False,
        "node": "shop@h1",
        "pointer": "current",
        "pid": 7,
        "version": "1.0.0",
        "connect_ms": 2.0,
        "ms": 1.5,
    }


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(BeamError, match="the timeout is 0 seconds"):
        ping.work({**OPTIONS, "timeout": 0.0})


def test_where_none_runs_the_last_start_says_why_without_secrets() -> None:
    with pytest.raises(BeamError) as raised:
        found(None, "failed").running()
    assert raised.value.code == "node_not_running" and "hunter2" not in raised.value.message
    assert "RuntimeError" in raised.value.why or "is bad" in raised.value.why


def test_a_node_of_two_is_the_one_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "survey", lambda _base, _colors, _managers: ({}, "green"))
    of = node.node_of({**OPTIONS, "colors": ["blue", "green"]})
    assert of.pointer == "green" and of.manager.run_dir.endswith("shop-green")  # type: ignore[attr-defined]

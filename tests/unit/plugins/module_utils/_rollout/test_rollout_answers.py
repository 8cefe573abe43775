# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock under pressure, with a small count of what tests/bench/locks.py measures; and that its witnesses can see what they look for."""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._rollout import lock_store, run_lock

TESTS = Path(__file__).resolve().parents[4]
S3 = "S3_ENDPOINT" in os.environ


def load(path: Path) -> t.Any:
    name = "alchemist_beam_rollout_" + path.stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


locks = load(TESTS / "bench" / "locks.py")


def test_overlaps_are_seen() -> None:
    assert locks.overlaps([(0, 1), (1, 2), (3, 4)]) == 0
    assert locks.overlaps([(0, 5), (1, 2), (3, 4)]) == 2


def test_races(store_params: dict[str, t.Any]) -> None:
    result = locks.race(store_params, races=6 if S3 else 30, wide=8)
    assert result["acquired"] >= result["races"] and not result["double"] and not result["odd"], result


def test_two_holders_would_be_seen(store_params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, and nobody cares whether the lock is free."""
    monkeypatch.setattr(lock_store, "free", lambda lock: True)
    assert locks.race(store_params, races=4, wide=4, pause=0.3)["double"]


def test_lost_answers(store_params: dict[str, t.Any]) -> None:
    if S3:
        with locks.fault_proxy.running(os.environ["S3_ENDPOINT"]) as proxy:
            result = locks.lose_answers(store_params, 8, proxy)
    else:
        result = locks.lose_answers(store_params, 16)
    assert result["lost"] == (8 if S3 else 16) and not result["blocked"], result


def test_stolen_locks(store_params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.flock, "LOCK_SECONDS", 2)
    result = locks.steal(store_params, 3)
    assert result["stolen"] == 3 and result["attempts"] == 33 and not result["stale"] and not result["not_refused"], (
        result
    )


def test_a_stale_write_would_be_seen(store_params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, and nobody raises the fences."""
    monkeypatch.setattr(locks.flock, "LOCK_SECONDS", 2)
    monkeypatch.setattr(
        run_lock, "raise_fences", lambda store, name, channel, stamp: run_lock.read_fenced(store, name, channel)
    )
    result = locks.steal(store_params, 1)
    assert result["stale"] and result["not_refused"]


@pytest.mark.skipif(not S3, reason="the proxy is between us and an S3 server")
@pytest.mark.parametrize("state", ["released", "broken"])
def test_a_lost_answer_to_the_last_write(state: str, lock: t.Any, store_params: dict[str, t.Any]) -> None:
    held = lock()
    with locks.fault_proxy.running(os.environ["S3_ENDPOINT"]) as proxy:
        rule = proxy.add(locks.fault_proxy.drop_answer(), method="PUT", path="/locks/", times=1)
        options = {
            "name": "shop",
            "channel": "production",
            "state": state,
            "token": held["lock"]["token"],
            "by": "x",
            "endpoint_url": proxy.endpoint,
        }
        assert run_lock.run_lock({**store_params, **options}, False)["changed"] and rule.applied == 1
    assert lock()["lock"]["serial"] == (2 if state == "released" else 3)

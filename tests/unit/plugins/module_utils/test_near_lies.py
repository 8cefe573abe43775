# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nonsense that HAProxy and the metadata service may say: an error that names it, or no harm. The cases are those of `bad_days.py lies`."""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"


def load(name: str) -> t.Any:
    spec = importlib.util.spec_from_file_location("alchemist_beam_" + name, BENCH / (name + ".py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


near, far = load("bad_days_lies_near"), load("bad_days_lies")
CASES: dict[str, list[t.Any]] = {
    "haproxy": near.haproxy_cases(),
    "imds": near.metadata_cases(far.HEADS, far.http),
}


@pytest.mark.parametrize("way", sorted(CASES))
def test_no_traceback_and_no_wrong_claim(way: str) -> None:
    liar = far.Liar()
    try:
        found = [(case[1:3], *near.judge(case, liar)) for case in CASES[way]]
    finally:
        liar.close()
    assert [one for one in found if one[1] not in ("right", "refused")] == []
    assert any(one[0][1] == "true" and one[1] == "right" for one in found)
    assert sum(one[1] == "refused" for one in found) > len(found) / 3


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("a body: HTML", "metadata_answer"),
        ("a body: empty", "metadata_answer"),
        ("fewer bytes than it says", "metadata_absent"),
    ],
)
def test_an_instance_that_makes_no_sense_is_refused(lie: str, code: str) -> None:
    liar = far.Liar()
    try:
        (case,) = [case for case in CASES["imds"] if case[1:3] == ("instance", lie)]
        kind, said = near.judge(case, liar)
    finally:
        liar.close()
    assert kind == "refused" and said.startswith(code), said

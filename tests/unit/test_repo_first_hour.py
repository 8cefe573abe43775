# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases of the first hour name tests that are there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import first_hour_cases as subject


def test_each_case_names_tests_that_are_there() -> None:
    assert subject.gone() == []
    assert len(subject.held()) == len(subject.CASES)


def test_each_number_is_there_once_and_in_order() -> None:
    numbers = [tuple(map(int, case.number.split("."))) for case in subject.CASES]
    assert numbers == [(part, case) for part, last in ((1, 8), (2, 12), (3, 11)) for case in range(1, last + 1)]
    assert {line.split(":")[0].split(",")[0] for line in subject.UNCOVERED} <= {case.number for case in subject.CASES}


def test_a_test_that_is_gone_is_named() -> None:
    case = subject.Case("9.9", "x", ("unit/test_repo_first_hour.py::test_that_is_gone", "unit/never.py::test_x"))
    assert subject.gone([case]) == list(case.tests) and subject.held([case]) == []

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parents[3] / "support"


@pytest.fixture(scope="session")
def rollout_reports() -> t.Any:
    spec = importlib.util.spec_from_file_location("rollout_reports", SUPPORT / "rollout_reports.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pytest plugin for make check: after the time that TESTS_UNTIL says no further test is begun, and each of them is a skip with this reason."""

from __future__ import annotations

import os
import time

import pytest

REASON = "make check had no time for it"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    if time.time() > float(os.environ["TESTS_UNTIL"]):
        pytest.skip(REASON)

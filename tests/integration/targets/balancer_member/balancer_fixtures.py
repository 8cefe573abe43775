# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from balancer_site import App, Proxy


@pytest.fixture
def apps() -> t.Iterator[dict[str, App]]:
    found = {name: App(name) for name in ("a", "b", "c")}
    yield found
    for app in found.values():
        app.open.set()
        app.stop()


@pytest.fixture
def proxy(tmp_path: Path, apps: dict[str, App]) -> t.Iterator[Proxy]:
    made = Proxy(tmp_path / "one", list(apps.values()))
    yield made
    made.close()


@pytest.fixture
def second(tmp_path: Path, apps: dict[str, App]) -> t.Iterator[Proxy]:
    made = Proxy(tmp_path / "two", list(apps.values()))
    yield made
    made.close()

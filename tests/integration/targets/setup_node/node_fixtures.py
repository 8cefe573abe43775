# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import glob
import os
import subprocess
import typing as t
from pathlib import Path

import node_site
import pytest
from ports import free_port


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_site.build(tmp_path_factory.mktemp("built"), "0.1.0", "0.2.0")


@pytest.fixture(scope="session")
def epmd_port(releases: Path) -> t.Iterator[int]:
    """An epmd of our own, so that nodes of others are neither seen nor harmed."""
    port = free_port()
    [epmd] = glob.glob(str(releases / "0.1.0" / "erts-*" / "bin" / "epmd"))
    env = {**os.environ, "ERL_EPMD_PORT": str(port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
    with subprocess.Popen([epmd], env=env, stdin=subprocess.DEVNULL) as process:
        yield port
        process.terminate()


@pytest.fixture
def site(tmp_path: Path, releases: Path, epmd_port: int) -> t.Iterator[node_site.Site]:
    made = node_site.Site(tmp_path / "srv", releases, epmd_port)
    try:
        yield made
    finally:
        made.clean()

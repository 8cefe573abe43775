# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._image import image as product
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._image.image_site import (
    HOST,
    Registry,
    base_layer,
)
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._release.elf_writer import GLIBC, LOADER, write

SUPPORT = Path(__file__).resolve().parents[4] / "support"


@pytest.fixture(scope="session")
def trees() -> t.Any:
    name = "alchemist_beam_support_trees"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SUPPORT / "trees.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = Registry()
    monkeypatch.setattr(product, "skopeo_of", lambda _params: found)
    return found


@pytest.fixture
def base(registry: Registry, tmp_path: Path) -> str:
    return registry.push_base([base_layer(tmp_path / "host")])


@pytest.fixture
def publish(trees: t.Any, tmp_path: Path) -> t.Callable[..., dict[str, t.Any]]:
    """A release whose native files are of elf_writer, into tmp_path/store."""

    def work(version: str = "1.0.0", store: str = "store", **options: t.Any) -> dict[str, t.Any]:
        tree = tmp_path / ("tree-" + version)
        if not tree.exists():
            trees.make_tree(tree, version, **options)
            write(tree / "erts-13.1.5/bin/beam.smp", interpreter=LOADER, requires=GLIBC)
            write(tree / "lib/crypto-5.1/priv/lib/crypto.so", requires={"libcrypto.so.3": ["OPENSSL_3.0.0"]})
        (tmp_path / store).mkdir(exist_ok=True)
        params = {"store": "file://%s" % (tmp_path / store), "state": "present", "path": str(tree), "name": "shop"}
        return run_artifact(params, False)

    return work


@pytest.fixture
def image(registry: Registry, base: str, tmp_path: Path) -> t.Callable[..., dict[str, t.Any]]:
    """release_image with what a user would give, and whatever a test changes."""

    def work(version: str = "1.0.0", check: bool = False, store: str = "store", **changes: t.Any) -> dict[str, t.Any]:
        params = {
            "state": "present",
            "store": "file://%s" % (tmp_path / store),
            "name": "shop",
            "version": version,
            "image": HOST + "/shop",
            "base": base,
            "layers": 20,
            "user": "65532:65532",
            "distribution_port": 9100,
            "timeout": 60,
            "cache": str(tmp_path / "cache"),
        }
        return product.run_image({**params, **changes}, check)

    return work

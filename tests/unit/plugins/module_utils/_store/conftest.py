# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both kinds of store for the tests of this directory. The S3 one is a real server on this machine."""

from __future__ import annotations

import importlib.util
import itertools
import pathlib
import sys
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

SUPPORT = pathlib.Path(__file__).resolve().parents[4] / "support"
_prefixes = itertools.count()


def load_support(name: str) -> t.Any:
    module = "alchemist_beam_support_" + name
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, SUPPORT / (name + ".py"))
        assert spec is not None and spec.loader is not None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
    return sys.modules[module]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Any]:
    pytest.importorskip("botocore", reason="S3 needs botocore, which this Python does not have")
    with load_support("s3_server").running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_params(s3_server: t.Any) -> dict[str, t.Any]:
    """Options of a store in S3 that is empty."""
    return {**s3_server.params, "store": "s3://%s/t%d" % (s3_server.bucket, next(_prefixes))}


@pytest.fixture
def file_params(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    root = tmp_path / "store"
    root.mkdir()
    return {"store": "file://%s" % root}


@pytest.fixture(params=["file", "s3"])
def store_params(request: pytest.FixtureRequest) -> dict[str, t.Any]:
    return request.getfixturevalue("%s_params" % request.param)


@pytest.fixture
def store(store_params: dict[str, t.Any]) -> Store:
    return open_store(store_params)


@pytest.fixture
def fault_proxy(s3_server: t.Any) -> t.Iterator[t.Any]:
    """A proxy before the S3 server, which does what a test tells it to."""
    with load_support("fault_proxy").running(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def trees() -> t.Any:
    """Makes release trees: trees.make_tree(path, ...)."""
    return load_support("trees")


ARTIFACT = {
    "state": "present", "name": "shop", "version": None, "path": None, "exclude": [], "pinned": None, "dest": None,
    "keep": 10, "keep_days": 0, "min_layer_age": 24,
}


@pytest.fixture
def artifact(store_params: dict[str, t.Any]) -> t.Callable[..., dict[str, t.Any]]:
    """release_artifact with these options, on the store of the test."""
    return lambda check=False, **options: run_artifact({**store_params, **ARTIFACT, **options}, check)


@pytest.fixture
def channel(store_params: dict[str, t.Any]) -> t.Callable[..., dict[str, t.Any]]:
    """release_channel with these options, on the store of the test."""
    defaults = {"name": "shop", "channel": "production", "state": "promoted", "by": "tester@here"}
    return lambda check=False, **options: run_channel({**store_params, **defaults, **options}, check)

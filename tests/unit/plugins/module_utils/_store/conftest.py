# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stores of the tests of this directory.

As unit tests they run on directories. Where S3_ENDPOINT names a real S3 server (the integration target store_s3 runs them
so), the same tests run on that, and those of faults between us and it.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pathlib
import sys
import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Provenance
from ansible_collections.alchemist.beam.plugins.module_utils._release.record import (
    BuildRecord,
    dump_record,
    record_path,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store import check
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

SUPPORT = pathlib.Path(__file__).resolve().parents[4] / "support"
KINDS = ["s3"] if "S3_ENDPOINT" in os.environ else ["file"]
collect_ignore = [] if "S3_ENDPOINT" in os.environ else ["test_store_faults.py"]
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
def s3_server() -> t.Any:
    return SimpleNamespace(
        endpoint=os.environ["S3_ENDPOINT"],
        bucket=os.environ["S3_BUCKET"],
        access_key=os.environ["S3_ACCESS_KEY"],
        secret_key=os.environ["S3_SECRET_KEY"],
        reader_access_key=os.environ["S3_READER_ACCESS_KEY"],
        reader_secret_key=os.environ["S3_READER_SECRET_KEY"],
    )


@pytest.fixture
def s3_params(s3_server: t.Any) -> dict[str, t.Any]:
    """Options of a store in S3 that is empty."""
    return {
        "store": "s3://%s/unit-%d/%d" % (s3_server.bucket, os.getpid(), next(_prefixes)),
        "endpoint_url": s3_server.endpoint,
        "region": "us-east-1",
        "access_key": s3_server.access_key,
        "secret_key": s3_server.secret_key,
        "store_timeout": 30,
    }


@pytest.fixture
def file_params(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    root = tmp_path / "store"
    root.mkdir()
    return {"store": "file://%s" % root}


@pytest.fixture(params=KINDS)
def store_params(request: pytest.FixtureRequest) -> dict[str, t.Any]:
    return request.getfixturevalue("%s_params" % request.param)


@pytest.fixture(autouse=True)
def _proven_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own, as far as what was proven about a store goes."""
    monkeypatch.setattr(check, "_PROVEN", set())


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
    "state": "present",
    "name": "shop",
    "version": None,
    "path": None,
    "exclude": [],
    "pinned": None,
    "dest": None,
    "keep": 10,
    "keep_days": 0,
    "min_layer_age": 24,
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


@pytest.fixture
def tree(trees: t.Any, tmp_path: pathlib.Path) -> t.Callable[..., str]:
    """Makes a tree with its build record."""

    def make(version: str = "1.0.0", sha: str = "a" * 40, dirty: bool = False, changed: tuple[int, ...] = ()) -> str:
        root = trees.make_tree(
            tmp_path / ("%s-%s" % (version, sha[:4])), version, modules=4, dependencies=2, changed=changed
        )
        record = BuildRecord(
            "shop", version, Abi(), Provenance(git_sha=sha, git_dirty=dirty, fingerprint="f" * 64), ("shop",)
        )
        pathlib.Path(record_path(str(root))).write_bytes(dump_record(record))
        return str(root)

    return make

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stores of the tests of this directory: a directory, or, where S3_ENDPOINT names a real S3 server, that (integration target rollout_lock)."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._rollout import lock_store
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_journal import run_info, run_journal
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_lock import run_lock
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import version_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

_prefixes = itertools.count()
DIGEST = "ab" * 32


@pytest.fixture
def store_params(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    if "S3_ENDPOINT" in os.environ:
        return {
            "store": "s3://%s/rollout-%d/%d" % (os.environ["S3_BUCKET"], os.getpid(), next(_prefixes)),
            "endpoint_url": os.environ["S3_ENDPOINT"],
            "region": "us-east-1",
            "access_key": os.environ["S3_ACCESS_KEY"],
            "secret_key": os.environ["S3_SECRET_KEY"],
            "store_timeout": 30,
        }
    (tmp_path / "store").mkdir()
    return {"store": "file://%s" % (tmp_path / "store")}


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a store serials need no clock. Without one they are numbers that a test can name."""
    monkeypatch.setattr(lock_store, "seconds_now", lambda: 0)


@pytest.fixture
def store(store_params: dict[str, t.Any]) -> Store:
    return open_store(store_params)


@pytest.fixture
def published(store: Store) -> None:
    data = Version("shop", "1.1.0", DIGEST).to_bytes()
    store.put_if_absent(version_key("shop", "1.1.0"), data, len(data))


@pytest.fixture
def controller() -> t.Iterator[subprocess.Popen[bytes]]:
    """What stands for ansible-playbook: a process that lives as long as a test wants."""
    process = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


Call = t.Callable[..., dict[str, t.Any]]
LOCK = {
    "name": "shop",
    "channel": "production",
    "state": "held",
    "purpose": "rollout of 1.1.0",
    "wait": 0,
    "ttl": 30,
    "ttl_without_keeper": 900,
    "token": None,
    "controller_pid": None,
    "by": "anna@here",
}
JOURNAL = {
    "name": "shop",
    "channel": "production",
    "id": None,
    "kind": "rollout",
    "version": "1.1.0",
    "digest": DIGEST,
    "stable": None,
    "strategy": "rolling",
    "hosts": {},
    "reverting": False,
    "outcome": None,
    "report": None,
    "html": None,
    "by": "anna@here",
}


@pytest.fixture
def lock(store_params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Call]:
    """rollout_lock with these options, on the store of the test. Keepers that are left end with the test."""
    monkeypatch.setattr("ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_lock.MIN_TTL", 0.1)
    yield lambda check=False, **options: run_lock({**store_params, **LOCK, **options}, check)
    run_lock({**store_params, **LOCK, "state": "broken"}, False)


@pytest.fixture
def journal(store_params: dict[str, t.Any]) -> Call:
    """rollout_journal under the lock that rollout_lock returned."""

    def call(held: dict[str, t.Any], check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        return run_journal(
            {**store_params, **JOURNAL, "fence": held["lock"]["serial"], "token": held["lock"]["token"], **options},
            check,
        )

    return call


@pytest.fixture
def info(store_params: dict[str, t.Any]) -> Call:
    return lambda **options: run_info(
        {**store_params, "name": "shop", "channel": "production", "history": 10, **options}
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements in a store: written once, the reports first, and read only if they are what their names say."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.gates import Statement
from ansible_collections.alchemist.beam.plugins.module_utils._store import gates
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.module_utils._store.gates import read_statements, write_statement

COMMIT, OTHER = "a" * 40, "b" * 40
GOOD = Statement("shop", "test", "passed", (COMMIT,), "1" * 64, "2" * 64, "2026-03-01T12:00:00Z", 3.5, "ci@build1")
JUNIT = b"<testsuites/>"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(str(tmp_path))


def test_write_and_read(store: DirectoryStore) -> None:
    reported = dataclasses.replace(GOOD, commits=(COMMIT, OTHER), reports={"junit": hashlib.sha256(JUNIT).hexdigest()})
    written = write_statement(store, reported, {"junit": JUNIT})
    assert list(written.values()) == [True, True]
    assert list(write_statement(store, reported, {"junit": JUNIT}).values()) == [False, False], "written once"
    for commit in (COMMIT, OTHER):
        (found,) = read_statements(store, "shop", commit)
        assert found.statement == reported and found.key in written
        assert store.get(found.key[: -len(".json")] + ".junit.xml", 100).data == JUNIT
    assert read_statements(store, "shop", "c" * 40) == () and read_statements(store, "other", COMMIT) == ()


def test_the_newest_is_first_and_of_one_second_the_worst(store: DirectoryStore) -> None:
    failed = dataclasses.replace(GOOD, verdict="failed", reason="no")
    old = dataclasses.replace(GOOD, finished="2026-02-28T23:59:59Z", gate="credo")
    for one in (GOOD, old, failed):
        write_statement(store, one, {})
    assert [one.statement for one in read_statements(store, "shop", COMMIT)] == [failed, GOOD, old]
    assert [one.statement for one in read_statements(store, "shop", COMMIT, {"credo"})] == [old]


def test_a_statement_of_a_store(store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not what its name says is refused, and named."""
    key = next(iter(write_statement(store, GOOD, {})))
    path = tmp_path / key
    path.chmod(0o644)
    path.write_bytes(GOOD.to_bytes().replace(b"ci@build1", b"me@laptop"))
    with pytest.raises(BeamError, match="changed after it was written") as caught:
        read_statements(store, "shop", COMMIT)
    assert key in caught.value.message and caught.value.code == "statement_invalid"
    # Copied to another commit, with its name.
    path.write_bytes(GOOD.to_bytes())
    copied = tmp_path / key.replace(COMMIT, OTHER)
    copied.parent.mkdir()
    copied.write_bytes(GOOD.to_bytes())
    with pytest.raises(BeamError, match="it is of the commit aaaaaaaaaaaa"):
        read_statements(store, "shop", OTHER)
    # Copied to another gate.
    copied.unlink()
    (path.parent / path.name.replace("test-", "credo-")).write_bytes(GOOD.to_bytes())
    with pytest.raises(BeamError, match="it is of the gate test of shop"):
        read_statements(store, "shop", COMMIT)
    (path.parent / "test-latest.json").write_bytes(b"{}")
    with pytest.raises(BeamError, match="its name is not that of a gate and a sha256"):
        read_statements(store, "shop", COMMIT)
    (path.parent / "test-latest.json").unlink()
    monkeypatch.setattr(gates, "MAX_STATEMENTS", 1)
    with pytest.raises(BeamError, match="more than 1 statements"):
        read_statements(store, "shop", COMMIT)

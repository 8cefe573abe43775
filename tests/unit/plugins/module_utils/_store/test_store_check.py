# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store that does not keep its promises is found out, and refused before anything is written."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import check
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore


def test_both_kinds_keep_them(store: Store, store_params: dict[str, t.Any]) -> None:
    result = check.run_check(store_params)
    assert [c["name"] for c in result["checks"]] == [
        "write",
        "read",
        "lengths",
        "hashes",
        "create_once",
        "create_race",
        "replace_matching",
        "replace_race",
        "etags",
        "list",
        "presigned",
        "delete",
    ]
    assert all(c["ok"] and c["detail"] for c in result["checks"]) and not result["changed"]
    assert list(store.list("")) == []
    check.prove_conditions(store)
    assert store.writes == 0
    check.prove_conditions(store)
    assert len(list(store.list(""))) == (1 if store.needs_proof else 0)


class Liar(DirectoryStore):
    """Ignores conditions, as some S3 APIs do."""

    needs_proof = True

    def __init__(self, root: str, create: bool, replace: bool) -> None:
        super().__init__(root)
        self.lies = (create, replace)

    def put_if_absent(self, key: str, data: t.Any, size: int) -> bool:
        if self.lies[0]:
            self.delete(key)
            super().put_if_absent(key, data, size)
            return True
        return super().put_if_absent(key, data, size)

    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        if self.lies[1]:
            self.delete(key)
            return super().replace(key, data, None)
        return super().replace(key, data, etag)


@pytest.mark.parametrize(
    ("create", "replace", "failed"),
    [
        (True, False, {"create_once"}),
        (False, True, {"replace_matching"}),
        (True, True, {"create_once", "replace_matching"}),
        (False, False, set()),
    ],
)
def test_liars(create: bool, replace: bool, failed: set[str], tmp_path: pathlib.Path) -> None:
    store = Liar(str(tmp_path), create, replace)
    found = {c.name for c in check.check_store(store) if not c.ok}
    assert failed <= found and found <= failed | {"create_race", "replace_race"}
    assert list(store.list("")) == []
    if not failed:
        check.prove_conditions(store)
        return
    for _index in range(2):  # also when the probe is there already
        with pytest.raises(BeamError) as caught:
            check.prove_conditions(store)
        assert caught.value.code == "store_unconditional"

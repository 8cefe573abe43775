# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was built from which inputs: written after the version, believed only as far as the version confirms it, removed with it."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import builds, retention
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.builds import StoreBuilds, inputs_of
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version, pack_manifest
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import build_key, manifest_key, version_key

Artifact = t.Callable[..., dict[str, t.Any]]
FIRST, SECOND = "1" * 64, "2" * 64
SHA = "a" * 40


def entries(store: Store) -> list[str]:
    return [s.key for s in store.list("shop/builds/")]


def put(store: Store, key: str, data: bytes) -> None:
    store.delete(key)
    assert store.put_if_absent(key, data, len(data))


def test_what_was_built_from_inputs_is_found(artifact: Artifact, store: Store, tree: t.Any) -> None:
    known = StoreBuilds(store)
    assert known.of_inputs("shop", FIRST) is None and known.of_version("shop", "1.0.0") is None
    assert artifact(check=True, path=tree(), inputs=FIRST)["writes"] == 0
    first = artifact(path=tree(), inputs=FIRST)
    assert first["changed"] and "warnings" not in first and entries(store) == [build_key("shop", FIRST)]
    found = known.of_inputs("shop", FIRST)
    assert found == known.of_version("shop", "1.0.0") and found is not None
    assert (found.version, found.digest, found.git_sha, found.fingerprint) == ("1.0.0", first["digest"], SHA, "f" * 64)
    assert known.of_inputs("shop", SECOND) is None and known.of_inputs("other", FIRST) is None
    again = artifact(path=tree(), inputs=FIRST)
    assert not again["changed"] and again["writes"] == 0


def test_what_was_published_before_gets_its_entry_and_is_not_changed(
    artifact: Artifact, store: Store, tree: t.Any
) -> None:
    artifact(path=tree())
    assert entries(store) == []
    noted = artifact(path=tree(), inputs=FIRST)
    assert not noted["changed"] and noted["writes"] == 1
    again = artifact(path=tree(), inputs=FIRST)
    assert not again["changed"] and again["writes"] == 0


def test_a_commit_that_changes_no_file_is_published_already(artifact: Artifact, store: Store, tree: t.Any) -> None:
    digest = artifact(path=tree(), inputs=FIRST)["digest"]
    artifact(path=tree(sha="b" * 40), inputs=SECOND, commit="b" * 40)
    found = StoreBuilds(store).of_inputs("shop", SECOND)
    assert found is not None and (found.version, found.digest, found.git_sha) == ("1.0.0", digest, SHA)


def test_what_is_left_out_decides_what_is_published(artifact: Artifact, store: Store, tree: t.Any) -> None:
    artifact(path=tree(), inputs=FIRST, exclude=["*.js", "m1.beam"])
    assert StoreBuilds(store).of_inputs("shop", FIRST) is None
    assert StoreBuilds(store, ["*.js"]).of_inputs("shop", FIRST) is None
    assert StoreBuilds(store, ["m1.beam", "*.js"]).of_inputs("shop", FIRST) is not None
    assert inputs_of(FIRST) == FIRST and inputs_of(FIRST, ["a", "b"]) == inputs_of(FIRST, ["b", "a"]) != inputs_of(
        FIRST, ["a b"]
    )


def test_a_tree_with_changes_is_of_no_commit(artifact: Artifact, store: Store, tree: t.Any) -> None:
    result = artifact(path=tree(dirty=True), inputs=FIRST)
    assert result["changed"] and "not committed" in result["warnings"][0] and entries(store) == []
    found = StoreBuilds(store).of_version("shop", "1.0.0")
    assert found is not None and found.git_sha == ""


@pytest.mark.parametrize(
    "damage",
    ["gone", "other digest", "no version", "no manifest", "broken manifest", "corrupt", "copied", "huge", "newer"],
)
def test_an_entry_that_nothing_confirms_is_no_answer(
    damage: str, artifact: Artifact, store: Store, tree: t.Any
) -> None:
    digest = artifact(path=tree(), inputs=FIRST)["digest"]
    key = build_key("shop", FIRST)
    whole = store.get(key, 10_000).data
    if damage == "gone":
        store.delete(key)
    elif damage == "other digest":
        other = artifact(path=tree("1.1.0"))["digest"]
        put(store, version_key("shop", "1.0.0"), Version("shop", "1.0.0", other).to_bytes())
    elif damage == "no version":
        store.delete(version_key("shop", "1.0.0"))
    elif damage == "no manifest":
        store.delete(manifest_key("shop", digest))
    elif damage == "broken manifest":
        put(store, manifest_key("shop", digest), pack_manifest(b"{}"))
    elif damage == "corrupt":
        put(store, key, whole[:-20])
    elif damage == "copied":
        put(store, build_key("shop", SECOND), whole)
        assert StoreBuilds(store).of_inputs("shop", SECOND) is None
        store.delete(key)
    elif damage == "huge":
        put(store, key, b" " * 100_000 + whole)
    else:
        put(store, key, json.dumps({**json.loads(whole), "schema": 2}).encode())
    assert StoreBuilds(store).of_inputs("shop", FIRST) is None


def test_a_store_that_can_not_be_asked_is_an_error(
    artifact: Artifact, store: Store, tree: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a deploy would build for minutes, to learn at its end that the store is out of reach."""
    artifact(path=tree(), inputs=FIRST)

    def fail(key: str, limit: int) -> t.Any:
        raise BeamError("store_unreachable", key)

    monkeypatch.setattr(store, "get", fail)
    for ask in (
        lambda: StoreBuilds(store).of_inputs("shop", FIRST),
        lambda: StoreBuilds(store).of_version("shop", "1.0.0"),
    ):
        with pytest.raises(BeamError) as caught:
            ask()
        assert caught.value.code == "store_unreachable"


def test_the_entry_is_written_last(
    artifact: Artifact, store: Store, tree: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = type(store).put_if_absent
    monkeypatch.setattr(
        type(store), "put_if_absent", lambda self, key, data, size: (order.append(key), real(self, key, data, size))[1]
    )
    artifact(path=tree(), inputs=FIRST)
    assert [key.split("/")[1] for key in order if key.startswith("shop/")][-3:] == ["manifests", "versions", "builds"]


def test_a_store_that_refuses_the_entry_has_the_release(
    artifact: Artifact, store: Store, tree: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a policy from before there were entries does."""
    real = type(store).put_if_absent

    def refuse(self: Store, key: str, data: t.Any, size: int) -> bool:
        if "/builds/" in key:
            raise BeamError("store_denied", "%s can't be written" % key, "access is denied")
        return real(self, key, data, size)

    monkeypatch.setattr(type(store), "put_if_absent", refuse)
    result = artifact(path=tree(), inputs=FIRST)
    assert (
        result["changed"] and "access is denied" in result["warnings"][0] and "build it again" in result["warnings"][0]
    )
    assert StoreBuilds(store).of_version("shop", "1.0.0") is not None


@pytest.mark.parametrize(
    ("version", "digest", "said"),
    [
        ("1.0.0", None, "takes 1.0.0"),
        ("0.9.0", "0" * 64, "0.9.0 for these inputs, which is gone"),
        ("1.0.0", "0" * 64, "is gone"),
    ],
)
def test_inputs_that_are_taken(
    version: str, digest: str | None, said: str, artifact: Artifact, store: Store, tree: t.Any
) -> None:
    """A version that is made of the time, say: the first one of the same inputs stays the one that is found."""
    first = artifact(path=tree(), inputs=SECOND)["digest"]
    put(store, build_key("shop", FIRST), builds.BuildEntry("shop", FIRST, version, digest or first).to_bytes())
    result = artifact(path=tree("1.1.0"), inputs=FIRST)
    assert result["changed"] and said in result["warnings"][0]


def test_an_entry_is_removed_with_its_version(artifact: Artifact, store: Store, tree: t.Any) -> None:
    artifact(path=tree(), inputs=FIRST)
    artifact(path=tree("1.1.0"), inputs=SECOND)
    assert artifact(check=True, state="absent", version="1.0.0")["writes"] == 0
    assert len(entries(store)) == 2
    artifact(state="absent", version="1.0.0")
    assert entries(store) == [build_key("shop", SECOND)]
    artifact(path=tree(), inputs=FIRST)
    found = StoreBuilds(store).of_inputs("shop", FIRST)
    assert found is not None and found.version == "1.0.0"


def test_pruning_removes_what_points_to_nothing(artifact: Artifact, store: Store, tree: t.Any) -> None:
    artifact(path=tree(), inputs=FIRST)
    dead = [build_key("shop", digit * 64) for digit in "3456"]
    put(store, dead[0], b"{")
    put(store, dead[1], builds.BuildEntry("shop", "4" * 64, "0.1.0", "0" * 64).to_bytes())
    put(store, dead[2], builds.BuildEntry("shop", "5" * 64, "1.0.0", "0" * 64).to_bytes())
    put(store, dead[3], store.get(build_key("shop", FIRST), 10_000).data)
    planned = artifact(check=True, state="pruned")
    assert planned["changed"] and planned["removed"] == [] and "build entries removed: 4" in planned["diff"]["after"]
    assert artifact(state="pruned")["changed"]
    assert entries(store) == [build_key("shop", FIRST)]
    again = artifact(state="pruned")
    assert not again["changed"] and again["writes"] == 0


def test_an_entry_of_a_version_that_stays_after_all_is_kept(
    artifact: Artifact,
    channel: t.Any,
    store: Store,
    tree: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    artifact(path=tree(), inputs=FIRST)
    plan = retention.plan_remove(store, "shop", "1.0.0", 0)
    channel(version="1.0.0")
    with pytest.raises(BeamError) as caught:
        retention.apply_remove(store, plan)
    assert caught.value.code == "release_in_use" and StoreBuilds(store).of_inputs("shop", FIRST) is not None

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing and pruning: what is protected stays, what is shared stays, what is young stays."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._store import retention
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import read_version

Artifact = t.Callable[..., dict[str, t.Any]]
Channel = t.Callable[..., dict[str, t.Any]]


def versions(store: Store) -> list[str]:
    return sorted(row.version for row in retention.list_versions(store, "shop"))


@pytest.fixture
def published(artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path) -> t.Callable[..., None]:
    def publish(*names: str) -> None:
        for name in names:
            artifact(path=str(trees.make_tree(tmp_path / name, name, modules=4, dependencies=2, changed=(1,))))

    return publish


def test_absent(artifact: Artifact, store: Store, published: t.Any) -> None:
    published("1.0.0", "1.1.0")
    before = [s.key for s in store.list("shop/")]
    assert artifact(check=True, state="absent", version="1.0.0", min_layer_age=0)["changed"]
    assert [s.key for s in store.list("shop/")] == before
    gone = artifact(state="absent", version="1.0.0", min_layer_age=0)
    assert gone["changed"] and gone["removed"] == ["1.0.0"] and gone["layers"]["collected"] == 2
    assert versions(store) == ["1.1.0"]
    assert artifact(state="verified")["verified"] == ["1.1.0"]
    again = artifact(state="absent", version="1.0.0", min_layer_age=0)
    assert not again["changed"] and again["writes"] == 0
    last = artifact(state="absent", version="1.1.0", min_layer_age=0)
    assert last["changed"] and [s.key for s in store.list("shop/")] == []


def test_what_a_killed_removal_left_goes_with_the_next_one(artifact: Artifact, store: Store, published: t.Any) -> None:
    published("1.0.0", "1.1.0")
    store.delete("shop/versions/1.0.0.json")  # what goes first
    gone = artifact(state="absent", version="1.0.0", min_layer_age=0)
    assert gone["changed"] and gone["layers"]["collected"] == 2 and len(list(store.list("shop/manifests/"))) == 1
    assert not artifact(state="absent", version="1.0.0", min_layer_age=0)["changed"]
    assert artifact(state="verified")["verified"] == ["1.1.0"]


def test_a_young_layer_may_belong_to_a_publish_in_flight(artifact: Artifact, store: Store, published: t.Any) -> None:
    published("1.0.0")
    assert artifact(state="absent", version="1.0.0")["layers"]["collected"] == 0
    assert list(store.list("shop/layers/"))
    # The same content published again uses them.
    published("1.0.0")
    assert artifact(state="verified")["verified"] == ["1.0.0"]


@pytest.mark.parametrize("role", ["stable", "previous", "candidate", "pinned"])
def test_what_is_protected_is_not_removed(
    role: str, artifact: Artifact, channel: Channel, store: Store, published: t.Any
) -> None:
    published("1.0.0", "1.1.0")
    if role == "stable":
        channel(version="1.0.0")
    elif role == "previous":
        channel(version="1.0.0")
        channel(version="1.1.0")
    elif role == "candidate":
        channel(state="proposed", version="1.0.0")
    else:
        assert artifact(version="1.0.0", pinned=True)["changed"]
        assert not artifact(version="1.0.0", pinned=True)["changed"]
    before = [s.key for s in store.list("shop/")]
    with pytest.raises(BeamError) as caught:
        artifact(state="absent", version="1.0.0", min_layer_age=0)
    assert caught.value.code == "release_in_use" and role in caught.value.message
    assert [s.key for s in store.list("shop/")] == before
    if role == "pinned":
        assert artifact(version="1.0.0", pinned=False)["changed"]
        assert artifact(state="absent", version="1.0.0", min_layer_age=0)["changed"]


def test_prune(artifact: Artifact, channel: Channel, store: Store, published: t.Any) -> None:
    published("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0")
    for version, at in zip(("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"), range(6)):
        _backdate(store, version, at)
    channel(version="1.0.0")
    artifact(version="1.1.0", pinned=True)
    order = [row.version for row in retention.list_versions(store, "shop")]
    doomed = [v for v in order[2:] if v not in ("1.0.0", "1.1.0")]
    options = {"state": "pruned", "keep": 2, "min_layer_age": 0}
    assert not artifact(**{**options, "keep_days": 1})["changed"]
    assert artifact(check=True, **options)["removed"] == doomed
    result = artifact(**options)
    assert result["removed"] == doomed
    assert set(versions(store)) == {*order[:2], "1.0.0", "1.1.0"}
    assert all(why.startswith("it is") for why in result["kept"].values())
    again = artifact(**options)
    assert not again["changed"] and again["writes"] == 0
    assert len(artifact(state="verified")["verified"]) == len(versions(store))
    with pytest.raises(BeamError):
        artifact(**{**options, "keep": 0})


def _backdate(store: Store, version: str, at: int) -> None:
    """Ages differ where the store is a directory; S3 keeps its own clock, and has them in the order of publishing."""
    import os

    root = getattr(store, "root", None)
    if root:
        path = os.path.join(root, "shop", "versions", version + ".json")
        now = os.stat(path).st_mtime
        os.utime(path, (now, now - 100 + at))


def test_what_a_publish_that_died_left_is_collected(artifact: Artifact, store: Store, published: t.Any) -> None:
    published("1.0.0", "1.1.0")
    store.delete("shop/versions/1.1.0.json")  # it died before its last write
    assert not artifact(state="pruned")["changed"]
    result = artifact(state="pruned", min_layer_age=0)
    assert result["changed"] and result["layers"]["collected"] == 2
    assert artifact(state="verified")["verified"] == ["1.0.0"]
    assert len(list(store.list("shop/manifests/"))) == 1


def test_a_promotion_at_the_same_moment_is_seen(
    artifact: Artifact,
    channel: Channel,
    store: Store,
    published: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published("1.0.0")
    plan = retention.plan_remove(store, "shop", "1.0.0", 0)
    channel(version="1.0.0")
    with pytest.raises(Conflict):
        retention.apply_remove(store, plan)
    assert read_version(store, "shop", "1.0.0") is not None
    assert artifact(state="verified")["verified"] == ["1.0.0"]


def test_a_release_published_since_the_plan_keeps_its_layers(
    artifact: Artifact, store: Store, published: t.Any
) -> None:
    published("1.0.0")
    plan = retention.plan_remove(store, "shop", "1.0.0", 0)
    assert plan.layers
    published("1.1.0")
    retention.apply_remove(store, plan)
    assert artifact(state="verified")["verified"] == ["1.1.0"]


def test_a_layer_written_again_since_the_plan_is_not_collected(
    artifact: Artifact, store: Store, published: t.Any
) -> None:
    published("1.0.0")
    plan = retention.plan_remove(store, "shop", "1.0.0", 0)
    hour = dataclasses.replace(plan, min_layer_age=3600)
    retention.apply_remove(store, hour)
    assert len(list(store.list("shop/layers/"))) == len(plan.layers)


def test_nothing_is_collected_while_a_manifest_can_not_be_read(
    artifact: Artifact, store: Store, published: t.Any
) -> None:
    published("1.0.0", "1.1.0")
    digest = read_version(store, "shop", "1.1.0").digest  # type: ignore[union-attr]
    key = "shop/manifests/%s.json.gz" % digest
    store.delete(key)
    store.put_if_absent(key, b"broken", 6)
    before = [s.key for s in store.list("shop/")]
    with pytest.raises(BeamError) as caught:
        artifact(state="absent", version="1.0.0", min_layer_age=0)
    assert caught.value.code == "manifest_corrupt"
    assert [s.key for s in store.list("shop/")] == before

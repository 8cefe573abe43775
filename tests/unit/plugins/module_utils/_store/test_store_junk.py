# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What does not belong in a store stops nobody, and is named; what was left half done goes."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import retention
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import version_key

Call = t.Callable[..., dict[str, t.Any]]
SHA = "0" * 64
DEEP = b"[" * 50_000
JUNK = [
    "manifests/README",
    "manifests/x.json.gz",
    "manifests/%s.json.gz" % SHA,
    "manifests/sub/%s.json.gz" % SHA,
    "versions/README",
    "versions/a b.json",
    "versions/-.json",
    "versions/sub/1.0.0.json",
    "channels/README",
    "channels/A B.json",
    "channels/sub/x.json",
    "pins/-.json",
    "pins/README",
    "journal/UPPER.json",
    "journal/README",
    "locks/README",
    "layers/README",
    "layers/x.tar.gz",
    "layers/sub/%s.tar.gz" % SHA,
    "builds/README",
    "builds/x.json",
    "history/production/README",
    "boots/production/README",
    "other/README",
]


@pytest.mark.parametrize("data", [b"", b"junk", DEEP, b"\xff\xfe"], ids=["empty", "junk", "deep", "binary"])
def test_junk_anywhere_stops_nobody(
    data: bytes,
    artifact: Call,
    channel: Call,
    store: Store,
    store_params: dict[str, t.Any],
    tree: t.Callable[..., str],
) -> None:
    artifact(path=tree())
    channel(version="1.0.0")
    for key in JUNK:
        store.put_if_absent("shop/" + key, data, len(data))
    second = artifact(path=tree("1.1.0"))
    assert second["changed"] and second["layers"]["sent"] < second["layers"]["total"]
    assert any("shop/manifests/README" in line and store.location in line for line in second["warnings"])
    assert channel(version="1.1.0")["changed"]
    channel(state="ghosted", version="1.0.0", reason="bad")
    info = run_artifact_info({**store_params, "name": "shop"})
    assert sorted(row["version"] for row in info["releases"]) == ["1.0.0", "1.1.0"]
    assert [row["channel"] for row in run_channel_info({**store_params, "name": "shop"})["channels"]] == ["production"]
    assert artifact(state="verified")["verified"]
    artifact(path=tree("1.2.0"))
    pruned = artifact(state="pruned", keep=1, min_layer_age=0)
    assert pruned["removed"] == [] or pruned["changed"]
    assert any("shop/channels/A B.json" in line for line in pruned["warnings"]) and any(
        "shop/layers/README" in line for line in pruned["warnings"]
    )
    left = {s.key for s in store.list("shop/")}
    gone = {
        "builds/README",
        "builds/x.json",
        "manifests/%s.json.gz" % SHA,
    }  # entries that point to nothing, and a manifest that no version points to
    assert {"shop/" + key for key in JUNK if key not in gone} <= left
    artifact(state="verified")


def test_what_a_version_needs_is_never_passed_over(artifact: Call, store: Store, tree: t.Callable[..., str]) -> None:
    """A manifest that can't be read and that a version points to: its layers must not be collected."""
    first = artifact(path=tree())
    artifact(path=tree("1.1.0"))
    key = "shop/manifests/%s.json.gz" % first["digest"]
    found = store.stat(key)
    store.replace(key, b"junk", found.etag if found else None)
    with pytest.raises(BeamError) as caught:
        artifact(state="pruned", keep=1, min_layer_age=0, keep_days=3650)
    assert (
        caught.value.code == "manifest_corrupt"
        and key in caught.value.message
        and store.location in caught.value.message
    )


@pytest.mark.parametrize(
    "kind", ["channels/production", "journal/production", "versions/1.0.0", "pins/1.0.0", "locks/production"]
)
@pytest.mark.parametrize("data", [b"junk", DEEP, b"{}", b"[]", b"null"], ids=["junk", "deep", "empty", "list", "null"])
def test_each_error_names_the_document_and_the_store(
    kind: str, data: bytes, artifact: Call, channel: Call, store: Store, tree: t.Callable[..., str]
) -> None:
    artifact(path=tree())
    key = "shop/%s.json" % kind
    found = store.stat(key)
    store.replace(key, data, found.etag if found else None)
    calls: dict[str, t.Callable[[], t.Any]] = {
        "channels": lambda: channel(version="1.0.0"),
        "journal": lambda: retention.roots(store, "shop"),
        "versions": lambda: artifact(path=tree()),
        "pins": lambda: artifact(version="1.0.0", pinned=True),
    }
    call = calls.get(kind.partition("/")[0])
    if call is None:  # that of the lock is held by the tests of _rollout
        return
    with pytest.raises(BeamError) as caught:
        call()
    assert key in caught.value.message and store.location in caught.value.message and caught.value.hint
    if kind.startswith("pins"):
        assert artifact(version="1.0.0", pinned=False)["changed"] and artifact(version="1.0.0", pinned=True)["changed"]


def test_a_manifest_that_a_killed_prune_left_goes(
    artifact: Call, store: Store, tree: t.Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = artifact(path=tree())
    artifact(path=tree("1.1.0", changed=(1,)))
    real = store.delete
    monkeypatch.setattr(retention.Store, "sweep", lambda *_args: 0)
    assert real(version_key("shop", "1.0.0"))  # and there it was killed
    key = "shop/manifests/%s.json.gz" % first["digest"]
    assert store.stat(key) is not None
    assert artifact(state="pruned", keep=10)["changed"] is False  # it may belong to a publish in flight
    done = artifact(state="pruned", keep=10, min_layer_age=0)
    assert done["changed"] and store.stat(key) is None and done["layers"]["collected"]
    assert artifact(state="pruned", keep=10, min_layer_age=0)["changed"] is False
    assert artifact(state="verified")["verified"] == ["1.1.0"]


@pytest.mark.parametrize("state", ["pruned", "absent"])
def test_what_killed_writers_left_goes_with_any_prune(
    state: str, artifact: Call, store: Store, tree: t.Callable[..., str]
) -> None:
    if store.needs_proof:
        pytest.skip("a bucket has no temporary files")
    artifact(path=tree())
    root = pathlib.Path(store.location[len("file://") :])
    for kind, age in (("layers", 5), ("channels", 5), ("versions", 0)):
        (root / "shop" / kind).mkdir(exist_ok=True)
        path = root / "shop" / kind / ".tmp-0123456789abcdef"
        path.write_bytes(b"half")
        os.utime(path, (path.stat().st_mtime - age * 86400,) * 2)
    artifact(check=True, state="pruned", keep=10)
    assert len(list(root.rglob(".tmp-*"))) == 3
    assert not artifact(state=state, version="9.9.9", keep=10)["changed"]
    assert [path.parent.name for path in root.rglob(".tmp-*")] == ["versions"]

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publishing, and reading back, on each kind of store."""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict, NotFound
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Provenance
from ansible_collections.alchemist.beam.plugins.module_utils._release.record import (
    BuildRecord,
    dump_record,
    record_path,
)
from ansible_collections.alchemist.beam.plugins.module_utils._release.tree import scan_tree
from ansible_collections.alchemist.beam.plugins.module_utils._store import publish, send
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import (
    pack_manifest,
    read_manifest,
    unpack_manifest,
)

Artifact = t.Callable[..., dict[str, t.Any]]


def keys(store: Store, prefix: str = "shop/") -> list[str]:
    return [s.key for s in store.list(prefix)]


def test_publish_then_the_same_again(artifact: Artifact, store: Store, trees: t.Any, tmp_path: pathlib.Path) -> None:
    tree = trees.make_tree(tmp_path / "tree")
    planned = artifact(check=True, path=str(tree))
    assert planned["changed"] and planned["digest"] is None and planned["writes"] == 0
    assert keys(store) == []
    first = artifact(path=str(tree))
    assert first["changed"] and first["layers"]["sent"] == first["layers"]["total"] == planned["layers"]["sent"]
    assert first["writes"] == len(keys(store)) == first["layers"]["total"] + 2
    assert first["left_out"] == ["releases/COOKIE"] and first["version"] == "1.0.0"
    again = artifact(path=str(tree))
    assert not again["changed"] and again["writes"] == 0 and again["digest"] == first["digest"]
    assert again["diff"]["before"] == again["diff"]["after"]


def test_no_cookie_in_any_layer(artifact: Artifact, store: Store, trees: t.Any, tmp_path: pathlib.Path) -> None:
    artifact(path=str(trees.make_tree(tmp_path / "tree")))
    for key in keys(store):
        data = store.get(key, 10_000_000).data
        assert b"VERYSECRETCOOKIE" not in (gzip.decompress(data) if key.endswith("gz") else data)


def test_a_second_version_sends_only_what_changed(artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path) -> None:
    first = artifact(path=str(trees.make_tree(tmp_path / "1", "1.0.0")))
    second = artifact(path=str(trees.make_tree(tmp_path / "2", "1.1.0", changed=(3,))))
    # The bucket of the changed module, and the boot files.
    assert second["changed"] and second["layers"]["sent"] == 2
    assert second["bytes"]["sent"] < first["bytes"]["sent"] / 4


def test_a_layer_is_used_again_though_another_zlib_packed_it(
    artifact: Artifact,
    trees: t.Any,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    artifact(path=str(trees.make_tree(tmp_path / "1", "1.0.0")))
    real = send.pack.__globals__["open_tar"]
    monkeypatch.setitem(send.pack.__globals__, "open_tar", lambda out: real(out, level=1))
    second = artifact(path=str(trees.make_tree(tmp_path / "2", "1.1.0", changed=(3,))))
    assert second["layers"]["sent"] == 2
    assert artifact(state="verified")["verified"] == ["1.1.0", "1.0.0"] or artifact(state="verified")["verified"] == [
        "1.0.0",
        "1.1.0",
    ]


def test_the_same_version_with_other_content(
    artifact: Artifact, store: Store, trees: t.Any, tmp_path: pathlib.Path
) -> None:
    tree = trees.make_tree(tmp_path / "1")
    artifact(path=str(tree))
    before = keys(store)
    trees.write(tree, "lib/shop-1.0.0/ebin/Elixir.Shop.M3.beam", b"other")
    trees.write(tree, "lib/shop-1.0.0/ebin/New.beam", b"new")
    (tree / "lib/shop-1.0.0/ebin/Elixir.Shop.M4.beam").unlink()
    (tree / "bin/shop").chmod(0o644)
    with pytest.raises(Conflict) as caught:
        artifact(path=str(tree))
    assert caught.value.code == "version_exists"
    assert caught.value.details["differing"] == [
        "~ bin/shop",
        "~ lib/shop-1.0.0/ebin/Elixir.Shop.M3.beam",
        "- lib/shop-1.0.0/ebin/Elixir.Shop.M4.beam",
        "+ lib/shop-1.0.0/ebin/New.beam",
    ]
    assert keys(store) == before


def test_another_provenance_is_no_other_content(artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path) -> None:
    tree = trees.make_tree(tmp_path / "1")
    digests = []
    for sha in ("a" * 40, "b" * 40):
        record = BuildRecord("shop", "1.0.0", Abi(), Provenance(git_sha=sha), ("shop",))
        pathlib.Path(record_path(str(tree))).write_bytes(dump_record(record))
        result = artifact(path=str(tree), name=None)
        digests.append(result["digest"])
    assert digests[0] == digests[1] and result["writes"] == 0 and not result["changed"]


def test_where_and_when_a_tree_was_built_does_not_matter(
    artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path
) -> None:
    digest = artifact(path=str(trees.make_tree(tmp_path / "one" / "tree")))["digest"]
    other = trees.make_tree(tmp_path / "another" / "place")
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
    trees.write(other, "releases/COOKIE", b"ANOTHER")
    result = artifact(path=str(other))
    assert result["digest"] == digest and not result["changed"]


@pytest.mark.parametrize(("same", "winners"), [(True, 4), (False, 1)])
def test_publishers_at_once(
    same: bool,
    winners: int,
    store_params: dict[str, t.Any],
    store: Store,
    artifact: Artifact,
    trees: t.Any,
    tmp_path: pathlib.Path,
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    roots = [trees.make_tree(tmp_path / str(i), modules=4) for i in range(4)]
    if not same:
        for index, root in enumerate(roots):
            trees.write(root, "lib/shop-1.0.0/priv/who", b"%d" % index)

    def one(root: pathlib.Path) -> t.Any:
        try:
            return artifact(path=str(root))["digest"]
        except Conflict as exc:
            return exc

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, roots))
    digests = [r for r in results if isinstance(r, str)]
    assert len(digests) == winners and len(set(digests)) == 1
    for result in results:
        if isinstance(result, Conflict):
            assert result.details["differing"] == ["~ lib/shop-1.0.0/priv/who"]
    assert artifact(state="verified")["verified"] == ["1.0.0"]


def test_a_publish_that_died_is_taken_up(
    artifact: Artifact, store: Store, trees: t.Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = trees.make_tree(tmp_path / "1")

    def dies(*_args: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publish, "Manifest", dies)
        with pytest.raises(KeyboardInterrupt):
            artifact(path=str(tree))
    left = keys(store)
    assert left and all("/layers/" in key for key in left)
    result = artifact(path=str(tree))
    assert result["changed"] and result["layers"]["sent"] == 0 and result["writes"] == 2


def test_a_layer_that_disappears_meanwhile_is_sent_again(
    artifact: Artifact,
    store: Store,
    trees: t.Any,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    artifact(path=str(trees.make_tree(tmp_path / "1")))
    victim = next(key for key in keys(store) if "/layers/" in key)
    real = publish.prove_conditions

    def removes(checked: Store) -> None:
        real(checked)
        store.delete(victim)

    monkeypatch.setattr(publish, "prove_conditions", removes)
    artifact(path=str(trees.make_tree(tmp_path / "2", "1.1.0", changed=(3,))))
    assert artifact(state="verified", version="1.1.0")["verified"] == ["1.1.0"]


def test_a_tree_that_changes_while_it_is_published(
    artifact: Artifact,
    store: Store,
    trees: t.Any,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = trees.make_tree(tmp_path / "1")
    real = publish.prove_conditions

    def writes(checked: Store) -> None:
        real(checked)
        trees.write(tree, "lib/shop-1.0.0/ebin/Elixir.Shop.M3.beam", b"x" * 8000)

    monkeypatch.setattr(publish, "prove_conditions", writes)
    with pytest.raises(BeamError) as caught:
        artifact(path=str(tree))
    assert caught.value.code == "tree_changed" and "Elixir.Shop.M3.beam" in caught.value.message
    assert not [key for key in keys(store) if "/layers/" not in key]


def test_what_can_not_be_published(artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path) -> None:
    tree = trees.make_tree(tmp_path / "1")
    for options, code in (
        ({"path": str(tmp_path / "none")}, "tree_missing"),
        ({"path": str(tree), "name": None}, "name_missing"),
        ({"path": str(tree), "version": "2.0.0"}, "tree_is_other"),
        ({"path": str(tree), "name": "../x"}, "invalid_name"),
        ({"version": "../x"}, "invalid_version"),
        ({"version": "9.9.9"}, "release_missing"),
        ({"name": "shop"}, "option_missing"),
    ):
        with pytest.raises(BeamError) as caught:
            artifact(**options)
        assert caught.value.code == code, options
        assert caught.value.hint


def test_export_is_the_tree(artifact: Artifact, trees: t.Any, tmp_path: pathlib.Path) -> None:
    tree = trees.make_tree(tmp_path / "1")
    artifact(path=str(tree))
    dest = tmp_path / "out.tar.gz"
    assert artifact(check=True, state="exported", version="1.0.0", dest=str(dest))["changed"] and not dest.exists()
    assert artifact(state="exported", version="1.0.0", dest=str(dest))["changed"]
    assert not artifact(state="exported", version="1.0.0", dest=str(dest))["changed"]
    (tmp_path / "unpacked").mkdir()
    # GNU tar, and one stream: what others read it with.
    assert os.system("tar -xzf '%s' -C '%s'" % (dest, tmp_path / "unpacked")) == 0
    assert gzip.decompress(dest.read_bytes())
    wanted = scan_tree(str(tree))
    found = scan_tree(str(tmp_path / "unpacked"))
    assert (found.files, found.directories) == (wanted.files, wanted.directories)
    assert not (tmp_path / "unpacked/releases/COOKIE").exists()
    dest.write_bytes(dest.read_bytes()[:-100])
    assert artifact(state="exported", version="1.0.0", dest=str(dest))["changed"]
    folder = artifact(state="exported", version="1.0.0", dest=str(tmp_path))
    assert folder["dest"] == str(tmp_path / "shop-1.0.0.tar.gz") and tarfile.is_tarfile(folder["dest"])
    assert not list(tmp_path.glob(".export-*"))
    with pytest.raises(BeamError) as caught:
        artifact(state="exported", version="1.0.0", dest=str(tmp_path / "none" / "x"))
    assert caught.value.code == "dest_unwritable"


def damage(store: Store, key: str, data: bytes | None) -> None:
    store.delete(key)
    if data is not None:
        store.put_if_absent(key, data, len(data))


def test_verify_finds_every_damage(artifact: Artifact, store: Store, trees: t.Any, tmp_path: pathlib.Path) -> None:
    digest = artifact(path=str(trees.make_tree(tmp_path / "1")))["digest"]
    assert artifact(state="verified")["files"] == len(read_manifest(store, "shop", digest).files())
    layers = [key for key in keys(store) if "/layers/" in key]
    good = {key: store.get(key, 10_000_000).data for key in layers}
    flipped = bytearray(good[layers[0]])
    flipped[len(flipped) // 2] ^= 1
    for data, why in (
        (bytes(flipped), "sha256"),
        (good[layers[0]][:-5], "bytes, the manifest says"),
        (good[layers[0]] + b"x", "more than"),
        (good[layers[1]], ""),
        (None, "missing"),
    ):
        damage(store, layers[0], data)
        with pytest.raises(BeamError) as caught:
            artifact(state="verified", version="1.0.0")
        assert caught.value.code == "release_corrupt"
        assert [p["layer"] for p in caught.value.details["problems"]] == [os.path.basename(layers[0])[:64]]
        assert why in caught.value.details["problems"][0]["why"]
        with pytest.raises(BeamError) as caught:
            artifact(state="exported", version="1.0.0", dest=str(tmp_path / "out"))
        assert caught.value.code == "release_corrupt" and not (tmp_path / "out").exists()
    damage(store, layers[0], good[layers[0]])
    manifest_key = next(key for key in keys(store) if "/manifests/" in key)
    edited = pack_manifest(gzip.decompress(store.get(manifest_key, 10_000_000).data).replace(b"1.0.0", b"1.0.1"))
    for data in (edited, b"no gzip", good[layers[1]]):
        damage(store, manifest_key, data)
        with pytest.raises(BeamError) as caught:
            artifact(state="verified")
        assert caught.value.code == "manifest_corrupt"


def test_a_manifest_that_is_a_bomb() -> None:
    data = gzip.compress(b"0" * (40 * 1024 * 1024))
    with pytest.raises(BeamError) as caught:
        unpack_manifest(data, hashlib.sha256(b"0" * (40 * 1024 * 1024)).hexdigest())
    assert "more than" in caught.value.message


def test_info(
    artifact: Artifact,
    channel: t.Any,
    store_params: dict[str, t.Any],
    store: Store,
    trees: t.Any,
    tmp_path: pathlib.Path,
) -> None:
    def info(**options: t.Any) -> dict[str, t.Any]:
        return run_artifact_info({**store_params, "name": "shop", **options})

    assert info()["releases"] == [] and info(version="1.0.0")["releases"] == []
    artifact(path=str(trees.make_tree(tmp_path / "1")))
    artifact(path=str(trees.make_tree(tmp_path / "2", "1.1.0")))
    channel(version="1.1.0")
    releases = info()["releases"]
    assert sorted(r["version"] for r in releases) == ["1.0.0", "1.1.0"]
    one = info(channel="production")["releases"]
    assert [r["version"] for r in one] == ["1.1.0"] and one[0]["protected"] == "it is stable on the channel production"
    assert info(digest=one[0]["digest"])["releases"] == one == info(version="1.1.0")["releases"]
    assert info(channel="none")["releases"] == [] and "objects" not in info()
    made_of = info(version="1.1.0")["objects"]
    assert {key for key in made_of if "/layers/" not in key} == set(made_of[-2:]) == {
        "shop/manifests/%s.json.gz" % one[0]["digest"],
        "shop/versions/1.1.0.json",
    } and set(made_of) <= set(keys(store))
    assert {key for key in made_of if "/layers/" in key} == {key for key in keys(store) if "/layers/" in key} - set(
        _unshared(store, one[0]["digest"])
    )
    if store.needs_proof:
        urls = info(channel="production", presign=60)["presigned"]
        assert set(urls) == {key for key in keys(store) if "/layers/" in key} - set(
            _unshared(store, one[0]["digest"])
        ) | {
            "shop/manifests/%s.json.gz" % one[0]["digest"],
            "shop/versions/1.1.0.json",
            "shop/channels/production.json",
        }
        import urllib.request

        for key, url in urls.items():
            with urllib.request.urlopen(url, timeout=10) as response:
                assert response.read() == store.get(key, 10_000_000).data
        for seconds in (0, 901):
            with pytest.raises(BeamError):
                store.presign("shop/x", seconds)
    else:
        with pytest.raises(BeamError) as caught:
            info(channel="production", presign=60)
        assert caught.value.code == "presign_unsupported"
    with pytest.raises(NotFound):
        info(version="3.0.0", presign=60)


def _unshared(store: Store, digest: str) -> list[str]:
    mine = {layer.sha256 for layer in read_manifest(store, "shop", digest).layers}
    return [key for key in keys(store, "shop/layers/") if os.path.basename(key)[:64] not in mine]

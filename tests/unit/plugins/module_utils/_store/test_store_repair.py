# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rotted, was swapped or got lost in a store is found by the next publish, and written again."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import artifact as artifact_module
from ansible_collections.alchemist.beam.plugins.module_utils._store import channels as channels_module
from ansible_collections.alchemist.beam.plugins.module_utils._store import send
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import read_manifest

Artifact = t.Callable[..., dict[str, t.Any]]
MAX = 10_000_000


def swap(store: Store, key: str, data: bytes | None) -> None:
    """The object holds data now, or is gone."""
    stat = store.stat(key)
    if data is None:
        store.delete(key)
    else:
        store.replace(key, data, stat.etag if stat else None)


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


KINDS: dict[str, t.Callable[[bytes], bytes | None]] = {
    "flipped": flipped,
    "truncated": lambda data: data[:-7],
    "longer": lambda data: data + b"x",
    "empty": lambda _data: b"",
    "missing": lambda _data: None,
}


def shared_layer(store: Store, digest: str) -> str:
    """A layer that the next version uses, too."""
    return max(
        (
            layer
            for layer in read_manifest(store, "shop", digest).layers
            if "dep" in layer.prefix or layer.prefix == "lib"
        ),
        key=lambda x: x.size,
    ).sha256


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", ["1.0.0", "1.1.0"])
def test_a_layer_that_is_wrong_is_written_again(
    artifact: Artifact, store: Store, tree: t.Callable[..., str], kind: str, again: str
) -> None:
    """By the same version once more, and by the next one that would use it."""
    first = artifact(path=tree())
    key = "shop/layers/%s.tar.gz" % shared_layer(store, first["digest"])
    right = store.get(key, MAX).data
    swap(store, key, KINDS[kind](right))
    path = tree(again, changed=(2,)) if again != "1.0.0" else tree()
    planned = artifact(check=True, path=path)
    assert planned["changed"] and planned["writes"] == 0
    second = artifact(path=path)
    assert second["changed"] and store.get(key, MAX).data == right
    if again == "1.0.0" or kind != "missing":  # what is missing in the store is no more than to be sent
        assert second["layers"]["repaired"] == 1
        assert (
            len(second["warnings"]) == 1
            and key[12:24] in second["warnings"][0]
            and store.location in second["warnings"][0]
        )
    artifact(state="verified")
    third = artifact(path=path)
    assert not third["changed"] and third["writes"] == 0 and "warnings" not in third


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_that_is_wrong_is_written_again(
    artifact: Artifact, store: Store, tree: t.Callable[..., str], kind: str
) -> None:
    first = artifact(path=tree())
    key = "shop/manifests/%s.json.gz" % first["digest"]
    right = store.get(key, MAX).data
    swap(store, key, KINDS[kind](right))
    second = artifact(path=tree())
    assert second["changed"] and second["digest"] == first["digest"] and store.get(key, MAX).data == right
    assert second["layers"]["repaired"] == 1 and first["digest"][:12] in second["warnings"][0]
    assert not artifact(path=tree())["changed"]


def test_a_manifest_is_not_repaired_from_another_tree(
    artifact: Artifact, store: Store, tree: t.Callable[..., str]
) -> None:
    first = artifact(path=tree())
    key = "shop/manifests/%s.json.gz" % first["digest"]
    swap(store, key, None)
    with pytest.raises(BeamError) as caught:
        artifact(path=tree(sha="b" * 40, changed=(1,)))
    assert (
        caught.value.code == "manifest_corrupt"
        and first["digest"][:12] in caught.value.message
        and store.location in caught.value.message
    )
    assert store.stat(key) is None


def test_bytes_that_this_machine_cant_make_are_said(
    artifact: Artifact,
    store: Store,
    tree: t.Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = artifact(path=tree())
    key = "shop/layers/%s.tar.gz" % shared_layer(store, first["digest"])
    swap(store, key, flipped(store.get(key, MAX).data))
    real = send.pack.__globals__
    monkeypatch.setitem(real, "open_tar", lambda out, opened=real["open_tar"]: opened(out, level=1))
    with pytest.raises(BeamError) as caught:
        artifact(path=tree())
    assert (
        caught.value.code == "layer_corrupt" and "zlib" in caught.value.message and key[12:24] in caught.value.message
    )
    # Another version is not kept from being published: it uses bytes of its own.
    second = artifact(path=tree("1.1.0"))
    assert second["changed"] and any(key[12:24] in line for line in second["warnings"])
    artifact(state="verified", version="1.1.0")


class Server(DirectoryStore):
    """A server, as far as the rest knows: it notes the sha256 of what it was sent, and may lose or change what it was sent without saying so."""

    needs_proof = True
    lose: t.Callable[[str], bool] = staticmethod(lambda _key: False)
    rotten: t.ClassVar[dict[str, str]] = {}  # key -> the sha256 that is noted all the same

    def put_if_absent(self, key: str, data: t.Any, size: int) -> bool:
        if self.lose(key):
            return True
        return super().put_if_absent(key, data, size)

    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        if self.lose(key):
            return hashlib.sha256(data).hexdigest()
        return super().replace(key, data, etag)

    def noted(self, key: str) -> t.Any:
        found = super().noted(key)
        return type(found)(found.size, self.rotten[key]) if found and key in self.rotten else found


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    (tmp_path / "server").mkdir()
    made = Server(str(tmp_path / "server"))
    monkeypatch.setattr(artifact_module, "open_store", lambda _params: made)
    monkeypatch.setattr(channels_module, "open_store", lambda _params: made)
    return made


@pytest.mark.parametrize("kind", ["layers", "manifests", "versions"])
def test_a_server_that_stores_nothing_is_named(
    artifact: Artifact, server: Server, tree: t.Callable[..., str], kind: str
) -> None:
    server.lose = lambda key: "/%s/" % kind in key  # type: ignore[method-assign]
    with pytest.raises(BeamError) as caught:
        artifact(path=tree())
    assert (
        caught.value.code == "store_lost_write"
        and "shop/%s/" % kind in caught.value.message
        and server.location in caught.value.message
    )
    server.lose = lambda _key: False  # type: ignore[method-assign]
    assert artifact(path=tree())["changed"]
    artifact(state="verified")


def test_a_server_that_stores_no_channel_is_named(
    artifact: Artifact, channel: t.Callable[..., dict[str, t.Any]], server: Server, tree: t.Any
) -> None:
    artifact(path=tree())
    for serial in (1, 2):
        server.lose = lambda key: "/channels/" in key  # type: ignore[method-assign]
        with pytest.raises(BeamError) as caught:
            channel(version="1.0.0") if serial == 1 else channel(state="proposed", version="1.0.0")
        assert caught.value.code == "store_lost_write" and "shop/channels/production.json" in caught.value.message
        server.lose = lambda _key: False  # type: ignore[method-assign]
        assert channel(version="1.0.0")["channel"]["serial"] == 1


def test_a_server_that_stores_nothing_at_all_is_not_called_unconditional(
    artifact: Artifact, server: Server, tree: t.Any
) -> None:
    server.lose = lambda _key: True  # type: ignore[method-assign]
    with pytest.raises(BeamError) as caught:
        artifact(path=tree())
    assert caught.value.code == "store_lost_write"


def test_verify_reads_what_the_server_only_noted(
    artifact: Artifact, server: Server, tree: t.Callable[..., str]
) -> None:
    """Rot below a server that goes on to tell the sha256 of what it was once sent."""
    first = artifact(path=tree())
    sha256 = shared_layer(server, first["digest"])
    key = "shop/layers/%s.tar.gz" % sha256
    right = server.get(key, MAX).data
    swap(server, key, flipped(right))
    server.rotten = {key: sha256}  # type: ignore[misc]
    assert not artifact(path=tree())["changed"]
    assert artifact(path=tree(), verify=True)["layers"]["repaired"] == 1
    assert server.get(key, MAX).data == right


def test_a_store_that_notes_no_sha256_is_read(artifact: Artifact, server: Server, tree: t.Callable[..., str]) -> None:
    first = artifact(path=tree())
    key = "shop/layers/%s.tar.gz" % shared_layer(server, first["digest"])
    server.rotten = dict.fromkeys((s.key for s in server.list("")), "")  # type: ignore[misc]
    assert not artifact(path=tree())["changed"]
    swap(server, key, flipped(server.get(key, MAX).data))
    assert artifact(path=tree())["layers"]["repaired"] == 1

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The digest of an image follows from release, base and options, and from nothing else."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import typing as t
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._image import archive
from ansible_collections.alchemist.beam.plugins.module_utils._image.archive import Blob, check_blob, write_blob
from ansible_collections.alchemist.beam.plugins.module_utils._image.places import Entry
from ansible_collections.alchemist.beam.plugins.module_utils._image.remember import parse_record
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._image.image_site import HOST, Registry

Run = t.Callable[..., dict[str, t.Any]]


def layers_of(registry: Registry, digest: str) -> list[str]:
    return [row["digest"] for row in json.loads(registry.manifests[HOST + "/shop"][digest])["layers"]]


def test_it_is_pushed_and_a_second_run_changes_nothing(publish: Run, image: Run, registry: Registry) -> None:
    release = publish()
    rehearsed = image(check=True)
    assert rehearsed["changed"] and rehearsed["writes"] == 0 and HOST + "/shop" not in registry.manifests
    first = image()
    assert first["changed"] and first["digest"] == rehearsed["digest"] and first["release_digest"] == release["digest"]
    assert first["image"] == "%s/shop@%s" % (HOST, first["digest"]) and registry.named[HOST + "/shop"] == {
        "1.0.0": first["digest"]
    }
    assert first["bytes"]["missing"] == rehearsed["bytes"]["missing"] == first["bytes"]["image"]
    sent = len(registry.sent)
    again = image()
    assert (
        not again["changed"]
        and again["digest"] == first["digest"]
        and again["writes"] == 0
        and again["bytes"]["missing"] == 0
    )
    assert len(registry.sent) == sent


def test_a_second_version_sends_what_changed(publish: Run, image: Run, registry: Registry) -> None:
    publish("1.0.0", modules=120)
    publish("1.0.1", modules=120, changed=(5,))
    first, sent = image("1.0.0"), len(registry.sent)
    second = image("1.0.1")
    blobs = sum(size for _digest, size in registry.sent[sent:])
    assert second["layers"]["packed"] == 3  # one bucket, boot, links
    assert blobs <= second["bytes"]["missing"] < 0.15 * first["bytes"]["release"]
    assert (
        len(set(layers_of(registry, first["digest"])) & set(layers_of(registry, second["digest"])))
        == first["layers"]["release"] + 1 - 3
    )


def test_empty_caches_and_another_store_make_the_same(publish: Run, image: Run, tmp_path: Path) -> None:
    publish()
    publish(store="other")
    first = image()["digest"]
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "store" / "shop" / "images")
    assert (
        image(check=True)["digest"] == image(check=True, store="other", cache=str(tmp_path / "new"))["digest"] == first
    )


@pytest.mark.parametrize("gone", [False, True])
def test_an_image_that_left_the_registry_is_made_again(
    publish: Run, image: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gone: bool
) -> None:
    """From the remembered bytes, whatever zlib is here now; or packed once more."""
    publish()
    first = image()["digest"]
    for kept in (registry.manifests, registry.blobs, registry.named):
        kept.pop(HOST + "/shop")
    if gone:  # the store has lost the bytes, too, and this zlib makes the same
        for path in (tmp_path / "store/shop/images").glob("*.tar.gz"):
            path.unlink()
    else:
        monkeypatch.setattr(archive, "LEVEL", 1)
    again = image()
    assert again["changed"] and again["digest"] == first and again["layers"]["packed"] == 0


def test_what_is_lost_and_can_not_be_made_is_said(
    publish: Run, image: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish()
    image()
    for kept in (registry.manifests, registry.blobs, registry.named):
        kept.pop(HOST + "/shop")
    for path in (tmp_path / "store/shop/images").glob("*.tar.gz"):
        path.unlink()
    monkeypatch.setattr(archive, "LEVEL", 1)
    with pytest.raises(BeamError, match="its bytes are gone.*other bytes") as caught:
        image()
    assert caught.value.code == "image_layer_lost"


def test_the_registry_may_have_lost_a_layer_that_its_images_name(publish: Run, image: Run, registry: Registry) -> None:
    publish("1.0.0", modules=120)
    publish("1.0.1", modules=120, changed=(5,))
    image("1.0.0")
    registry.blobs[HOST + "/shop"].clear()
    assert image("1.0.1")["changed"] and "1.0.1" in registry.named[HOST + "/shop"]


def test_a_remembered_layer_that_was_changed_is_refused(
    publish: Run, image: Run, registry: Registry, tmp_path: Path
) -> None:
    publish()
    first = image()
    for kept in (registry.manifests, registry.blobs, registry.named):
        kept.pop(HOST + "/shop")
    blob = next((tmp_path / "store/shop/images").glob("*.tar.gz"))
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(BeamError, match="do not have the sha256") as caught:
        image()
    assert caught.value.code == "image_layer_wrong" and first["digest"]


def test_a_record_that_names_other_content_is_refused(
    publish: Run, image: Run, registry: Registry, tmp_path: Path
) -> None:
    """Whoever can write the records, and not the releases, gets no code of theirs into an image that is pushed."""
    publish()
    image()
    for kept in (registry.manifests, registry.blobs, registry.named):
        kept.pop(HOST + "/shop")
    images = tmp_path / "store/shop/images"
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("app/bin/shop"), BytesIO(b""))
    data = gzip.compress(out.getvalue())
    digest = hashlib.sha256(data).hexdigest()
    (images / (digest + ".tar.gz")).write_bytes(data)
    record = sorted(images.glob("*.json"))[0]
    document = json.loads(record.read_text())
    record.chmod(0o644)
    record.write_text(json.dumps({**document, "digest": digest, "size": len(data)}))
    with pytest.raises(BeamError) as caught:
        image()
    assert caught.value.code == "image_layer_wrong" and "where the release has" in caught.value.why


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": 1}',
        b'{"schema":1,"digest":"x","size":1,"diff_id":"y"}',
        b'{"schema":1,"digest":"%s","size":true,"diff_id":"%s"}' % (b"a" * 64, b"b" * 64),
    ],
)
def test_a_record_that_is_none(data: bytes) -> None:
    with pytest.raises(BeamError) as caught:
        parse_record(data)
    assert caught.value.code == "image_record_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 8},
        {"user": "1000"},
        {"ports": [4000]},
        {"env": {"PHX_SERVER": True}},
        {"labels": {"team": "a"}},
        {"distribution_port": 0},
    ],
    ids=str,
)
def test_each_option_is_part_of_the_digest(publish: Run, image: Run, change: dict[str, t.Any]) -> None:
    publish()
    assert image(check=True, **change)["digest"] != image(check=True)["digest"]


def test_the_configuration(publish: Run, image: Run, registry: Registry) -> None:
    publish()
    done = image(env={"PHX_SERVER": True}, ports=[4000], labels={"team": "shop", "alchemist.beam.digest": "forged"})
    config = json.loads(registry.blobs[HOST + "/shop"][done["config_digest"]])
    inside = config["config"]
    assert inside["Entrypoint"] == [
        "/usr/bin/env",
        "ERL_AFLAGS=-start_epmd false -erl_epmd_port 9100",
        "/app/bin/shop",
        "start",
    ]
    assert "ERL_AFLAGS=-start_epmd false -erl_epmd_port 9100 -dist_listen false" in inside["Env"]
    assert {"PHX_SERVER=true", "PATH=/usr/bin", "RELEASE_TMP=/tmp", "ERL_MAX_PORTS=65536"} <= set(inside["Env"])
    assert inside["User"] == "65532:65532" and inside["WorkingDir"] == "/app" and "Cmd" not in inside
    assert (
        inside["ExposedPorts"] == {"4000/tcp": {}}
        and inside["Labels"]["team"] == "shop"
        and inside["Labels"]["of"] == "base"
    )
    assert (
        inside["Labels"]["alchemist.beam.digest"] == done["release_digest"]
        and config["created"] == "1970-01-01T00:00:00Z"
    )
    assert (
        len(config["history"])
        == len(config["rootfs"]["diff_ids"])
        == done["layers"]["base"] + done["layers"]["release"]
    )
    manifest = json.loads(registry.manifests[HOST + "/shop"][done["digest"]])
    blobs = registry.blobs[HOST + "/shop"]
    for row, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"]):
        assert "sha256:" + hashlib.sha256(gzip.decompress(blobs[row["digest"]])).hexdigest() == diff_id
    assert "COOKIE" not in {name for row in manifest["layers"][1:] for name in _names(blobs[row["digest"]])}


def _names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=BytesIO(data)) as tar:
        return [name.rsplit("/", 1)[-1] for name in tar.getnames()]


def test_the_bytes_of_a_layer_are_these(tmp_path: Path) -> None:
    """Known bytes, on each Python: the tar is ours to the last byte, and the frame of the gzip."""
    (tmp_path / "f").write_bytes(b"hello")
    sha256 = hashlib.sha256(b"hello").hexdigest()
    entries = [Entry("app/d", 0o755), Entry("app/" + "x" * 120, 0o644, 5, sha256), Entry("app/l", 0o777, target="d")]
    with (tmp_path / "blob").open("wb") as out:
        blob = write_blob(out, entries, lambda _entry: (tmp_path / "f").open("rb"))
    data = (tmp_path / "blob").read_bytes()
    assert blob == Blob(hashlib.sha256(data).hexdigest(), len(data), hashlib.sha256(gzip.decompress(data)).hexdigest())
    assert (
        blob.diff_id == "d81eae3e49a54c366ca8d7f1a3ed707f97083a1519cac97ff3fded0515676a7b"
        and data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    )
    assert zlib.decompressobj(31).decompress(data)
    check_blob(str(tmp_path / "blob"), entries)
    for wrong in (
        entries[:2],
        [*entries, Entry("app/more", 0o755)],
        [entries[0], Entry(entries[1].path, 0o755, 5, sha256), entries[2]],
    ):
        with pytest.raises(ValueError, match="it holds"):
            check_blob(str(tmp_path / "blob"), wrong)

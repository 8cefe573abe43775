# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input: each has a code, names the thing, and nothing is pushed."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, NotFound
from ansible_collections.alchemist.beam.plugins.module_utils._image import image as product
from ansible_collections.alchemist.beam.plugins.module_utils._image.documents import MOST_LAYERS
from ansible_collections.alchemist.beam.plugins.module_utils._image.options import skopeo_of
from ansible_collections.alchemist.beam.plugins.module_utils._image.reference import parse_reference, tag_of
from ansible_collections.alchemist.beam.plugins.module_utils._image.skopeo import Skopeo, explain
from ansible_collections.alchemist.beam.plugins.module_utils._image.tree import Tree
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._image.image_site import (
    HOST,
    Registry,
    base_layer,
    sha256,
    tar_of,
)

Run = t.Callable[..., dict[str, t.Any]]


def refused(code: str, pattern: str, work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as caught:
        work()
    assert caught.value.code == code, caught.value.message
    assert re.search(pattern, caught.value.message), caught.value.message
    return caught.value


def test_a_base_by_its_tag(publish: Run, image: Run, base: str) -> None:
    publish()
    refused("image_base_not_pinned", "now " + re.escape(base), lambda: image(base=HOST + "/base:1"))


def test_a_base_that_is_not_there(publish: Run, image: Run) -> None:
    publish()
    refused("image_missing", "no such image", lambda: image(base="%s/base@sha256:%s" % (HOST, "0" * 64)))


def test_a_base_for_another_architecture(publish: Run, image: Run, registry: Registry, tmp_path: Path) -> None:
    publish()
    other = registry.push_base([base_layer(tmp_path / "arm")], architecture="arm64")
    refused("image_base_architecture", "linux/arm64, the release for linux/amd64", lambda: image(base=other))


def index_of(registry: Registry, *rows: tuple[str, str]) -> str:
    repository = HOST + "/base"
    data = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": image.rpartition("@")[2],
                    "size": 1,
                    "platform": {"os": "linux", "architecture": architecture},
                }
                for image, architecture in rows
            ],
        }
    ).encode()
    registry.manifests[repository][sha256(data)] = data
    return "%s@%s" % (repository, sha256(data))


def test_an_index_as_base(publish: Run, image: Run, registry: Registry, base: str, tmp_path: Path) -> None:
    publish()
    arm = registry.push_base([base_layer(tmp_path / "arm")], architecture="arm64")
    both = image(check=True, base=index_of(registry, (arm, "arm64"), (base, "amd64")))
    assert both["digest"] == image(check=True)["digest"] and both["base_digest"] == base.rpartition("@")[2]
    refused(
        "image_base_architecture",
        r"no image for amd64 \(it has arm64\)",
        lambda: image(base=index_of(registry, (arm, "arm64"))),
    )


def test_a_base_with_an_older_libc_and_without_openssl(
    publish: Run, image: Run, registry: Registry, tmp_path: Path
) -> None:
    publish()
    layer = base_layer(tmp_path / "old", glibc=["GLIBC_2.2.5", "GLIBC_2.31"], openssl=["OPENSSL_1_1_0"])
    old = registry.push_base([layer])
    error = refused(
        "image_abi_mismatch", r"libc.so.6 lacks GLIBC_2.34 \(it goes up to GLIBC_2.31\)", lambda: image(base=old)
    )
    assert len(error.details["problems"]) == 2 and HOST + "/shop" not in registry.manifests
    refused("image_abi_mismatch", "libc", lambda: image(base=old, check=True, abi_ignore=["libcrypto.so.*"]))
    assert image(base=old, preflight=False)["changed"]


def test_a_later_layer_may_take_a_library_away(publish: Run, image: Run, registry: Registry, tmp_path: Path) -> None:
    publish()
    gone = tar_of({"lib/x86_64-linux-gnu/.wh.libcrypto.so.3": b""})
    refused(
        "image_abi_mismatch",
        "libcrypto.so.3 is not installed",
        lambda: image(base=registry.push_base([base_layer(tmp_path / "a"), gone])),
    )
    opaque = tar_of({"usr/bin/.wh..wh..opq": b"", "usr/bin/sh": b"#!"})
    refused(
        "image_abi_mismatch",
        "it has no env, sed, cut",
        lambda: image(base=registry.push_base([base_layer(tmp_path / "b"), opaque])),
    )


def test_a_base_without_a_shell_or_without_awk(publish: Run, image: Run, registry: Registry, tmp_path: Path) -> None:
    publish()
    bare = registry.push_base([base_layer(tmp_path / "bare", without=["sh", "sed"])])
    refused("image_abi_mismatch", "it has no sh, sed, which the start script needs", lambda: image(base=bare))
    mute = registry.push_base([base_layer(tmp_path / "mute", without=["awk"])])
    assert image(base=mute)["warnings"] == ["the base has no awk: bin/NAME rpc and remote will not work in it"]


def test_links_in_a_base_lead_nowhere_outside_of_it(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "libc.so.6").write_bytes(b"ours")
    tree = Tree(str(tmp_path / "content"))
    evil = tar_of(
        {
            "lib": "../../../../../../../..%s/outside" % tmp_path,
            "usr/lib/libc.so.6": "/../../outside/libc.so.6",
            "../../escape/lib/libx.so.1": b"x",
            "usr/lib/loop": "loop",
            "usr/lib/libz.so.1": b"z",
            "lib/libq.so.1": b"q",
        }
    )
    (tmp_path / "layer").write_bytes(evil)
    tree.add_layer(str(tmp_path / "layer"))
    tree.write(str(tmp_path / "root"))
    written = {str(path.relative_to(tmp_path / "root")) for path in (tmp_path / "root").rglob("*.so*")}
    assert "usr/lib/libz.so.1" in written and "escape/lib/libx.so.1" in written and "usr/lib/libc.so.6" not in written
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["libc.so.6"] and tree.resolve(
        "usr/lib/loop"
    ) is None
    for path in (tmp_path / "root").rglob("*"):
        assert str(path.resolve()).startswith(str((tmp_path / "root").resolve()))


def test_a_base_that_is_damaged_is_not_kept(publish: Run, image: Run, registry: Registry, tmp_path: Path) -> None:
    publish()
    broken = registry.push_base([base_layer(tmp_path / "a")[:5000]])
    refused("image_base_unreadable", "its layer sha256:", lambda: image(base=broken))
    assert not list((tmp_path / "cache" / "bases").iterdir())


def test_a_base_of_too_many_layers(publish: Run, image: Run, registry: Registry, tmp_path: Path) -> None:
    publish()
    many = [base_layer(tmp_path / "a"), *(tar_of({"etc/n%d" % index: b""}) for index in range(MOST_LAYERS - 5))]
    refused("image_too_many_layers", "no image of more than 127", lambda: image(base=registry.push_base(many)))


def test_a_tag_that_names_another_image(publish: Run, image: Run, registry: Registry) -> None:
    publish()
    first = image()["digest"]
    error = refused("image_tag_taken", "replace_tag=true", lambda: image(user="1000"))
    assert error.details["there"] == first and registry.named[HOST + "/shop"]["1.0.0"] == first
    second = image(user="1000", replace_tag=True)
    assert (
        second["changed"]
        and registry.named[HOST + "/shop"]["1.0.0"] == second["digest"]
        and "missing" in second["bytes"]
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": HOST + "/shop:1"}, "image_reference"),
        ({"image": HOST + "/Shop"}, "image_reference"),
        ({"image": "https://user:geheim99@registry.test/shop"}, "image_reference"),
        ({"base": HOST + "/base@md5:1"}, "image_reference"),
        ({"tag": "a/b"}, "image_tag"),
        ({"user": "node"}, "image_option"),
        ({"ports": [0]}, "image_option"),
        ({"distribution_port": 99999}, "image_option"),
        ({"env": {"A B": "x"}}, "image_option"),
        ({"env": {"A": "x\ny"}}, "image_option"),
        ({"env": {"SECRET_KEY_BASE": "abcdefghijklmnop"}}, "image_secret"),
        ({"env": {"RELEASE_COOKIE": "x"}}, "image_secret"),
        ({"env": {"DATABASE_URL": "ecto://shop:geheim99@db/shop"}}, "image_secret"),
        ({"layers": 3}, "image_layers"),
    ],
    ids=str,
)
def test_options(publish: Run, image: Run, registry: Registry, changes: dict[str, t.Any], code: str) -> None:
    publish()
    error = refused(code, ".", lambda: image(**changes))
    assert "geheim99" not in error.message and HOST + "/shop" not in registry.manifests


def test_a_release_that_is_not_published(publish: Run, image: Run) -> None:
    publish()
    with pytest.raises(NotFound, match="9.9.9 is not in the store"):
        image("9.9.9")


def test_a_release_without_erlang(image: Run, trees: t.Any, tmp_path: Path) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact

    (tmp_path / "store").mkdir()
    tree = tmp_path / "bare"
    trees.write(tree, "bin/shop", b"#!/bin/sh\n", 0o755)
    trees.write(tree, "releases/start_erl.data", b"13.1 1.0.0")
    run_artifact(
        {"store": "file://%s" % (tmp_path / "store"), "state": "present", "path": str(tree), "name": "shop"}, False
    )
    refused("image_without_erlang", "include_erts", image)


def test_a_ghost_is_told(publish: Run, image: Run, tmp_path: Path) -> None:
    publish()
    params = {"store": "file://%s" % (tmp_path / "store"), "name": "shop", "channel": "production", "version": "1.0.0"}
    run_channel({**params, "state": "proposed"}, False)
    run_channel({**params, "state": "ghosted", "reason": "it failed"}, False)
    assert image()["warnings"] == ["shop 1.0.0 is a ghost on the channel production: no rollout picks it"]


def test_a_channel_that_is_damaged_stops_no_image(publish: Run, image: Run, tmp_path: Path) -> None:
    publish()
    (tmp_path / "store/shop/channels").mkdir()
    (tmp_path / "store/shop/channels/production.json").write_text("{")
    assert image()["changed"]


def test_a_disk_that_is_full(publish: Run, image: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    publish()

    def full(*_arguments: t.Any, **_options: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device", "/var/tmp/x")

    monkeypatch.setattr(product, "make_config", full)
    refused("image_disk", "/var/tmp/x: No space left on device", image)


def test_a_cache_that_others_may_write_to(publish: Run, image: Run, tmp_path: Path) -> None:
    publish()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    refused("image_option", "other users may write there", lambda: image(cache=str(tmp_path / "open")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "registry.example.com:5000/a/b-c:1.0@sha256:" + "a" * 64,
            ("registry.example.com:5000/a/b-c", "1.0", "sha256:" + "a" * 64),
        ),
        ("docker://debian:13", ("debian", "13", "")),
        ("localhost/shop", ("localhost/shop", "", "")),
        ("[::1]:5000/shop", ("[::1]:5000/shop", "", "")),
    ],
)
def test_references(text: str, expected: tuple[str, str, str]) -> None:
    found = parse_reference("image", text)
    assert (found.repository, found.tag, found.digest) == expected


@pytest.mark.parametrize(
    "text",
    ["", "-x", "a b", "--authfile=/etc/passwd", "a@b@c", "x/../y", "user:pw@host/shop", "host/shop:", "oci:/tmp/x:y"],
)
def test_what_is_no_reference(text: str) -> None:
    refused("image_reference", "image", lambda: parse_reference("image", text))


def test_versions_as_tags() -> None:
    assert [tag_of(version) for version in ("1.0.0", "1.0.0+git.3", "2~rc1")] == ["1.0.0", "1.0.0_git.3", "2_rc1"]


FAILED = 'time="2026-01-01T00:00:00Z" level=fatal msg="%s"\n'


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (
            'pinging container registry r: Get \\"https://r/v2/\\": http: server gave HTTP response to HTTPS client',
            "registry_tls",
        ),
        ("x509: certificate signed by unknown authority", "registry_tls"),
        ("unauthorized: authentication required", "registry_unauthorized"),
        ("Requesting bear token: invalid status code from registry 401", "registry_unauthorized"),
        ("denied: requested access to the resource is denied", "registry_denied"),
        ("uploading layer: invalid status code from registry 405 (Method Not Allowed)", "registry_denied"),
        ("write /data: no space left on device", "registry_full"),
        (
            "tag invalid: The image tag '1' already exists in the 'shop' repository and cannot be overwritten because the repository is immutable",
            "image_tag_immutable",
        ),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "registry_unreachable"),
        ("Digest did not match, expected sha256:a, got sha256:b", "registry_lies"),
        ("something that nobody knows", "registry_failed"),
    ],
)
def test_what_a_registry_says(said: str, code: str) -> None:
    error = explain("the image can't be pushed", FAILED % said)
    assert error.code == code and error.details["output"] and error.hint and "level=fatal" not in error.message


def program(tmp_path: Path, script: str) -> Skopeo:
    path = tmp_path / "skopeo"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return Skopeo(str(path), timeout=2)


def test_a_program_that_is_not_there() -> None:
    refused("skopeo_missing", "Install the package skopeo", lambda: Skopeo("/nonexistent/skopeo").raw("a/b:1"))


def test_a_program_that_hangs(tmp_path: Path) -> None:
    refused("registry_timeout", "more than 2 s", lambda: program(tmp_path, "sleep 60 & wait").raw("a/b:1"))


def test_a_registry_that_gives_something_else(tmp_path: Path) -> None:
    refused(
        "registry_lies", "", lambda: program(tmp_path, "echo '{}'").need("a/b@sha256:" + "0" * 64, "sha256:" + "0" * 64)
    )


def test_no_secret_of_skopeo_reaches_a_user(tmp_path: Path) -> None:
    said = "echo 'level=fatal msg=\"Get https://u:geheim99@registry/v2/?token=geheim98: boom\"' >&2; exit 1"
    with pytest.raises(BeamError) as caught:
        program(tmp_path, said).raw("a/b:1")
    assert "geheim" not in caught.value.message


def test_an_authfile_that_is_not_there(tmp_path: Path) -> None:
    refused("authfile_missing", "skopeo login", lambda: skopeo_of({"authfile": str(tmp_path / "none"), "timeout": 1}))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is part of a release, what is left out, and what is refused by name."""

from __future__ import annotations

import os
import pathlib
import socket
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.secrets_policy import (
    excluded,
    secret_by_content,
    secret_by_name,
)
from ansible_collections.alchemist.beam.plugins.module_utils._release.tree import scan_tree

KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n-----END RSA PRIVATE KEY-----\n"
CERT = b"-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQ\n-----END CERTIFICATE-----\n"


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/shop").write_bytes(b"#!/bin/sh\n")
    (root / "bin/shop").chmod(0o755)
    return root


def write(root: pathlib.Path, path: str, data: bytes = b"x") -> pathlib.Path:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
    return root / path


def refused(root: pathlib.Path, exclude: tuple[str, ...] = ()) -> tuple[str, dict[str, str]]:
    with pytest.raises(BeamError) as caught:
        scan_tree(str(root), exclude)
    assert "exclude" in caught.value.hint
    rows = {row["path"]: row["why"] for row in caught.value.details["refused"]}
    assert all(path in caught.value.message for path in sorted(rows)[:5])
    return caught.value.code, rows


def test_modes_are_one_of_two(root: pathlib.Path) -> None:
    for mode, stored in (
        (0o644, 0o644),
        (0o600, 0o644),
        (0o666, 0o644),
        (0o777, 0o755),
        (0o700, 0o755),
        (0o1644, 0o644),
        (0o744, 0o755),
    ):
        write(root, "lib/f%o" % mode).chmod(mode)
        assert {f.path: f.mode for f in scan_tree(str(root)).files}["lib/f%o" % mode] == stored


def test_directories_that_are_empty_are_kept(root: pathlib.Path) -> None:
    (root / "log/old").mkdir(parents=True)
    assert scan_tree(str(root)).directories == ("log/old",)


def test_cookie_is_left_out_and_reported(root: pathlib.Path) -> None:
    write(root, "releases/COOKIE", b"secret")
    tree = scan_tree(str(root))
    assert tree.left_out == ("releases/COOKIE",) and [f.path for f in tree.files] == ["bin/shop"]


def test_files_that_can_not_be_part(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "bin/su").chmod(0o4755)
    write(root, "bin/sg").chmod(0o2755)
    os.mkfifo(root / "tmp.pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        monkeypatch.chdir(root)
        sock.bind("sock")
        (root / "abs").symlink_to("/etc/passwd")
        (root / "out").symlink_to("../../outside")
        (root / "up").symlink_to("..")
        (root / "dangling").symlink_to("nothing")
        (root / "self").symlink_to("self")
        (root / "lib").mkdir()
        (root / "lib/loop").symlink_to("../lib")
        write(root, "new\nline")
        (root / os.fsdecode(b"bad\xff")).write_bytes(b"x")
        code, rows = refused(root)
    assert code == "tree_unsafe"
    assert rows == {
        "bin/su": "setuid or setgid",
        "bin/sg": "setuid or setgid",
        "tmp.pipe": "a fifo",
        "sock": "a socket",
        "abs": "an absolute symbolic link (to /etc/passwd)",
        "out": "a symbolic link that leads nowhere or into a loop (to ../../outside)",
        "up": "a symbolic link that leaves the release (to ..)",
        "dangling": "a symbolic link that leads nowhere or into a loop (to nothing)",
        "self": "a symbolic link that leads nowhere or into a loop (to self)",
        "lib/loop": "a symbolic link that leads into a loop",
        "'new\\nline'": rows["'new\\nline'"],
        "'bad\\udcff'": rows["'bad\\udcff'"],
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a device")
def test_a_device(root: pathlib.Path) -> None:
    os.mknod(root / "null", 0o600 | 0o020000, os.makedev(1, 3))
    assert refused(root) == ("tree_unsafe", {"null": "a device"})


def test_links_inside_are_what_they_point_to(root: pathlib.Path) -> None:
    write(root, "lib/a/priv/lib.so.1.2", b"library").chmod(0o755)
    (root / "lib/a/priv/lib.so").symlink_to("lib.so.1.2")
    (root / "lib/b").symlink_to("a")
    files = {f.path: f for f in scan_tree(str(root)).files}
    assert set(files) == {
        "bin/shop",
        "lib/a/priv/lib.so",
        "lib/a/priv/lib.so.1.2",
        "lib/b/priv/lib.so",
        "lib/b/priv/lib.so.1.2",
    }
    assert len({f.sha256 for p, f in files.items() if p != "bin/shop"}) == 1


SECRETS: list[tuple[str, bytes]] = [
    (".env", b"x"),
    ("lib/shop-1/priv/.env.prod", b"x"),
    ("prod.env", b"x"),
    ("lib/a/priv/id_rsa", b"x"),
    ("lib/a/priv/id_ed25519", b"x"),
    ("tmp/shop-1.0-20240101-abcd.runtime.config", b"x"),
    (".netrc", b"x"),
    ("home/.aws/credentials", b"x"),
    ("erl_crash.dump", b"x"),
    (".erlang.cookie", b"x"),
    ("lib/a/priv/COOKIE", b"x"),
    ("config/prod.secret.exs", b"x"),
    ("a.p12", b"x"),
    ("lib/a/priv/server.pem", KEY),
    ("lib/a/priv/renamed.txt", KEY),
    ("lib/a/priv/both.pem", CERT * 200 + KEY),
    ("dos.pem", KEY.replace(b"\n", b"\r\n")),
    ("enc.pem", b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabc"),
    ("pk8", KEY.replace(b"RSA ", b"")),
    ("ssh", KEY.replace(b"RSA", b"OPENSSH")),
    ("der.key", b"\x30\x82\x04\xa4\x02\x01"),
    (
        "gcp.json",
        b'{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n"}',
    ),
    (".npmrc", b"//registry.example.com/:_authToken=abcdef\n"),
    (".git-credentials", b"x"),
    (".pgpass", b"x"),
    ("releases/1.0/env.sh", b"#!/bin/sh\nexport RELEASE_COOKIE=monster\n"),
    ("releases/1.1/env.sh", b"if true; then RELEASE_COOKIE='monster'; fi\n"),
    ("releases/1.2/vm.args", b"+P 5\n-setcookie monster\n"),
    ("releases/1.3/remote.vm.args", b'-setcookie "a b"\n'),
    ("releases/1.4/vm.args", b"-setcookie # of all\n\n  monster\n"),
]


@pytest.mark.parametrize(("path", "data"), SECRETS, ids=[row[0] for row in SECRETS])
def test_secrets_stop_a_publish(path: str, data: bytes, root: pathlib.Path) -> None:
    write(root, path, data)
    code, rows = refused(root)
    assert code == "tree_secret" and list(rows) == [path]
    tree = scan_tree(str(root), (path.rsplit("/", 1)[-1],))
    assert tree.left_out == (path,) and [f.path for f in tree.files] == ["bin/shop"]


PUBLIC: list[tuple[str, bytes]] = [
    ("lib/castore-1/priv/cacerts.pem", CERT * 3),
    ("env.sh", b"x"),
    ("lib/a/priv/.env.example", b"x"),
    ("id_rsa.pub", b"ssh-rsa AAAA"),
    ("pub.key", b"-----BEGIN PUBLIC KEY-----\nMIIB\n"),
    ("lib/public_key-1/ebin/pubkey_pem.beam", b"FOR1\0\0-----BEGIN RSA PRIVATE KEY-----\0\0more"),
    ("lib/a/ebin/doc.beam", b"looks like `-----BEGIN PRIVATE KEY-----` and so on"),
    ("README.md", b"put\n-----BEGIN PRIVATE KEY-----\n...\nhere"),
    ("lib/environment/ebin/env.beam", b"x"),
    ("sys.config", b"[]."),
    (".npmrc", b"save-exact=true\n"),
    ("credentials", b"x"),
    ("config.json", b"{}"),
    ("lib/a/priv/static/cookie.js", b"x"),
    ("empty.key", b""),
    (
        "releases/1.0/env.sh",
        b'# export RELEASE_COOKIE=monster\nexport RELEASE_COOKIE="$COOKIE"\nRELEASE_COOKIE=$(cat /etc/c)\nRELEASE_COOKIE=${A:-}\n',
    ),
    ("releases/1.1/vm.args", b"## -setcookie monster\n-setcookie ${RELEASE_COOKIE}\n"),
    ("releases/1.2/vm.args", b"-setcookie\n-name shop\n-setcookie # from the file\n+P 5\n"),
    ("lib/a/priv/env.sh", b"RELEASE_COOKIE=x"),
]


@pytest.mark.parametrize(("path", "data"), PUBLIC, ids=[row[0] for row in PUBLIC])
def test_public_things_pass(path: str, data: bytes, root: pathlib.Path) -> None:
    write(root, path, data)
    assert path in [f.path for f in scan_tree(str(root)).files]
    assert not secret_by_name(path) and not secret_by_content(path, data)


def test_all_is_named_at_once(root: pathlib.Path) -> None:
    for index in range(9):
        write(root, "a%d/.env" % index)
    with pytest.raises(BeamError) as caught:
        scan_tree(str(root))
    assert len(caught.value.details["refused"]) == 9 and "4 more" in caught.value.message


@pytest.mark.parametrize(
    ("path", "pattern", "hit"),
    [
        ("a/b/.env", ".env", True),
        ("a/b/.env", "*.env", True),
        ("a/b/c", "a/b", False),
        ("a/b", "a/b", True),
        ("a/b", "a/b/", True),
        ("a/bc", "a/b*", True),
        ("x/a/b", "a/b", False),
        ("a/b", "b", True),
        ("a/b", "a", False),
    ],
)
def test_exclude(path: str, pattern: str, hit: bool) -> None:
    assert excluded(path, [pattern]) is hit


def test_a_directory_is_left_out_whole(root: pathlib.Path) -> None:
    write(root, "tmp/pipe/.env")
    write(root, "tmp/x")
    tree = scan_tree(str(root), ("tmp",))
    assert tree.left_out == ("tmp",) and [f.path for f in tree.files] == ["bin/shop"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda root: root.joinpath("none"), "tree_missing"),
        (lambda root: root / "bin/shop", "tree_missing"),
        (lambda root: (root / "e").mkdir() or root / "e", "tree_empty"),
    ],
)
def test_what_is_no_tree(make: t.Callable[[pathlib.Path], pathlib.Path], code: str, root: pathlib.Path) -> None:
    with pytest.raises(BeamError) as caught:
        scan_tree(str(make(root)))
    assert caught.value.code == code


def test_a_limit_of_files(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scan_tree.__globals__, "MAX_FILES", 3)
    for index in range(4):
        write(root, "f%d" % index)
    with pytest.raises(BeamError) as caught:
        scan_tree(str(root))
    assert caught.value.code == "tree_too_large"

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import types
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.abi import for_service, problems, require_abi
from ansible_collections.alchemist.beam.plugins.module_utils._host.search import Search, search_of
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi_scan import scan_tree
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._release.elf_writer import (
    write,
    write_host,
    write_release,
)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine="x86_64"))


@pytest.fixture
def abi(tmp_path: Path) -> Abi:
    return scan_tree(str(write_release(tmp_path / "tree")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_host(tmp_path / "host")


def test_runs(abi: Abi, root: Path) -> None:
    assert problems(abi, str(root)) == []
    assert problems(Abi(), str(root)) == []
    require_abi(abi, str(root))


def test_older_libraries(abi: Abi, tmp_path: Path) -> None:
    root = write_host(tmp_path / "old", glibc=["GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.31"], openssl=["OPENSSL_1_1_0"])
    assert problems(abi, str(root)) == [
        "libc.so.6 lacks GLIBC_2.34 (it goes up to GLIBC_2.31)",
        "libcrypto.so.3 lacks OPENSSL_3.0.0",
    ]
    with pytest.raises(BeamError, match="GLIBC_2.34.*oldest distribution") as caught:
        require_abi(abi, str(root))
    assert caught.value.code == "abi_mismatch" and len(caught.value.details["problems"]) == 2


def test_missing_library(abi: Abi, root: Path) -> None:
    (root / "lib/x86_64-linux-gnu/libcrypto.so.3").unlink()
    assert problems(abi, str(root)) == ["libcrypto.so.3 is not installed"]


def test_other_architecture(abi: Abi, root: Path) -> None:
    assert problems(replace(abi, arch="aarch64"), str(root)) == ["it was built for aarch64, this server is x86_64"]


@pytest.mark.parametrize(
    ("built", "server", "same"),
    [("aarch64", "arm64", True), ("arm", "armv7l", True), ("i686", "i586", True), ("arm", "aarch64", False)],
)
def test_names_of_architectures(monkeypatch: pytest.MonkeyPatch, built: str, server: str, same: bool) -> None:
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine=server))
    assert (problems(Abi(arch=built)) == []) is same


def test_libc_of_another_kind(abi: Abi, tmp_path: Path) -> None:
    alpine = tmp_path / "alpine"
    write(alpine / "lib/ld-musl-x86_64.so.1")
    [problem] = problems(abi, str(alpine))
    assert (
        problem
        == "it needs the dynamic loader /lib64/ld-linux-x86-64.so.2 (it was built for glibc), this server has musl"
    )
    musl = Abi(arch="x86_64", libc="musl", interpreter="/lib/ld-musl-x86_64.so.1", needs={"libz.so.1": ()})
    assert problems(musl, str(alpine)) == ["libz.so.1 is not installed"]
    write(alpine / "usr/lib/libz.so.1")
    assert problems(musl, str(alpine)) == []
    write_host(tmp_path / "debian")
    assert problems(musl, str(tmp_path / "debian"))[0].endswith("(it was built for musl), this server has glibc")


def test_loader_of_nowhere(abi: Abi, root: Path) -> None:
    """Such as a release that was built with Nix."""
    nix = replace(abi, interpreter="/nix/store/x-glibc/lib/ld-linux-x86-64.so.2")
    assert problems(nix, str(root)) == [
        "it needs the dynamic loader /nix/store/x-glibc/lib/ld-linux-x86-64.so.2, which is not on this server"
    ]


@pytest.mark.parametrize(
    ("where", "configuration"),
    [
        (
            "opt/ssl/lib",
            {
                "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n",
                "etc/ld.so.conf.d/ssl.conf": "# ours\n/opt/ssl/lib\n",
            },
        ),
        (
            "opt/ssl/lib",
            {"etc/ld.so.conf": "include ld.so.conf.d/*.conf\n", "etc/ld.so.conf.d/ssl.conf": "/opt/ssl/lib  # ours\n"},
        ),
        ("opt/ssl/lib", {"etc/ld.so.conf": "/none:/opt/ssl/lib\ninclude /etc/ld.so.conf\n"}),
        ("usr/lib64", {}),
    ],
)
def test_where_libraries_are_found(abi: Abi, root: Path, where: str, configuration: dict[str, str]) -> None:
    library = root / "lib/x86_64-linux-gnu/libcrypto.so.3"
    (root / where).mkdir(parents=True)
    library.rename(root / where / "libcrypto.so.3")
    for name, text in configuration.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert problems(abi, str(root)) == []


def test_runpath_comes_first(abi: Abi, root: Path) -> None:
    write(root / "opt/ssl/lib/libcrypto.so.3", soname="libcrypto.so.3", provides=["OPENSSL_3.0.0", "OPENSSL_3.4.0"])
    newer = replace(abi, runpath=("/opt/ssl/lib",), needs={"libcrypto.so.3": ("OPENSSL_3.4.0",)})
    assert problems(newer, str(root)) == []
    assert problems(replace(newer, runpath=()), str(root)) == [
        "libcrypto.so.3 lacks OPENSSL_3.4.0 (it goes up to OPENSSL_3.0.0)"
    ]


def test_library_of_another_machine_is_passed_over(abi: Abi, root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").write_text("/opt/arm/lib\n")
    write(root / "opt/arm/lib/libcrypto.so.3", machine="aarch64", soname="libcrypto.so.3", provides=["OPENSSL_9"])
    assert problems(abi, str(root)) == []


def test_library_without_versions_will_do(abi: Abi, root: Path) -> None:
    write(root / "lib/x86_64-linux-gnu/libcrypto.so.3", soname="libcrypto.so.3")
    assert problems(abi, str(root)) == []


def test_what_is_never_loaded_is_no_reason_to_refuse(tmp_path: Path, root: Path) -> None:
    """wx comes along with :observer, and a headless server has no GTK."""
    tree = write_release(tmp_path / "tree")
    write(
        tree / "lib/wx-2.2/priv/wxe_driver.so",
        requires={"libwx_gtk3u_core-3.2.so.0": ["WXU_3.2"], "libc.so.6": ["GLIBC_2.38"]},
    )
    abi = scan_tree(str(tree))
    assert abi.optional == {"libwx_gtk3u_core-3.2.so.0": "lib/wx-2.2"} and "libwx_gtk3u_core-3.2.so.0" not in abi.needs
    assert Abi.from_dict(abi.to_dict()) == abi
    assert require_abi(abi, str(root)) == [
        "libwx_gtk3u_core-3.2.so.0 is not installed, so lib/wx-2.2 can't be used on this server"
    ]
    assert require_abi(for_service(abi, ignore=["libwx_*"]), str(root)) == []
    write(root / "usr/lib/libwx_gtk3u_core-3.2.so.0")
    assert require_abi(abi, str(root)) == []
    # The manifest of a release without it is what it always was.
    assert "optional" not in scan_tree(str(write_release(tmp_path / "other"))).to_dict()


def test_libraries_that_somebody_says_are_not_needed(tmp_path: Path, root: Path) -> None:
    tree = write_release(tmp_path / "tree")
    write(tree / "lib/nx-1.0/priv/cuda/libnx.so", requires={"libcudart.so.12": ["libcudart.so.12"]})
    abi = scan_tree(str(tree))
    with pytest.raises(BeamError, match=r"libcudart.so.12 is not installed.*beam_abi_ignore: \[libcudart.so.12\]"):
        require_abi(abi, str(root))
    assert require_abi(for_service(abi, ignore=["libcuda*"]), str(root)) == []
    with pytest.raises(BeamError, match="libcudart"):
        require_abi(for_service(abi, ignore=["libcuda"]), str(root))


@pytest.mark.parametrize("how", ["env", "exported", "drop-in", "glob", "daemon"])
def test_directories_of_the_environment_of_the_service(tmp_path: Path, root: Path, how: str) -> None:
    abi = replace(Abi(arch="x86_64"), needs={"libclntsh.so.21.1": ()})
    write(root / "opt/oracle/libclntsh.so.21.1")
    line = "LD_LIBRARY_PATH='/none:/opt/oracle'\n"
    unit = "[Service]\nExecStart=/srv/shop/current/bin/shop start\nEnvironmentFile=/etc/shop/env\n"
    texts = {
        "env": {"etc/systemd/system/shop.service": unit, "etc/shop/env": "PORT='4000'\n" + line},
        "exported": {"etc/systemd/system/shop.service": unit, "etc/shop/env": "export " + line},
        "drop-in": {
            "etc/systemd/system/shop.service": unit,
            "etc/systemd/system/shop.service.d/x.conf": '[Service]\nEnvironment="A=1" %s' % line,
        },
        "glob": {
            "etc/systemd/system/shop.service": unit.replace("=/etc/shop/env", "=-/etc/shop/*.env"),
            "etc/shop/more.env": line,
        },
        "daemon": {"srv/shop/shared/shop.env": line},
    }
    assert problems(abi, str(root)) == ["libclntsh.so.21.1 is not installed"]
    for name, text in texts[how].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert problems(for_service(abi, search_of(["/srv/shop"], str(root)).libraries), str(root)) == []
    assert (search_of(["/srv/shop"], str(root)).programs == Search().programs) == (how != "daemon")
    if how != "daemon":
        assert search_of(["/srv/other"], str(root)).libraries == ()

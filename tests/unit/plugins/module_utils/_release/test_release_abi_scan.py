# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi_scan import scan_tree
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._release.elf_writer import (
    LOADER,
    write,
    write_release,
)


def test_needs_of_a_release(tmp_path: Path) -> None:
    tree = write_release(
        tmp_path, {"libc.so.6": ["GLIBC_2.9", "GLIBC_2.34"], "libstdc++.so.6": ["GLIBCXX_3.4.9", "GLIBCXX_3.4.29"]}
    )
    abi = scan_tree(str(tree))
    assert (abi.arch, abi.libc, abi.libc_version, abi.openssl, abi.erts) == (
        "x86_64",
        "glibc",
        "2.34",
        "libcrypto.so.3",
        "13.1.5",
    )
    assert abi.needs == {
        "libc.so.6": ("GLIBC_2.9", "GLIBC_2.34"),
        "libcrypto.so.3": ("OPENSSL_3.0.0",),
        "libstdc++.so.6": ("GLIBCXX_3.4.9", "GLIBCXX_3.4.29"),
    }
    assert abi.interpreter == LOADER
    assert Abi.from_dict(abi.to_dict()) == abi


def test_nothing_native(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/x.beam").write_bytes(b"\x7fELF but no beam is looked into")
    assert scan_tree(str(tmp_path)) == Abi()


def test_files_for_other_machines_and_libcs_do_not_count(tmp_path: Path) -> None:
    """Packages bring such files for all platforms and pick one when they run."""
    tree = write_release(tmp_path)
    before = scan_tree(str(tree))
    write(tree / "lib/nif-1/priv/aarch64.so", machine="aarch64", requires={"libc.so.6": ["GLIBC_2.99"]})
    write(tree / "lib/nif-1/priv/musl.so", needed=["libc.musl-x86_64.so.1", "libstrange.so.1"])
    assert scan_tree(str(tree)) == before


def test_libraries_that_it_brings_are_not_asked_of_the_server(tmp_path: Path) -> None:
    tree = write_release(tmp_path)
    write(
        tree / "lib/nif-1/priv/nif.so",
        needed=["libown.so.1", "libfile.so", "libother.so.2"],
        runpath="$ORIGIN:/opt/other/lib",
    )
    write(tree / "lib/nif-1/priv/libown.so.1.2", soname="libown.so.1")
    write(tree / "lib/nif-1/priv/libfile.so")
    abi = scan_tree(str(tree))
    assert set(abi.needs) == {"libc.so.6", "libcrypto.so.3", "libother.so.2"} and abi.runpath == ("/opt/other/lib",)


def test_musl(tmp_path: Path) -> None:
    tree = write_release(tmp_path, {}, interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.musl-x86_64.so.1"])
    abi = scan_tree(str(tree))
    assert (abi.libc, abi.libc_version, abi.interpreter) == ("musl", "", "/lib/ld-musl-x86_64.so.1")
    assert "libc.musl-x86_64.so.1" in abi.needs


def test_without_a_runtime_system(tmp_path: Path) -> None:
    write(tmp_path / "lib/nif-1/priv/nif.so", requires={"libc.so.6": ["GLIBC_2.14"]})
    abi = scan_tree(str(tmp_path))
    assert (abi.arch, abi.libc, abi.libc_version, abi.erts, abi.interpreter) == ("x86_64", "glibc", "2.14", "", "")

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.elf import read_elf
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._release.elf_writer import elf, write


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i686", "s390x"])
def test_what_the_loader_reads(tmp_path: Path, machine: str) -> None:
    path = write(
        tmp_path / "x",
        machine=machine,
        interpreter="/lib/ld.so",
        soname="libx.so.1",
        needed=["libz.so.1"],
        runpath="$ORIGIN:/opt/lib",
        requires={"libc.so.6": ["GLIBC_2.34", "GLIBC_2.4"], "libm.so.6": ["GLIBC_2.29"]},
        provides=["X_1", "X_2"],
    )
    read = read_elf(str(path))
    assert read is not None
    assert (read.machine, read.interpreter, read.soname) == (machine, "/lib/ld.so", "libx.so.1")
    assert set(read.needed) == {"libz.so.1", "libc.so.6", "libm.so.6"} and read.runpath == ("$ORIGIN", "/opt/lib")
    assert read.requires == {"libc.so.6": {"GLIBC_2.34", "GLIBC_2.4"}, "libm.so.6": {"GLIBC_2.29"}}
    assert read.provides == {"X_1", "X_2"}


def test_weak_versions_are_not_required(tmp_path: Path) -> None:
    read = read_elf(str(write(tmp_path / "x", requires={"libc.so.6": ["GLIBC_2.34", "GLIBC_9.9"]}, weak=["GLIBC_9.9"])))
    assert read is not None and read.requires == {"libc.so.6": {"GLIBC_2.34"}}


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" * 10, b"FOR1" + b"\0" * 100])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert read_elf(str(tmp_path / "x")) is None


def test_every_truncation_is_told_or_harmless(tmp_path: Path) -> None:
    whole = elf(interpreter="/lib/ld.so", requires={"libc.so.6": ["GLIBC_2.34"]}, provides=["X_1"], soname="x")
    corrupt = 0
    for size in range(16, len(whole), 7):
        (tmp_path / "x").write_bytes(whole[:size])
        try:
            read_elf(str(tmp_path / "x"))
        except BeamError as exc:
            assert exc.code == "elf_corrupt"
            corrupt += 1
    assert corrupt > 10


def test_a_real_program() -> None:
    read = read_elf(sys.executable)
    assert read is not None and read.machine and read.interpreter.startswith("/")

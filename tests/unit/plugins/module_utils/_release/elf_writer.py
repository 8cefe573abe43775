# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes small ELF files: just what the dynamic loader reads of them."""

from __future__ import annotations

import struct
import typing as t
from pathlib import Path

_MACHINES = {"i686": 3, "x86_64": 62, "aarch64": 183, "s390x": 22}


class _Strings:
    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        self.data += text.encode() + b"\0"
        return len(self.data) - len(text) - 1


def _verneed(requires: t.Mapping[str, t.Sequence[str]], weak: t.Container[str], strings: _Strings, order: str) -> bytes:
    data = b""
    for position, (soname, versions) in enumerate(requires.items()):
        size = 16 + 16 * len(versions)
        data += struct.pack(
            order + "HHIII", 1, len(versions), strings.add(soname), 16, size if position < len(requires) - 1 else 0
        )
        for index, version in enumerate(versions):
            data += struct.pack(
                order + "IHHII",
                0,
                2 if version in weak else 0,
                2,
                strings.add(version),
                16 if index < len(versions) - 1 else 0,
            )
    return data


def _verdef(soname: str, provides: t.Sequence[str], strings: _Strings, order: str) -> bytes:
    names = [(1, soname), *((0, version) for version in provides)]
    data = b""
    for index, (flags, name) in enumerate(names):
        data += struct.pack(order + "HHHHIII", 1, flags, index + 1, 1, 0, 20, 28 if index < len(names) - 1 else 0)
        data += struct.pack(order + "II", strings.add(name), 0)
    return data


def elf(
    machine: str = "x86_64",
    interpreter: str = "",
    soname: str = "",
    needed: t.Sequence[str] = (),
    runpath: str = "",
    requires: t.Mapping[str, t.Sequence[str]] | None = None,
    provides: t.Sequence[str] = (),
    weak: t.Container[str] = (),
) -> bytes:
    """requires: soname -> versions, which are needed too."""
    requires = requires or {}
    wide, order = machine != "i686", ">" if machine == "s390x" else "<"
    strings = _Strings()
    verneed, verdef = (
        _verneed(requires, weak, strings, order),
        _verdef(soname, provides, strings, order) if provides else b"",
    )
    tags = [(1, strings.add(name)) for name in dict.fromkeys([*needed, *requires])]
    tags += [(14, strings.add(soname))] if soname else []
    tags += [(29, strings.add(runpath))] if runpath else []
    header, entry = (64, 56) if wide else (52, 32)
    position = header + 3 * entry
    blocks = b""
    places = {}
    for name, block in (
        ("interp", interpreter.encode() + b"\0"),
        ("strings", strings.data),
        ("verneed", verneed),
        ("verdef", verdef),
    ):
        places[name] = position + len(blocks)
        blocks += block + b"\0" * (-len(block) % 8)
    base = 0x400000  # addresses differ from offsets, as they do in real files
    tags += [(5, base + places["strings"]), (10, len(strings.data))]
    tags += [(0x6FFFFFFE, base + places["verneed"]), (0x6FFFFFFF, len(requires))] if requires else []
    tags += [(0x6FFFFFFC, base + places["verdef"]), (0x6FFFFFFD, len(provides) + 1)] if provides else []
    dynamic = b"".join(struct.pack(order + ("QQ" if wide else "II"), tag, value) for tag, value in [*tags, (0, 0)])
    total = position + len(blocks) + len(dynamic)

    def segment(kind: int, offset: int, size: int) -> bytes:
        if wide:
            return struct.pack(order + "IIQQQQQQ", kind, 4, offset, base + offset, 0, size, size, 8)
        return struct.pack(order + "IIIIIIII", kind, offset, base + offset, 0, size, size, 4, 4)

    segments = segment(1, 0, total) + (
        segment(3, places["interp"], len(interpreter) + 1) if interpreter else segment(0, 0, 0)
    )
    segments += segment(2, position + len(blocks), len(dynamic))
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if order == ">" else 1, 1]) + b"\0" * 9
    word = "Q" if wide else "I"
    head = ident + struct.pack(
        order + "HHI" + word * 3 + "IHHHHHH", 3, _MACHINES[machine], 1, 0, header, 0, 0, header, entry, 3, 0, 0, 0
    )
    return head + segments + blocks + dynamic


def write(path: Path, **spec: t.Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf(**spec))
    return path


LOADER = "/lib64/ld-linux-x86-64.so.2"
GLIBC = {"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.34"]}


def write_release(tree: Path, requires: t.Mapping[str, t.Sequence[str]] | None = None, **spec: t.Any) -> Path:
    """A release with an emulator and the NIF of crypto."""
    write(
        tree / "erts-13.1.5/bin/beam.smp",
        **{"interpreter": LOADER, "requires": GLIBC if requires is None else requires, **spec},
    )
    write(tree / "lib/crypto-5.1/priv/lib/crypto.so", requires={"libcrypto.so.3": ["OPENSSL_3.0.0"]})
    (tree / "releases").mkdir()
    (tree / "releases/start_erl.data").write_text("13.1.5 0.1.0")
    return tree


def write_host(
    root: Path,
    glibc: t.Sequence[str] = ("GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.36"),
    openssl: t.Sequence[str] = ("OPENSSL_3.0.0",),
) -> Path:
    """The root directory of a Debian-like server."""
    libraries = root / "lib/x86_64-linux-gnu"
    write(libraries / "libc.so.6", soname="libc.so.6", provides=glibc)
    write(libraries / "libcrypto.so.3", soname="libcrypto.so.3", provides=openssl)
    write(root / LOADER[1:], soname="ld-linux-x86-64.so.2")
    return root

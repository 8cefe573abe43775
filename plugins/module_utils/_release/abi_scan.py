# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Reads from a release tree what it needs from a server."""

from __future__ import annotations

import collections
import glob
import os
import re
import stat

from .._tree import walk
from .abi import Abi
from .elf import Elf, read_elf

_GLIBC_VERSION = re.compile(r"GLIBC_(\d+(?:\.\d+)*)")
# Applications of Erlang/OTP that load their libraries, or start their program, when they are first used. wx comes along with observer and debugger.
_LATE = re.compile(r"(lib/(?:wx|odbc)-[^/]+)/")
_GLIBC_SONAME = re.compile(r"(?:libc|ld-linux.*|ld64)\.so\.\d+")


def version_key(version: str) -> tuple[tuple[int, object], ...]:
    """Orders 2.9 before 2.34, and does not fail on anything else."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"[._]", version))


def libc_of(elf: Elf) -> str:
    names = (os.path.basename(elf.interpreter), *elf.needed)
    if any(name.startswith(("ld-musl", "libc.musl")) for name in names) or "libc.so" in elf.needed:
        return "musl"
    return "glibc" if any(_GLIBC_SONAME.fullmatch(name) for name in names) else ""


def _find(tree: str) -> dict[str, Elf]:
    found = {}
    for directory, _subdirectories, names in walk(tree):
        for name in names:
            if name.endswith(".beam"):
                continue
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                elf = read_elf(path)
                if elf:
                    found[path] = elf
    return found


def _emulator(elves: dict[str, Elf]) -> Elf | None:
    beams = [elf for path, elf in elves.items() if os.path.basename(path).startswith("beam")]
    return beams[0] if beams else None


def scan_tree(tree: str) -> Abi:
    erts = sorted(
        os.path.basename(path)[len("erts-") :] for path in glob.glob(os.path.join(glob.escape(tree), "erts-*"))
    )
    elves = _find(tree)
    if not elves:
        return Abi(erts=erts[-1] if erts else "")
    emulator = _emulator(elves)
    arch = (
        emulator.machine
        if emulator
        else collections.Counter(elf.machine for elf in elves.values()).most_common(1)[0][0]
    )
    flavours = collections.Counter(flavour for flavour in map(libc_of, elves.values()) if flavour)
    libc = (libc_of(emulator) if emulator else "") or (flavours.most_common(1)[0][0] if flavours else "")
    # Some packages bring ready-made files for other machines or another libc, and pick one of them when they run.
    relevant = {path: elf for path, elf in elves.items() if elf.machine == arch and libc_of(elf) in ("", libc)}
    own = {os.path.basename(path) for path in relevant} | {elf.soname for elf in relevant.values()}
    needs: dict[str, set[str]] = {}
    late: dict[str, str] = {}
    for path, elf in sorted(relevant.items()):
        found = _LATE.match(os.path.relpath(path, tree))
        for soname in elf.needed:
            if soname not in own and found:
                late.setdefault(soname, found.group(1))
            elif soname not in own:
                needs.setdefault(soname, set()).update(elf.requires.get(soname, ()))
    glibc = [
        match.group(1) for versions in needs.values() for match in map(_GLIBC_VERSION.fullmatch, versions) if match
    ]
    crypto = sorted(soname for soname in needs if soname.startswith("libcrypto."))
    return Abi(
        arch=arch,
        libc=libc,
        libc_version=max(glibc, key=version_key) if glibc else "",
        openssl=crypto[-1] if crypto else "",
        erts=erts[-1] if erts else "",
        needs={soname: tuple(sorted(versions, key=version_key)) for soname, versions in needs.items()},
        interpreter=emulator.interpreter if emulator else "",
        runpath=tuple(sorted({path for elf in relevant.values() for path in elf.runpath if path.startswith("/")})),
        optional={soname: who for soname, who in late.items() if soname not in needs},
    )

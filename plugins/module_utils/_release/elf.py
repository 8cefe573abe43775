# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the dynamic loader reads of an ELF file: machine, interpreter, needed libraries and symbol versions."""

from __future__ import annotations

import os
import struct
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError

# e_machine (and the word size, where it matters) as `uname -m` names it.
_MACHINES = {
    3: "i686",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
_DT_VERDEF, _DT_VERDEFNUM, _DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_WEAK = 2  # a version that may be absent
_BASE = 1  # the definition that names the library itself
_MAX_ENTRIES = 65536


@dataclass(frozen=True)
class Elf:
    machine: str
    interpreter: str = ""  # "" for libraries and static programs
    soname: str = ""
    needed: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()  # where it looks for libraries first
    requires: t.Mapping[str, frozenset[str]] = field(default_factory=dict)  # soname -> symbol versions
    provides: frozenset[str] = frozenset()  # symbol versions that it defines


class _Reader:
    """Reads by virtual address, with the byte order of the file."""

    def __init__(self, descriptor: int, order: str) -> None:
        self.descriptor = descriptor
        self.order = order
        self.loads: list[tuple[int, int, int]] = []  # address, size in the file, offset
        self.strings = b""

    def at(self, offset: int, layout: str) -> tuple[t.Any, ...]:
        layout = self.order + layout
        return struct.unpack(layout, os.pread(self.descriptor, struct.calcsize(layout), offset))

    def offset(self, address: int) -> int:
        for start, size, offset in self.loads:
            if start <= address < start + size:
                return address - start + offset
        raise ValueError("the address %#x is not in the file" % address)

    def string(self, index: int) -> str:
        end = self.strings.find(b"\0", index)
        if not 0 <= index < len(self.strings) or end < 0:
            raise ValueError("a name lies outside of the table of names")
        return self.strings[index:end].decode("utf-8", "surrogateescape")


def read_elf(path: str) -> Elf | None:
    """None where the file is something else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        ident = os.pread(descriptor, 16, 0)
        if len(ident) < 16 or ident[:4] != b"\x7fELF":
            return None
        return _parse(_Reader(descriptor, ">" if ident[5] == 2 else "<"), wide=ident[4] == 2)
    except (ValueError, struct.error, OverflowError) as exc:
        raise BeamError(
            "elf_corrupt",
            "%s can't be read" % path,
            "it begins as an ELF file, but %s" % exc,
            "Find out what wrote it, and build the release again",
        ) from exc
    finally:
        os.close(descriptor)


def _parse(reader: _Reader, wide: bool) -> Elf:
    machine = reader.at(18, "H")[0]
    table = reader.at(32, "Q")[0] if wide else reader.at(28, "I")[0]
    entry, count = reader.at(54 if wide else 42, "HH")
    name = _MACHINES.get(machine, "elf-machine-%d" % machine)
    if name == "ppc64" and reader.order == "<":
        name = "ppc64le"
    interpreter = ""
    dynamic: tuple[int, int] | None = None
    for index in range(count):
        if wide:
            kind, _flags, offset, address, _physical, size = reader.at(table + index * entry, "IIQQQQ")
        else:
            kind, offset, address, _physical, size = reader.at(table + index * entry, "IIIII")
        if kind == _PT_LOAD:
            reader.loads.append((address, size, offset))
        elif kind == _PT_INTERP:
            interpreter = (
                os.pread(reader.descriptor, min(size, 4096), offset).rstrip(b"\0").decode("utf-8", "surrogateescape")
            )
        elif kind == _PT_DYNAMIC:
            dynamic = (offset, size)
    if dynamic is None:
        return Elf(name, interpreter)
    return _parse_dynamic(reader, name, interpreter, _tags(reader, dynamic, "QQ" if wide else "II"))


def _tags(reader: _Reader, dynamic: tuple[int, int], layout: str) -> dict[int, list[int]]:
    offset, size = dynamic
    data = os.pread(reader.descriptor, min(size, _MAX_ENTRIES * 16), offset)
    step = struct.calcsize(reader.order + layout)
    tags: dict[int, list[int]] = {}
    for tag, value in struct.iter_unpack(reader.order + layout, data[: len(data) // step * step]):
        if tag == 0:
            break
        tags.setdefault(tag, []).append(value)
    return tags


def _parse_dynamic(reader: _Reader, machine: str, interpreter: str, tags: dict[int, list[int]]) -> Elf:
    if _DT_STRTAB not in tags:
        return Elf(machine, interpreter)
    reader.strings = os.pread(
        reader.descriptor, tags[_DT_STRSZ][0] if _DT_STRSZ in tags else 0, reader.offset(tags[_DT_STRTAB][0])
    )
    # DT_RPATH counts only where there is no DT_RUNPATH.
    runpath = tags.get(_DT_RUNPATH) or tags.get(_DT_RPATH) or []
    return Elf(
        machine,
        interpreter,
        soname=reader.string(tags[_DT_SONAME][0]) if _DT_SONAME in tags else "",
        needed=tuple(reader.string(index) for index in tags.get(_DT_NEEDED, [])),
        runpath=tuple(path for index in runpath for path in reader.string(index).split(":") if path),
        requires=_requires(reader, tags),
        provides=_provides(reader, tags),
    )


def _requires(reader: _Reader, tags: dict[int, list[int]]) -> dict[str, frozenset[str]]:
    result: dict[str, frozenset[str]] = {}
    if _DT_VERNEED not in tags:
        return result
    position = reader.offset(tags[_DT_VERNEED][0])
    for _number in range(min(tags.get(_DT_VERNEEDNUM, [0])[0], _MAX_ENTRIES)):
        _version, count, library, first, following = reader.at(position, "HHIII")
        versions, entry = set(), position + first
        for _number in range(count):
            _hash, flags, _other, name, step = reader.at(entry, "IHHII")
            if not flags & _WEAK:
                versions.add(reader.string(name))
            entry += step
        soname = reader.string(library)
        result[soname] = result.get(soname, frozenset()) | versions
        position += following
    return result


def _provides(reader: _Reader, tags: dict[int, list[int]]) -> frozenset[str]:
    if _DT_VERDEF not in tags:
        return frozenset()
    position, names = reader.offset(tags[_DT_VERDEF][0]), set()
    for _number in range(min(tags.get(_DT_VERDEFNUM, [0])[0], _MAX_ENTRIES)):
        _version, flags, _index, _count, _hash, aux, following = reader.at(position, "HHHHIII")
        if not flags & _BASE:
            names.add(reader.string(reader.at(position + aux, "I")[0]))
        position += following
    return frozenset(names)

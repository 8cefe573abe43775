# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether a release can run on this server, told from its files alone, before anything is switched or started.

The libraries are found as the dynamic loader finds them, but from its configuration and not from its cache, so that
the answer holds for a root directory that is not the running system's.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import typing as t
from dataclasses import replace

from .._errors import BeamError
from .._release.abi import Abi
from .._release.abi_scan import version_key
from .._release.elf import Elf, read_elf

_ALIASES = (("i[3-6]86", "i686"), ("arm64", "aarch64"), (r"armv\d.*", "arm"), ("amd64", "x86_64"))
_MAX_INCLUDES = 8


def _family(machine: str) -> str:
    return next((name for pattern, name in _ALIASES if re.fullmatch(pattern, machine)), machine)


def _below(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def _configured(root: str, pattern: str, depth: int = 0) -> t.Iterator[str]:
    """The directories of an ld.so.conf, with what it includes."""
    for path in sorted(glob.glob(_below(glob.escape(root), pattern))):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                lines = [line.split("#")[0].strip() for line in stream]
        except OSError:
            continue
        for line in lines:
            words = line.split(None, 1)
            if len(words) == 2 and words[0] == "include":
                if depth < _MAX_INCLUDES:
                    for included in words[1].split():
                        yield from _configured(
                            root, included if included.startswith("/") else "/etc/" + included, depth + 1
                        )
            elif line.startswith("/"):
                yield from (part for part in re.split(r"[:,\s]+", line.split("=")[0]) if part.startswith("/"))


def _directories(abi: Abi, root: str) -> list[str]:
    if abi.libc == "musl":
        try:
            with open(
                _below(root, "/etc/ld-musl-%s.path" % abi.arch), encoding="utf-8", errors="surrogateescape"
            ) as stream:
                usual = [part for part in re.split(r"[:\n]+", stream.read()) if part]
        except OSError:
            usual = ["/lib", "/usr/local/lib", "/usr/lib"]
    else:
        multiarch = sorted(
            path[len(root.rstrip("/")) :]
            for base in ("lib", "usr/lib")
            for path in glob.glob(_below(glob.escape(root), base + "/*-linux-gnu*"))
        )
        usual = [*_configured(root, "/etc/ld.so.conf"), *multiarch, "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
    return list(dict.fromkeys([*abi.runpath, *usual]))


def _library(soname: str, arch: str, directories: list[str], root: str) -> Elf | None:
    for directory in directories:
        path = os.path.join(_below(root, directory), soname)
        try:
            elf = read_elf(path)
        except (OSError, BeamError):
            continue
        # The loader skips a library of another machine, and so do we.
        if elf and _family(elf.machine) == _family(arch):
            return elf
    return None


def for_service(abi: Abi, libraries: t.Sequence[str] = (), ignore: t.Collection[str] = ()) -> Abi:
    """What is left to find. libraries: the service's LD_LIBRARY_PATH, which comes first; ignore: patterns of libraries that nobody will load."""

    def left(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {
            soname: value
            for soname, value in values.items()
            if not any(fnmatch.fnmatchcase(soname, pattern) for pattern in ignore)
        }

    return replace(abi, runpath=(*libraries, *abi.runpath), needs=left(abi.needs), optional=left(abi.optional))


def problems(abi: Abi, root: str = "/", machine: str = "", where: str = "this server") -> list[str]:
    """Why a release can't run below root; empty where it can. machine: of what root belongs to, if that is not this one, and where says what it is."""
    if not abi.arch:
        return []
    machine = machine or os.uname().machine
    if _family(machine) != _family(abi.arch):
        return ["it was built for %s, %s is %s" % (abi.arch, where, machine)]
    if abi.interpreter and not os.path.exists(_below(root, abi.interpreter)):
        return [_without_loader(abi, root, where)]
    directories = _directories(abi, root)
    found = []
    for soname in sorted(abi.needs):
        library = _library(soname, abi.arch, directories, root)
        if library is None:
            found.append("%s is not installed" % soname)
            continue
        # A library without versions is taken as it is: the loader only warns.
        lacking = sorted(set(abi.needs[soname]) - library.provides, key=version_key) if library.provides else []
        if lacking:
            found.append("%s lacks %s%s" % (soname, ", ".join(lacking), _highest(lacking[-1], library.provides)))
    return found


def _without_loader(abi: Abi, root: str, where: str) -> str:
    other = {"glibc": "musl", "musl": "glibc"}.get(abi.libc, "")
    patterns = {"musl": ["lib/ld-musl-*"], "glibc": ["lib*/ld-linux*", "lib*/ld64.so*"]}.get(other, [])
    text = "it needs the dynamic loader %s" % abi.interpreter
    if any(glob.glob(_below(glob.escape(root), pattern)) for pattern in patterns):
        return "%s (it was built for %s), %s has %s" % (text, abi.libc, where, other)
    return "%s, which is not on %s" % (text, where)


def _highest(lacking: str, provides: t.Iterable[str]) -> str:
    """The highest version that is there in the same series, such as GLIBC_2.36 for GLIBC_2.38."""
    series = lacking.split("_")[0] + "_"
    same = [name for name in provides if re.fullmatch(re.escape(series) + r"[\d.]+", name)]
    return " (it goes up to %s)" % max(same, key=version_key) if same else ""


def require_abi(abi: Abi, root: str = "/") -> list[str]:
    """Refuse what can't start. What to warn of: libraries that somebody may miss later."""
    found = problems(abi, root)
    if found:
        libraries = [problem.split()[0] for problem in found if problem.split()[0] in abi.needs]
        hint = "Build it on the oldest distribution of the fleet with the same architecture, or install the libraries that are named"
        if libraries:
            hint += ". If they are never loaded, say so: beam_abi_ignore: [%s]" % ", ".join(libraries)
        raise BeamError("abi_mismatch", "the release can't run on this server", "; ".join(found), hint, problems=found)
    return lacking_later(abi, root)


def lacking_later(abi: Abi, root: str = "/", where: str = "this server") -> list[str]:
    """Libraries that nobody needs before something is used."""
    if not abi.optional or not abi.arch:
        return []
    directories = _directories(abi, root)
    return [
        "%s is not installed, so %s can't be used on %s" % (soname, who, where)
        for soname, who in sorted(abi.optional.items())
        if _library(soname, abi.arch, directories, root) is None
    ]

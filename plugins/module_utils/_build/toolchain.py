# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The Elixir and Erlang that build: where they are, and an identity of what a release copies of them."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import typing as t

from .._errors import BeamError
from .._tree import walk
from .project import Toolchain


def find_program(name: str, env: t.Mapping[str, str]) -> str:
    path = shutil.which(name, path=env["PATH"])
    if path is None:
        raise BeamError(
            "no_elixir", "%s is not installed" % name, "it is not in %s" % env["PATH"],
            "Apply the role alchemist.beam.toolchain, or set elixir_path (in an inventory beam_elixir_path) to the directory that holds elixir and mix",
        )
    return path


def check_elixir_path(path: str | None) -> str | None:
    """The directory of the programs; an installation's root is fine too."""
    if path is None:
        return None
    for candidate in (path, os.path.join(path, "bin")):
        if os.path.isfile(os.path.join(candidate, "elixir")):
            return candidate
    raise BeamError("no_elixir", "elixir_path %s has no elixir" % path, "", "Give the directory that holds elixir and mix")


def locate(env: t.Mapping[str, str]) -> tuple[str, str | None]:
    """elixir, and a key that changes when another installation is used.

    None instead of a key where a version manager's shim stands in between: then only running it can tell.
    """
    parts = []
    elixir = find_program("elixir", env)
    for program, marker in ((elixir, "../lib/elixir/ebin/elixir.app"), (find_program("erl", env), "../erts-*")):
        real = os.path.realpath(program)
        if not glob.glob(os.path.join(glob.escape(os.path.dirname(real)), marker)):
            return elixir, None
        info = os.stat(real)
        parts.append("%s %d %d" % (real, info.st_size, info.st_mtime_ns))
    return elixir, "\n".join(parts)


def otp_version(toolchain: Toolchain) -> str:
    """The full version, such as 25.2.3, if the installation has it."""
    try:
        path = os.path.join(toolchain.otp_root, "releases", toolchain.otp_release, "OTP_VERSION")
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip().rstrip("*")
    except OSError:
        return toolchain.otp_release


def _erts(toolchain: Toolchain) -> str:
    return os.path.join(toolchain.otp_root, "erts-" + toolchain.erts)


def is_there(toolchain: Toolchain) -> bool:
    return os.path.isdir(_erts(toolchain)) and os.path.isdir(toolchain.elixir_root)


def identity(toolchain: Toolchain) -> str:
    """A digest of what is installed, not of where.

    The whole of erts/bin goes into a release, including what another package put there, so its content counts. Of the
    libraries, names and sizes do.
    """
    total = hashlib.sha256(("%s %s %s\n" % (toolchain.elixir, otp_version(toolchain), toolchain.erts)).encode())
    for path in sorted(glob.glob(os.path.join(glob.escape(_erts(toolchain)), "bin", "*"))):
        with open(path, "rb") as stream:
            content = hashlib.sha256(stream.read()).hexdigest()
        total.update(("%s %s\n" % (os.path.basename(path), content)).encode("utf-8", "surrogateescape"))
    for root in (os.path.join(toolchain.otp_root, "lib"), os.path.join(toolchain.elixir_root, "lib")):
        for line in sorted(_listing(root)):
            total.update((line + "\n").encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _listing(root: str) -> t.Iterator[str]:
    for app in os.listdir(root) if os.path.isdir(root) else ():
        for part in ("ebin", "priv"):
            for directory, _names, files in walk(os.path.join(root, app, part)):
                for name in files:
                    path = os.path.join(directory, name)
                    yield "%s %d" % (os.path.relpath(path, root), os.lstat(path).st_size)

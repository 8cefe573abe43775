# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release trees for tests: small, shaped as mix release makes them, the same for the same arguments."""

from __future__ import annotations

import pathlib
import random


def _content(name: str, size: int) -> bytes:
    source = random.Random(name)
    words = [source.randbytes(7) for _index in range(64)]
    return b"".join(source.choice(words) for _index in range(size // 7 + 1))[:size]


def write(root: pathlib.Path, path: str, data: bytes, mode: int = 0o644) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(mode)


def make_tree(
    root: pathlib.Path,
    version: str = "1.0.0",
    modules: int = 40,
    changed: tuple[int, ...] = (),
    dependencies: int = 6,
    name: str = "shop",
) -> pathlib.Path:
    """changed: modules of the application that have other code than in a tree without."""
    write(root, "bin/" + name, b"#!/bin/sh\nexit 0\n", 0o755)
    write(root, "erts-13.1.5/bin/beam.smp", _content("beam.smp", 60_000), 0o755)
    write(root, "erts-13.1.5/bin/epmd", _content("epmd", 9_000), 0o755)
    write(root, "releases/COOKIE", b"VERYSECRETCOOKIEVERYSECRETCOOKIEVERYSECRETCOOKIEVERYSEC")
    write(root, "releases/start_erl.data", b"13.1.5 " + version.encode())
    write(root, "releases/%s/start.script" % version, _content("script", 3_000) + version.encode())
    write(root, "releases/%s/runtime.exs" % version, b"import Config\n")
    write(root, "releases/%s/env.sh" % version, b"#!/bin/sh\n", 0o755)
    for index in range(12):
        write(root, "releases/%s/consolidated/Elixir.P%d.beam" % (version, index), _content("p%d" % index, 2_500))
    for app in ("kernel-8.5", "stdlib-4.2", "elixir-1.14.0"):
        for index in range(8):
            write(root, "lib/%s/ebin/m%d.beam" % (app, index), _content(app + str(index), 6_000))
    for dependency in range(dependencies):
        for index in range(3):
            write(
                root,
                "lib/dep%d-1.0.%d/ebin/d%d.beam" % (dependency, dependency, index),
                _content("dep%d-%d" % (dependency, index), 4_000),
            )
    for index in range(modules):
        data = _content("own%d" % index, 8_000) + (version.encode() if index in changed else b"")
        write(root, "lib/%s-%s/ebin/Elixir.Shop.M%d.beam" % (name, version, index), data)
    write(root, "lib/%s-%s/priv/static/app.js" % (name, version), _content("js", 5_000))
    (root / "lib" / ("%s-%s" % (name, version)) / "priv" / "empty").mkdir(parents=True, exist_ok=True)
    return root

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of the example as real Elixir builds them: built once, kept in .cache/releases by what they are made of, and copied to who asks.

releases.py DEST VERSION... lays them out as DEST/VERSION.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
KEPT = ROOT / ".cache" / "releases"
KINDS = 3  # of fingerprints: what was built from former sources goes


def _said(*argv: str, cwd: Path | None = None, **environment: str) -> str:
    env = {**os.environ, **environment}
    return subprocess.run(
        argv, cwd=cwd, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ).stdout


def fingerprint() -> str:
    """Of the example's sources, of how versions are made of them, and of Elixir, Erlang and the C library that a release takes along or needs."""
    digest = hashlib.sha256(
        "\n".join(
            [_said("elixir", "--version"), str(shutil.which("elixir")), os.confstr("CS_GNU_LIBC_VERSION") or ""]
        ).encode()
    )
    sources = [EXAMPLES / "make_versions.py", Path(__file__), *(EXAMPLES / "beacon").rglob("*")]
    for path in sorted(
        path for path in sources if path.is_file() and not {"_build", "deps"} & set(path.relative_to(ROOT).parts)
    ):
        digest.update(
            b"%s\0%o\0%s\0"
            % (str(path.relative_to(ROOT)).encode(), path.stat().st_mode, hashlib.sha256(path.read_bytes()).digest())
        )
    return digest.hexdigest()[:20]


def _source(place: Path) -> Path:
    source, made = place / "source", place / "source.new"
    if not source.exists():
        shutil.rmtree(made, ignore_errors=True)
        _said(sys.executable, str(EXAMPLES / "make_versions.py"), str(made), "--faults")
        made.rename(source)
    return source


def _build(place: Path, version: str) -> Path:
    kept = place / version
    if not kept.exists():
        source, made = _source(place), place / "new"
        shutil.rmtree(made, ignore_errors=True)
        # A build directory that knew another version keeps its application's version: begin anew.
        shutil.rmtree(source / "_build", ignore_errors=True)
        _said("git", "-C", str(source), "checkout", "--quiet", "v" + version)
        _said("mix", "release", "--quiet", "--path", str(made), cwd=source, MIX_ENV="prod")
        made.rename(kept)
    return kept


@contextlib.contextmanager
def _place() -> t.Iterator[Path]:
    """Where what is of now is kept. One build at a time: whoever waits finds it made."""
    KEPT.mkdir(parents=True, exist_ok=True)
    place = KEPT / fingerprint()
    with (KEPT / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not place.exists():
            for old in sorted(
                (path for path in KEPT.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime
            )[: 1 - KINDS]:
                shutil.rmtree(old)
            place.mkdir()
        yield place


def versions() -> list[str]:
    """All that there are, of the tags of the example's repository."""
    with _place() as place:
        return [tag.removeprefix("v") for tag in _said("git", "-C", str(_source(place)), "tag", "--list").split()]


def lay_out(dest: Path, wanted: t.Sequence[str]) -> dict[str, Path]:
    """Copies, because who gets one may change it."""
    dest.mkdir(parents=True, exist_ok=True)
    found = {version: dest / version for version in wanted}
    if all(tree.exists() for tree in found.values()):
        return found
    with _place() as place:
        for version in wanted:
            if not found[version].exists():
                subprocess.run(
                    ["cp", "-a", "--reflink=auto", str(_build(place, version)), str(found[version])],
                    check=True,
                    stdin=subprocess.DEVNULL,
                )
    return found


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), sys.argv[2:])

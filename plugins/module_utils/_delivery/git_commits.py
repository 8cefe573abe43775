# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The commits of a repository on this machine as data. Nothing is fetched, and nothing is written."""

from __future__ import annotations

import re
import typing as t

from .._build import git
from .._errors import BeamError
from .commits import Commit, Graph, reverted_in

SHALLOW = "the repository is a shallow clone, which does not have all commits (git fetch --unshallow gets them)"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ASKED_AT_ONCE = 1000  # a command line is not endless
_WHAT = "the commits of the repository %s can't be read"


def read_graph(root: str, shas: t.Iterable[str]) -> Graph:
    """All commits that any of shas has. A sha that the repository lacks is no error: its deployments say so."""
    if _asked(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        return Graph(why=SHALLOW)
    wanted = sorted({sha for sha in shas if _SHA.fullmatch(sha)})
    commits: dict[str, Commit] = {}
    for begin in range(0, len(wanted), _ASKED_AT_ONCE):
        some = wanted[begin : begin + _ASKED_AT_ONCE]
        reverts = _reverts(root, some)
        for row in _asked(root, *_LOG, "--format=%H %ct %P", *some).splitlines():
            sha, at, *parents = row.split()
            commits[sha] = Commit(sha, tuple(parents), float(at), reverts.get(sha, ()))
    return Graph(commits)


# A message of git's about a signature would be one of the lines.
_LOG = ("log", "--ignore-missing", "--no-show-signature", "--no-color", "--no-mailmap")


def _reverts(root: str, shas: t.Sequence[str]) -> dict[str, tuple[str, ...]]:
    said = _asked(root, *_LOG, "--grep=This reverts commit", "--fixed-strings", "-z", "--format=%H%n%B", *shas)
    rows = (row.partition("\n") for row in said.split("\0") if row.strip())
    return {sha.strip(): reverted_in(message) for sha, _line, message in rows}


def _asked(root: str, *words: str) -> str:
    done = git.ask(root, *words)
    if done.returncode == 0:
        return done.stdout
    raise BeamError(
        "delivery_repo",
        _WHAT % root,
        git.first_line(done),
        "Give in repo a clone of the application's repository on this machine that this user may read; without repo there are no lead times",
    )

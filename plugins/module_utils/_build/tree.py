# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A release tree that was just assembled: checked before anybody sees it; and old ones removed."""

from __future__ import annotations

import os
import re
import stat

from .._errors import BeamError
from .._tree import remove_tree, walk

_COMPILED = re.compile(r"[a-z][a-z0-9_]*-[0-9a-f]{12}")  # a Mix environment and a key, as build.py names them


def read_version(tree: str) -> str:
    """The version that the release boots, from releases/start_erl.data."""
    path = os.path.join(tree, "releases", "start_erl.data")
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().split()[1]
    except (OSError, IndexError) as exc:
        raise BeamError(
            "not_assembled", "mix release made no release", "%s can't be read" % path, "Look at steps: in the release's part of mix.exs",
        ) from exc


def tidy_tree(tree: str, name: str, version: str) -> None:
    """Removes the archive that steps: [:assemble, :tar] leaves inside, and hides the cookie from other users."""
    archive = os.path.join(tree, "%s-%s.tar.gz" % (name, version))
    if os.path.isfile(archive):
        os.unlink(archive)
    cookie = os.path.join(tree, "releases", "COOKIE")
    if os.path.isfile(cookie):
        os.chmod(cookie, 0o600)


def check_tree(tree: str) -> None:
    """Nothing in it may be more than a file, a directory, or a link that stays inside."""
    root = os.path.realpath(tree)
    found = []
    for directory, names, files in walk(tree):
        for name in names + files:
            path = os.path.join(directory, name)
            problem = _problem(path, root)
            if problem:
                found.append("%s is %s" % (os.path.relpath(path, tree), problem))
    if found:
        raise BeamError(
            "unsafe_tree", "the release has what can't be distributed", "; ".join(sorted(found)[:10]),
            "Remove it from rel/overlays or priv, and build again", files=sorted(found), step="release",
        )


def _problem(path: str, root: str) -> str:
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        target = os.path.realpath(path)
        outside = os.path.isabs(os.readlink(path)) or not (target + "/").startswith(root + "/")
        return "a link that leaves the release" if outside else "" if os.path.exists(target) else "a dangling link"
    if stat.S_ISREG(info.st_mode):
        return "setuid or setgid" if info.st_mode & (stat.S_ISUID | stat.S_ISGID) else ""
    return "" if stat.S_ISDIR(info.st_mode) else "not a regular file"


def sweep(build_dir: str) -> None:
    """What killed builds left behind. Only under the lock."""
    for name in os.listdir(build_dir):
        if name.startswith(".tmp-"):
            remove_tree(os.path.join(build_dir, name))


def _age(path: str) -> float:
    return os.stat(path).st_mtime


def prune(build_dir: str, keep: int, current: str, compiled: str, keep_compiled: int = 3) -> list[str]:
    """Keeps the newest trees of this release and the newest directories of compiled code; names what went."""
    name = os.path.basename(current).split("-")[0]
    records = [
        os.path.join(build_dir, entry) for entry in os.listdir(build_dir)
        if entry.startswith(name + "-") and entry.endswith(".build.json")
    ]
    gone = []
    for record in sorted(records, key=_age, reverse=True)[keep:]:
        tree = record[: -len(".build.json")]
        if tree != current:
            remove_tree(record)
            remove_tree(tree)
            gone.append(os.path.basename(tree))
    siblings = os.path.dirname(compiled)
    # Only our own files: esbuild and tailwind install themselves beside the compiled code.
    ours = [os.path.join(siblings, entry) for entry in os.listdir(siblings) if _COMPILED.fullmatch(entry)]
    for path in sorted(ours, key=_age, reverse=True)[keep_compiled:]:
        if path != compiled:
            remove_tree(path)
    return gone

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a build writes beside the sources (digested assets, package-lock.json, priv/native/*.so), and how it is undone.

A release depends on its commit alone. So what the steps of a build make goes into its release and then goes away: the
next build neither takes it for a change nor finds it in priv. Caches stay where they are. It is moved, not deleted, to
`products` in the build directory, until the next build: a file may be that of somebody who worked there meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import typing as t

from .._json import parse_json
from .._tree import remove_quietly, walk
from . import git
from .index import write_atomically
from .sources import Sources, is_cache, is_setting, tracked, untracked

Seen = t.Mapping[str, tuple[int, ...]]  # path -> what its content can't change without

_AT_ONCE = 200  # paths in one command


def _marker(build_dir: str) -> str:
    return os.path.join(build_dir, "unfinished.json")


class Products:
    """Looks at the directories before the steps of a build, and leaves them as they were."""

    def __init__(self, sources: t.Sequence[Sources], build_dir: str, scratch: str, caches: t.Sequence[str] = ()) -> None:
        """caches: directories that may lie within the sources, such as MIX_HOME, and that stay as they are."""
        self.sources = {s.root: s for s in sources}
        self.build_dir = build_dir
        self.caches = tuple(os.path.realpath(path).rstrip("/") + "/" for path in caches)
        self.scratch = scratch
        self.before = self.look()
        self.directories = {root: set(self._directories(root)) for root in self.sources}
        self._keep_copies()
        # Who takes up a build that was killed has to know what was there before it.
        document = {root: sorted(seen) for root, seen in self.before.items()}
        write_atomically(_marker(build_dir), json.dumps(document).encode("ascii"))

    def _walk(self, root: str) -> t.Iterator[tuple[str, list[str], list[str]]]:
        for directory, names, files in walk(root):
            prefix = "" if directory == root else os.path.relpath(directory, root) + "/"
            names[:] = [name for name in names if name != ".git" and not self._is_cache(root, prefix + name)]
            yield prefix, names, files + [name for name in names if os.path.islink(os.path.join(directory, name))]

    def _is_cache(self, root: str, path: str) -> bool:
        return is_cache(root, path, self.build_dir) or (os.path.join(root, path) + "/").startswith(self.caches)

    def _directories(self, root: str) -> t.Iterator[str]:
        for prefix, names, _files in self._walk(root):
            yield from (prefix + name for name in names)

    def look(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Every file of every root, with the data that shows whether it was written to."""
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for root in self.sources:
            seen = found.setdefault(root, {})
            for prefix, _names, files in self._walk(root):
                for name in files:
                    with contextlib.suppress(FileNotFoundError):
                        info = os.lstat(os.path.join(root, prefix + name))
                        seen[prefix + name] = (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_mode)
        return found

    def written_since(self, earlier: t.Mapping[str, Seen]) -> bool:
        """Whether anything was made or changed meanwhile."""
        return any(earlier[root].get(path) != now for root, seen in self.look().items() for path, now in seen.items())

    def _keep_copies(self) -> None:
        """Of the sources that no commit has. A step may write over them, and git could not bring them back."""
        for index, sources in enumerate(self.sources.values()):
            fragile = [*sources.git.dirty, *sources.extra] if sources.git.sha else list(sources.files)
            for path in fragile:
                original = os.path.join(sources.root, path)
                if os.path.isfile(original) or os.path.islink(original):
                    copy = self._copy(index, path)
                    os.makedirs(os.path.dirname(copy), exist_ok=True)
                    shutil.copy2(original, copy, follow_symlinks=False)

    def _copy(self, index: int, path: str) -> str:
        return os.path.join(self.scratch, "kept", str(index), path)

    def undo(self) -> list[str]:
        """Takes away what was made, brings back what was changed, and names both."""
        after = self.look()
        place = os.path.join(self.build_dir, "products")
        told = remove_quietly(place)
        for index, (root, before) in enumerate(self.before.items()):
            now = after[root]
            changed = sorted(path for path, seen in before.items() if now.get(path) != seen)
            made = sorted(now.keys() - before.keys())
            move(root, [path for path in made + changed if path in now], os.path.join(place, str(index) if index else ""))
            told += made + changed
            self._bring_back(index, root, changed)
            for path in sorted(set(self._directories(root)) - self.directories[root], reverse=True):
                with contextlib.suppress(OSError):  # not empty: a cache is in it
                    os.rmdir(os.path.join(root, path))
        forget_unfinished(self.build_dir)
        return told

    def _bring_back(self, index: int, root: str, changed: list[str]) -> None:
        of_git = []
        for path in changed:
            copy = self._copy(index, path)
            if os.path.lexists(copy):
                target = os.path.join(root, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(copy, target, follow_symlinks=False)
            else:
                of_git.append(path)
        restore_tracked(root, of_git)


def restore_tracked(root: str, paths: t.Sequence[str]) -> None:
    """As the index of git has them. A path that git does not track is left alone."""
    known = set(tracked(root)) if paths else set()
    paths = [path for path in paths if path in known]
    for start in range(0, len(paths), _AT_ONCE):
        git.ask(root, "--literal-pathspecs", "checkout-index", "--force", "--", *paths[start : start + _AT_ONCE])
    if paths:
        git.ask(root, "update-index", "-q", "--refresh")


def unfinished(build_dir: str) -> dict[str, list[str]]:
    """What lay in each directory when a build began that was killed; empty where none was."""
    try:
        with open(_marker(build_dir), encoding="ascii") as stream:
            document = parse_json(stream.read())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def forget_unfinished(build_dir: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_marker(build_dir))


def move(root: str, paths: t.Iterable[str], target: str) -> None:
    for path in paths:
        os.makedirs(os.path.dirname(os.path.join(target, path)), exist_ok=True)
        shutil.move(os.path.join(root, path), os.path.join(target, path))


def set_aside(root: str, paths: t.Sequence[str], build_dir: str) -> str:
    """Moves files out of the way, and loses none; returns where they are now."""
    if not paths:
        return ""
    os.makedirs(build_dir, exist_ok=True)
    target = tempfile.mkdtemp(prefix="set-aside-", dir=build_dir)
    move(root, paths, target)
    return target


def sweep_unfinished(build_dir: str, own: bool) -> list[str]:
    """Undoes what a build that was killed has left. own: the directory is a checkout of ours, where nobody else works.

    Elsewhere only what git ignores is moved: a new file that git would track may be somebody's work.
    """
    moved = []
    for root, before in unfinished(build_dir).items():
        if not os.path.isdir(root):
            continue
        known = {*before, *tracked(root)}
        ignored = () if own else ("--ignored", "--exclude-standard")
        fresh = [path for path in untracked(root, build_dir, *ignored) if path not in known and (own or not is_setting(path))]
        where = set_aside(root, fresh, build_dir)
        if where:
            moved.append("%s, to %s" % (", ".join(sorted(fresh)[:5]), where))
    forget_unfinished(build_dir)
    return moved

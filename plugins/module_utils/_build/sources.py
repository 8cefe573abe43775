# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The sources of a build: which files they are, what git says of them, and one digest of their content."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import typing as t
from dataclasses import dataclass

from .._errors import BeamError

# Not sources, whether or not a .gitignore says so, unless git tracks them.
_PRODUCTS = ("_build", "deps", "node_modules", ".elixir_ls", ".lexical", "cover")
# Ignored by many a .gitignore, and read by the build all the same (such as config/prod.secret.exs).
_IGNORED_BUT_READ = ("config", "rel", "mix.lock", ":(glob)apps/*/config/**", ":(glob)apps/*/rel/**")
_NAMED = 5  # files that a message names


@dataclass(frozen=True)
class GitState:
    sha: str = ""  # of HEAD; "" where there is no git
    dirty: tuple[str, ...] = ()  # files that differ from HEAD
    problem: str = ""  # why the state is not known


@dataclass(frozen=True)
class Sources:
    root: str
    git: GitState
    files: t.Mapping[str, str]  # path -> sha256 of kind and content

    @property
    def digest(self) -> str:
        total = hashlib.sha256()
        for path in sorted(self.files):
            total.update(("%s\0%s\n" % (path, self.files[path])).encode("utf-8", "surrogateescape"))
        return total.hexdigest()


def _git(root: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # GIT_OPTIONAL_LOCKS: `status` must not write to the repository (check mode).
    # Whoever calls us from a git hook has GIT_DIR and the like set, for another repository.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key == "GIT_CEILING_DIRECTORIES"}
    env.update({"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"})
    try:
        # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
        return subprocess.run(
            ["git", "-C", root, "-c", "core.fsmonitor=false", *arguments], check=False, env=env, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="surrogateescape",
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed")


def _is_product(root: str, path: str, build_dir: str) -> bool:
    return path.split("/")[0] in _PRODUCTS or (os.path.join(root, path) + "/").startswith(build_dir.rstrip("/") + "/")


def _status(root: str, build_dir: str) -> GitState:
    head = _git(root, "rev-parse", "--verify", "HEAD")
    if head.returncode != 0:
        lines = head.stderr.strip().splitlines()
        return GitState(problem=lines[0] if lines else "git ended with %d" % head.returncode)
    prefix = _git(root, "rev-parse", "--show-prefix").stdout.rstrip("\n")
    status = _git(root, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none", "--", ".")
    if status.returncode != 0:
        return GitState(problem=status.stderr.strip().splitlines()[0])
    dirty = []
    for entry in filter(None, status.stdout.split("\0")):
        kind, path = entry[:2], entry[3:][len(prefix):]
        if kind != "??" or not _is_product(root, path, build_dir):
            dirty.append(path)
    return GitState(head.stdout.strip(), tuple(sorted(dirty)))


def _listed(root: str, build_dir: str) -> list[str]:
    """What git tracks or would track, and what it ignores although the build reads it."""
    tracked = _git(root, "ls-files", "-z", "--cached").stdout
    others = _git(root, "ls-files", "-z", "--others", "--exclude-standard").stdout
    ignored = _git(root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *_IGNORED_BUT_READ).stdout
    names = [path for path in tracked.split("\0") if path]
    names += [path for path in others.split("\0") + ignored.split("\0") if path and not _is_product(root, path, build_dir)]
    return names


def _walk(root: str, top: str = "", build_dir: str = "") -> t.Iterator[str]:
    for directory, names, files in os.walk(os.path.join(root, top)):
        relative = os.path.relpath(directory, root)
        relative = "" if relative == "." else relative + "/"
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        names[:] = [
            name for name in names
            if name != ".git" and name not in links and not (build_dir and _is_product(root, relative + name, build_dir))
        ]
        yield from (relative + name for name in files + links)


def _content(path: str) -> str | None:
    """A digest of one file; None where it is gone (deleted, but not yet from the index)."""
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return "link:" + os.readlink(path)
        if not stat.S_ISREG(info.st_mode):
            return None
        total = hashlib.sha256()
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                total.update(block)
        return ("x:" if info.st_mode & 0o100 else "f:") + total.hexdigest()
    except FileNotFoundError:
        return None


def read_sources(root: str, build_dir: str) -> Sources:
    root = os.path.realpath(root)
    build_dir = os.path.realpath(build_dir)
    git = _status(root, build_dir)
    names = _listed(root, build_dir) if git.sha else []
    if git.sha and "mix.exs" not in names:
        # Such as a directory that a repository around it ignores: git would list nothing, and never see a change.
        git = GitState(problem="mix.exs does not belong to the git repository around it")
    if not git.sha:
        names = list(_walk(root, build_dir=build_dir))
    files = {}
    for name in names:
        path = os.path.join(root, name)
        # A submodule is listed as one name: what is checked out there counts.
        inner = list(_walk(root, name)) if os.path.isdir(path) and not os.path.islink(path) else [name]
        for item in inner:
            content = _content(os.path.join(root, item))
            if content is not None:
                files[item] = content
    return Sources(root, git, files)


def require_clean(sources: Sources, allow_dirty: bool) -> None:
    if allow_dirty:
        return
    git = sources.git
    hint = "Commit, or say allow_dirty: true; the build record then says that it does not come from a commit"
    if "dubious ownership" in git.problem:
        hint = "Build as the user who owns it (become_user)"
    if git.problem:
        raise BeamError("git_unknown", "the git state of %s is not known" % sources.root, git.problem, hint)
    if git.dirty:
        named = ", ".join(git.dirty[:_NAMED]) + (" and %d more" % (len(git.dirty) - _NAMED) if len(git.dirty) > _NAMED else "")
        raise BeamError("git_dirty", "%s is not what the commit %s says" % (sources.root, git.sha[:12]), named, hint, files=list(git.dirty))


def describe(root: str) -> str:
    """What `git describe --tags` says, without the v of v1.2.3; with -dirty where a tracked file was changed."""
    done = _git(root, "describe", "--tags", "--dirty")
    if done.returncode != 0:
        raise BeamError(
            "git_describe", "%s has no version from git" % root, (done.stderr.strip().splitlines() or ["git describe failed"])[0],
            "Tag a commit (git tag v1.0.0), and fetch the tags where the clone is shallow; or give version",
        )
    text = done.stdout.strip()
    return text[1:] if text[:1] == "v" and text[1:2].isdigit() else text

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The sources of a build: which files they are, what git says of them, and one digest of their content.

Of a project in a git repository all of the repository counts: a child of an umbrella reads the configuration, the lock
and the siblings beside it, and nobody but Mix knows what else. What lies outside of it and is read all the same
(a target of a link, an application that is taken by path) is read by its name.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._tree import walk as paths_below
from . import git

# Not sources, whether or not a .gitignore says so, unless git tracks them. The second ones only beside a mix.exs.
_CACHES = ("_build", "node_modules", ".elixir_ls", ".lexical", ".git")
_CACHES_OF_MIX = ("deps", "cover")
# Ignored by many a .gitignore, and read by the build all the same (such as config/prod.secret.exs). All of priv goes into the release.
_IGNORED_BUT_READ = tuple(
    ":(glob)" + pattern for place in ("", "**/") for pattern in (place + "config/**", place + "rel/**", place + "priv/**", place + "mix.lock")
)
_NAMED = 5  # files that a message names
_VERSION_TAG = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+")  # not v1, which moves from version to version


@dataclass(frozen=True)
class GitState:
    sha: str = ""  # of HEAD; "" where there is no git
    dirty: tuple[str, ...] = ()  # files that differ from HEAD
    problem: str = ""  # why the state is not known


@dataclass(frozen=True)
class Sources:
    root: str  # of the repository; where there is none, the directory that was asked for
    git: GitState
    files: t.Mapping[str, str]  # path -> sha256 of kind and content
    extra: tuple[str, ...] = ()  # those of the files that no commit has, and that are no change: ignored by git and read all the same

    @property
    def digest(self) -> str:
        total = hashlib.sha256()
        for path in sorted(self.files):
            total.update(("%s\0%s\n" % (path, self.files[path])).encode("utf-8", "surrogateescape"))
        return total.hexdigest()


def is_cache(root: str, path: str, build_dir: str) -> bool:
    """Whether a path below root is what tools keep between builds: fetched, compiled, installed."""
    absolute = os.path.join(root, path)
    if (absolute + "/").startswith(build_dir.rstrip("/") + "/"):
        return True
    parts = path.split("/")
    for index, part in enumerate(parts):
        if part in _CACHES or (part in _CACHES_OF_MIX and os.path.isfile(os.path.join(root, *parts[:index], "mix.exs"))):
            return True
    return False


def _status(root: str, build_dir: str) -> GitState:
    head = git.ask(root, "rev-parse", "--verify", "HEAD")
    if head.returncode != 0:
        return GitState(problem=git.first_line(head))
    status = git.ask(root, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none")
    if status.returncode != 0:
        return GitState(problem=git.first_line(status))
    dirty = []
    for entry in filter(None, status.stdout.split("\0")):
        kind, path = entry[:2], entry[3:]
        if kind != "??" or not is_cache(root, path, build_dir):
            dirty.append(path)
    return GitState(head.stdout.strip(), tuple(sorted(dirty)))


def tracked(root: str) -> list[str]:
    return [path for path in git.ask(root, "ls-files", "-z", "--cached").stdout.split("\0") if path]


def untracked(root: str, build_dir: str, *arguments: str) -> list[str]:
    """Files that git does not track, except caches. arguments: of git ls-files, to have only what it ignores or would track."""
    found = git.ask(root, "ls-files", "-z", "--others", *arguments).stdout
    return [path for path in found.split("\0") if path and not is_cache(root, path, build_dir)]


def is_setting(path: str) -> bool:
    """What people put into a checkout by hand, such as config/prod.secret.exs. It decides the output, so the fingerprint has it."""
    return bool({"config", "rel"} & set(path.split("/")[:-1]))


def walk(root: str, top: str = "", build_dir: str = "") -> t.Iterator[str]:
    """All files and links below, except git's own and, with build_dir, caches."""
    for directory, names, files in paths_below(os.path.join(root, top)):
        relative = os.path.relpath(directory, root)
        relative = "" if relative == "." else relative + "/"
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        names[:] = [
            name for name in names
            if name != ".git" and name not in links and not (build_dir and is_cache(root, relative + name, build_dir))
        ]
        yield from (relative + name for name in files + links)


def _content(root: str, path: str) -> str | None:
    """A digest of one file; None where it is gone (deleted, but not yet from the index)."""
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return "link:" + os.readlink(path) + _target(root, path)
        if not stat.S_ISREG(info.st_mode):
            return None
        return ("x:" if info.st_mode & 0o100 else "f:") + _sha256(path)
    except FileNotFoundError:
        return None


def _sha256(path: str) -> str:
    total = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def _target(root: str, link: str) -> str:
    """What a link leads to, where that is outside of the sources: there nothing else would notice a change."""
    target = os.path.realpath(link)
    if not os.path.exists(target) or ((target + "/").startswith(root + "/") and not is_cache(root, os.path.relpath(target, root), "/nowhere")):
        return ""
    return " -> " + digest_of(target)


def digest_of(path: str) -> str:
    """Of a file, or of all files below a directory. Links below it count as their text."""
    if os.path.isfile(path):
        return _sha256(path)
    total = hashlib.sha256()
    for name in sorted(walk(path, build_dir="/nowhere")):
        full = os.path.join(path, name)
        content = "link:" + os.readlink(full) if os.path.islink(full) else _sha256(full) if os.path.isfile(full) else ""
        total.update(("%s\0%s\n" % (name, content)).encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def top_of(directory: str) -> tuple[str, str]:
    """The root of the repository around a directory, or the directory itself and why there is none."""
    asked = git.ask(directory, "rev-parse", "--show-toplevel")
    if asked.returncode != 0:
        return directory, git.first_line(asked)
    top = os.path.realpath(asked.stdout.rstrip("\n"))
    inside = os.path.relpath(os.path.join(directory, "mix.exs"), top)
    if git.ask(top, "ls-files", "--error-unmatch", "--", inside).returncode != 0 and git.ask(top, "check-ignore", "-q", "--", inside).returncode == 0:
        # Such as a directory that a repository around it ignores: git would list nothing, and never see a change.
        return directory, "mix.exs does not belong to the git repository around it"
    return top, ""


def read_sources(directory: str, build_dir: str) -> Sources:
    directory, build_dir = os.path.realpath(directory), os.path.realpath(build_dir)
    root, problem = top_of(directory)
    state = GitState(problem=problem) if problem else _status(root, build_dir)
    extra: list[str] = []
    if state.sha:
        extra = untracked(root, build_dir, "--ignored", "--exclude-standard", "--", *_IGNORED_BUT_READ)
        names = tracked(root) + untracked(root, build_dir, "--exclude-standard") + extra
    else:
        root = directory
        names = list(walk(root, build_dir=build_dir))
    files = {}
    for name in names:
        path = os.path.join(root, name)
        # A submodule is listed as one name: what is checked out there counts.
        inner = list(walk(root, name)) if os.path.isdir(path) and not os.path.islink(path) else [name]
        for item in inner:
            content = _content(root, os.path.join(root, item))
            if content is not None:
                files[item] = content
    return Sources(root, state, files, tuple(sorted(extra)))


def require_clean(sources: Sources, allow_dirty: bool) -> None:
    if allow_dirty:
        return
    state = sources.git
    hint = "Commit, or say allow_dirty: true (in an inventory beam_allow_dirty); the build record then says that it does not come from a commit"
    if "dubious ownership" in state.problem:
        hint = "Build as the user who owns it (become_user)"
    if state.problem:
        raise BeamError("git_unknown", "the git state of %s is not known" % sources.root, state.problem, hint)
    if state.dirty:
        raise BeamError(
            "git_dirty", "%s is not what the commit %s says" % (sources.root, state.sha[:12]), named(state.dirty), hint, files=list(state.dirty),
        )


def named(paths: t.Sequence[str]) -> str:
    return ", ".join(paths[:_NAMED]) + (" and %d more" % (len(paths) - _NAMED) if len(paths) > _NAMED else "")


def require_submodules(root: str) -> None:
    """What a clone without --recurse-submodules lacks would be missed by the compiler, or be left out in silence."""
    if not os.path.isfile(os.path.join(root, ".gitmodules")):
        return
    missing = [line[1:].split()[1] for line in git.ask(root, "submodule", "status").stdout.splitlines() if line.startswith("-")]
    if missing:
        raise BeamError(
            "git_submodule", "%s is not all there" % root, "the submodule %s is not checked out" % named(missing),
            "Check it out with git submodule update --init --recursive; with repo (in an inventory beam_repo), mix_release does it itself",
        )


def describe(root: str, *more: str) -> str:
    """What `git describe --tags` says, without the v of v1.2.3; with -dirty where a tracked file was changed."""
    done = git.ask(root, "describe", "--tags", "--dirty", *more)
    if done.returncode != 0:
        shallow = git.ask(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        raise BeamError(
            "git_shallow" if shallow else "git_describe", "%s has no version from git" % root,
            "the clone is shallow, so its tags can't be reached" if shallow else git.first_line(done),
            "Fetch the rest with git fetch --unshallow --tags" if shallow
            else "Tag a commit (git tag v1.0.0), and fetch the tags; or give version (in an inventory beam_build_version)",
        )
    text = done.stdout.strip()
    return text[1:] if text[:1] == "v" and text[1:2].isdigit() else text


def version_from_git(root: str, declared: str | None, tag: str = "") -> str:
    """What git describes, tags that are versions before others such as `latest`; without one, what mix.exs declares and the commit: 0.1.0+g1a2b3c4d.

    tag: the one that was asked for.
    """
    here = [one for one in tags_at(root, "HEAD") if _VERSION_TAG.match(one)]
    if len({one.lstrip("v") for one in here}) > 1 and not tag:
        raise BeamError(
            "git_ambiguous", "%s has no one version from git" % root, "its commit has the tags %s" % " and ".join(here),
            "Say which one with ref (in an inventory beam_ref), or give version (beam_build_version)",
        )
    for more in [["--match=" + one] for one in ([tag] if tag else here[:1])] + [["--match=v[0-9]*", "--match=[0-9]*"], []]:
        try:
            return describe(root, *more)
        except BeamError as exc:
            if exc.code != "git_describe" or (not more and not declared):
                raise
    commit = git.ask(root, "rev-parse", "--short=8", "HEAD").stdout.strip()
    changed = git.ask(root, "status", "--porcelain", "--untracked-files=no").stdout.strip()
    return "%s%sg%s%s" % (declared, "." if declared and "+" in declared else "+", commit, ".dirty" if changed else "")


def tags_at(root: str, commit: str) -> tuple[str, ...]:
    return tuple(git.ask(root, "tag", "--points-at", commit).stdout.split())


def commit_time(root: str) -> int | None:
    """When HEAD was committed, in seconds since 1970."""
    asked = git.ask(root, "log", "-1", "--format=%ct")
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.strip().isdigit() else None

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The files of a repository at a ref, read from git: nothing is checked out, no hook and no filter runs."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass, field

from .._build import checkout, git
from .._errors import BeamError

LARGEST = 1_000_000  # bytes of a file that is read
_MOST = 200_000  # files
_TIMEOUT = 600.0


@dataclass
class Files:
    """Paths are relative to the root of the repository, with /."""

    directory: str  # a git directory or a work tree
    commit: str
    sizes: dict[str, int]
    notes: list[str] = field(default_factory=list)
    _texts: dict[str, str] = field(default_factory=dict)

    def __contains__(self, path: str) -> bool:
        return path in self.sizes

    def below(self, directory: str, *endings: str) -> list[str]:
        start = directory + "/" if directory not in ("", ".") else ""
        return [path for path in self.sizes if path.startswith(start) and (not endings or path.endswith(endings))]

    def read(self, path: str) -> str:
        """Nothing of a file that is not there. What is no UTF-8 is replaced."""
        if path not in self._texts:
            self._texts[path] = self._read(path) if path in self.sizes else ""
        return self._texts[path]

    def _read(self, path: str) -> str:
        if self.sizes[path] > LARGEST:
            self.notes.append("%s is not read: it has %d bytes" % (path, self.sizes[path]))
            return ""
        words = ["git", "-C", self.directory, "cat-file", "blob", "%s:%s" % (self.commit, path)]
        try:
            # There is no AnsibleModule here. pylint: disable-next=ansible-bad-function
            done = subprocess.run(
                words,
                check=False,
                env=git.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=git.ASK_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise BeamError(
                "git_failed",
                "%s can't be read" % path,
                "git did not give it within %g s" % git.ASK_SECONDS,
                "Try the same: %s" % " ".join(words),
            ) from None
        try:
            return done.stdout.decode("utf-8")
        except UnicodeDecodeError:
            self.notes.append("%s is no UTF-8: what can't be read in it is left out" % path)
            return done.stdout.decode("utf-8", "replace")


def joined(directory: str, path: str) -> str:
    """A path as mix.exs names it, from the root of the repository."""
    return posixpath.normpath(posixpath.join(directory or ".", path))


def list_files(directory: str, commit: str) -> Files:
    done = git.ask(directory, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    if done.returncode != 0:
        raise BeamError(
            "git_failed",
            "the commit %s can't be read" % commit[:12],
            git.first_line(done),
            "Try the same: git -C %s ls-tree" % directory,
        )
    sizes: dict[str, int] = {}
    for entry in done.stdout.split("\0"):
        about, _tab, path = entry.partition("\t")
        words = about.split()
        if len(words) == 4 and words[1] == "blob" and words[0] != "120000" and len(sizes) < _MOST:
            sizes[path] = int(words[3]) if words[3].isdigit() else 0
    return Files(directory, commit, sizes)


@dataclass(frozen=True)
class Source:
    files: Files
    said: str  # the ref in words
    url: str  # by which a build server reads it; "" where none is known
    tags: tuple[str, ...] = ()  # all of them, as far as they are known
    dirty: bool = False


def public(url: str) -> str:
    """Without the name and the token that a URL of the web may carry: an inventory is no place for them."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url)


@contextlib.contextmanager
def open_source(repo: str, ref: str) -> t.Iterator[Source]:
    """repo: a directory of this machine with a repository, or what git can clone."""
    if os.path.isdir(repo):
        yield _local(repo, ref)
        return
    if not re.match(r"[\w.+-]+://|[^/\s]+@?[^/\s]*:", repo):
        raise BeamError(
            "git_no_repository",
            "%s can't be read" % repo,
            "there is no such directory",
            "Correct beam_repo: a directory, or a URL of git",
        )
    with git.without_credentials(repo) as bare, tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
        wanted = checkout.resolve(bare, ref, _TIMEOUT)
        if wanted.commit:
            git.change(scratch, "init", "--quiet", timeout=_TIMEOUT)
            git.change(
                scratch, "fetch", "--quiet", "--depth", "1", "--no-tags", "--", bare, wanted.commit, timeout=_TIMEOUT
            )
        if not wanted.commit or git.ask(scratch, "cat-file", "-e", wanted.commit + "^{commit}").returncode != 0:
            wanted, _moved = checkout.fetch(wanted, scratch, os.path.join(scratch, "_build"), _TIMEOUT, ())
        yield Source(list_files(scratch, wanted.commit), wanted.said or wanted.commit[:12], public(repo), wanted.tags)


def _local(repo: str, ref: str) -> Source:
    inside = git.ask(repo, "rev-parse", "--is-inside-work-tree")
    if inside.returncode != 0:
        raise BeamError(
            "git_no_repository",
            "%s can't be read" % repo,
            git.first_line(inside),
            "Run it in the directory of the project, or give beam_repo: what is deployed is a commit of a git repository",
        )
    name = ref if ref not in ("", "HEAD") else "HEAD"
    found = git.ask(repo, "rev-parse", "--verify", "--quiet", name + "^{commit}")
    if found.returncode != 0 and name != "HEAD":
        found = git.ask(repo, "rev-parse", "--verify", "--quiet", "refs/remotes/origin/%s^{commit}" % name)
    if found.returncode != 0:
        raise BeamError(
            "git_no_ref",
            "%s is not in %s" % (name, repo),
            "it has no branch, tag or commit of that name" if name != "HEAD" else "it has no commit yet",
            "Commit first" if name == "HEAD" else "Correct beam_ref, or fetch it",
        )
    commit = found.stdout.strip()
    said = git.ask(repo, "rev-parse", "--abbrev-ref", name).stdout.strip() or name
    url = git.ask(repo, "remote", "get-url", "origin").stdout.strip()
    dirty = bool(git.ask(repo, "status", "--porcelain", "--untracked-files=no").stdout.strip())
    tags = tuple(git.ask(repo, "tag", "--merged", commit).stdout.split())
    return Source(
        list_files(repo, commit),
        said if said != "HEAD" else commit[:12],
        public(url) if not os.path.isdir(url) else "",
        tags,
        dirty,
    )

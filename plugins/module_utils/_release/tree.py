# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A release tree on the disk, as files with mode and sha256.

Only regular files and directories are part of a release. A relative symbolic link that stays inside is stored as what
it points to; everything else that a directory can hold is refused by name, all of it at once.
"""

from __future__ import annotations

import hashlib
import os
import stat as st
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .._errors import BeamError
from .manifest import MAX_FILES, MAX_RELEASE_BYTES, File, safe_path
from .secrets_policy import excluded, left_out, secret_by_content, secret_by_name

CHUNK = 1024 * 1024
BATCH = 64  # files per piece of work: a thread's hand-over costs more than hashing a small file


@dataclass(frozen=True)
class Tree:
    root: str
    files: tuple[File, ...]  # sorted by path
    directories: tuple[str, ...]  # empty ones
    left_out: tuple[str, ...]  # by our policy, or by the user's exclude

    @property
    def size(self) -> int:
        return sum(f.size for f in self.files)


class _Scan:
    def __init__(self, root: str, exclude: t.Sequence[str]) -> None:
        self.root = root
        self.real_root = os.path.realpath(root)
        self.exclude = exclude
        self.files: list[tuple[str, int, int]] = []  # path, mode, size
        self.directories: list[str] = []
        self.left_out: list[str] = []
        self.refused: list[tuple[str, str]] = []  # path, why
        self.secrets: list[tuple[str, str]] = []

    def walk(self, directory: str, ancestors: tuple[tuple[int, int], ...]) -> None:
        full = os.path.join(self.root, directory) if directory else self.root
        info = os.stat(full)
        identity = (info.st_dev, info.st_ino)
        if identity in ancestors:
            self.refused.append((directory, "a symbolic link that leads into a loop"))
            return
        empty = True
        with os.scandir(full) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                empty = False
                self.entry(
                    "%s/%s" % (directory, entry.name) if directory else entry.name, entry, (*ancestors, identity)
                )
        if empty and directory:
            self.directories.append(directory)

    def entry(self, path: str, entry: os.DirEntry[str], ancestors: tuple[tuple[int, int], ...]) -> None:
        if left_out(path) or excluded(path, self.exclude):
            self.left_out.append(path)
            return
        try:
            path.encode("utf-8")
            safe_path(path)
        except ValueError as exc:  # also where the name is not UTF-8
            self.refused.append(
                (ascii(path), "not a name for a file of a release" if isinstance(exc, UnicodeError) else str(exc))
            )
            return
        info = entry.stat(follow_symlinks=False)
        if st.S_ISLNK(info.st_mode):
            why = self.bad_link(path, entry.path)
            if why:
                self.refused.append((path, why))
                return
            info = os.stat(entry.path)
        if st.S_ISDIR(info.st_mode):
            self.walk(path, ancestors)
        elif st.S_ISREG(info.st_mode):
            self.file(path, info)
        else:
            self.refused.append((path, _kind(info.st_mode)))

    def bad_link(self, path: str, full: str) -> str:
        target = os.readlink(full)
        if os.path.isabs(target):
            return "an absolute symbolic link (to %s)" % target
        try:
            os.stat(full)  # realpath would not complain of a loop
            real = os.path.realpath(full)
        except OSError:
            return "a symbolic link that leads nowhere or into a loop (to %s)" % target
        if real != self.real_root and not real.startswith(self.real_root + "/"):
            return "a symbolic link that leaves the release (to %s)" % target
        return ""

    def file(self, path: str, info: os.stat_result) -> None:
        if info.st_mode & (st.S_ISUID | st.S_ISGID):
            self.refused.append((path, "setuid or setgid"))
            return
        what = secret_by_name(path)
        if what:
            self.secrets.append((path, what))
            return
        self.files.append((path, 0o755 if info.st_mode & 0o111 else 0o644, info.st_size))


def _kind(mode: int) -> str:
    kinds = ((st.S_ISFIFO, "a fifo"), (st.S_ISSOCK, "a socket"), (st.S_ISBLK, "a device"), (st.S_ISCHR, "a device"))
    return next((name for test, name in kinds if test(mode)), "no regular file")


def _hash(root: str, path: str, size: int) -> tuple[str, int, str]:
    """sha256, size as read, and what secret it is."""
    with open(os.path.join(root, path), "rb", buffering=0) as stream:
        data = stream.read(CHUNK)
        digest = hashlib.sha256(data)
        what = secret_by_content(path, data)
        count = len(data)
        while data and count != size:
            data = stream.read(CHUNK)
            digest.update(data)
            count += len(data)
    return digest.hexdigest(), count, what


def require_tree(root: str) -> None:
    if not os.path.isdir(root):
        raise BeamError(
            "tree_missing",
            "the release tree %s can't be published" % root,
            "there is no such directory",
            "Build it first (playbook alchemist.beam.build; the module is mix_release), or correct path (in an inventory beam_build_output)",
        )


def scan_tree(root: str, exclude: t.Sequence[str] = ()) -> Tree:
    """The release tree at root. Patterns of exclude are left out (secrets_policy.excluded says how they match)."""
    root = os.path.abspath(root)
    require_tree(root)
    scan = _Scan(root, exclude)
    try:
        scan.walk("", ())
        _limits(scan)
        files = _hash_all(scan)
    except OSError as exc:
        raise BeamError(
            "tree_unreadable",
            "the release tree %s can't be read" % root,
            "%s: %s" % (exc.filename, exc.strerror),
            "Let nothing write to the tree, and give this user the right to read it",
        ) from exc
    if scan.refused:
        raise _refusal(
            "tree_unsafe",
            root,
            "it holds what can't be part of a release",
            "Remove it from the tree, or name it in exclude (in an inventory beam_exclude)",
            scan.refused,
        )
    if scan.secrets:
        raise _refusal(
            "tree_secret",
            root,
            "it holds what looks like a secret",
            "Keep secrets out of the build; name in exclude (in an inventory beam_exclude) what shall be left out of the release",
            scan.secrets,
        )
    if not files:
        raise BeamError(
            "tree_empty",
            "the release tree %s can't be published" % root,
            "it holds no file",
            "Build it first (playbook alchemist.beam.build; the module is mix_release), or correct path (in an inventory beam_build_output)",
        )
    return Tree(
        root, tuple(sorted(files, key=lambda f: f.path)), tuple(sorted(scan.directories)), tuple(sorted(scan.left_out))
    )


def _limits(scan: _Scan) -> None:
    size = sum(row[2] for row in scan.files)
    if len(scan.files) > MAX_FILES or size > MAX_RELEASE_BYTES:
        raise BeamError(
            "tree_too_large",
            "the release tree %s can't be published" % scan.root,
            "%d files of %d bytes are over the limits of %d files and %d bytes"
            % (len(scan.files), size, MAX_FILES, MAX_RELEASE_BYTES),
            "Look for what does not belong there",
        )


def _hash_all(scan: _Scan) -> list[File]:
    def work(rows: list[tuple[str, int, int]]) -> list[tuple[str, int, str]]:
        return [_hash(scan.root, path, size) for path, _mode, size in rows]

    files: list[File] = []
    batches = [scan.files[i : i + BATCH] for i in range(0, len(scan.files), BATCH)]
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 1)) as pool:
        for batch, results in zip(batches, pool.map(work, batches)):
            for (path, mode, _size), (sha256, size, what) in zip(batch, results):
                if what:
                    scan.secrets.append((path, what))
                files.append(File(path, mode, size, sha256))
    return files


def _refusal(code: str, root: str, why: str, hint: str, rows: list[tuple[str, str]]) -> BeamError:
    rows = sorted(rows)
    shown = ", ".join("%s (%s)" % row for row in rows[:5]) + (" and %d more" % (len(rows) - 5) if len(rows) > 5 else "")
    return BeamError(
        code,
        "the release tree %s can't be published" % root,
        "%s: %s" % (why, shown),
        hint,
        refused=[{"path": path, "why": reason} for path, reason in rows],
    )

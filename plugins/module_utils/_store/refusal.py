# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Why a version that is published can't be published again: from which commit it is, or what came out otherwise, and the way out."""

from __future__ import annotations

import os
import typing as t

from .._errors import BeamError, Conflict
from .._release.beam_paths import absolute_paths, contents, places
from .._release.manifest import File, Manifest, Provenance
from .._release.tree import Tree
from .base import Store
from .export import read_one

# Files that are known to hold the time at which they were made.
TIMED = ("cache_manifest.json",)
NAME_IT = "Bump the version in mix.exs, or let git name it: version: git (in an inventory beam_build_version: git)"
NAME_ANOTHER = "give another version (version, in an inventory beam_build_version)"
SAMPLES = 3  # published modules that are fetched to compare
MAX_READ = 8 * 1024 * 1024  # of one file
MAX_FILES = 500


def differing_files(tree: t.Mapping[str, File], published: t.Mapping[str, File]) -> list[str]:
    """One line for each file: `+` only in the tree, `-` only in what is published, `~` in both, with another content or mode."""
    lines = []
    for path in sorted(set(tree) | set(published)):
        mine, theirs = tree.get(path), published.get(path)
        if mine != theirs:
            lines.append("%s %s" % ("-" if mine is None else "+" if theirs is None else "~", path))
    return lines


def refuse_other_content(store: Store, tree: Tree, origin: Provenance, published: Manifest) -> None:
    """The same version is published: nothing where it has this content, or Conflict. origin: of the tree."""
    lines = differing_files({f.path: f for f in tree.files}, published.files())
    lines += ["~ %s/ (empty directory)" % path for path in sorted(set(tree.directories) ^ set(published.directories))]
    if not lines:
        return
    why, hint, causes = _reason(store, tree, origin, published, lines)
    raise Conflict(
        "version_exists",
        "%s %s can't be published" % (published.name, published.version),
        why,
        hint,
        differing=lines[:1000],
        causes=causes,
        published_from=published.provenance.git_sha,
    )


def _reason(
    store: Store,
    tree: Tree,
    mine: Provenance,
    published: Manifest,
    lines: t.Sequence[str],
) -> tuple[str, str, dict[str, list[str]]]:
    theirs = published.provenance
    shown = _count(len(lines), "file differs", "files differ") + ", such as " + lines[0][2:]
    if theirs.git_dirty or mine.git_dirty:
        whose = (
            "that version is published, and this tree was built from"
            if mine.git_dirty
            else "that version was published from"
        )
        return (
            "%s changes that were not committed. %s" % (whose, shown),
            ("Commit them. " if mine.git_dirty else "") + NAME_IT,
            {},
        )
    if not (mine.git_sha and theirs.git_sha):
        return (
            "that version is published with other content. " + shown,
            "A published version never changes: " + NAME_ANOTHER,
            {},
        )
    if mine.git_sha != theirs.git_sha:
        return (
            "that version was published from the commit %s, and this tree was built from %s"
            % (theirs.git_sha[:12], mine.git_sha[:12]),
            NAME_IT,
            {},
        )
    label = "that version was published from this very commit, %s" % mine.git_sha[:12]
    if mine.fingerprint != theirs.fingerprint:
        return (
            "%s, built with other options, another environment or another toolchain%s. %s"
            % (label, _toolchains(theirs, mine), shown),
            "Roll out what is published (playbook rollout with beam_version: %s), build it as it was built then, or %s"
            % (published.version, NAME_ANOTHER),
            {},
        )
    causes, place = _causes(store, tree, published, lines)
    told = [_TELL[cause](paths, place) for cause, paths in causes.items()]
    same = ", with the same options," if mine.fingerprint else ""
    return (
        "%s%s and was built into something else now. %s" % (label, same, ". ".join(told)),
        "What is published is that commit already: deploy it (beam_build_force: false), or " + NAME_ANOTHER,
        causes,
    )


def _toolchains(theirs: Provenance, mine: Provenance) -> str:
    differ = [
        "%s %s, now %s" % (what, then or "unknown", now or "unknown")
        for what, then, now in (
            ("Elixir", theirs.elixir, mine.elixir),
            ("Erlang/OTP", theirs.otp, mine.otp),
            ("MIX_ENV", theirs.mix_env, mine.mix_env),
        )
        if then != now
    ]
    return " (%s)" % "; ".join(differ) if differ else ""


def _causes(
    store: Store, tree: Tree, published: Manifest, lines: t.Sequence[str]
) -> tuple[dict[str, list[str]], tuple[str, str] | None]:
    """cause -> paths; and where the tree and the published one were built, if the modules tell."""
    mine, theirs = {f.path: f for f in tree.files}, published.files()
    both = [line[2:] for line in lines if line.startswith("~ ") and line[2:] in mine]
    texts = {
        path: contents(_read(tree, path))
        for path in both[:MAX_FILES]
        if path.endswith(".beam") and mine[path].size <= MAX_READ
    }
    looked, place = _place(store, published, texts)
    causes: dict[str, list[str]] = {}
    for line in lines:
        path = line[2:]
        if path not in mine or path not in theirs:
            cause = "only_here" if path in mine else "only_published" if path in theirs else "directory"
        elif mine[path].sha256 == theirs[path].sha256:
            cause = "mode"
        elif path.rpartition("/")[2] in TIMED:
            cause = "time"
        elif path in texts and (
            place[0].encode() in texts[path] if place else not looked and absolute_paths(texts[path])
        ):
            cause = "path"
        else:
            cause = "other"
        causes.setdefault(cause, []).append(path)
    return {cause: causes[cause] for cause in _TELL if cause in causes}, place


def _place(store: Store, published: Manifest, texts: t.Mapping[str, bytes]) -> tuple[bool, tuple[str, str] | None]:
    """Whether published modules could be looked at; and where the tree and they were built, if they tell."""
    looked = False
    for path in [path for path, text in texts.items() if absolute_paths(text)][:SAMPLES]:
        try:
            other = read_one(store, published, path)
        except (BeamError, ValueError):  # the refusal is what has to be told
            continue
        looked = True
        found = places(absolute_paths(texts[path]), absolute_paths(other))
        if found:
            return True, found
    return looked, None


def _read(tree: Tree, path: str) -> bytes:
    try:
        with open(os.path.join(tree.root, path), "rb") as stream:
            return stream.read(MAX_READ)
    except OSError:  # removed meanwhile
        return b""


def _files(paths: t.Sequence[str], one: str, many: str) -> str:
    return _count(len(paths), one, many) + (" (%s)" if len(paths) == 1 else " (such as %s)") % paths[0]


def _count(number: int, one: str, many: str) -> str:
    return "1 " + one if number == 1 else "%d %s" % (number, many)


def _tell_path(paths: t.Sequence[str], place: tuple[str, str] | None) -> str:
    told = _files(paths, "module holds the path that it was built at", "modules hold the path that they were built at")
    return told + (
        ": %s here, %s in the published one" % place
        if place
        else ", and the published one may have been built at another"
    )


def _plain(one: str, many: str) -> t.Callable[[t.Sequence[str], tuple[str, str] | None], str]:
    return lambda paths, _place: _files(paths, one, many)


_TELL: dict[str, t.Callable[[t.Sequence[str], tuple[str, str] | None], str]] = {
    "path": _tell_path,
    "time": _plain("file holds the time of the build", "files hold the time of the build"),
    "only_here": _plain(
        "file is in this tree alone, and may be left of an earlier build",
        "files are in this tree alone, and may be left of an earlier build",
    ),
    "only_published": _plain("file is in the published one alone", "files are in the published one alone"),
    "directory": _plain("empty directory is in one of them alone", "empty directories are in one of them alone"),
    "mode": _plain("file has other permissions", "files have other permissions"),
    "other": _plain(
        "file is not reproducible: it reads the time, the environment or random data when it is built",
        "files are not reproducible: they read the time, the environment or random data when they are built",
    ),
}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""From a repository and a ref to a directory that is what the commit says.

It is part of the build, under the build's lock: two deploys at once would else check out under each other's feet.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tempfile
import typing as t
from dataclasses import dataclass, replace

from .._errors import BeamError
from . import git
from .command import run_command
from .products import set_aside, sweep_unfinished, unfinished
from .sources import is_cache, is_setting, named, read_sources, require_clean, tags_at, tracked, untracked

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{7,64}")
_EVERYTHING = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for, as the remote has it now."""

    repo: str
    ref: str  # as asked; "" or HEAD: the default branch
    commit: str = ""  # "" where only a fetch can tell, as for an abbreviated commit
    said: str = ""  # in words: "the tag v1.2.0", "main, the default branch"
    tags: tuple[str, ...] = ()  # that name the commit
    tag: str = ""  # where ref is one


def resolve(repo: str, ref: str, timeout: float) -> Wanted:
    """Asks the remote; nothing has to be here."""
    default, refs = _list(repo, timeout)
    wanted = _wanted(repo, ref, default, refs)
    return replace(wanted, tags=tuple(sorted(name[10:] for name, commit in refs.items() if commit == wanted.commit and name.startswith("refs/tags/"))))


def _wanted(repo: str, ref: str, default: str, refs: t.Mapping[str, str]) -> Wanted:
    if _SHA.fullmatch(ref):
        return Wanted(repo, ref, ref, "the commit %s" % ref[:12])
    if ref not in ("", "HEAD"):
        return _choose(repo, ref, refs)
    if "HEAD" not in refs:
        empty = "it has no commit yet" if not refs else "its HEAD names no branch that exists"
        raise BeamError("git_no_ref", "the default branch of %s can't be built" % git.hide(repo), empty, "Give ref (in an inventory beam_ref)")
    branch = default.replace("refs/heads/", "", 1)
    return Wanted(repo, ref, refs["HEAD"], "%s, the default branch" % branch if branch else "the remote's HEAD, which is no branch")


def _choose(repo: str, ref: str, refs: t.Mapping[str, str]) -> Wanted:
    names = {"the tag %s" % ref: "refs/tags/" + ref, "the branch %s" % ref: "refs/heads/" + ref, ref: ref if ref.startswith("refs/") else ""}
    if ref.startswith("origin/"):
        names["the branch %s" % ref[7:]] = "refs/heads/" + ref[7:]
    found = {said: refs[name] for said, name in names.items() if name in refs}
    if len(set(found.values())) > 1:
        raise BeamError(
            "git_ambiguous", "%s of %s is ambiguous" % (ref, git.hide(repo)),
            " and ".join("%s is %s" % (said, commit[:12]) for said, commit in found.items()), "Say refs/tags/%s or refs/heads/%s" % (ref, ref),
        )
    for said, commit in found.items():
        tag = names[said].replace("refs/tags/", "", 1) if names[said].startswith("refs/tags/") else ""
        return Wanted(repo, ref, commit, said, tag=tag)
    if _SHORT.fullmatch(ref):
        return Wanted(repo, ref)
    raise _no_ref(repo, ref, refs)


def _no_ref(repo: str, ref: str, refs: t.Iterable[str]) -> BeamError:
    known = sorted({name.split("/", 2)[2] for name in refs if name.startswith(("refs/heads/", "refs/tags/"))})
    near = difflib.get_close_matches(ref, known, 3, 0.5)
    return BeamError(
        "git_no_ref", "%s is not in %s" % (ref, git.hide(repo)), "it has no branch, tag or commit of that name",
        "Did you mean %s" % " or ".join(near) if near else "Push it, or correct ref (in an inventory beam_ref)",
    )


def _list(repo: str, timeout: float) -> tuple[str, dict[str, str]]:
    """The branch that HEAD names, and the commit of each ref."""
    with tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
        answer = os.path.join(scratch, "refs")
        # The answer goes to a file, since the refs of a large repository are more than what is kept of a command's words.
        asked = [*git.command(), "ls-remote", "--symref", "--", repo, "HEAD", "refs/heads/*", "refs/tags/*"]
        try:
            done = run_command(["sh", "-c", 'answer=$1; shift; exec "$@" >"$answer"', "sh", answer, *asked], scratch, git.environment(), timeout)
        except BeamError as exc:
            if exc.code != "build_timeout":
                raise
            raise BeamError(
                "git_unreachable", "%s can't be read" % git.hide(repo), "it did not answer within %g s" % timeout,
                "Look at the address and the network of the build server, then run it again",
            ) from None
        if done.status != 0:
            git.refuse(repo, "%s can't be read" % git.hide(repo), done)
        with open(answer, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    default, refs = "", {}
    for line in lines:
        value, _tab, name = line.partition("\t")
        if value.startswith("ref: "):
            default = value[5:] if name == "HEAD" else default
        elif name.endswith("^{}"):
            refs[name[:-3]] = value  # the commit of an annotated tag comes after the tag
        else:
            refs[name] = value
    return default, refs


def _refuse_foreign(directory: str, build_dir: str) -> None:
    if os.path.isdir(os.path.join(directory, ".git")):
        return
    strangers = [name for name in os.listdir(directory) if not is_cache(directory, name, build_dir)]
    if strangers:
        raise BeamError(
            "checkout_foreign", "%s can't be checked out to" % directory, "it is no git repository, and holds %s" % named(sorted(strangers)),
            "Empty it, or give another directory (project_dir, in an inventory beam_build_dir)",
        )


def _tags(directory: str) -> dict[str, str]:
    lines = git.ask(directory, "for-each-ref", "--format=%(refname:short)%09%(objectname)", "refs/tags").stdout.splitlines()
    return {name: value for name, _tab, value in (line.partition("\t") for line in lines)}


def fetch(wanted: Wanted, directory: str, build_dir: str, timeout: float, keep_open: t.Sequence[int]) -> tuple[Wanted, tuple[str, ...]]:
    """Brings what the remote has, and follows it where it moved or went. Returns what is wanted with its commit, and the tags that moved."""
    _refuse_foreign(directory, build_dir)
    what = "%s can't be fetched" % git.hide(wanted.repo)
    if not os.path.isdir(os.path.join(directory, ".git")):
        _must(wanted.repo, what, git.change(directory, "init", "--quiet", timeout=timeout, keep_open=keep_open))
    if git.ask(directory, "rev-parse", "--git-dir").returncode != 0:
        require_clean(read_sources(directory, build_dir), False)  # says why, such as another owner
    before = _tags(directory)
    git.change(directory, "config", "remote.origin.url", wanted.repo, timeout=timeout)
    shallow = ["--unshallow"] if git.ask(directory, "rev-parse", "--is-shallow-repository").stdout.strip() == "true" else []
    command = ("fetch", "--quiet", "--force", "--prune", "--no-recurse-submodules", *shallow, "--", wanted.repo)
    if not (wanted.commit and git.ask(directory, "cat-file", "-e", wanted.commit + "^{commit}").returncode == 0 and not _needs_tags(wanted)):
        _must(wanted.repo, what, git.change(directory, *command, *_EVERYTHING, timeout=timeout, keep_open=keep_open))
    wanted = _with_commit(wanted, directory, command, timeout, keep_open)
    after = _tags(directory)
    moved = tuple("%s: %s, was %s" % (tag, after[tag][:12], old[:12]) for tag, old in sorted(before.items()) if after.get(tag, old) != old)
    return wanted, moved


def _needs_tags(wanted: Wanted) -> bool:
    """A version may come from git describe, so tags count as well as the commit. Only a full commit id was not looked up at the remote."""
    return not _SHA.fullmatch(wanted.ref)


def _must(repo: str, what: str, done: t.Any) -> None:
    if done.status != 0:
        git.refuse(repo, what, done)


def _with_commit(wanted: Wanted, directory: str, command: t.Sequence[str], timeout: float, keep_open: t.Sequence[int]) -> Wanted:
    name = wanted.commit or wanted.ref
    found = git.ask(directory, "rev-parse", "--verify", "--quiet", name + "^{commit}")
    if found.returncode != 0 and _SHA.fullmatch(name):
        # No branch or tag leads to it (any more); most servers give it all the same.
        git.change(directory, *command, name, timeout=timeout, keep_open=keep_open)
        found = git.ask(directory, "rev-parse", "--verify", "--quiet", name + "^{commit}")
    commit = found.stdout.strip()
    if found.returncode == 0 and commit.startswith(name):
        return replace(wanted, commit=commit, said=wanted.said or "the commit %s" % commit[:12], tags=wanted.tags or tags_at(directory, commit))
    several = git.ask(directory, "rev-parse", "--disambiguate=" + name).stdout.split() if _SHORT.fullmatch(name) else []
    commits = [one for one in several if git.ask(directory, "cat-file", "-t", one).stdout.strip() == "commit"]
    if len(commits) > 1:
        raise BeamError(
            "git_ambiguous", "%s of %s is ambiguous" % (name, git.hide(wanted.repo)), "%d commits begin with it: %s" % (len(commits), named(sorted(commits))),
            "Give more of the commit's name",
        )
    raise _no_ref(wanted.repo, name, git.ask(directory, "for-each-ref", "--format=%(refname)").stdout.splitlines())


def check_out(wanted: Wanted, directory: str, build_dir: str, allow_dirty: bool, timeout: float, keep_open: t.Sequence[int]) -> tuple[str, ...]:
    """Lets the directory be what the commit says; returns what there is to say about it. Files of nobody's are moved aside, never deleted."""
    warnings = []
    if unfinished(build_dir):
        # What a build that was killed has changed is ours, so it is no work of anybody's.
        warnings += ["A build that was killed had left %s" % moved for moved in sweep_unfinished(build_dir, own=True)]
        git.change(directory, "checkout", "--quiet", "--force", "HEAD", timeout=timeout, keep_open=keep_open)
    if tracked(directory):
        require_clean(read_sources(directory, build_dir), allow_dirty)
    ignored = [path for path in untracked(directory, build_dir, "--ignored", "--exclude-standard") if not is_setting(path)]
    where = set_aside(directory, ignored, build_dir)
    if where:
        warnings.append("%s: ignored by git, so no part of the commit; moved to %s" % (named(sorted(ignored)), where))
    _must(wanted.repo, "the commit %s can't be checked out in %s" % (wanted.commit[:12], directory),
          git.change(directory, "checkout", "--quiet", "--detach", wanted.commit, timeout=timeout, keep_open=keep_open))
    _check_out_submodules(wanted, directory, timeout, keep_open)
    return tuple(warnings)


def _check_out_submodules(wanted: Wanted, directory: str, timeout: float, keep_open: t.Sequence[int]) -> None:
    if not os.path.isfile(os.path.join(directory, ".gitmodules")):
        return
    git.change(directory, "submodule", "--quiet", "sync", "--recursive", timeout=timeout, keep_open=keep_open)
    done = git.change(directory, "submodule", "--quiet", "update", "--init", "--recursive", "--force", timeout=timeout, keep_open=keep_open)
    _must(wanted.repo, "a submodule of %s can't be checked out" % git.hide(wanted.repo), done)


@contextlib.contextmanager
def rehearse(wanted: Wanted, directory: str, build_dir: str, allow_dirty: bool, timeout: float) -> t.Iterator[tuple[Wanted, str]]:
    """The commit in a directory that goes away again: check mode writes nothing to where it builds."""
    if os.path.isdir(directory):
        _refuse_foreign(directory, build_dir)
        if tracked(directory) and not unfinished(build_dir):
            require_clean(read_sources(directory, build_dir), allow_dirty)
    with tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
        known = os.path.isdir(os.path.join(directory, ".git"))
        if known:
            with contextlib.suppress(OSError):
                os.makedirs(os.path.join(scratch, ".git", "objects", "info"))
                with open(os.path.join(scratch, ".git", "objects", "info", "alternates"), "w", encoding="utf-8") as stream:
                    stream.write(os.path.join(os.path.realpath(directory), ".git", "objects") + "\n")
        _must(wanted.repo, "%s can't be fetched" % git.hide(wanted.repo), git.change(scratch, "init", "--quiet", timeout=timeout))
        wanted, _moved = fetch(wanted, scratch, os.path.join(scratch, "_build"), timeout, ())
        check_out(wanted, scratch, os.path.join(scratch, "_build"), False, timeout, ())
        yield wanted, scratch

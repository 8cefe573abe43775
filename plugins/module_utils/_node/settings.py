# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""New settings take the place of a node's environment file, and the former ones come back where the node fails with the new.

Beside a file are its successor (.next), which waits until its server has its turn, and its predecessor (.former), until the rollout is over. The first line of
the predecessor names the successor by its hash: so a run that was cut is told from settings that somebody wrote by another way since.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import typing as t

from .._errors import BeamError
from .drift import Wanted, differs
from .replace import write_like

NEXT, FORMER = ".next", ".former"
APPLIED, RETURNED, UNSTAGED, SETTLED = "applied", "returned", "unstaged", "settled"
STATES = (APPLIED, RETURNED, UNSTAGED, SETTLED)
_HEAD = "# alchemist.beam: what was here before sha256:"
_MISSING = " (there was nothing)"
_MOST = 1 << 20


def run_settings(paths: t.Sequence[str], state: str, check_mode: bool = False) -> dict[str, t.Any]:
    """files: those that changed."""
    changed = [path for path in dict.fromkeys(paths) if _one(path, state, check_mode)]
    return {"changed": bool(changed) and state in (APPLIED, RETURNED), "files": changed}


def _one(path: str, state: str, check_mode: bool) -> bool:
    done = {APPLIED: _apply, RETURNED: _give_back, UNSTAGED: _unstage, SETTLED: _settle}[state]
    try:
        return done(path, check_mode)
    except OSError as exc:
        raise BeamError(
            "settings_denied",
            "The settings in %s can't be replaced" % path,
            exc.strerror or str(exc),
            "Become root, or the owner of the file, and see that the disk is not full",
        ) from None


def _apply(path: str, check_mode: bool) -> bool:
    wanted, found = _read(path + NEXT), _read(path)
    if wanted is None:
        return False
    if found is not None and not differs(Wanted(path, wanted, "env"), found):
        if not check_mode:
            os.unlink(path + NEXT)
        return False
    if check_mode:
        return True
    like = _stat(path) or os.stat(path + NEXT)
    # A run that was cut has put there what is there, and its predecessor is the one that the node has proven itself with.
    if found is None or _replaced_by(path) != _hash(found):
        head = "%s%s%s\n" % (_HEAD, _hash(wanted), "" if found is not None else _MISSING)
        write_like(path + FORMER, head + (found or ""), like)
    else:
        write_like(path + FORMER, "%s%s\n%s" % (_HEAD, _hash(wanted), _body(path)), like)
    # As a new file: a node that was started before it is started anew.
    write_like(path, wanted, like)
    os.unlink(path + NEXT)
    return True


def _give_back(path: str, check_mode: bool) -> bool:
    former = _read(path + FORMER)
    if former is None:
        return False
    found = _read(path)
    if found is None or _replaced_by(path) != _hash(found):
        return False  # somebody has written other settings since
    if check_mode:
        return True
    if former.partition("\n")[0].endswith(_MISSING):
        os.unlink(path)
    else:
        write_like(path, _body(path), os.stat(path))
    os.unlink(path + FORMER)
    return True


def _unstage(path: str, check_mode: bool) -> bool:
    return _gone(path + NEXT, check_mode)


def _settle(path: str, check_mode: bool) -> bool:
    return any([_gone(path + NEXT, check_mode), _gone(path + FORMER, check_mode)])


def _gone(path: str, check_mode: bool) -> bool:
    if check_mode:
        return os.path.lexists(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        return True
    return False


def _replaced_by(path: str) -> str:
    """The hash of what took the predecessor's place."""
    head = (_read(path + FORMER) or "").partition("\n")[0]
    return head[len(_HEAD) :].partition(" ")[0] if head.startswith(_HEAD) else ""


def _body(path: str) -> str:
    return (_read(path + FORMER) or "").partition("\n")[2]


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def _stat(path: str) -> t.Optional[os.stat_result]:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _read(path: str) -> t.Optional[str]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    info = os.fstat(handle)
    if not stat.S_ISREG(info.st_mode) or info.st_size > _MOST:
        os.close(handle)
        why = "it is no regular file" if not stat.S_ISREG(info.st_mode) else "it is larger than %d bytes" % _MOST
        raise BeamError("settings_strange", "%s can't be used" % path, why, "Move it away, and run it again")
    with open(handle, "rb") as stream:
        return stream.read().decode("utf-8", "surrogateescape")

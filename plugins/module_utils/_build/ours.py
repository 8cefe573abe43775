# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whose a directory of the build is: what somebody else may write there would be published as ours."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
import typing as t

from .._errors import BeamError

_OTHERS = "Give a directory of the user who builds (%s), in directories that nobody else may write to"


@contextlib.contextmanager
def closed_to_others() -> t.Iterator[None]:
    """Whatever the umask of the caller: nothing that is made within, or by Mix and git, is for others to write. A umask that allows less is kept."""
    umask = os.umask(0o022)
    os.umask(umask | 0o022)
    try:
        yield
    finally:
        os.umask(umask)


def refuse_foreign(path: str, option: str) -> None:
    """Refuses a directory, or one on the way to it, that another user may write. path: as it was given, with its links; it need not be there yet."""
    for place, info in _way(path):
        why = _objection(place, info)
        if why:
            what = "%s can't be used" % path if place == path else "%s can't be used: on the way to it is %s" % (path, place)
            raise BeamError("build_dir_foreign", what, why, _OTHERS % option)


def open_to_others(tree: str) -> bool:
    """Whether a tree was made under a umask by which others may have changed it since."""
    info = os.lstat(tree)
    return bool(info.st_mode & stat.S_IWOTH) or info.st_uid not in _trusted()


def _way(path: str) -> t.Iterator[tuple[str, os.stat_result]]:
    """All that is looked up on the way to it, links and what they lead to; the path last."""
    seen: set[str] = set()
    links: set[str] = set()
    left = [os.path.abspath(path)]
    while left:
        one = left.pop(0)
        parts = one.split("/")
        for count in range(1, len(parts) + 1):
            place = "/".join(parts[:count]) or "/"
            if place in links:
                break  # they lead in a circle, which opening the path will say
            if place in seen:
                continue
            seen.add(place)
            try:
                info = os.lstat(place)
            except FileNotFoundError:
                break
            except OSError as exc:
                if exc.errno == errno.ENOTDIR:
                    break
                raise
            yield place, info
            if stat.S_ISLNK(info.st_mode):
                # The rest of the way is looked up from where it leads to.
                links.add(place)
                left.append(os.path.normpath(os.path.join(os.path.dirname(place), os.readlink(place), *parts[count:])))
                break


def _objection(place: str, info: os.stat_result) -> str:
    if info.st_uid not in _trusted():
        return "it belongs to %s, who could change what is built" % _name(info.st_uid)
    if stat.S_ISLNK(info.st_mode) or not stat.S_ISDIR(info.st_mode) or info.st_mode & stat.S_ISVTX:
        return ""  # in a directory like /tmp, nobody moves what is another's
    if info.st_mode & stat.S_IWOTH:
        return "everybody may write to it (mode %04o)" % stat.S_IMODE(info.st_mode)
    if info.st_mode & stat.S_IWGRP:
        who = _others_of(info.st_gid)
        if who or _has_acl(place):
            return "%s may write to it (mode %04o)" % (who or "others (by an access control list)", stat.S_IMODE(info.st_mode))
    return ""


def _trusted() -> set[int]:
    """root, we, and who became root to run this."""
    trusted = {0, os.geteuid()}
    behind = os.environ.get("SUDO_UID", "")
    return trusted | {int(behind)} if os.geteuid() == 0 and behind.isdigit() else trusted


def _others_of(gid: int) -> str:
    """Who else is in a group; empty for one that is a user's own, as a umask of 002 wants it."""
    trusted = _trusted()
    names: list[str] = []
    with contextlib.suppress(KeyError):
        for name in grp.getgrgid(gid).gr_mem:
            with contextlib.suppress(KeyError):
                names += [name] if pwd.getpwnam(name).pw_uid not in trusted else []
    names += [user.pw_name for user in pwd.getpwall() if user.pw_gid == gid and user.pw_uid not in trusted]
    return "the group of %s" % ", ".join(sorted(set(names))[:3]) if names else ""


def _has_acl(place: str) -> bool:
    try:
        return bool(os.getxattr(place, "system.posix_acl_access"))
    except OSError:
        return False


def _name(uid: int) -> str:
    try:
        return "the user %s" % pwd.getpwuid(uid).pw_name
    except KeyError:
        return "the user with the id %d" % uid

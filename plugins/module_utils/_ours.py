# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Who owns a directory and all of its parents: whoever may write to one of them can put another tree in its place."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
import typing as t


class Foreign(t.NamedTuple):
    place: str  # the directory or link in question
    why: str
    mend: str  # a command


def foreign(path: str, but: t.Collection[str] = ()) -> Foreign | None:
    """The first parent of path, or path itself, that another user may change.

    path: as it was given, with its links; it need not be there yet. but: what is looked at elsewhere.
    """
    for place, info in _way(path):
        found = _objection(place, info) if place not in but else None
        if found:
            return found
    return None


def _way(path: str) -> t.Iterator[tuple[str, os.stat_result]]:
    """Every parent that is looked up for it, links and their targets; the path last."""
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


def _objection(place: str, info: os.stat_result) -> Foreign | None:
    if info.st_uid not in trusted():
        return Foreign(place, "it belongs to %s" % _name(info.st_uid), "chown -h %d %s" % (os.geteuid(), place))
    if stat.S_ISLNK(info.st_mode) or not stat.S_ISDIR(info.st_mode) or info.st_mode & stat.S_ISVTX:
        return None  # in a directory like /tmp, nobody can move another user's files
    mode = stat.S_IMODE(info.st_mode)
    if mode & stat.S_IWOTH:
        return Foreign(place, "everybody may write to it (mode %04o)" % mode, "chmod go-w %s" % place)
    if mode & stat.S_IWGRP:
        acl = _has_acl(place)
        who = _others_of(info.st_gid) or ("others (by an access control list)" if acl else "")
        if who:
            return Foreign(
                place,
                "%s may write to it (mode %04o)" % (who, mode),
                "%s %s" % ("setfacl -b" if acl else "chmod g-w", place),
            )
    return None


def trusted() -> set[int]:
    """root, we, and who became root to run this."""
    users = {0, os.geteuid()}
    behind = os.environ.get("SUDO_UID", "")
    return users | {int(behind)} if os.geteuid() == 0 and behind.isdigit() else users


def _others_of(gid: int) -> str:
    """Who else is in a group; empty for one that is a user's own, as a umask of 002 wants it."""
    known = trusted()
    names: list[str] = []
    with contextlib.suppress(KeyError):
        for name in grp.getgrgid(gid).gr_mem:
            with contextlib.suppress(KeyError):
                names += [name] if pwd.getpwnam(name).pw_uid not in known else []
    names += [user.pw_name for user in pwd.getpwall() if user.pw_gid == gid and user.pw_uid not in known]
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

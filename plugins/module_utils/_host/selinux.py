# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether SELinux lets systemd start what lies in a base: said where the server is set up, and not first by a start that fails (203/EXEC)."""

from __future__ import annotations

import os
import posixpath
import typing as t

# What systemd may execute; /srv is var_t.
_EXECUTED = ("bin_t", "usr_t", "lib_t")


def advice(base: str, root: str = "/", label: t.Callable[[str], str] | None = None) -> list[str]:
    """What to do before the first start; nothing where SELinux is off, permissive, or content."""
    at = (lambda path: path) if root == "/" else (lambda path: root.rstrip("/") + path)
    try:
        with open(at("/sys/fs/selinux/enforce"), encoding="ascii") as stream:
            if stream.read(1) != "1":
                return []
    except OSError:
        return []
    places = [
        place
        for place in (posixpath.join(base, name) for name in ("layers", "releases", "tmp"))
        if os.path.isdir(at(place))
    ]
    if not places:
        places = [_existing(base, at)]
    types = [(place, (label or _type)(at(place))) for place in places]
    wrong = next(((place, found) for place, found in types if found not in _EXECUTED), None)
    if wrong is None:
        return []
    return [
        "SELinux is enforcing on this host, and %s has the type %s, which systemd does not execute: the node's start would fail (203/EXEC). Before the first "
        "start: semanage fcontext -a -t bin_t '%s/(layers|releases|tmp)(/.*)?' && restorecon -R %s"
        % (wrong[0], wrong[1] or "of nobody", base, base)
    ]


def _existing(path: str, at: t.Callable[[str], str]) -> str:
    while path != "/" and not os.path.isdir(at(path)):
        path = posixpath.dirname(path)
    return path


def _type(path: str) -> str:
    try:
        fields = os.getxattr(path, "security.selinux").decode("utf-8", "replace").strip("\0").split(":")
    except OSError:
        return ""
    return fields[2] if len(fields) > 2 else ""

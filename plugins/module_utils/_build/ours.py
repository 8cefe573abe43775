# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whose a directory of the build is: what somebody else may write there would be published as ours."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from .._errors import BeamError
from .._ours import foreign, trusted

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
    """Refuses a directory if another user may write to it or to one of its parents. path: as it was given, with its links; it need not exist yet."""
    found = foreign(path)
    if found is not None:
        what = "%s can't be used" % path if found.place == path else "%s can't be used: on the way to it is %s" % (path, found.place)
        raise BeamError("build_dir_foreign", what, "%s, so what is built could be changed" % found.why, _OTHERS % option)


def open_to_others(tree: str) -> bool:
    """Whether a tree was made under a umask by which others may have changed it since."""
    info = os.lstat(tree)
    return bool(info.st_mode & stat.S_IWOTH) or info.st_uid not in trusted()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Crash dumps: where they are, and the line that says why."""

from __future__ import annotations

import glob
import os
import stat
import time
import typing as t

from .._mask import NOTHING_NAMED, Mask
from .boot_words import cut, plain

LONGEST = 600


def crash_dumps(places: t.Iterable[str], mask: Mask = NOTHING_NAMED, limit: int = 5) -> list[dict[str, t.Any]]:
    """The newest crash dumps, with the line that says why."""
    found: dict[str, os.stat_result] = {}
    for place in places:
        paths = glob.glob(os.path.join(glob.escape(place), "erl_crash*.dump*")) if os.path.isdir(place) else [place]
        for path in paths:
            real = os.path.realpath(path)
            if os.path.isfile(real):
                found[real] = os.stat(real)
    newest = sorted(found.items(), key=lambda item: item[1].st_mtime, reverse=True)[:limit]
    return [
        {
            "path": path,
            "size": info.st_size,
            "mtime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(info.st_mtime)),
            "slogan": cut(mask.text(slogan(path) or ""), LONGEST) or None,
        }
        for path, info in newest
    ]


def slogan(path: str) -> t.Optional[str]:
    """The whole text, made readable; `cut` it to show it."""
    try:
        # The node chooses what is there: a pipe would be waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                return None
            head = handle.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return None
    for line in head.splitlines():
        if line.startswith("Slogan: "):
            return plain(line[len("Slogan: ") :])
    return None

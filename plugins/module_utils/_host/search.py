# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Where the node of a base will look for programs and libraries: PATH and LD_LIBRARY_PATH of its unit, or of its environment file."""

from __future__ import annotations

import glob
import os
import posixpath
import re
import shlex
import typing as t
from dataclasses import dataclass

from .claim import UNITS

# What systemd gives a service.
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VARIABLE = re.compile(r"^[ \t]*(?:export[ \t]+)?(PATH|LD_LIBRARY_PATH)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_IN_UNIT = re.compile(r"^Environment=(.*)$", re.MULTILINE)
_FILE = re.compile(r"^EnvironmentFile=-?(/\S+)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Search:
    programs: tuple[str, ...] = tuple(USUAL_PATH.split(":"))
    libraries: tuple[str, ...] = ()  # LD_LIBRARY_PATH
    unit: bool = False  # whether a unit starts from there


def search_of(bases: t.Collection[str], root: str = "/") -> Search:
    """What can't be read says nothing: a base may be filled before its service is set up."""
    found: dict[str, str] = {}
    starts = tuple("\nExecStart=%s/" % base for base in bases)
    units = [
        path
        for path in sorted(glob.glob(_at(root, UNITS + "/*.service")))
        for text in [_text(path)]
        if any(start in text for start in starts)
    ]
    for unit in units:
        texts = [_text(path) for path in (unit, *sorted(glob.glob(glob.escape(unit) + ".d/*.conf")))]
        for text in texts:
            found.update(pair for line in _IN_UNIT.findall(text) for word in _words(line) for pair in _variables(word))
        for text in texts:
            for pattern in _FILE.findall(text):
                for path in sorted(glob.glob(_at(root, pattern))):
                    found.update(_variables(_text(path)))
    if not units:  # manager daemon, which has the environment of whoever starts it, too
        found["PATH"] = "%s:%s" % (os.environ.get("PATH", ""), USUAL_PATH)
        for base in bases:
            for path in sorted(glob.glob(glob.escape(_at(root, posixpath.join(base, "shared"))) + "/*.env")):
                found.update(_variables(_text(path)))
    return Search(
        _directories(found.get("PATH", USUAL_PATH)), _directories(found.get("LD_LIBRARY_PATH", "")), bool(units)
    )


def _variables(text: str) -> t.Iterator[tuple[str, str]]:
    for name, value in _VARIABLE.findall(text):
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
        yield name, value[1:-1] if quoted else value


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _directories(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in value.split(":") if path.startswith("/")))


def _at(root: str, path: str) -> str:
    return path if root == "/" else root.rstrip("/") + path


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(1 << 18)
    except OSError:
        return ""

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Environment files: those of a daemon, which are ours and strict, and those of a unit, which are read as systemd reads them."""

from __future__ import annotations

import glob
import os
import re
import stat

from .._errors import BeamError
from .envtext import assignments

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MISSING, _NO_TEXT = "it does not exist", "it is not UTF-8 text"
# Placed where the launcher wants a cookie, when the VM is to read the real one from a file. It is no secret, and no mask takes it for one.
PLACEHOLDER = "unused"
# In the home of a node: where its VM reads the cookie.
COOKIE_FILE = ".erlang.cookie"


def parse(content: str, where: str) -> dict[str, str]:
    """KEY=value; # and ; begin comments; in quotes a value may have several lines."""
    values: dict[str, str] = {}
    for found in assignments(content, literal=True):
        if found.value is None or not _KEY.fullmatch(found.key):
            # The line itself may be a secret: name its number only.
            raise BeamError(
                "env_file_invalid",
                "Cannot read %s" % where,
                "line %d is not KEY=value" % found.line,
                "Correct the line",
            )
        if not found.closed and "\n" in found.value:
            why = "the quotes that begin in line %d are not closed" % found.line
            raise BeamError("env_file_invalid", "Cannot read %s" % where, why, "Correct the line")
        values[found.key] = (
            found.value if found.closed else content.split("\n")[found.line - 1].partition("=")[2].strip()
        )
    return values


def parse_of_unit(content: str) -> dict[str, str]:
    """The lines that systemd accepts. It ignores all others, and says so in its log."""
    return {
        found.key: found.value
        for found in assignments(content)
        if found.value is not None and _KEY.fullmatch(found.key)
    }


def matching(pattern: str) -> list[str]:
    """The files of an EnvironmentFile=, which may be a pattern."""
    return sorted(glob.glob(pattern)) if re.search(r"[*?\[]", pattern) else [pattern]


def load_of_unit(pattern: str, required: bool = True) -> dict[str, str]:
    """The environment files of a unit, whatever their mode: systemd decides what it accepts. Only files at which systemd would fail are refused."""
    what = "Cannot use the environment file %s" % pattern
    paths = matching(pattern)
    if required and not paths:
        raise BeamError("env_file_missing", what, "no file matches it", "Create one, or take the line out of the unit")
    values: dict[str, str] = {}
    for path in paths:
        why = _into(values, path)
        if why and required:
            code = (
                "env_file_missing" if why == _MISSING else "env_file_invalid" if why == _NO_TEXT else "env_file_denied"
            )
            raise BeamError(
                code,
                what,
                why if path == pattern else "%s: %s" % (path, why),
                "Apply the role alchemist.beam.service, or correct the unit",
            )
    return values


def _into(values: dict[str, str], path: str) -> str:
    """Why it can't be read, if so."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            values.update(parse_of_unit(handle.read(1 << 20)))
    except FileNotFoundError:
        return _MISSING
    except UnicodeDecodeError:
        return _NO_TEXT
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


def load(path: str, required: bool = True) -> dict[str, str]:
    """Read an environment file that nobody else may read. One that is not required may be missing."""
    what = "Cannot use the environment file %s" % path
    try:
        handle = open(path, encoding="utf-8", newline="")
    except FileNotFoundError:
        if not required:
            return {}
        raise BeamError("env_file_missing", what, "it does not exist", "Create it with mode 0600") from None
    except OSError as exc:
        raise BeamError("env_file_denied", what, exc.strerror or str(exc), "Run as its owner, or become root") from None
    with handle:
        info = os.fstat(handle.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise BeamError("env_file_invalid", what, "it is no regular file", "Give the path of a file")
        if info.st_mode & 0o077:
            raise BeamError(
                "env_file_open",
                what,
                "others can read it (mode %04o)" % stat.S_IMODE(info.st_mode),
                "chmod 600 it, and change the secrets in it",
            )
        if info.st_uid not in (0, os.geteuid()):
            raise BeamError(
                "env_file_owner",
                what,
                "it belongs to user %d" % info.st_uid,
                "Give it to the user that runs the node, or to root",
            )
        try:
            return parse(handle.read(1 << 20), path)
        except UnicodeDecodeError:
            raise BeamError("env_file_invalid", what, "it is not UTF-8 text", "Correct it") from None


def read_cookie(home: str) -> str:
    """The cookie in the home of a node; empty where there is none that we may read. The home is the node's: no link is followed, no pipe waited for."""
    try:
        handle = os.open(os.path.join(home, COOKIE_FILE), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(handle, "rb") as stream:
        return stream.read(4096).decode("utf-8", "replace").strip() if stat.S_ISREG(os.fstat(handle).st_mode) else ""

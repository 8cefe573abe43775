# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Environment files, in the subset of systemd's EnvironmentFile that both managers read alike, and the secrets in them."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from .._errors import BeamError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(r"COOKIE|SECRET|PASS|TOKEN|KEY|CREDENTIAL|DATABASE_URL|AUTH|DSN|SALT", re.IGNORECASE)
# Of no use to anybody, and their masking would spoil every message.
_PLAIN = re.compile(r"/[\w./@-]*|\d{1,3}(\.\d{1,3}){3}|localhost|\d+|true|false|C\.UTF-8")
# Placed where the launcher wants a cookie, when the VM is to read the real one from a file. It is no secret.
PLACEHOLDER = "unused"


def parse(content: str, where: str) -> dict[str, str]:
    """KEY=value lines; # and ; begin comments; one pair of quotes around a value is taken off."""
    values: dict[str, str] = {}
    for number, line in enumerate(content.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        key = key.strip()
        if not equals or not _KEY.fullmatch(key):
            # The line itself may be a secret: name its number only.
            raise BeamError("env_file_invalid", "Cannot read %s" % where, "line %d is not KEY=value" % number, "Correct the line")
        values[key] = _unquote(value.strip())
    return values


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        body = value[1:-1]
        return re.sub(r"\\(.)", r"\1", body) if value[0] == '"' else body
    return value


def load(path: str, required: bool = True) -> dict[str, str]:
    """Read an environment file that nobody else may read. One that is not required may be missing."""
    what = "Cannot use the environment file %s" % path
    try:
        handle = open(path, encoding="utf-8")
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
            raise BeamError("env_file_open", what, "others can read it (mode %04o)" % stat.S_IMODE(info.st_mode), "chmod 600 it, and change the secrets in it")
        if info.st_uid not in (0, os.geteuid()):
            raise BeamError("env_file_owner", what, "it belongs to user %d" % info.st_uid, "Give it to the user that runs the node, or to root")
        try:
            return parse(handle.read(1 << 20), path)
        except UnicodeDecodeError:
            raise BeamError("env_file_invalid", what, "it is not UTF-8 text", "Correct it") from None


def secrets_of(values: t.Mapping[str, str]) -> list[str]:
    """What must not be shown: everything long enough to be a secret, and whatever is named like one."""
    found = set()
    for key, value in values.items():
        named_like_one = _SECRET_KEY.search(key) is not None
        if len(value) >= (4 if named_like_one else 8) and (named_like_one or not (key.startswith("RELEASE_") or _PLAIN.fullmatch(value))):
            found.add(value)
    return sorted(found - {PLACEHOLDER}, key=len, reverse=True)


def redact(lines: t.Iterable[str], secrets: t.Iterable[str]) -> list[str]:
    hidden = [secret for secret in secrets if secret]
    out = []
    for line in lines:
        for secret in hidden:
            line = line.replace(secret, "********")
        out.append(line[:2000])
    return out

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Names that become paths, keys or arguments: validated once, here, before anything uses them."""

from __future__ import annotations

import re
import typing as t

from .._errors import BeamError

# A release name is an Elixir atom in practice; a version becomes a directory, a key and an argument of `mix release`.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_~-]{0,127}")
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ROLLOUT = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
# Of a cloud, such as i-0123456789abcdef0, or a host's name.
_INSTANCE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
# Beside the directories of a base.
_POINTER = re.compile(r"(?!(?:layers|releases|manifests|shared|tmp)$)[a-z][a-z0-9_]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _check(kind: str, pattern: re.Pattern[str], value: str, rule: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value) or ".." in value:
        raise BeamError("invalid_" + kind, "%r is not a %s" % (value, kind), rule, "Give another %s" % kind)
    return value


def is_whole(value: t.Any) -> bool:
    """A whole number, as JSON has them: true is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_name(value: str) -> str:
    return _check("name", _NAME, value, "it must be a lower-case letter, then up to 62 letters, digits or underscores")


def check_version(value: str) -> str:
    return _check(
        "version",
        _VERSION,
        value,
        "it must start with a letter or digit, go on with letters, digits and . + _ ~ - (128 at most), without '..'",
    )


def check_channel(value: str) -> str:
    return _check("channel", _CHANNEL, value, "it must be lower-case letters, digits and . _ - (63 at most)")


def check_rollout(value: str) -> str:
    return _check(
        "rollout", _ROLLOUT, value, "its id must be a time and 8 hexadecimal digits, such as 20260301T120000Z-0a1b2c3d"
    )


def check_instance(value: str) -> str:
    return _check("instance", _INSTANCE, value, "its id must be letters, digits and . _ - (128 at most)")


def check_pointer(value: str) -> str:
    """The name of a symlink to a release in a base: `current`, or a colour such as blue."""
    return _check(
        "pointer",
        _POINTER,
        value,
        "it must be a lower-case letter, then up to 31 letters, digits or underscores, and no directory of the base",
    )


def check_digest(value: str) -> str:
    return _check("digest", _DIGEST, value, "it must be the 64 lower-case hexadecimal digits of a sha256")


def is_digest(value: str) -> bool:
    return bool(_DIGEST.fullmatch(value))

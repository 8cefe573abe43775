# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The options of release_image, from what the user wrote to values."""

from __future__ import annotations

import os
import re
import typing as t

from .._errors import BeamError
from .._mask import NOTHING_NAMED
from .documents import Settings
from .skopeo import Skopeo

Params = t.Mapping[str, t.Any]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_USER = re.compile(r"[0-9]{1,10}(:[0-9]{1,10})?")
# Documented by the fragment alchemist.beam.registry.
REGISTRY_SPEC: dict[str, dict[str, t.Any]] = {
    "authfile": {"type": "path"},
    "validate_registry": {"type": "bool", "default": True},
    "cert_dir": {"type": "path"},
    "skopeo": {"type": "str", "default": "skopeo"},
    "timeout": {"type": "int", "default": 600},
}


def skopeo_of(params: Params) -> Skopeo:
    authfile = params.get("authfile") or ""
    if authfile and not os.path.isfile(authfile):
        raise BeamError(
            "authfile_missing",
            "authfile: %s can't be used" % authfile,
            "there is no such file on this host",
            "Make it with skopeo login --authfile %s REGISTRY, or correct the path" % authfile,
        )
    if params["timeout"] < 1:
        raise _refuse("timeout: %d" % params["timeout"], "it is less than a second", "Give seconds")
    return Skopeo(
        params.get("skopeo") or "skopeo",
        authfile,
        params.get("validate_registry") is not False,
        params.get("cert_dir") or "",
        float(params["timeout"]),
    )


def cache_of(params: Params) -> str:
    """A directory that is this user's alone: what is read there decides what is pushed."""
    path = params.get("cache") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "alchemist.beam"
    )
    try:
        os.makedirs(os.path.join(path, "bases"), mode=0o700, exist_ok=True)
        info = os.stat(path)
    except OSError as exc:
        raise _refuse(
            "cache: %s" % path, exc.strerror or str(exc), "Name a directory that this user can write to"
        ) from exc
    if info.st_uid not in (0, os.geteuid()) or info.st_mode & 0o022:
        raise _refuse("cache: %s" % path, "other users may write there", "Name a directory of this user's own")
    return str(path)


def settings_of(params: Params) -> Settings:
    if not _USER.fullmatch(params["user"]):
        raise _refuse("user: %r" % params["user"], "a base may not know the name", "Give numbers, such as 65532:65532")
    ports = tuple(sorted(set(params.get("ports") or ())))
    port = params["distribution_port"]
    for value in (*ports, port or 1):
        if not 1 <= value <= 65535:
            raise _refuse("ports: %d" % value, "it is no port", "Give a number from 1 to 65535")
    env = _texts("env", params.get("env"))
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise _refuse("env: %r" % name, "it is no name of a variable", "Use letters, digits and _")
        text = "%s=%s" % (name, value)
        if name == "RELEASE_COOKIE" or NOTHING_NAMED.text(text) != text:
            raise BeamError(
                "image_secret",
                "env: %s can't be part of an image" % name,
                "it looks like a secret, and whoever can pull an image can read it",
                "Leave it out, and give it to the container when it starts",
            )
    return Settings(params["user"], ports, env, _texts("labels", params.get("labels")), port)


def _texts(option: str, value: t.Any) -> dict[str, str]:
    found = {}
    for name, text in (value or {}).items():
        text = str(text).lower() if isinstance(text, bool) else str(text)
        if "\0" in text or "\n" in text or len(text) > 4096:
            raise _refuse(
                "%s: %s" % (option, name),
                "its value has a line break, or more than 4096 characters",
                "Give a short text",
            )
        found[str(name)] = text
    return found


def _refuse(what: str, why: str, hint: str) -> BeamError:
    return BeamError("image_option", what + " can't be used", why, hint)

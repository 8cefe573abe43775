# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What earlier builds learned about a project, so that an unchanged one needs no Elixir to be recognised.

One JSON file in the build directory. Losing it costs half a second.
"""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from .._json import parse_json

_KEPT = 50


def _path(build_dir: str) -> str:
    return os.path.join(build_dir, "index.json")


def _load(build_dir: str) -> dict[str, t.Any]:
    try:
        with open(_path(build_dir), encoding="ascii") as stream:
            document = parse_json(stream.read())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def recall(build_dir: str, key: str) -> dict[str, t.Any] | None:
    entry = _load(build_dir).get(key)
    return entry if isinstance(entry, dict) else None


def remember(build_dir: str, key: str, entry: t.Mapping[str, t.Any]) -> None:
    document = _load(build_dir)
    document.pop(key, None)
    document[key] = dict(entry)
    for old in list(document)[:-_KEPT]:
        del document[old]
    write_atomically(_path(build_dir), json.dumps(document, indent=1).encode("ascii"))


def write_atomically(path: str, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".tmp-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), 0o644)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The same commit gives the same bytes: removes data from a tree that only shows when and where it was built."""

from __future__ import annotations

import glob
import json
import os
import re
import typing as t

from .._errors import BeamError
from .._json import parse_json
from .._tree import walk

_GREGORIAN = 62167219200  # seconds from the year 0 to 1970, as Erlang counts them
_CACHE = "cache_manifest.json"
_IN_TEMPLATE = re.compile(r"@release\.path|\brelease\.path\b")


def normalize_manifests(tree: str, commit_time: int | None) -> None:
    """mix phx.digest writes when it ran into cache_manifest.json. Nothing but phx.digest.clean reads it: the commit's time does as well."""
    places = glob.glob(os.path.join(glob.escape(tree), "lib", "*", "priv", "static"))
    for path in [os.path.join(directory, _CACHE) for place in places for directory, _names, files in walk(place) if _CACHE in files]:
        with open(path, encoding="utf-8") as stream:
            try:
                document = parse_json(stream.read())
            except ValueError:
                continue  # somebody else's file of that name
        if not isinstance(document, dict) or not isinstance(document.get("digests"), dict):
            continue
        for digest in document["digests"].values():
            if isinstance(digest, dict) and "mtime" in digest:
                digest["mtime"] = (commit_time or 0) + _GREGORIAN
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(document, stream, sort_keys=True, ensure_ascii=False, indent=1)


def refuse_build_path(tree: str, scratch: str, project_dir: str, templates: t.Iterable[str]) -> None:
    """The release was assembled in a directory that is gone in a moment: a file that names it would name nothing, and differ in each build."""
    needle = os.fsencode(scratch)
    found = []
    for directory, _names, files in walk(tree):
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                found += [os.path.relpath(path, tree) + line for line in _lines_with(path, needle)]
    if not found:
        return
    causes = _templates_with_path(project_dir, templates)
    raise BeamError(
        "build_path_in_release", "the release names the directory that it was built in",
        "%s%s" % (", ".join(sorted(found)[:5]), ", because of @release.path in %s" % ", ".join(causes[:5]) if causes else ""),
        "Write what is true on the server instead: $RELEASE_ROOT in env.sh; in vm.args a path below the release's root, or a variable that env.sh"
        " sets with ERL_FLAGS; System.get_env(\"RELEASE_ROOT\") in runtime.exs",
        step="release", files=sorted(found),
    )


def _lines_with(path: str, needle: bytes) -> list[str]:
    """`:LINE` of each line with it; an empty text where it is there as the numbers that a sys.config has for a string, over several lines."""
    with open(path, "rb") as stream:
        data = stream.read()
    if needle in data:
        return [":%d" % number for number, line in enumerate(data.split(b"\n"), 1) if needle in line]
    numbers = b",".join(b"%d" % byte for byte in needle)
    return [""] if path.endswith(".config") and numbers in b"".join(data.split()) else []


def _templates_with_path(project_dir: str, templates: t.Iterable[str]) -> list[str]:
    places = {os.path.join(project_dir, "rel"), *templates}
    found = []
    paths = {os.path.join(directory, name) for place in places for directory, _names, files in walk(place) for name in files}
    for path in sorted(path for path in paths if path.endswith(".eex")):
        with open(path, encoding="utf-8", errors="replace") as stream:
            found += ["%s:%d" % (os.path.relpath(path, project_dir), number) for number, line in enumerate(stream, 1) if _IN_TEMPLATE.search(line)]
    return found

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the inventory means for a server against what was written there: by name, and never by value."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .envfile import parse

# Of a file that the role has written, one line. Who has a unit of their own is left alone.
OURS = "alchemist.beam contributors"
_DIRECTIVE = re.compile(r"^([A-Za-z][A-Za-z0-9]*)=(.*)$")
MOST = 12  # names in one sentence


@dataclass(frozen=True)
class Wanted:
    path: str
    content: str
    kind: str  # env: NAME=value; unit: Directive=value in sections; text: as a whole; secret: as a whole, and not made where there is one
    ignore: tuple[str, ...] = ()  # of env: names that are not meant


def differs(wanted: Wanted, found: t.Optional[str]) -> str:
    """What is different, in one sentence; empty where nothing is. found: what is there, None for nothing."""
    if wanted.kind == "secret":
        return (
            ""
            if not wanted.content or (found or "").strip() == wanted.content.strip()
            else "%s: its content" % wanted.path
        )
    if found is None:
        if wanted.kind == "env":
            names = sorted(set(_env(wanted.content, wanted.path)) - set(wanted.ignore))
            return "%s is not there (%s)" % (wanted.path, _names(names)) if names else ""
        return ""
    if wanted.kind == "env":
        return _of_env(wanted, found)
    if OURS not in found and wanted.kind == "unit":
        return ""
    if wanted.kind == "unit":
        names = sorted({name for name, _value in _directives(wanted.content) ^ _directives(found)})
        return "%s: %s" % (wanted.path, _names(names)) if names else ""
    return (
        "%s is of another version of this collection, or of other settings" % wanted.path
        if _bare(wanted.content) != _bare(found)
        else ""
    )


def _of_env(wanted: Wanted, found: str) -> str:
    try:
        there = _env(found, wanted.path)
    except BeamError as exc:
        return "%s: %s" % (wanted.path, exc.why)
    meant = _env(wanted.content, wanted.path)
    for name in wanted.ignore:
        there.pop(name, None)
        meant.pop(name, None)
    parts = []
    gone = set(there) - set(meant) if OURS in found else set()
    changed = {name for name in set(meant) & set(there) if meant[name] != there[name]}
    for word, names in (("new", set(meant) - set(there)), ("gone", gone), ("changed", changed)):
        if names:
            parts.append("%s: %s" % (word, _names(sorted(names))))
    return "%s: %s" % (wanted.path, "; ".join(parts)) if parts else ""


def _env(text: str, where: str) -> dict[str, str]:
    return dict(parse(text, where))


def _directives(text: str) -> set[tuple[str, str]]:
    return {(match.group(1), match.group(2).strip()) for match in map(_DIRECTIVE.match, text.splitlines()) if match}


def _bare(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _names(names: t.Sequence[str]) -> str:
    return ", ".join(names[:MOST]) + (" and %d more" % (len(names) - MOST) if len(names) > MOST else "")


def read(path: str) -> t.Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read(1 << 20)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BeamError(
            "drift_unreadable",
            "%s could not be compared" % path,
            exc.strerror or str(exc),
            "Become root, or the owner of the file",
        ) from None


def run_drift(
    files: t.Sequence[t.Mapping[str, t.Any]], copies: t.Sequence[t.Mapping[str, t.Any]] = (), directory: str = ""
) -> dict[str, t.Any]:
    wanted = [Wanted(file["path"], file["content"] or "", file["kind"], tuple(file["ignore"] or ())) for file in files]
    wanted += [Wanted(os.path.join(directory, copy["path"]), copy["content"], "secret") for copy in copies]
    found = [(one, differs(one, read(one.path))) for one in wanted]
    return {
        "changed": False,
        "differs": [said for _one, said in found if said],
        "settings": [said for one, said in found if said and one.kind == "env"],
        "env_files": [one.path for one in wanted if one.kind == "env"],
    }

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Writes the files of an inventory, and overwrites nothing that a person has changed."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tempfile
import typing as t
from dataclasses import dataclass

from .._build.ours import closed_to_others
from .._errors import BeamError
from .inventory import is_secret, pages
from .page import untouched
from .reading import Reading, read_project
from .repository import open_source

_BLANK = re.compile(r"undef\(hint='([^']*)'\)")
_LINE = re.compile(r"^(?P<indent>\s*)(?P<name>[A-Za-z_]\w*):\s*(?P<value>\S.*)?$")


@dataclass(frozen=True)
class Change:
    path: str
    what: str  # created, updated, kept (a person has changed it), same
    before: str
    after: str


@dataclass(frozen=True)
class Asked:
    repo: str
    dest: str
    ref: str = ""
    subdir: str = ""
    release: str = ""
    mix_env: str = "prod"
    secrets: str = "vault"
    force: bool = False


def plan(made: t.Mapping[str, str], dest: str, force: bool) -> list[Change]:
    found = []
    for path, after in made.items():
        before = _read(os.path.join(dest, path))
        if before is None:
            found.append(Change(path, "created", "", after))
        else:
            what = "same" if before == after else "updated" if force or untouched(before) else "kept"
            found.append(Change(path, what, before, after))
    return found


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BeamError(
            "init_unreadable",
            "%s can't be read" % path,
            exc.strerror or str(exc),
            "Correct it, or give another directory (beam_init_dest)",
        ) from None


def apply(changes: t.Sequence[Change], dest: str) -> None:
    for change in changes:
        if change.what in ("created", "updated"):
            path = os.path.join(dest, change.path)
            try:
                with closed_to_others():
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                _write(path, change.after)
            except OSError as exc:
                raise BeamError(
                    "init_unwritable",
                    "%s can't be written" % path,
                    exc.strerror or str(exc),
                    "Give a directory of yours (beam_init_dest)",
                ) from None


def _write(path: str, content: str) -> None:
    handle, scratch = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".init-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


def masked(content: str) -> str:
    """Without what a person may have written for a secret: a difference is shown on a screen, and kept in logs."""
    lines, within = [], -1
    for line in content.split("\n"):
        found = _LINE.match(line)
        depth = len(line) - len(line.lstrip())
        if 0 <= within < depth or (within >= 0 and not line.strip()):
            lines.append("%s********" % line[:depth] if line.strip() else line)
            continue
        within = -1
        value = (found.group("value") or "") if found else ""
        if (
            found
            and is_secret(found.group("name").upper())
            and "{{" not in value
            and not value.startswith(("{", "!vault"))
        ):
            within = depth
            line = "%s%s: ********" % (found.group("indent"), found.group("name")) if value else line
        lines.append(line)
    return "\n".join(lines)


def difference(change: Change) -> list[str]:
    """Of a file that is kept. Ansible shows differences only of what has changed."""
    before, after = (
        masked(text).splitlines()[1:] for text in (change.before, change.after)
    )  # without the mark, which differs anyway
    return list(
        difflib.unified_diff(before, after, change.path, change.path + ", as init would write it", n=1, lineterm="")
    )


def blanks(made: t.Mapping[str, str]) -> list[str]:
    """What only a person knows, in the words of each blank. Comments don't count."""
    text = "\n".join(
        line for content in made.values() for line in content.split("\n") if not line.lstrip().startswith("#")
    )
    return list(dict.fromkeys(_BLANK.findall(text)))


def missing(reading: Reading, on_disk: str) -> list[str]:
    """Variables without which it does not boot, and that a person's files do not name."""
    return [
        one.name
        for one in reading.configuration.runtime
        if one.kind == "required"
        and not any(re.search(r"(?m)^\s*%s\s*:" % name, on_disk) for name in (one.name, *one.others))
    ]


def run(asked: Asked, check_mode: bool) -> dict[str, t.Any]:
    with open_source(asked.repo, asked.ref) as source:
        reading = read_project(source, asked.release, asked.subdir, asked.mix_env)
    changes = plan(pages(reading, asked.secrets), asked.dest, asked.force)
    if not check_mode:
        apply(changes, asked.dest)
    there = {change.path: change.before if change.what == "kept" else change.after for change in changes}
    written = [change for change in changes if change.what in ("created", "updated")]
    lacking = missing(reading, "\n".join(there.values()))
    return {
        "changed": bool(written),
        "name": reading.name,
        "commit": source.files.commit,
        "ref": source.said,
        "directory": reading.directory,
        "releases": list(reading.project.releases),
        "dest": asked.dest,
        "files": {
            what: [change.path for change in changes if change.what == what]
            for what in ("created", "updated", "kept", "same")
        },
        "blanks": blanks(there),
        "missing": lacking,
        "notes": list(reading.notes),
        "settings": [_told(one) for one in reading.configuration.runtime],
        "diff": [
            {
                "before": masked(change.before),
                "after": masked(change.after),
                "before_header": path,
                "after_header": path,
            }
            for change in written
            for path in [os.path.join(asked.dest, change.path)]
        ],
        "difference": [line for change in changes if change.what == "kept" for line in difference(change)],
        "warnings": [
            "%s does not name %s, without which %s does not boot any more"
            % (asked.dest, ", ".join(lacking), reading.name)
        ]
        if lacking and any(change.what == "kept" for change in changes)
        else [],
    }


def _told(one: t.Any) -> dict[str, t.Any]:
    secret = is_secret(one.name)
    return {
        "name": one.name,
        "kind": one.kind,
        "default": "" if secret else one.default,
        "when": one.when,
        "file": one.file,
        "line": one.line,
        "secret": secret,
        "others": list(one.others),
    }

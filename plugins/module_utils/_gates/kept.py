# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What gates found before, beside the build: an unchanged project is not looked at twice, also where another commit has the very same files.

The statement is written last: where it is, its reports are whole. Losing all of it costs one run of the gates.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import typing as t
from dataclasses import dataclass

from .._build.index import write_atomically
from .._build.ours import open_to_others
from .._errors import BeamError
from .._release.gates import MAX_STATEMENT_BYTES, REPORTS, Statement, parse_statement
from .._tree import remove_tree

_KEPT = 100  # directories


@dataclass(frozen=True)
class Kept:
    statement: Statement
    reports: t.Mapping[str, bytes]


def place(build_dir: str, gate: str, inputs: str) -> str:
    return os.path.join(build_dir, "gates", "%s-%s" % (gate, inputs[:16]))


def keep(build_dir: str, kept: Kept, output: str) -> dict[str, str]:
    """kind -> path of each report, and of the output under "output"."""
    directory = place(build_dir, kept.statement.gate, kept.statement.inputs)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    statement = os.path.join(directory, "statement.json")
    remove_tree(statement)
    files = {**{kind: (REPORTS[kind], data) for kind, data in kept.reports.items()}}
    files["output"] = ("output.txt", output.encode("utf-8", "replace"))
    for name in {*REPORTS.values(), "output.txt"} - {name for name, _data in files.values()}:
        remove_tree(os.path.join(directory, name))
    for name, data in files.values():
        write_atomically(os.path.join(directory, name), data)
    write_atomically(statement, kept.statement.to_bytes())
    os.utime(directory)
    return {kind: os.path.join(directory, name) for kind, (name, _data) in files.items()}


def recall(build_dir: str, name: str, gate: str, inputs: str) -> Kept | None:
    """None for what is not there, is of other inputs, or can't be believed."""
    directory = place(build_dir, gate, inputs)
    try:
        if open_to_others(directory):
            return None
        data = _read(os.path.join(directory, "statement.json"), MAX_STATEMENT_BYTES)
        # It may be of another commit with the same inputs, so the commit is its own.
        found = _of_itself(data, name, gate)
        reports = {kind: _read(os.path.join(directory, REPORTS[kind]), 1 << 26) for kind in found.reports}
    except (OSError, BeamError, ValueError):
        return None
    whole = all(hashlib.sha256(reports[kind]).hexdigest() == digest for kind, digest in found.reports.items())
    return Kept(found, reports) if found.inputs == inputs and whole else None


def _of_itself(data: bytes, name: str, gate: str) -> Statement:
    """Checked as one of a store, with the commit that it says itself."""
    first = data.split(b'"gitCommit": "', 1)[1].split(b'"', 1)[0] if b'"gitCommit": "' in data else b""
    return parse_statement(data, name, gate, first.decode("ascii", "replace"))


def _read(path: str, limit: int) -> bytes:
    with open(path, "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(path)
    return data


def paths(build_dir: str, kept: Kept) -> dict[str, str]:
    directory = place(build_dir, kept.statement.gate, kept.statement.inputs)
    found = {kind: os.path.join(directory, REPORTS[kind]) for kind in kept.reports}
    output = os.path.join(directory, "output.txt")
    return {**found, "output": output} if os.path.exists(output) else found


def prune(build_dir: str) -> None:
    """The newest ones stay."""
    top = os.path.join(build_dir, "gates")
    aged = []
    for name in os.listdir(top) if os.path.isdir(top) else ():
        with contextlib.suppress(OSError):
            aged.append((os.lstat(os.path.join(top, name)).st_mtime, name))
    for _time, name in sorted(aged, reverse=True)[_KEPT:]:
        remove_tree(os.path.join(top, name))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The journal of one unit, start by start: what was written since a start, and nothing of the process before it."""

from __future__ import annotations

import time
import typing as t

from .._json import parse_json

MOST = 5000  # lines
_STARTS = 3
_IDS = ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID")  # of what the unit wrote, and of what systemd wrote of it


class Entry(t.NamedTuple):
    start: str  # the id of the start that it belongs to; "" where it has none
    text: str


class Journal:
    def __init__(self, unit: str, run: t.Callable[..., tuple[int, str]]) -> None:
        self._unit = unit
        self._run = run
        self._since: t.Sequence[str] = ()
        self._former = ""

    def begin(self, former: str) -> None:
        """From here on it is a new start. former: the id of the one that it replaces, whose last words come after this."""
        self._former = former
        self._since = newest(self._run)

    def since_start(self, running: str) -> list[Entry]:
        """running: the id of the start that is current, for where none was begun here."""
        found = self._read()
        if self._since:
            return [entry for entry in found if not self._former or entry.start != self._former]
        return [entry for entry in found if not running or entry.start == running]

    def last_boots(self) -> list[list[str]]:
        """What the last starts wrote, the newest first: the very last may have only just begun."""
        starts: dict[str, list[str]] = {}
        for entry in self._read():
            starts.setdefault(entry.start, []).append(entry.text)
        return [lines for start, lines in starts.items() if start][: -1 - _STARTS : -1]

    def _read(self) -> list[Entry]:
        self._run(
            "journalctl", "--sync", timeout=10
        )  # what a process wrote just before it ended may still be on its way
        code, out = self._run(
            "journalctl",
            "--unit",
            self._unit,
            *self._since,
            "--lines",
            str(MOST),
            "--no-pager",
            "--quiet",
            "--all",
            "--output",
            "json",
            "--output-fields",
            ",".join(("MESSAGE", *_IDS)),
            timeout=20,
        )
        if code != 0:
            return []
        found = []
        for doc in map(_document, out.splitlines()):
            start = next((str(doc[key]) for key in _IDS if doc.get(key)), "")
            found += [Entry(start, line.rstrip()) for line in message_of(doc).splitlines() if line.strip()]
        return found


def newest(run: t.Callable[..., tuple[int, str]]) -> tuple[str, str]:
    """Options of journalctl: what is written from now on."""
    code, out = run("journalctl", "--lines", "1", "--no-pager", "--quiet", "--output", "json", timeout=10)
    cursor = (
        next((str(doc.get("__CURSOR") or "") for doc in map(_document, reversed(out.splitlines())) if doc), "")
        if code == 0
        else ""
    )
    return ("--after-cursor", cursor) if cursor else ("--since", "@%d" % int(time.time()))


def _document(line: str) -> dict[str, t.Any]:
    try:
        doc = parse_json(line)
    except ValueError:
        return {}
    return doc if isinstance(doc, dict) else {}


def message_of(doc: t.Mapping[str, t.Any]) -> str:
    """What is not printable comes as a list of bytes."""
    message = doc.get("MESSAGE")
    if isinstance(message, list):
        try:
            return bytes(message).decode("utf-8", "replace")
        except (TypeError, ValueError):
            return " ".join(str(item) for item in message)
    return message if isinstance(message, str) else ""

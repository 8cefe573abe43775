# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The last lines of a node's log, across its starts: of the journal, or of the file that a daemon writes."""

from __future__ import annotations

import os
import time
import typing as t

from .._errors import BeamError
from .._json import parse_json
from .daemon import Daemon
from .journal import message_of
from .manager import Manager
from .systemd import Systemctl, Systemd

START = "start"
MOST = 5000  # lines
_TAIL = 4 << 20  # bytes of a file


def read_log(manager: Manager, lines: int, since: str = "", systemctl: t.Optional[Systemctl] = None) -> list[str]:
    """since: `start` for the last start of the node, or whatever journalctl takes. Its secrets are not masked here."""
    if not 1 <= lines <= MOST:
        raise BeamError(
            "lines_invalid",
            "The log can't be read",
            "%d lines are asked for" % lines,
            "Ask for 1 to %d (beam_lines); the whole of it is on the server" % MOST,
        )
    if isinstance(manager, Systemd):
        if since == START:
            manager.show()
            return manager.log(lines)
        return _of_journal(manager.unit, lines, since, (systemctl or Systemctl()).run)
    return _of_daemon(t.cast(Daemon, manager), lines, since)


def _of_daemon(daemon: Daemon, lines: int, since: str) -> list[str]:
    if since == START:
        return daemon.log(lines)
    if since:
        raise BeamError(
            "since_unknown",
            "The log of %s can't be read since %s" % (daemon.release, since),
            "a daemon's log has no times",
            "Say start, which is the last start, or how many lines (beam_lines)",
        )
    try:
        with open(daemon.log_file, "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - _TAIL))
            text = handle.read(_TAIL).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise BeamError(
            "log_denied",
            "The log of %s can't be read" % daemon.release,
            "%s: %s" % (daemon.log_file, exc.strerror or exc),
            "Be the user that runs the node",
        ) from None
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def _of_journal(unit: str, lines: int, since: str, run: t.Callable[..., tuple[int, str]]) -> list[str]:
    when = ("--since", since) if since else ()
    code, out = run(
        "journalctl",
        "--unit",
        unit,
        *when,
        "--lines",
        str(lines),
        "--no-pager",
        "--quiet",
        "--all",
        "--output",
        "json",
        "--output-fields",
        "MESSAGE",
        timeout=30,
    )
    if code != 0:
        raise BeamError(
            "journal_unreadable",
            "The journal of %s can't be read" % unit,
            " ".join(out.split())[-300:] or "exit status %d" % code,
            'Become root; beam_since is a time as journalctl takes it, such as "10 min ago"',
        )
    found: list[str] = []
    for row in out.splitlines():
        try:
            doc = parse_json(row)
        except ValueError:
            continue
        if isinstance(doc, dict):
            at = _time(doc.get("__REALTIME_TIMESTAMP"))
            found += ["%s %s" % (at, line.rstrip()) for line in message_of(doc).splitlines() if line.strip()]
    return found[-lines:]


def _time(microseconds: t.Any) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(microseconds) // 1_000_000))
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The last lines of a node's log, across its starts: of the journal, or of the file that a daemon writes."""

from __future__ import annotations

import os
import re
import time
import typing as t

from .._errors import BeamError
from .._json import parse_json
from .daemon import Daemon
from .journal import message_of, newest
from .manager import Manager
from .systemd import Systemctl, Systemd

START = "start"
MOST = 5000  # lines
LONGEST = 600  # seconds
_TAIL = 4 << 20  # bytes of a file
_FOLLOW = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(s|m)?")


def read_log(manager: Manager, lines: int, since: str = "", systemctl: t.Optional[Systemctl] = None) -> list[str]:
    """since: `start` for the last start of the node, or whatever journalctl takes. Its secrets are not masked here."""
    _check_lines(lines)
    if isinstance(manager, Systemd):
        if since == START:
            manager.show()
            return manager.log(lines)
        return [line for _cursor, line in _rows(manager.unit, lines, since, (systemctl or Systemctl()).run)]
    return _of_daemon(t.cast(Daemon, manager), lines, since)


def _check_lines(lines: int) -> None:
    if not 1 <= lines <= MOST:
        raise BeamError(
            "lines_invalid",
            "The log can't be read",
            "%d lines are asked for" % lines,
            "Ask for 1 to %d (beam_lines); the whole of it is on the server" % MOST,
        )


def seconds_of(text: str) -> float:
    """How long a log is followed: 30, 30s or 2m."""
    found = _FOLLOW.fullmatch(text.strip() or "0")
    seconds = float(found.group(1)) * (60 if found.group(2) == "m" else 1) if found else -1.0
    if 0 <= seconds <= LONGEST:
        return seconds
    raise BeamError(
        "follow_invalid",
        "The log can't be followed",
        "%s is no time" % text if found is None else "%s is more than %d s" % (text, LONGEST),
        "Say how long, such as 30s or 2m (beam_follow); without an end, follow it on the server",
    )


def follow(
    manager: Manager,
    lines: int,
    since: str,
    seconds: float,
    systemctl: t.Optional[Systemctl] = None,
    sleep: t.Callable[[float], None] = time.sleep,
) -> list[str]:
    """What read_log reads, and then what is written within so many seconds: nothing of it twice, and nothing lost in between."""
    if seconds <= 0:
        return read_log(manager, lines, since, systemctl)
    _check_lines(lines)
    if isinstance(manager, Systemd):
        run = (systemctl or Systemctl()).run
        mark = newest(run)
        if since == START:
            seen = [("", line) for line in read_log(manager, lines, since, systemctl)]
        else:
            seen = _rows(manager.unit, lines, since, run)
        sleep(seconds)
        known = {cursor for cursor, _line in seen}
        seen += [row for row in _rows(manager.unit, MOST, "", run, mark) if row[0] not in known]
        return [line for _cursor, line in seen]
    daemon = t.cast(Daemon, manager)
    size = _size(daemon)
    told = read_log(daemon, lines, since) if since else _lines_from(daemon, 0, size)[-lines:]
    sleep(seconds)
    return told + _lines_from(daemon, size)[-MOST:]


def _size(daemon: Daemon) -> int:
    try:
        return os.stat(daemon.log_file).st_size
    except OSError:
        return 0


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
    return _lines_from(daemon, 0)[-lines:]


def _lines_from(daemon: Daemon, start: int, end: t.Optional[int] = None) -> list[str]:
    try:
        with open(daemon.log_file, "rb") as handle:
            size = handle.seek(0, os.SEEK_END) if end is None else end
            # It is shorter where it was begun anew.
            begin = handle.seek(max(start if start <= size else 0, size - _TAIL))
            text = handle.read(_TAIL if end is None else end - begin).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise BeamError(
            "log_denied",
            "The log of %s can't be read" % daemon.release,
            "%s: %s" % (daemon.log_file, exc.strerror or exc),
            "Be the user that runs the node",
        ) from None
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _rows(
    unit: str, lines: int, since: str, run: t.Callable[..., tuple[int, str]], after: t.Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Each line with the cursor of its entry."""
    when = after or (("--since", since) if since else ())
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
    found: list[tuple[str, str]] = []
    for row in out.splitlines():
        try:
            doc = parse_json(row)
        except ValueError:
            continue
        if isinstance(doc, dict):
            at = _time(doc.get("__REALTIME_TIMESTAMP"))
            cursor = str(doc.get("__CURSOR") or "")
            found += [(cursor, "%s %s" % (at, line.rstrip())) for line in message_of(doc).splitlines() if line.strip()]
    return found[-lines:]


def _time(microseconds: t.Any) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(microseconds) // 1_000_000))
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the managers of a node have in common: their shape, and stopping one process for good."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from dataclasses import dataclass

from .._mask import Mask
from .process import NodeProcess, OsProcess, companions
from .target import Target

# The kernel tells start times in hundredths of a second: a file written just before a start must not look newer.
CLOCK_TICK = 0.05


@dataclass(frozen=True)
class Status:
    """What a manager knows before anything is done."""

    process: t.Optional[NodeProcess]
    state: str  # in the manager's words: running, stopped, failed, activating ...
    restarts: int = 0  # how often the manager itself had to start it again
    configured: float = 0.0  # when its configuration last changed, seconds since the epoch
    enabled: t.Optional[bool] = None  # whether it is started at boot; None where nobody would

    @property
    def unread(self) -> bool:
        """Whether its configuration changed after its process had started, which therefore has not read it."""
        return self.process is not None and self.configured > self.process.started + CLOCK_TICK


@dataclass(frozen=True)
class Stopped:
    seconds: float
    escalated: str  # none: ended when asked; term: after another SIGTERM; kill: by SIGKILL
    asked: float  # when, by the monotonic clock


@dataclass(frozen=True)
class Started:
    process: NodeProcess
    seconds: float


class Manager(t.Protocol):
    name: str

    def status(self) -> Status:
        """What runs now."""

    def preflight(self, target: Target) -> None:
        """Raise what would make a start fail, as far as it can be known before anything is stopped."""

    def stop(self, process: t.Optional[NodeProcess], timeout: float) -> Stopped:
        """Return only when the process and its children are gone, and nothing will start it again."""

    def start(self, target: Target, timeout: float) -> Started:
        """Return when the VM has booted, or raise."""

    def restart(
        self, process: NodeProcess, target: Target, stop_timeout: float, boot_timeout: float
    ) -> tuple[Stopped, Started]:
        """Stop, then start."""

    def ended(self) -> str:
        """How the node that we started ended; '' if it did not, or if unknown."""

    def log(self, lines: int) -> list[str]:
        """The last lines that it wrote since its last start, without lines of the former process."""

    def last_boots(self) -> list[list[str]]:
        """For a node that should run and does not: what its last starts wrote, the newest first."""

    def fate(self) -> tuple[str, str]:
        """The result and the exit status of a unit that failed; '' if nothing records them."""

    def crash_dump(self) -> str:
        """Where the VM writes its crash dump, '' if that is unknown."""

    def mask(self) -> Mask:
        """What takes the values of its environment, and its cookie, out of all that is shown."""


def settle(paths: t.Iterable[str]) -> bool:
    """Before a start on these files: what was written before the clock was set back would look newer than each node that is started on it.

    Tells whether there was such a file.
    """
    now, found = time.time(), False
    for path in paths:
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime > now:
                os.utime(path, (now, now))
                found = True
    return found


# A VM loses a SIGTERM that arrives while it boots. One as old as this has installed its handler.
GROWN_UP = 30.0


class Terminator:
    """Sends SIGTERM, and to a young VM until it is heard. One that is stopping ignores further ones, so repeating does no harm."""

    def __init__(self, process: OsProcess, sent: int = 0) -> None:
        self.process = process
        self.start = time.monotonic()
        self.sent = sent
        # An idle VM takes a little over a second to stop: a repeat before that would be noise in its log.
        self._pause = 2.0 if time.time() - process.started < GROWN_UP else float("inf")
        self._next = self.start + self._pause if sent else self.start

    def tick(self) -> None:
        if time.monotonic() >= self._next:
            self.process.signal(signal.SIGTERM)
            self.sent += 1
            self._next = time.monotonic() + self._pause
            self._pause *= 2

    def wait(self, timeout: float) -> bool:
        """Keep asking until it is gone or the time is up."""
        end = self.start + timeout
        while True:
            self.tick()
            left = min(self._next, end) - time.monotonic()
            if self.process.wait(max(0.0, left)):
                return True
            if time.monotonic() >= end:
                return False


def terminate(process: OsProcess, timeout: float) -> Stopped:
    """SIGTERM, which is init:stop() and needs no cookie; SIGKILL at the deadline; children after their parent."""
    below = companions(process.pid)
    term = Terminator(process)
    gone = term.wait(timeout)
    heard = time.monotonic() - term.start
    escalated = "none" if term.sent == 1 else "term"
    if not gone:
        escalated = "kill"
        below = companions(process.pid) or below
        # heart starts the node again when it sees it die, so it goes first.
        for child, command in below:
            if command == "heart":
                child.signal(signal.SIGKILL)
        process.signal(signal.SIGKILL)
        process.wait(10)
        heard = time.monotonic() - term.start
    for child, _command in below:
        if not child.wait(0.2) and child.signal(signal.SIGKILL):
            child.wait(2)
    return Stopped(heard, escalated, term.start)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether a node ends because its server does. A shutdown kills what runs on it, and so does an instance that leaves: neither speaks against a release.

Nor does a server that stood still: while it was frozen, the time that a node has to boot in and to answer in went by.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t

from .._errors import BeamError
from .._notes import read_note, write_note
from .systemd import Systemctl

# What is said of a release because of what its node did. All other codes are about something else.
VERDICTS = ("unhealthy", "node_died", "boot_timeout")
# A node did not start, or is not well, because of a setting of its host. The message has the reason that the node itself gave. It makes no ghost.
MISCONFIGURED = "misconfigured"
# What is said in their place.
STOPPING, LEAVING, FROZEN = "host_stopping", "instance_terminating", "host_frozen"
ENDINGS = (STOPPING, LEAVING, FROZEN)
FROZEN_SECONDS = 30.0  # no load keeps a thread waiting for that long, and no gate forgives less
TICK = 0.5
FILE = ".leaving"  # below the base directory
SYSTEMD = "/run/systemd/system"


class Ending(t.NamedTuple):
    code: str
    why: str


class Pace:
    """How long this server stood still, as far as this process can see: a thread looks at the clock twice a second."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._longest = 0.0
        self._stop = threading.Event()

    def __enter__(self) -> Pace:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            self.stood()

    def stood(self) -> float:
        """The longest time in which nothing ran; also where whoever asks is the first one to run again."""
        now = self._clock()
        self._longest, self._last = max(self._longest, now - self._last - TICK), now
        return self._longest

    def frozen(self) -> t.Optional[Ending]:
        seconds = self.stood()
        return Ending(FROZEN, "this server stood still for %.0f s" % seconds) if seconds >= FROZEN_SECONDS else None


def ending(base: str, systemctl: t.Optional[Systemctl] = None) -> t.Optional[Ending]:
    """None: this server stays, or it can't be told. To be asked after something went wrong: whatever ends a server is there before its first victim."""
    reason = _read(base)
    if reason:
        return Ending(LEAVING, "this instance leaves (%s)" % reason)
    return Ending(STOPPING, "this server is shutting down") if _stopping(systemctl or Systemctl()) else None


def judged(error: BeamError, base: str, pace: t.Optional[Pace] = None) -> BeamError:
    """The same error, but if the server is ending or was frozen, one that does not blame the release."""
    if error.code not in VERDICTS:
        return error
    found = ending(base) or (pace.frozen() if pace is not None else None)
    if found is None:
        return error
    why = "%s; meanwhile: %s" % (found.why, error.why)
    hint = "Nothing is said against the release: try again when the server is up"
    return BeamError(
        found.code, error.what, why, hint, **error.details, **({"verdict": error.code} if found.code == FROZEN else {})
    )


def mark_leaving(base: str, why: str) -> None:
    """From now on what happens to the node here is nobody's fault. It holds until the next boot: an image that is made of this server has it, too."""
    write_note(os.path.join(base, FILE), ("%s %s\n" % (boot_id(), " ".join(why.split()))).encode("utf-8"))


def boot_id() -> str:
    """The id of this boot, a new one after each boot; '' if there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _read(base: str) -> str:
    boot, _space, why = read_note(os.path.join(base, FILE)).decode("utf-8", "replace").strip().partition(" ")
    return why if boot and boot == boot_id() else ""


def _stopping(systemctl: Systemctl) -> bool:
    """systemd says so from the moment on that shutdown.target is to be started, which is before anything is stopped for it."""
    if not os.path.isdir(SYSTEMD):
        return False
    try:
        return systemctl.run("systemctl", "is-system-running", timeout=10)[1].strip() == "stopping"
    except BeamError:
        return False

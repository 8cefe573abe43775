# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""What passes by itself is tried again, with jittered pauses, until one deadline that all of the bootstrap shares."""

from __future__ import annotations

import random
import time
import typing as t

from .._deadline import Limit
from .._errors import BeamError

T = t.TypeVar("T")

PASSING = frozenset(
    (
        "store_unreachable",
        "store_timeout",
        "store_cut",
        "store_busy",
        "store_not_s3",
        "store_io",
        "store_unavailable",
        "store_failed",
        "store_changed",
        "aws_unreachable",
        "aws_busy",
        "metadata_unreachable",
        "metadata_answer",
        "install_locked",
    )
)
# An instance profile that was made just now, a role that is attached late, a file system that is mounted late, a metadata service that is not up yet:
# these come within a minute or never.
COMING = frozenset(
    (
        "store_missing",
        "store_credentials",
        "store_credentials_expired",
        "store_denied",
        "aws_credentials",
        "aws_denied",
        "metadata_absent",
    )
)
COMING_SECONDS = 60.0
LONGEST_PAUSE = 20.0
LEAST_SECONDS = 0.5  # for what is asked when the time is nearly over


class Deadline:
    """The time by which everything has to be done."""

    def __init__(
        self,
        seconds: float,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self.clock, self.sleep = clock, sleep
        self.seconds = seconds
        self.begun = clock()
        self.end = self.begun + seconds

    def left(self) -> float:
        return self.end - self.clock()

    def spent(self) -> float:
        return self.clock() - self.begun

    def keep_trying(self, work: t.Callable[[], T], say: t.Callable[[str], None]) -> T:
        """work's result. The first failure of a kind is told, and so is how long it took to pass."""
        attempt, first, told = 0, self.clock(), ""
        while True:
            with Limit(max(LEAST_SECONDS, self.left()), "the bootstrap's deadline", self.seconds):
                result, error = _attempt(work)
            if error is None:
                if told:
                    say("It works again, after %d s" % (self.clock() - first))
                return t.cast(T, result)
            limit = self.end if error.code in PASSING else first + COMING_SECONDS if error.code in COMING else first
            # The pauses of many servers that were started at once drift apart.
            pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(attempt, 8)) * (0.5 + random.random())  # jitter, not a secret
            if error.code == "store_clock" and error.details.get("shifted"):
                pause, limit = 0.0, self.end
            if self.clock() + pause >= min(limit, self.end):
                raise error
            if error.code != told:
                say("%s Trying again" % error.message)
                told = error.code
            if pause:
                self.sleep(pause)
            attempt += 1

    def trier(self, say: t.Callable[[str], None]) -> t.Callable[[t.Callable[[], T]], T]:
        """keep_trying, for whoever is handed the way to try."""
        return lambda work: self.keep_trying(work, say)


def _attempt(work: t.Callable[[], T]) -> tuple[T | None, BeamError | None]:
    try:
        return work(), None
    except BeamError as error:
        return None, error

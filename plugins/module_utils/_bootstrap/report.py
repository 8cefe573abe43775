# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""What the bootstrap says: to the journal and the console by its standard output, short enough for either."""

from __future__ import annotations

import collections
import json
import sys
import typing as t

from .._errors import BeamError
from .._mask import Mask

MAX_LINES = 50


def line(text: str, stream: t.TextIO | None = None) -> None:
    """Out at once: whoever reads may look at a server that is about to end."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def aside(text: str) -> None:
    line(text, sys.stderr)


class Report:
    """Lines with the name in front. Whatever became known as a secret is masked in all of them."""

    def __init__(self, name: str, stream: t.TextIO | None = None) -> None:
        self.name = name
        self.stream = stream or sys.stdout
        self._mask = Mask()
        self.said: collections.deque[str] = collections.deque(maxlen=MAX_LINES)

    def hide(self, secrets: t.Iterable[str]) -> None:
        self._mask = self._mask.also(*secrets)

    def masked(self, error: BeamError) -> BeamError:
        """The same, fit to be shown and kept."""
        return self._mask.error(error)

    def say(self, text: str) -> None:
        for told in self._mask.lines(text.splitlines()):
            self.said.append(told)
            line("beam-bootstrap %s: %s" % (self.name, told), self.stream)

    def tell(self, error: BeamError) -> None:
        shown = self.masked(error)
        self.say("FAILED (%s) %s" % (shown.code, shown.message))
        lines = list(shown.details.get("log") or ())[-MAX_LINES:]
        if lines:
            self.say("The last lines of the node's log:")
            self.say("\n".join("  " + told for told in lines))
        if shown.details.get("crash"):
            self.say("It wrote a crash dump: %s" % shown.details["crash"])

    def result(self, value: t.Mapping[str, t.Any]) -> None:
        """One line of JSON, for machines."""
        line(json.dumps(value, sort_keys=True), self.stream)

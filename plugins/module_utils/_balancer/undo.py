# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Put back what was taken out, as far as the balancers let us."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .base import IN, UNKNOWN, Balancer, Look, Unavailable
from .plan import Pair


class Undo:
    def __init__(self, places: t.Mapping[str, Balancer], told: t.Collection[Pair]) -> None:
        self.waiting = set(told)  # told to leave, and not seen back in
        self.looks: dict[str, Look] = {}
        self._told, self._places = set(told), places
        self._asked: set[Pair] = set()
        self._refused: set[Pair] = set()

    def attempt(self) -> bool:
        """True when there is nothing left that another attempt may mend."""
        for label in sorted({label for label, _name in self._told}):
            self._try(lambda label=label: self.looks.update({label: self._places[label].look()}))  # type: ignore[misc]
        for pair in sorted(self.waiting - self._refused):
            # At least once, whatever it shows: a balancer that lags may be about to obey the command before.
            if pair in self._asked and self._is_in(pair):
                self.waiting.discard(pair)
                continue
            said = self._try(lambda pair=pair: self._places[pair[0]].join(pair[1], checked=False))  # type: ignore[misc]
            if said is None:
                self._asked.add(pair)
            elif not isinstance(said, Unavailable):
                self._refused.add(pair)
        return self.waiting <= self._refused

    def _try(self, work: t.Callable[[], t.Any]) -> t.Optional[BeamError]:
        try:
            work()
        except BeamError as exc:
            return exc
        return None

    def _is_in(self, pair: Pair) -> bool:
        state = self.looks[pair[0]].get(pair[1]) if pair[0] in self.looks else None
        return state is not None and state.rotation == IN and not state.half

    def error(self, exc: BeamError, before: t.Mapping[str, str], left: t.Mapping[str, str]) -> BeamError:
        """exc, saying in which state each host was left."""
        details = {}
        for name in before:
            stuck = sorted(label for label, each in self.waiting if each == name)
            details[name] = {"before": before[name], "left": left[name], "put_back": not stuck, "places": stuck}
        back = sorted({name for _label, name in self._told} - {name for _label, name in self.waiting})
        why, hint = exc.why, exc.hint
        if back:
            why += "; put back: %s" % ", ".join(back)
        elif not self._told:
            why += "; nothing was changed"
        if self.waiting:
            states = [
                (name, label, self.looks[label][name].rotation if label in self.looks else UNKNOWN)
                for label, name in sorted(self.waiting)
            ]
            why += "; NOT put back: %s" % ", ".join(
                "%s (%s in %s)" % (name, rotation, label) for name, label, rotation in states
            )
            hint = "Put them back by hand, or with state=joined once the balancer answers. " + hint
        return BeamError(
            exc.code, exc.what, why, hint, **{**exc.details, "changed": bool(self.waiting), "members": details}
        )

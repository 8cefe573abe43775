# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The one mask: takes secrets out of whatever is shown or kept. Pure.

A secret is known by the name of its variable, or by its own form: the password of an URL, the signature of a presigned one, a private key. It is found
as it is and in the forms that programs print: the parts of an URL, quoted for an URL, JSON or a shell, base64 at any alignment, hexadecimal, lists of numbers
as Erlang prints them, the lines of a key, and cut off at the end of a text.
"""

from __future__ import annotations

import os.path
import re
import typing as t

from ._errors import BeamError
from ._mask_forms import base64_cores, forms, pieces
from ._mask_shapes import bare, shapeless, shown

HIDDEN = "********"
LONGEST = 2000  # letters of a line that is shown
_SHORTEST = 4
_BOUND = 8  # a shorter value counts only where it is no part of a word
_DEEPEST = 60

_NUMBERS = re.compile(r"(?:\d{1,3},\s{0,40}){3,}\d{0,3}")
# The end of a text, of a line, or a sign that there was more; before it what a printer closes.
_CUT = re.compile(r"[ \t\r\"'>)\]}]{0,8}(?:…|\.\.\.|\[\.\.\.\]|\n|\Z)")


class Mask:
    """What is secret, and how it is taken out of a text. A value: `also` makes another one."""

    def __init__(self, named: t.Union[t.Mapping[str, str], t.Iterable[tuple[str, str]]] = (), least: int = 8) -> None:
        """named: variables and their values. least: the letters from which on a value counts whose name does not say that it is secret."""
        self._named = tuple(
            (str(name), str(value)) for name, value in (named.items() if isinstance(named, t.Mapping) else named)
        )
        self._least = least
        self._made: t.Optional[_Forms] = None

    def __repr__(self) -> str:
        return "Mask(%d values)" % len(self._named)

    def also(self, *values: t.Optional[str]) -> Mask:
        """With further values, which are secret whatever they look like."""
        more = dict.fromkeys(("SECRET", value) for value in values if value)
        return Mask(list(dict.fromkeys([*self._named, *more])), self._least) if more else self

    def with_variables(self, named: t.Mapping[str, str]) -> Mask:
        """With further variables and their values, of which the same is secret as of the first ones."""
        return Mask(list(dict.fromkeys([*self._named, *named.items()])), self._least)

    @property
    def values(self) -> list[str]:
        """What is taken out, the longest first."""
        return sorted(self._forms.pieces, key=lambda piece: (-len(piece), piece))

    @property
    def _forms(self) -> _Forms:
        if self._made is None:
            self._made = _Forms(self._named, self._least)
        return self._made

    def text(self, text: str) -> str:
        """Colours and other signs for a terminal stay, unless they hide something by standing in the middle of it."""
        text = shown(text)
        masked, plain = self._masked(text), bare(text)
        if plain == text:
            return masked
        of_plain = self._masked(plain)
        return masked if bare(masked) == of_plain else of_plain

    def _masked(self, text: str) -> str:
        found = self._forms
        if found.pieces:
            text = found.out_of(text)
            text = _NUMBERS.sub(lambda run: HIDDEN if found.numbers(run.group()) else run.group(), text)
            text = found.cut_off(text)
        return shapeless(text, HIDDEN)

    def lines(self, lines: t.Iterable[str], longest: int = LONGEST) -> list[str]:
        """Taken together: what is printed over several lines is one thing. There may be fewer of them afterwards."""
        whole = "\n".join(lines)
        return [line[:longest] for line in self.text(whole).split("\n")] if whole else []

    def each(self, texts: t.Iterable[str]) -> list[str]:
        """As many as there were."""
        return [self.text(text) for text in texts]

    def data(self, value: t.Any, depth: int = 0) -> t.Any:
        """The same value, with all of its texts masked. Keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if depth > _DEEPEST:
            return None
        if isinstance(value, t.Mapping):
            return {key: self.data(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item, depth + 1) for item in value]
        return value

    def error(self, error: BeamError) -> BeamError:
        """The same, fit to be shown and kept."""
        what, why, hint = self.each([error.what, error.why, error.hint])
        # Not by its own constructor: each kind has another one.
        made = type(error).__new__(type(error))
        made.__dict__.update(error.__dict__)
        BeamError.__init__(made, error.code, what, why, hint, **self.data(error.details))
        return made


class _Forms:
    """All that is looked for, made once."""

    def __init__(self, named: t.Iterable[tuple[str, str]], least: int) -> None:
        self.pieces = pieces(named, least)
        found: set[str] = set()
        short: set[str] = set()
        cores: set[str] = set()
        for piece in self.pieces:
            made = forms(piece)
            if len(piece) < _BOUND:
                short.add(piece)
                made.discard(piece)
            found |= {form for form in made if len(form) >= _SHORTEST}
            cores |= base64_cores(piece)
        self._whole = sorted(found, key=lambda form: (-len(form), form))
        self._short = sorted(short, key=lambda form: (-len(form), form))
        self._cores = sorted(cores, key=lambda form: (-len(form), form))
        self._beginnings = {form: form[: _recognised(len(form))] for form in {*found, *cores} if len(form) >= _BOUND}
        self._ends = {form: form[-_recognised(len(form)) :] for form in {*found, *cores} if len(form) >= _BOUND}

    def out_of(self, text: str) -> str:
        for form in self._whole:
            if form in text:
                text = text.replace(form, HIDDEN)
        for form in self._cores:
            if form in text:
                # The neighbouring letters contain some of its bits.
                text = re.sub(r"[\w+/-]?%s[\w+/-]?={0,2}" % re.escape(form), HIDDEN, text)
        for form in self._short:
            if form in text:
                text = re.sub(r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))%s(?![A-Za-z0-9])" % re.escape(form), HIDDEN, text)
        return text

    def numbers(self, run: str) -> bool:
        """Whether a list of numbers is a text with a secret in it."""
        signs = [int(number) for number in re.findall(r"\d+", run)]
        if any(sign > 255 for sign in signs):
            return False
        for coding in ("utf-8", "latin-1"):
            said = bare(bytes(signs).decode(coding, "ignore"))
            # What was cut off may end with half a number.
            if self.out_of(said) != said or any(self.cut_off(one) != one for one in (said, said[:-1])):
                return True
        return False

    def cut_off(self, text: str) -> str:
        """Without the first part of a secret where a text or a line was cut, and the last part at its beginning."""
        for form, last_part in self._ends.items():
            spot = text.find(last_part, 0, len(form)) + len(last_part)
            if spot >= len(last_part) and form.endswith(text[:spot]):
                text = HIDDEN + text[spot:]
        for form, begin in self._beginnings.items():
            kept: list[str] = []
            spot, last = text.find(begin), 0
            while spot >= 0:
                end = spot + len(os.path.commonprefix([form, text[spot : spot + len(form)]]))
                if _CUT.match(text, end):
                    kept.append(text[last:spot])
                    last = end
                spot = text.find(begin, end)
            text = HIDDEN.join([*kept, text[last:]])
        return text


def _recognised(length: int) -> int:
    """By how many of its first letters a form is known that was cut off."""
    return 6 if length < 12 else max(8, min(16, length // 4))


NOTHING_NAMED = Mask()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The words of vm.args and of the variables that have flags for the VM, as erlexec takes them. Each rule was seen with OTP 25 (`erl -emu_args_exit`).

Quotes of both kinds hold everything but themselves, a backslash outside of them takes the next character, and # begins a comment in files, not in variables.
Files (`-args_file`, which is how the launcher gives vm.args) stand where they are named. What is after `-extra` in any place goes to the end of all.
"""

from __future__ import annotations

import itertools
import re
import typing as t

Load = t.Callable[[str], str]

_BLANK = " \t\n\v\f\r"
_QUOTES = "'\""
_DEEPEST = 8  # files that name each other
# Flags of the emulator without a value, or with one that is attached. All others take the next word.
_ALONE = re.compile(r"\+(?:[A-Za-z]+\d.*|B[cdi]?|fn.*|dcg|[dlLrvV])")
_TAKES = {"-name": 1, "-sname": 1, "-env": 2}  # how many words, whatever they are


def split(text: str, comments: bool = True) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char in _BLANK or (comments and char == "#"):
            if char == "#":
                at = (text.find("\n", at) + 1) or len(text)
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        if char in _QUOTES:
            end = text.find(char, at)
            end = len(text) if end < 0 else end
            word.append(text[at:end])
            at = end + 1
        elif char == "\\":
            word.append(text[at : at + 1])
            at += 1
        else:
            word.append(char)
    return words if word is None else [*words, "".join(word)]


def quote(word: str) -> str:
    """As split takes it, in files and in variables."""
    return "".join("\\" + char if char in _BLANK + _QUOTES + "\\#" else char for char in word) or "''"


def expand(words: t.Sequence[str], load: Load, depth: int = 0) -> tuple[list[str], list[str]]:
    """With what is in files, each closed by `--`; and what is after -extra."""
    kept: list[str] = []
    extra: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "-extra":
            extra.extend(rest)
        elif word == "-args_file":
            path = next(rest, "")
            inner, more = expand(split(load(path)), load, depth + 1) if path and depth < _DEEPEST else ([], [])
            kept += [*inner, "--"]
            extra += more
        else:
            kept += [word, *itertools.islice(rest, _TAKES.get(word, 0))]
    return kept, extra


def of_vm(words: t.Sequence[str]) -> list[str]:
    """Without what is for erlexec (-env) and for the emulator (+P 5)."""
    kept: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word in _TAKES:
            kept += words[at : at + 2] if word != "-env" else []
            at += _TAKES[word]
        elif word.startswith("+"):
            after = words[at + 1 : at + 2]
            at += (
                1
                if after
                and after != ["--"]
                and not _ALONE.fullmatch(word)
                and (word != "+c" or after[0] in ("true", "false"))
                else 0
            )
        else:
            kept.append(word)
        at += 1
    return kept


def arguments(sources: t.Iterable[t.Sequence[str]], load: Load) -> list[str]:
    """What the VM is started with."""
    kept: list[str] = []
    extra: list[str] = []
    for words in sources:
        own, more = expand(words, load)
        kept += [*of_vm(own), "--"]
        extra += more
    return [*kept, "-extra", *extra] if extra else kept


def lacking(words: t.Sequence[str]) -> str:
    """The flag at the end of a file that wants another word: no VM starts with it."""
    for flag, more in {**_TAKES, "-start_epmd": 1, "-emu_type": 1, "-args_file": 1}.items():
        if flag in words[-more:]:
            return flag
    last = words[-1] if words else ""
    return last if last.startswith("+") and last != "+c" and not _ALONE.fullmatch(last) else ""


def flags_of(words: t.Sequence[str]) -> list[list[str]]:
    """Each flag with its words."""
    found: list[list[str]] = [[]]
    rest = iter(words)
    for word in rest:
        if word[:1] in ("-", "+") and len(word) > 1:
            found.append([])
        found[-1] += [word, *itertools.islice(rest, _TAKES.get(word, 0))]
    return [group for group in found if group]


def lines(words: t.Sequence[str]) -> str:
    """The text of a file with these words, a flag a line."""
    return "".join(" ".join(map(quote, group)) + "\n" for group in flags_of(words))

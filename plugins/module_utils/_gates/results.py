# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the scripts and tools of the gates say, as values. Whatever is missing, cut off or of another form is an Unreadable, and so a failed gate."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._json import parse_json
from .._node.etf import EtfError, decode, text


class Unreadable(Exception):
    """Why an answer says nothing."""


@dataclass(frozen=True)
class Case:
    app: str
    module: str
    name: str
    outcome: str  # passed, failed, skipped, excluded
    seconds: float
    file: str
    line: int
    text: str = ""

    @property
    def label(self) -> str:
        return "%s: %s (%s:%d)" % (self.module, self.name, self.file, self.line)


@dataclass(frozen=True)
class Diagnostic:
    severity: str
    file: str
    line: int
    message: str

    @property
    def label(self) -> str:
        return "%s:%d: %s" % (self.file, self.line, self.message.strip().partition("\n")[0])


@dataclass(frozen=True)
class Covered:
    module: str
    file: str
    lines: tuple[tuple[int, int], ...]  # line, hits


def _term(data: bytes | None, what: str, fields: int) -> tuple[t.Any, ...]:
    if data is None:
        raise Unreadable("%s were not written" % what)
    try:
        term = decode(data)
    except (EtfError, ValueError, IndexError) as exc:
        raise Unreadable("%s are cut off (%s)" % (what, exc)) from exc
    if not isinstance(term, tuple) or len(term) != fields + 2 or term[:2] != ("alchemist_gate", 1):
        raise Unreadable("%s are of another form" % what)
    return term[2:]


def _lines(value: t.Any, make: t.Callable[..., t.Any], what: str) -> tuple[t.Any, ...]:
    try:
        return tuple(make(*row) for row in value)
    except (EtfError, TypeError, ValueError) as exc:
        raise Unreadable("%s are of another form" % what) from exc


_RUN = "the results of the tests"


def read_tests(files: t.Mapping[str, bytes]) -> tuple[Case, ...]:
    """files: what the formatter left, by name. An umbrella has one for each of its applications."""
    begun = sorted(name for name in files if name.endswith(".begun"))
    if begun:
        raise Unreadable("the tests of %s began, and their results were not written" % begun[0].rpartition("-")[0])
    cases: list[Case] = []
    for _name, data in sorted((name, data) for name, data in files.items() if name.endswith(".etf")):
        app, tests, modules = _term(data, _RUN, 3)

        def case(
            module: t.Any, name: t.Any, outcome: t.Any, took: int, file: t.Any, line: int, said: t.Any, app: t.Any = app
        ) -> Case:
            if outcome not in ("passed", "failed", "skipped", "excluded"):
                raise ValueError(outcome)
            return Case(
                text(app), text(module), text(name), str(outcome), took / 1e6, text(file), int(line), text(said)
            )

        cases += _lines(tests, case, _RUN)
        failed = dict(_lines(modules, lambda module, said: (text(module), text(said)), _RUN))
        cases += [
            Case(text(app), module, "setup_all", "failed", 0.0, module, 0, said) for module, said in failed.items()
        ]
    return tuple(cases)


def read_diagnostics(data: bytes | None) -> tuple[tuple[str, ...], tuple[Diagnostic, ...]]:
    """What the compiler said of each application, and of which lines."""
    what = "the results of the compiler"
    statuses, rows = _term(data, what, 2)

    def diagnostic(severity: t.Any, file: t.Any, line: int, message: t.Any) -> Diagnostic:
        return Diagnostic(text(severity), text(file), int(line), text(message))

    return tuple(str(status) for status in statuses), _lines(rows, diagnostic, what)


def read_coverage(data: bytes | None) -> tuple[Covered, ...]:
    what = "the figures of the coverage"
    (rows,) = _term(data, what, 1)

    def covered(module: t.Any, file: t.Any, lines: t.Any) -> Covered:
        # Erlang has no sign for a list of small pairs; a list of such is a list.
        return Covered(text(module), text(file), tuple(sorted((int(line), int(hits)) for line, hits in lines)))

    return _lines(rows, covered, what)


def percentage(rows: t.Iterable[Covered]) -> float | None:
    """Of the lines that could run; None if there are none."""
    hits = [hit for row in rows for _line, hit in row.lines]
    return round(100.0 * sum(1 for hit in hits if hit) / len(hits), 2) if hits else None


def read_sarif(output: str) -> tuple[dict[str, t.Any], tuple[Diagnostic, ...]]:
    """The SARIF document in an output, which may begin with what the compiler said."""
    for found in re.finditer(r"^\{", output, re.MULTILINE):
        read = _sarif_in(output[found.start() : output.rfind("}") + 1])
        if read is not None:
            return read
    raise Unreadable("its output holds no SARIF document")


def _sarif_in(text_: str) -> tuple[dict[str, t.Any], tuple[Diagnostic, ...]] | None:
    try:
        document = parse_json(text_)
        return document, tuple(_finding(one) for run in document["runs"] for one in run.get("results") or [])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _finding(one: t.Any) -> Diagnostic:
    places = one.get("locations") or [{}]
    place = places[0].get("physicalLocation") or {}
    return Diagnostic(
        str(one.get("level") or "warning"),
        str((place.get("artifactLocation") or {}).get("uri") or one.get("ruleId") or "?"),
        int((place.get("region") or {}).get("startLine") or 0),
        str(one["message"]["text"]),
    )


_LISTED = re.compile(r"^\s+\*\s+(\S.*)$", re.MULTILINE)


def read_unformatted(output: str) -> tuple[str, ...]:
    return tuple(_LISTED.findall(output))

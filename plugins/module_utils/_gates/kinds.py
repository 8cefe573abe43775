# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The gates that there are, as data: what each runs, what the project must have for it, and how its answer is read."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import scripts


@dataclass(frozen=True)
class Command:
    argv: tuple[str, ...]  # the words after `mix`
    needs: str = ""  # the dependency that brings the task; "hex" is Hex itself


@dataclass(frozen=True)
class Kind:
    name: str
    title: str
    commands: tuple[Command, ...]
    # unformatted: the files that mix format names; diagnostics, tests, coverage: what our script wrote; sarif: its output; text: its exit code alone.
    reads: str
    script: str = ""  # Elixir that is loaded first
    volatile: bool = False  # what it finds changes without any change of the project, so it always runs


_TESTS = ("test", "--formatter", "ExUnit.CLIFormatter", "--formatter", "AlchemistBeam.Formatter")

KINDS: t.Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("format", "the code is formatted", (Command(("format", "--check-formatted")),), "unformatted"),
        Kind(
            "compile",
            "the code compiles without a warning",
            (Command(("alchemist_beam.compile",)),),
            "diagnostics",
            scripts.COMPILE,
        ),
        Kind("test", "the tests pass", (Command(_TESTS),), "tests", scripts.FORMATTER),
        Kind(
            "coverage",
            "the tests run enough of the code",
            (Command(("alchemist_beam.coverage",)),),
            "coverage",
            scripts.COVERAGE,
        ),
        Kind("unused", "mix.lock locks nothing unused", (Command(("deps.unlock", "--check-unused")),), "text"),
        Kind(
            "cycles",
            "no file waits for itself when it is compiled",
            (Command(("xref", "graph", "--format", "cycles", "--label", "compile-connected", "--fail-above", "0")),),
            "text",
        ),
        Kind(
            "credo",
            "credo finds nothing",
            (Command(("credo", "--strict", "--format", "sarif"), "credo"),),
            "sarif",
        ),
        Kind("dialyzer", "dialyzer finds nothing", (Command(("dialyzer",), "dialyxir"),), "text"),
        Kind(
            "audit",
            "no dependency is retired or has a known hole",
            (Command(("hex.audit",), "hex"), Command(("deps.audit",), "mix_audit")),
            "text",
            volatile=True,
        ),
        Kind(
            "sobelow",
            "sobelow finds nothing",
            (Command(("sobelow", "--format", "sarif", "--exit", "low"), "sobelow"),),
            "sarif",
        ),
    )
}

# The bits of credo's exit code.
CREDO_BITS = ((1, "consistency"), (2, "design"), (4, "readability"), (8, "refactoring"), (16, "warnings"))


def lacking(kind: Kind, dependencies: t.Collection[str], has_hex: bool) -> tuple[tuple[Command, ...], list[str]]:
    """The commands that can run, and what the project lacks for the others."""
    can, lacks = [], []
    for command in kind.commands:
        if not command.needs or command.needs in dependencies or (command.needs == "hex" and has_hex):
            can.append(command)
        else:
            lacks.append("Hex" if command.needs == "hex" else command.needs)
    return tuple(can), lacks

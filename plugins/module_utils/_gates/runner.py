# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Runs gates in a project that is there: each one command or some, within its time limit, and ended with everything that it started."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
import typing as t
from dataclasses import replace

from .._build.command import Finished, run_command
from .._build.toolchain import find_program
from .._errors import BeamError
from .._tree import walk
from . import findings
from .findings import Finding
from .kinds import KINDS, Command, Kind, lacking
from .wanted import Gate

_COVER_DIRS_OF_OTHERS = ("deps", "_build", "node_modules", ".git")


class Runner:
    def __init__(
        self,
        directory: str,
        env: t.Mapping[str, str],
        dependencies: t.Collection[str],
        has_hex: bool,
        retries: int = 0,
        keep_open: t.Sequence[int] = (),
    ) -> None:
        """dependencies: of the project, in this environment. keep_open: locks that the commands hold as long as they live."""
        self.directory = directory
        self.env = dict(env)
        self.dependencies = dependencies
        self.has_hex = has_hex
        self.retries = retries
        self.keep_open = tuple(keep_open)
        self._tests: dict[bool, tuple[Finding, tuple[str, ...]]] = {}

    def run(self, gates: t.Sequence[Gate]) -> t.Iterator[tuple[Gate, Finding]]:
        """One after the other. The coverage comes from the same run of the tests as their own gate."""
        covering = any(gate.name == "coverage" for gate in gates)
        test = next((gate for gate in gates if gate.name == "test"), None)
        for gate in gates:
            started = time.monotonic()
            if gate.name == "test":
                finding = self._tested(gate, covering)[0]
            elif gate.name == "coverage":
                finding = self._coverage(gate, test or replace(gate, name="test", kind=KINDS["test"], floor=None))
            elif gate.kind is None:
                finding = self._own(gate)
            else:
                finding = self._of_kind(gate, gate.kind)
            yield gate, replace(finding, seconds=finding.seconds or round(time.monotonic() - started, 3))

    def _own(self, gate: Gate) -> Finding:
        program = find_program("mix", self.env) if gate.command[0] == "mix" else gate.command[0]
        done = self._command((program, *gate.command[1:]), gate)
        return done if isinstance(done, Finding) else replace(findings.of_text(done), output=done.full)

    def _of_kind(self, gate: Gate, kind: Kind) -> Finding:
        commands, lacks = lacking(kind, self.dependencies, self.has_hex)
        if not commands:
            return findings.skipped(kind, lacks)
        said = ""
        finding = Finding("passed")
        for command in commands:
            finding = self._one(gate, kind, command)
            said += finding.output
            if finding.verdict != "passed":
                break
        note = "%s is not there, so only a part of the gate ran" % " and ".join(lacks) if lacks else ""
        return replace(finding, output=said, reason=finding.reason or note)

    def _one(self, gate: Gate, kind: Kind, command: Command) -> Finding:
        with tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
            answer = os.path.join(scratch, "answer.etf")
            words = [*command.argv, *([answer] if kind.reads == "diagnostics" else []), *gate.arguments]
            done = self._mix(words, gate, kind.script, scratch)
            if isinstance(done, Finding):
                return done
            if kind.reads == "unformatted":
                finding = findings.of_format(done)
            elif kind.reads == "diagnostics":
                finding = findings.of_compile(done, _read(answer))
            elif kind.reads == "sarif":
                finding = findings.of_sarif(kind, done)
            else:
                finding = findings.of_text(done)
            return replace(finding, output=done.full)

    def _tested(self, gate: Gate, covering: bool) -> tuple[Finding, tuple[str, ...]]:
        """The tests, and the files of their coverage."""
        if covering not in self._tests:
            started = time.monotonic()
            export = "alchemist-" + secrets.token_hex(4)
            more = ["--cover", "--export-coverage", export] if covering else []
            finding = self._test_once(gate, more)
            again = 0
            while finding.verdict == "failed" and finding.named and again < self.retries:
                again += 1
                finding = findings.repeated(finding, self._test_once(gate, ["--failed"]), again)
            finding = replace(finding, seconds=round(time.monotonic() - started, 3))
            self._tests[covering] = (finding, tuple(self._exported(export + ".coverdata")) if covering else ())
        return self._tests[covering]

    def _test_once(self, gate: Gate, more: t.Sequence[str]) -> Finding:
        kind = KINDS["test"]
        with tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
            words = [*kind.commands[0].argv, *more, *gate.arguments]
            done = self._mix(words, gate, kind.script, scratch, {"ALCHEMIST_GATE_DIR": scratch})
            if isinstance(done, Finding):
                return done
            names = [name for name in os.listdir(scratch) if name.endswith((".etf", ".begun"))]
            files = {name: _read(os.path.join(scratch, name)) or b"" for name in names}
            return replace(findings.of_tests(done, files), output=done.full)

    def _exported(self, name: str) -> t.Iterator[str]:
        for directory, names, files in walk(self.directory):
            names[:] = [one for one in names if one not in _COVER_DIRS_OF_OTHERS]
            if name in files:
                yield os.path.join(directory, name)

    def _coverage(self, gate: Gate, test: Gate) -> Finding:
        tests, exported = self._tested(test, True)
        kind = KINDS["coverage"]
        try:
            if tests.verdict not in ("passed", "unstable") or not exported:
                return findings.of_coverage(gate, tests, None, None)
            with tempfile.TemporaryDirectory(prefix="alchemist-beam-") as scratch:
                answer = os.path.join(scratch, "answer.etf")
                done = self._mix([*kind.commands[0].argv, answer, *exported], gate, kind.script, scratch)
                if isinstance(done, Finding):
                    return done
                return replace(findings.of_coverage(gate, tests, done, _read(answer)), output=done.full)
        finally:
            for path in exported:
                os.unlink(path)

    def _mix(
        self,
        words: t.Sequence[str],
        gate: Gate,
        script: str,
        scratch: str,
        more: t.Mapping[str, str] | None = None,
    ) -> Finished | Finding:
        """A Mix task. script: what Elixir loads first."""
        if not script:
            return self._command((find_program("mix", self.env), *words), gate, more)
        path = os.path.join(scratch, "gate.exs")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(script)
        return self._command((find_program("elixir", self.env), "-r", path, "-S", "mix", *words), gate, more)

    def _command(
        self, argv: t.Sequence[str], gate: Gate, more: t.Mapping[str, str] | None = None
    ) -> Finished | Finding:
        try:
            done = run_command(argv, self.directory, {**self.env, **(more or {})}, gate.timeout, self.keep_open)
        except BeamError as exc:
            if exc.code == "build_timeout":
                return findings.late(gate.timeout, "\n".join(exc.details.get("output", ())))
            return Finding("failed", "%s: %s" % (exc.what, exc.why), "Install it, or correct the command of the gate")
        unknown = re.search(r'The task "([^"]*)" could not be found', done.full)
        if unknown and done.status != 0:
            why = "mix knows no task %s" % unknown.group(1)
            return Finding("failed", why, "Add the dependency that brings it, or leave the gate out", output=done.full)
        return done


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None

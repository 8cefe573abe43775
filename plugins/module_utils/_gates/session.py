# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the module mix_gate does: from options to the result. Which gates have to run, what they found, and where that is written."""

from __future__ import annotations

import hashlib
import json
import os
import time
import typing as t
from dataclasses import dataclass, replace

from .._build import git
from .._build.build import errors_of_the_disk
from .._build.ours import closed_to_others, refuse_foreign
from .._build.plan import BuildPlan, make_plan
from .._build.request import Request, make_request
from .._build.sources import named
from .._errors import BeamError
from .._mask import Mask
from .._release.gates import MAX_NAMED, Statement, check_commit, stamp
from .._store.base import Store
from .._store.channels import whoami
from .._store.gates import read_statements, write_statement
from .._store.location import open_store
from . import kept as past
from .findings import Finding
from .kept import Kept
from .place import There, checked_out, prepared, same_files
from .reports import junit, lcov
from .table import failure, row_of, table
from .wanted import Gate, make_gates

FORMAT = 1  # changes when a newer collection would judge the same input in another way
_LONGEST = 300  # letters of what a statement names


@dataclass(frozen=True)
class Answer:
    gate: Gate
    finding: Finding
    kept: Kept | None = None  # None: there is no statement
    reused: bool = False
    reports: t.Mapping[str, str] | None = None  # kind -> path


def run_gates(params: t.Mapping[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    started = time.monotonic()
    gates = make_gates(params["gates"], params["timeout"])
    also = [check_commit(commit) for commit in params.get("also") or ()]
    request = make_request({**params, "version": None, "keep": 1}, os.environ)
    store = open_store(params) if params.get("store") else None
    try:
        with errors_of_the_disk(request), closed_to_others(), git.without_credentials(request.repo) as repo:
            for path, option in request.places:
                refuse_foreign(path, option)
            with checked_out(replace(request, repo=repo), check_mode) as there:
                session = Session(there, gates, store, params["retry_failed"], also)
                result = session.rehearse() if check_mode else session.run()
    except BeamError as exc:
        raise request.mask.error(exc) from None
    result["seconds"] = round(time.monotonic() - started, 3)
    bad = failure(result, params["lacking"], params["unstable"])
    if bad is not None and not check_mode:
        raise request.mask.error(bad)
    return result


class Session:
    def __init__(
        self, there: There, gates: tuple[Gate, ...], store: Store | None, retries: int, also: t.Sequence[str]
    ) -> None:
        self.there = there
        self.gates = gates
        self.store = store
        self.retries = retries
        self.plan: BuildPlan = make_plan(replace(there.request, force=False))
        self.warnings = list(there.warnings)
        self.force = there.request.force
        sources = self.plan.sources
        self.commits: tuple[str, ...] = ()
        if sources.git.sha and not sources.git.dirty:
            same, warnings = same_files(sources.root, sources.git.sha, also)
            self.commits = (sources.git.sha, *same)
            self.warnings += warnings
        else:
            self.warnings.append("No statement is written: these sources are of no commit")
        if sources.extra:
            self.warnings.append("No commit has %s: git ignores it, and the gates ran with it" % named(sources.extra))
        self._filed: tuple[Statement, ...] | None = None

    @property
    def mask(self) -> Mask:
        request: Request = self.there.request
        return request.mask

    def inputs(self, gate: Gate) -> str:
        """All that decides what a gate finds, as far as a project can tell. Of a database, the network or the clock it knows nothing."""
        # Coverage is that of the tests with their arguments.
        of_tests = [one.decides() for one in self.gates if one.name == "test"] if gate.name == "coverage" else []
        parts = [FORMAT, self.plan.fingerprint, gate.decides(), of_tests]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _in_store(self) -> tuple[Statement, ...]:
        if self._filed is None:
            self._filed = ()
            if self.store is not None and self.commits:
                try:
                    filed = read_statements(self.store, self.plan.name, self.commits[0])
                    self._filed = tuple(one.statement for one in filed)
                except BeamError as exc:
                    if exc.code != "statement_invalid":
                        raise
                    self.warnings.append(
                        "All gates run, since what the store says of this commit can't be used. %s" % exc
                    )
        return self._filed

    def before(self, gate: Gate) -> Kept | None:
        """What this gate found of the very same inputs, here or wherever it wrote to this store."""
        inputs = self.inputs(gate)
        found = [one for one in self._in_store() if (one.gate, one.inputs) == (gate.name, inputs)]
        here = past.recall(self.there.request.build_dir, self.plan.name, gate.name, inputs)
        if here is not None and (not found or here.statement.finished >= found[0].finished):
            return here
        return Kept(found[0], {}) if found else None

    def _reusable(self, gate: Gate) -> Kept | None:
        if self.force or not self.commits or (gate.kind is not None and gate.kind.volatile):
            return None
        found = self.before(gate)
        return found if found is not None and found.statement.verdict != "failed" else None

    def rehearse(self) -> dict[str, t.Any]:
        answers = []
        for gate in self.gates:
            known = self._reusable(gate)
            answers.append(_of_past(gate, known) if known else Answer(gate, Finding("unknown", "it would run")))
        return self._result(answers, not all(one.reused for one in answers))

    def run(self) -> dict[str, t.Any]:
        known = {gate.name: self._reusable(gate) for gate in self.gates}
        # The coverage comes from a run of the tests. Where that has to be, their gate costs nothing more.
        if "coverage" in known and known["coverage"] is None and "test" in known:
            known["test"] = None
        missing = [gate for gate in self.gates if known[gate.name] is None]
        fresh: dict[str, Answer] = {}
        if missing:
            with prepared(self.plan, self.there.locks, self.retries) as runner:
                for gate, finding in runner.run(missing):
                    fresh[gate.name] = self._keep(gate, finding)
        answers = []
        for gate in self.gates:
            found = known[gate.name]
            answers.append(fresh[gate.name] if found is None else self._again(gate, found))
        changed = self._file(answers)
        past.prune(self.there.request.build_dir)
        return self._result(answers, changed or bool(missing))

    def _keep(self, gate: Gate, finding: Finding) -> Answer:
        finding = self.masked(finding)
        if finding.verdict == "skipped":
            return Answer(gate, finding)
        if not self.commits:
            return Answer(gate, finding)
        finding = self._flaky(gate, finding)
        reports: dict[str, bytes] = {}
        if finding.cases:
            reports["junit"] = junit(finding.cases)
        if finding.covered:
            reports["lcov"] = lcov(finding.covered)
        if finding.sarif is not None:
            reports["sarif"] = (json.dumps(finding.sarif, indent=1) + "\n").encode("ascii")
        found = Kept(self._statement(gate, finding, reports), reports)
        paths = past.keep(self.there.request.build_dir, found, finding.output)
        return Answer(gate, finding, found, False, paths)

    def _flaky(self, gate: Gate, finding: Finding) -> Finding:
        """What failed before with the very same inputs, and passes now."""
        volatile = gate.kind is not None and gate.kind.volatile
        before = None if volatile or finding.verdict != "passed" else self.before(gate)
        if before is None or before.statement.verdict == "passed" or before.statement.counts.get("late"):
            return finding
        why = "it did not pass at %s with the very same inputs" % before.statement.finished
        return replace(
            finding, verdict="unstable", reason=why, hint="Find out what it depends on, other than the commit"
        )

    def masked(self, finding: Finding) -> Finding:
        mask = self.mask
        return replace(
            finding,
            reason=mask.text(finding.reason),
            named=tuple(mask.each(finding.named)),
            cases=tuple(replace(case, text=mask.text(case.text), name=mask.text(case.name)) for case in finding.cases),
            sarif=mask.data(finding.sarif),
            output=mask.text(finding.output),
            counts={**finding.counts, **({"late": 1} if finding.late else {})},
        )

    def _statement(self, gate: Gate, finding: Finding, reports: t.Mapping[str, bytes]) -> Statement:
        return Statement(
            self.plan.name,
            gate.name,
            finding.verdict,
            self.commits,
            self.plan.sources.digest,
            self.inputs(gate),
            stamp(),
            finding.seconds,
            whoami(),
            finding.reason[:2000],
            finding.counts,
            finding.coverage,
            tuple(name[:_LONGEST] for name in finding.named[:MAX_NAMED]),
            {kind: hashlib.sha256(data).hexdigest() for kind, data in reports.items()},
        )

    def _again(self, gate: Gate, found: Kept) -> Answer:
        """The same statement; for a commit with the same files that it does not name, one that names it, and the time of the run."""
        kept = found
        if set(self.commits) - set(found.statement.commits):
            kept = Kept(replace(found.statement, commits=self.commits), found.reports)
        answer = _of_past(gate, kept)
        return replace(answer, reports=past.paths(self.there.request.build_dir, kept) if kept.reports else {})

    def _file(self, answers: t.Sequence[Answer]) -> bool:
        if self.store is None:
            return False
        known = {one.id for one in self._in_store()}
        written: list[bool] = []
        for answer in answers:
            if answer.kept is not None and (answer.kept.statement.id not in known or not answer.reused):
                written += write_statement(self.store, answer.kept.statement, answer.kept.reports).values()
        return any(written)

    def _result(self, answers: t.Sequence[Answer], changed: bool) -> dict[str, t.Any]:
        rows = [row_of(one.gate, one.finding, one.kept, one.reused, one.reports or {}) for one in answers]
        return {
            "changed": changed,
            "name": self.plan.name,
            "commit": self.plan.sources.git.sha,
            "commits": list(self.commits),
            "sources": self.plan.sources.digest,
            "ref": self.there.ref,
            "passed": all(row["verdict"] in ("passed", "unstable") for row in rows),
            "gates": rows,
            "table": table(rows),
            "warnings": self.warnings,
            "output": {one.gate.name: one.finding.output.splitlines()[-40:] for one in answers if one.finding.output},
        }


def _of_past(gate: Gate, found: Kept) -> Answer:
    one = found.statement
    finding = Finding(
        one.verdict, one.reason, counts=one.counts, coverage=one.coverage, named=one.named, seconds=one.seconds
    )
    return Answer(gate, finding, found, True)

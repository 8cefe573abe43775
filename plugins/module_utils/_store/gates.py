# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What gates found of a commit: statements and their reports, written once, the reports first."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._release.gates import MAX_STATEMENT_BYTES, REPORTS, RESULTS, Statement, check_gate, parse_statement
from .._release.names import check_digest
from .base import Store, named
from .check import prove_conditions
from .keys import gate_key, gates_prefix
from .parallel import parallel

MAX_STATEMENTS = 500  # of one commit
MAX_REPORT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Filed:
    key: str
    statement: Statement


def write_statement(store: Store, statement: Statement, reports: t.Mapping[str, bytes]) -> dict[str, bool]:
    """key of the statement -> whether it is new, for each commit that it is of. reports: by their kind."""
    prove_conditions(store)
    data, written = statement.to_bytes(), {}
    for commit in statement.commits:
        for kind, content in sorted(reports.items()):
            key = gate_key(statement.name, commit, statement.gate, statement.id, REPORTS[kind])
            store.put_if_absent(key, content, len(content))
        key = gate_key(statement.name, commit, statement.gate, statement.id)
        written[key] = store.put_if_absent(key, data, len(data))
    return written


def statement_keys(store: Store, name: str, commit: str) -> dict[str, tuple[str, str]]:
    """key -> gate, sha256 of the statement."""
    start = gates_prefix(name, commit)
    found: dict[str, tuple[str, str]] = {}
    for row in store.list(start):
        gate, dash, rest = row.key[len(start) :].partition("-")
        if not rest.endswith(".json") or rest.endswith("." + REPORTS["sarif"]):
            continue
        try:
            found[row.key] = (check_gate(gate), check_digest(rest[: -len(".json")]))
        except BeamError as exc:
            raise BeamError(
                "statement_invalid",
                "%s of the store %s is no statement of a gate" % (row.key, store.location),
                "its name is not that of a gate and a sha256" if dash else "its name has no sha256",
                "Find out who wrote it, and remove it",
            ) from exc
        if len(found) > MAX_STATEMENTS:
            raise BeamError(
                "statements_too_many",
                "%s of the store %s holds more than %d statements" % (start, store.location, MAX_STATEMENTS),
                "so many were never written by this collection for one commit",
                "Find out who wrote them, and remove them",
            )
    return found


def _age(filed: Filed) -> tuple[str, int, str]:
    return filed.statement.finished, list(RESULTS).index(filed.statement.verdict), filed.key


def read_statements(store: Store, name: str, commit: str, gates: t.Collection[str] | None = None) -> tuple[Filed, ...]:
    """The statements of a commit, the newest first, and of one second the worst. gates: only those of these gates."""
    keys = statement_keys(store, name, commit)
    chosen = [(key, *about) for key, about in keys.items() if gates is None or about[0] in gates]

    def read(one: tuple[str, str, str]) -> Filed:
        key, gate, digest = one
        with named(store.location, key):
            data = store.get(key, MAX_STATEMENT_BYTES).data
            return Filed(key, parse_statement(data, name, gate, commit, digest))

    found = parallel(read, chosen)
    return tuple(sorted(found, key=_age, reverse=True))

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statement of a gate: it reads back as it was, and anything else is refused with the reason."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.gates import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Statement,
    parse_statement,
)

COMMIT, OTHER = "a" * 40, "b" * 40
GOOD = Statement(
    "shop",
    "test",
    "passed",
    (COMMIT,),
    "1" * 64,
    "2" * 64,
    "2026-03-01T12:00:00Z",
    3.5,
    "ci@build1",
    counts={"passed": 12, "failed": 0},
    reports={"junit": "3" * 64},
)


def read(data: bytes, **changes: t.Any) -> Statement:
    return parse_statement(data, **{"name": "shop", "gate": "test", "commit": COMMIT, **changes})


def test_it_is_an_in_toto_statement_of_a_test_result() -> None:
    doc = json.loads(GOOD.to_bytes())
    assert (doc["_type"], doc["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    assert doc["subject"][0] == {"name": "shop", "digest": {"gitCommit": COMMIT}}
    assert doc["predicate"]["result"] == "PASSED" and doc["predicate"]["configuration"]
    assert read(GOOD.to_bytes(), digest=GOOD.id) == GOOD


@pytest.mark.parametrize(
    ("verdict", "result", "key"), [("failed", "FAILED", "failedTests"), ("unstable", "WARNED", "warnedTests")]
)
def test_what_did_not_pass_is_named(verdict: str, result: str, key: str) -> None:
    made = dataclasses.replace(GOOD, verdict=verdict, named=("ShopTest: a",), reason="why", coverage=81.25)
    doc = json.loads(made.to_bytes())
    assert doc["predicate"]["result"] == result and doc["predicate"][key] == ["ShopTest: a"]
    assert read(made.to_bytes()) == made


def test_one_of_several_commits_with_the_same_files() -> None:
    both = dataclasses.replace(GOOD, commits=(OTHER, COMMIT))
    assert read(both.to_bytes()) == both


def changed(*path: t.Any, to: t.Any) -> bytes:
    doc = json.loads(GOOD.to_bytes())
    place = doc
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return (json.dumps(doc, sort_keys=True, indent=1) + "\n").encode()


OWN = ("predicate", "alchemist_beam")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Expecting value"),
        (b"[]", "list indices"),
        (b"[" * 5000 + b"]" * 5000, "nested"),
        (GOOD.to_bytes()[:-20], ""),
        (b" " * 300_000, "more than"),
        (changed("_type", to="https://in-toto.io/Statement/v0.1"), "no in-toto Statement"),
        (changed("predicateType", to="https://slsa.dev/provenance/v1"), "no in-toto Statement"),
        (changed("predicate", "result", to="FAILED"), "was not written by this collection"),
        (changed(*OWN, "verdict", to="great"), "its verdict is 'great'"),
        (changed(*OWN, "verdict", to=[]), "unhashable"),
        (changed(*OWN, "schema", to=2), "its schema is 2"),
        (changed(*OWN, "finished", to="yesterday"), "yesterday"),
        (changed(*OWN, "coverage", to=1e300), "its coverage"),
        (changed(*OWN, "coverage", to=True), "its coverage"),
        (changed(*OWN, "seconds", to=-1), "its seconds"),
        (changed(*OWN, "counts", to={"failed": "0"}), "no numbers"),
        (changed(*OWN, "by", to=3), "a text of it"),
        (changed(*OWN, "reports", to={"exe": "3" * 64}), "report that is unknown"),
        (changed(*OWN, "name", to="other"), "of the gate test of other"),
        (changed(*OWN, "gate", to="credo"), "of the gate credo of shop"),
        (changed("subject", 0, "digest", "gitCommit", to=OTHER), "it is of the commit bbbbbbbbbbbb"),
        (changed("subject", 0, "digest", "gitCommit", to="main"), "is not a commit"),
        (changed("subject", to=[]), "index out of range"),
        (changed(*OWN, "note", to="more"), "holds more than it knows"),
    ],
)
def test_anything_else_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(BeamError) as caught:
        read(data)
    assert caught.value.code == "statement_invalid" and said in caught.value.message
    assert "the gate test of shop aaaaaaaaaaaa" in caught.value.message


def test_its_name_is_the_sha256_of_its_bytes() -> None:
    data = changed(*OWN, "by", to="somebody@else")
    assert read(data, digest=hashlib.sha256(data).hexdigest()).by == "somebody@else"
    with pytest.raises(BeamError, match="changed after it was written"):
        read(data, digest=GOOD.id)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tools say becomes a verdict. No data, half of the data and unreadable data are never a pass."""

from __future__ import annotations

import json
import typing as t
import xml.etree.ElementTree as Xml

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.command import Finished
from ansible_collections.alchemist.beam.plugins.module_utils._gates import findings
from ansible_collections.alchemist.beam.plugins.module_utils._gates.kinds import KINDS, lacking
from ansible_collections.alchemist.beam.plugins.module_utils._gates.reports import junit, lcov
from ansible_collections.alchemist.beam.plugins.module_utils._gates.results import Case, Covered, percentage
from ansible_collections.alchemist.beam.plugins.module_utils._gates.wanted import make_gates
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom, encode

OK, BROKEN = Finished(0, ""), Finished(2, "")
Row = tuple[bytes, bytes, Atom, int, bytes, int, bytes]


def row(name: str = "test a", outcome: str = "passed", said: str = "") -> Row:
    return (b"ShopTest", name.encode(), Atom(outcome), 1500, b"test/shop_test.exs", 3, said.encode())


def run(*rows: Row, modules: t.Sequence[tuple[bytes, bytes]] = (), app: bytes = b"shop") -> bytes:
    return encode((Atom("alchemist_gate"), 1, app, list(rows), list(modules)))


@pytest.mark.parametrize(
    ("done", "files", "verdict", "reason"),
    [
        (OK, {"shop-1.etf": run(row())}, "passed", ""),
        (OK, {"a-1.etf": run(row(), app=b"a"), "b-2.etf": run(row(), app=b"b")}, "passed", ""),
        # mix test ends with 0 if there are no tests at all.
        (OK, {}, "failed", "no tests ran"),
        (OK, {"shop-1.etf": run()}, "failed", "no tests ran"),
        (OK, {"shop-1.etf": run(row(outcome="skipped"), row("test b", "excluded"))}, "failed", "all tests are skipped"),
        (OK, {"shop-1.begun": b""}, "failed", "the tests of shop began"),
        (OK, {"a-1.etf": run(row()), "my-b-2.begun": b""}, "failed", "the tests of my-b began"),
        (OK, {"shop-1.etf": run(row())[:-4]}, "failed", "cut off"),
        (OK, {"shop-1.etf": b""}, "failed", "cut off"),
        (OK, {"shop-1.etf": encode((Atom("other"), 1))}, "failed", "of another form"),
        (OK, {"shop-1.etf": encode((Atom("alchemist_gate"), 1, b"a", [(1, 2)], []))}, "failed", "of another form"),
        (OK, {"shop-1.etf": run(row(outcome="great"))}, "failed", "of another form"),
        # Each of the two alone is enough.
        (OK, {"shop-1.etf": run(row(), row("test b", "failed"))}, "failed", "1 of 2 tests failed: ShopTest: test b"),
        (BROKEN, {"shop-1.etf": run(row())}, "failed", "no test failed, but it ended with 2"),
        (OK, {"shop-1.etf": run(row(), modules=[(b"ShopTest", b"boom")])}, "failed", "ShopTest: setup_all"),
        (Finished(-9, ""), {"shop-1.begun": b""}, "failed", "it was killed by signal 9"),
    ],
)
def test_tests(done: Finished, files: dict[str, bytes], verdict: str, reason: str) -> None:
    found = findings.of_tests(done, files)
    assert found.verdict == verdict and reason in found.reason


def test_what_passes_only_when_repeated_is_unstable() -> None:
    first = findings.of_tests(BROKEN, {"shop-1.etf": run(row(), row("test b", "failed"), row("test c", "failed"))})
    one = findings.of_tests(OK, {"shop-1.etf": run(row("test b"))})
    both = findings.of_tests(OK, {"shop-1.etf": run(row("test b"), row("test c"))})
    assert findings.repeated(first, first, 1) is first
    assert findings.repeated(first, one, 1) is first, "one of them did not run again"
    found = findings.repeated(first, both, 1)
    assert found.verdict == "unstable" and found.named == first.named and found.counts["repeated"] == 1


def diagnostics(*severities: str, statuses: t.Sequence[str] = ("ok",)) -> bytes:
    rows = [(Atom(one), b"lib/shop.ex", 7, b"a is unused\nmore") for one in severities]
    return encode((Atom("alchemist_gate"), 1, [Atom(one) for one in statuses], rows))


@pytest.mark.parametrize(
    ("done", "data", "verdict", "reason"),
    [
        (OK, diagnostics(), "passed", ""),
        (OK, diagnostics("information", "hint"), "passed", ""),
        (OK, diagnostics("warning"), "failed", "1 warning: lib/shop.ex:7: a is unused"),
        (Finished(1, ""), diagnostics("error", "warning", "warning"), "failed", "2 warnings, 1 error"),
        (OK, diagnostics(statuses=["ok", "error"]), "failed", "it ended with 0"),
        (OK, diagnostics(statuses=[]), "failed", "it ended with 0"),
        (OK, None, "failed", "the results of the compiler were not written"),
        (Finished(1, ""), diagnostics()[:9], "failed", "cut off"),
    ],
)
def test_compile(done: Finished, data: bytes | None, verdict: str, reason: str) -> None:
    found = findings.of_compile(done, data)
    assert found.verdict == verdict and reason in found.reason


COVERED = encode((Atom("alchemist_gate"), 1, [(b"Shop", b"lib/shop.ex", [(3, 2), (4, 0), (9, 1), (10, 1)])]))
NOTHING = encode((Atom("alchemist_gate"), 1, [(b"Shop", b"lib/shop.ex", [])]))


@pytest.mark.parametrize(
    ("floor", "data", "verdict", "reason"),
    [
        (None, COVERED, "passed", ""),
        (75, COVERED, "passed", ""),
        (75.1, COVERED, "failed", "75.00 % of the lines ran, and the floor is 75.1 %"),
        (0, NOTHING, "failed", "no line of code"),
        (None, None, "failed", "were not written"),
        (None, COVERED[:20], "failed", "cut off"),
    ],
)
def test_coverage(floor: float | None, data: bytes | None, verdict: str, reason: str) -> None:
    gate = make_gates([{"name": "coverage", "floor": floor}], 60)[0]
    tests = findings.of_tests(OK, {"shop-1.etf": run(row())})
    found = findings.of_coverage(gate, tests, OK, data)
    assert found.verdict == verdict and reason in found.reason
    # The coverage of tests that failed says nothing.
    failed = findings.of_tests(BROKEN, {"shop-1.etf": run(row(outcome="failed"))})
    assert findings.of_coverage(gate, failed, OK, data).verdict == "failed"
    assert "exported no coverage" in findings.of_coverage(gate, tests, None, None).reason


UNFORMATTED = """** (Mix) mix format failed due to --check-formatted.
The following files are not formatted:

  * lib/a.ex
  * test/b_test.exs
"""


def test_format() -> None:
    found = findings.of_format(Finished(1, "", UNFORMATTED))
    assert found.verdict == "failed" and found.named == ("lib/a.ex", "test/b_test.exs")
    assert found.reason == "2 files are not formatted: lib/a.ex; test/b_test.exs"
    assert findings.of_format(Finished(1, "", "** (Mix) Expected one or more files")).reason == "it ended with 1"
    assert findings.of_format(Finished(0, "")).verdict == "passed"


# As credo 1.7 prints it, shortened, after what the compiler says.
RESULT = {
    "level": "warning",
    "ruleId": "EX5026",
    "message": {"text": "Modules should have a @moduledoc tag."},
    "locations": [
        {
            "physicalLocation": {"artifactLocation": {"uri": "lib/shop.ex"}, "region": {"startLine": 1}},
            "logicalLocations": [],
        }
    ],
}
SARIF = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Credo"}}, "results": [RESULT]}]}
BEFORE = "Compiling 3 files (.ex)\n{:ok, []}\n"


@pytest.mark.parametrize(
    ("kind", "status", "document", "verdict", "reason"),
    [
        ("credo", 0, {"runs": [{"results": []}]}, "passed", ""),
        ("credo", 20, SARIF, "failed", "readability, warnings: lib/shop.ex:1: Modules should"),
        ("credo", 128, SARIF, "failed", "lib/shop.ex:1"),
        ("sobelow", 1, SARIF, "failed", "lib/shop.ex:1: Modules"),
        ("sobelow", 0, SARIF, "passed", ""),
        ("sobelow", 0, {"version": "2.1.0"}, "failed", "no SARIF document"),
        ("credo", 0, {"runs": [{"results": [{}]}]}, "failed", "no SARIF document"),
    ],
)
def test_sarif(kind: str, status: int, document: t.Any, verdict: str, reason: str) -> None:
    found = findings.of_sarif(KINDS[kind], Finished(status, "", BEFORE + json.dumps(document, indent=2) + "\n"))
    assert found.verdict == verdict and reason in found.reason


def test_a_tool_that_prints_nothing_has_not_passed() -> None:
    assert findings.of_sarif(KINDS["credo"], Finished(0, "", "")).verdict == "failed"


def test_what_a_project_lacks_is_named() -> None:
    assert lacking(KINDS["format"], (), False) == (KINDS["format"].commands, [])
    assert lacking(KINDS["audit"], (), False) == ((), ["Hex", "mix_audit"])
    assert [one.argv[0] for one in lacking(KINDS["audit"], ("mix_audit",), False)[0]] == ["deps.audit"]
    found = findings.skipped(KINDS["credo"], ["credo"])
    assert found.verdict == "skipped" and "credo is no dependency" in found.reason and "mix.exs" in found.hint
    assert "Hex is not installed" in findings.skipped(KINDS["audit"], ["Hex", "mix_audit"]).reason


def test_reports_are_read_by_others() -> None:
    cases = [
        Case("shop", "ShopTest", 'test <a> & "b" \x1b', "failed", 0.25, "test/a.exs", 3, "left < right & token"),
        Case("shop", "ShopTest", "test c", "passed", 0.5, "test/a.exs", 9),
        Case("shop", "ShopTest", "test d", "skipped", 0.0, "test/a.exs", 12, "due to skip tag"),
        Case("shop", "ShopTest", "test e", "excluded", 0.0, "test/a.exs", 15),
    ]
    root = Xml.fromstring(junit(cases))
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "0", "skipped": "1", "time": "0.750000"}
    suite = root[0]
    assert suite.attrib["name"] == "ShopTest" and [one.attrib["name"] for one in suite][0] == 'test <a> & "b" \ufffd'
    assert suite[0][0].tag == "failure" and suite[0][0].text == "left < right & token" and suite[2][0].tag == "skipped"
    rows = [Covered("A", "lib/a.ex", ((1, 2), (3, 0))), Covered("A.B", "lib/a.ex", ((3, 1),))]
    assert lcov(rows) == b"SF:lib/a.ex\nDA:1,2\nDA:3,1\nLF:2\nLH:2\nend_of_record\n"
    assert percentage(rows) == 66.67 and percentage([]) is None

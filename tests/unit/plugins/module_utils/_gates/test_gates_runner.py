# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How gates run: with programs that stand in for mix and elixir. tests/integration/targets/mix_gate has the real ones."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.command import build_environment
from ansible_collections.alchemist.beam.plugins.module_utils._gates.findings import Finding
from ansible_collections.alchemist.beam.plugins.module_utils._gates.runner import Runner
from ansible_collections.alchemist.beam.plugins.module_utils._gates.wanted import make_gates
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom, encode

# mix and elixir are the same program: it notes its words, and does what the file of the task's name says.
PROGRAM = """#!/bin/sh
echo "$*" >>"$SITE/calls"
case "$1" in -r) shift 4 ;; esac
[ -f "$SITE/$1" ] || exit 0
. "$SITE/$1"
"""


class Site:
    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("mix", "elixir"):
            (root / name).write_text(PROGRAM)
            (root / name).chmod(0o755)
        (root / "project").mkdir()

    def does(self, task: str, script: str) -> None:
        (self.root / task).write_text(script)

    def leaves(self, name: str, *outcomes: str) -> str:
        """A file as the formatter leaves it."""
        rows = [(b"T", b"test %d" % at, Atom(one), 1, b"t.exs", at, b"") for at, one in enumerate(outcomes)]
        (self.root / name).write_bytes(encode((Atom("alchemist_gate"), 1, b"shop", rows, [])))
        return 'cp "$SITE/%s" "$ALCHEMIST_GATE_DIR/%s.etf"\n' % (name, name)

    def run(self, *gates: t.Any, retries: int = 0, dependencies: t.Collection[str] = ()) -> dict[str, Finding]:
        env = build_environment({"SITE": str(self.root)}, str(self.root))
        runner = Runner(str(self.root / "project"), env, dependencies, False, retries)
        return {gate.name: finding for gate, finding in runner.run(make_gates(list(gates), 30))}

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def alive(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_gate_that_hangs_is_ended_with_all_its_children(site: Site) -> None:
    site.does("hang", 'setsid sh -c "sleep 60 & echo \\$! >$SITE/pid; wait" &\nwait\n')
    started = time.monotonic()
    found = site.run({"name": "own", "command": "mix hang", "timeout": 1}, "format")
    assert time.monotonic() - started < 20
    assert found["own"].verdict == "failed" and found["own"].late and "did not end within 1 s" in found["own"].reason
    assert found["format"].verdict == "passed", "the next one runs all the same"
    assert not alive(int((site.root / "pid").read_text()))


def test_tests_and_their_coverage_are_one_run(site: Site) -> None:
    cover = site.root / "coverdata"
    cover.write_bytes(encode((Atom("alchemist_gate"), 1, [(b"Shop", b"lib/shop.ex", [(1, 1), (2, 0)])])))
    site.does(
        "test",
        site.leaves("first", "passed", "passed")
        + 'while [ "$1" != --export-coverage ]; do shift; done; mkdir -p cover deps/a; echo x >"cover/$2.coverdata"; cp "cover/$2.coverdata" deps/a',
    )
    site.does("alchemist_beam.coverage", 'cp "$SITE/coverdata" "$2"; echo "$3" >"$SITE/exported"\n')
    found = site.run("coverage", "test")
    assert [one.verdict for one in found.values()] == ["passed", "passed"] and found["coverage"].coverage == 50.0
    assert sum(" test " in call for call in site.calls) == 1
    exported = Path((site.root / "exported").read_text().strip())
    assert exported.parent.name == "cover" and not exported.exists(), "what it wrote is taken away again"


def test_without_a_result_there_is_no_pass(site: Site) -> None:
    """All programs end with 0 and write nothing, as an alias `test` in mix.exs may do that leads nowhere."""
    found = site.run("compile", "test", "coverage", "credo", dependencies={"credo"})
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(found, "failed")


def test_coverage_without_the_gate_test_runs_the_tests(site: Site) -> None:
    site.does("test", site.leaves("first", "failed") + "exit 2")
    found = site.run("coverage")
    assert "the tests did not pass: 1 of 1 tests failed" in found["coverage"].reason
    assert sum(" test " in call for call in site.calls) == 1


def test_failed_tests_are_repeated(site: Site) -> None:
    again = site.leaves("again", "passed")
    site.does(
        "test",
        'case "$*" in *--failed*) %s;; *) %sexit 2;; esac' % (again.strip(), site.leaves("first", "failed", "passed")),
    )
    assert site.run("test")["test"].verdict == "failed"
    found = site.run("test", retries=2)["test"]
    assert found.verdict == "unstable" and found.named == ("T: test 0 (t.exs:0)",)


def test_what_is_not_there_is_named(site: Site) -> None:
    site.does("licenses", 'echo "** (Mix) The task \\"licenses\\" could not be found"; exit 1\n')
    found = site.run(
        "credo", "dialyzer", {"name": "own", "command": "mix licenses"}, {"name": "other", "command": "/nowhere/x"}
    )
    assert found["credo"].verdict == found["dialyzer"].verdict == "skipped"
    assert "dialyxir is no dependency" in found["dialyzer"].reason
    assert found["own"].reason == "mix knows no task licenses" and found["other"].verdict == "failed"


# Written after the formats of dialyxir 1.4, Hex 2.0 and mix_audit 2.1: these can't be installed where the tests run.
DIALYZER = """Finding suitable PLTs
Total errors: 1, Skipped: 0, Unnecessary Skips: 0
lib/shop.ex:7:no_return
Function total/1 has no local return.
done (warnings were emitted)
Halting VM with exit status 2
"""
RETIRED = """Dependency  Version  Retirement reason
cowlib      2.0.0    (deprecated)
Found retired packages
"""


@pytest.mark.parametrize(
    ("gate", "dependency", "task", "said", "status"),
    [
        ("dialyzer", "dialyxir", "dialyzer", DIALYZER, 2),
        ("audit", "mix_audit", "deps.audit", "Vulnerabilities found!\n", 1),
        ("unused", "", "deps.unlock", "** (Mix) Unused dependencies in mix.lock file:\n\n  * :jason\n", 1),
        ("cycles", "", "xref", "** (Mix) Too many cycles (found: 1, permitted: 0)\n", 1),
        ("sobelow", "sobelow", "sobelow", json.dumps({"runs": [{"results": [{"message": {"text": "XSS"}}]}]}), 1),
    ],
)
def test_tools_by_their_exit_code(site: Site, gate: str, dependency: str, task: str, said: str, status: int) -> None:
    (site.root / "said").write_text(said)
    site.does(task, 'cat "$SITE/said"; exit %d\n' % status)
    found = site.run(gate, dependencies={dependency})[gate]
    assert found.verdict == "failed" and found.reason and said.strip().splitlines()[0] in found.output
    site.does(task, 'echo "{\\"runs\\": []}"\n')
    assert site.run(gate, dependencies={dependency})[gate].verdict == "passed"


def test_the_caller_s_secrets_are_not_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    site.does("look", 'echo "key=$AWS_SECRET_ACCESS_KEY"\n')
    assert site.run({"name": "own", "command": "mix look"})["own"].output == "key="
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret"

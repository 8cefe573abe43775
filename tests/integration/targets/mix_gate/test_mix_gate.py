# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mix_gate with real Elixir: what passes, what does not, and that nothing is a pass by accident."""

from __future__ import annotations

import time
import typing as t
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._gates.session import run_gates
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.module_utils._store.gates import read_statements
from mix_project import MIX_EXS, MixProject, git

DEFAULTS: dict[str, t.Any] = {
    "mix_env": "test",
    "deps": "locked",
    "timeout": 120,
    "force": False,
    "allow_dirty": False,
    "retry_failed": 0,
    "lacking": "fail",
    "unstable": "pass",
}
DEMO = """
defmodule Demo do
  def answer(true), do: :yes
  def answer(false), do: :no
end
"""
TEST = """
defmodule DemoTest do
  use ExUnit.Case

  test "the <answer> & more" do
    assert Demo.answer(true) == :yes
  end
end
"""


class Gated:
    def __init__(self, root: Path) -> None:
        self.project = MixProject(root / "demo")
        self.project.write(".formatter.exs", '[inputs: ["{lib,test}/**/*.{ex,exs}"]]\n')
        self.project.write("lib/demo.ex", DEMO)
        self.project.write("test/test_helper.exs", "ExUnit.start()\n")
        self.project.write("test/demo_test.exs", TEST)
        self.commit = self.project.commit()
        (root / "store").mkdir()
        self.store = DirectoryStore(str(root / "store"))

    def write(self, name: str, text: str) -> None:
        self.project.write(name, text)
        self.commit = self.project.commit()

    def run(self, *gates: t.Any, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """The result, also if a gate does not pass."""
        store = "file://" + self.store.root
        params = {**DEFAULTS, "project_dir": str(self.project.root), "store": store, "gates": list(gates), **options}
        try:
            return run_gates(params, check_mode)
        except BeamError as exc:
            if exc.code != "gate_failed":
                raise
            return {**exc.details, "msg": exc.message}

    def verdicts(self, *gates: t.Any, **options: t.Any) -> list[str]:
        return [row["verdict"] for row in self.run(*gates, **options)["gates"]]

    def stated(self) -> dict[str, str]:
        found = read_statements(self.store, "demo", self.commit)
        return {one.statement.gate: one.statement.verdict for one in reversed(found)}


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(tmp_path)


def test_what_passes_is_stated_and_not_looked_at_again(gated: Gated) -> None:
    gates = ("format", "compile", "test", {"name": "coverage", "floor": 50}, "unused", "cycles")
    assert [row["verdict"] for row in gated.run(*gates, check_mode=True)["gates"]] == ["unknown"] * 6
    assert gated.stated() == {}
    made = gated.run(*gates)
    assert (
        made["changed"]
        and made["passed"]
        and gated.stated() == dict.fromkeys(["format", "compile", "test", "coverage", "unused", "cycles"], "passed")
    )
    rows = {row["gate"]: row for row in made["gates"]}
    assert rows["test"]["counts"]["passed"] == 1 and 50 <= rows["coverage"]["coverage"] < 100
    suite = Xml.parse(rows["test"]["reports"]["junit"]).getroot()[0]
    assert suite.attrib["name"] == "DemoTest" and suite[0].attrib["name"] == "test the <answer> & more"
    lines = Path(rows["coverage"]["reports"]["lcov"]).read_text().splitlines()
    assert lines[0] == "SF:lib/demo.ex" and "end_of_record" in lines
    assert git(gated.project.root, "status", "--porcelain") == "", "nothing is left behind"

    started = time.monotonic()
    again = gated.run(*gates)
    assert not again["changed"] and all(row["reused"] for row in again["gates"]) and time.monotonic() - started < 3
    # Another commit with the same files gets its statement, with the time of the run.
    first = gated.commit
    gated.commit = gated.project.commit()
    other = gated.run(*gates, also=[first, "f" * 40])
    assert (
        other["changed"] and all(row["reused"] for row in other["gates"]) and other["commits"] == [gated.commit, first]
    )
    assert gated.stated()["test"] == "passed" and "ffffffffffff gets no statement" in other["warnings"][-1]
    # A higher floor is another question.
    higher = gated.run({"name": "coverage", "floor": 99})["gates"][0]
    assert higher["verdict"] == "failed" and "the floor is 99 %" in higher["reason"]


def test_what_does_not_pass(gated: Gated) -> None:
    gated.project.write("lib/demo.ex", DEMO.replace("do: :yes", "do: ( x = 1; :yes)"))
    gated.write("test/demo_test.exs", TEST.replace("== :yes", "== :no"))
    found = gated.run("format", "compile", "test", "coverage", "credo", "audit")
    assert [row["verdict"] for row in found["gates"]] == ["failed"] * 4 + ["skipped"] * 2
    reasons = [row["reason"] for row in found["gates"]]
    assert "lib/demo.ex" in reasons[0] and 'lib/demo.ex:2: variable "x" is unused' in reasons[1]
    assert "1 of 1 tests failed: DemoTest: test the <answer> & more (test/demo_test.exs:4)" in reasons[2]
    assert "the tests did not pass" in reasons[3] and "credo is no dependency" in reasons[4]
    assert gated.stated() == dict.fromkeys(["format", "compile", "test", "coverage"], "failed")
    assert "does not pass the gates format, compile" in found["msg"] and "Traceback" not in found["msg"]


def test_nothing_is_a_pass_by_accident(gated: Gated) -> None:
    """Each of these ends with 0."""
    gated.write("test/demo_test.exs", TEST.replace("  test ", "  @tag :skip\n  test "))
    assert gated.verdicts("test") == ["failed"]
    gated.write("test/demo_test.exs", TEST.replace("assert", "System.halt(0)\n    assert"))
    assert "began, and their results were not written" in gated.run("test")["gates"][0]["reason"]
    (gated.project.root / "test/demo_test.exs").unlink()
    gated.commit = gated.project.commit()
    assert "no tests ran" in gated.run("test")["gates"][0]["reason"]
    gated.project.write("test/demo_test.exs", TEST)
    gated.write("mix.exs", MIX_EXS.replace("deps: []", "deps: [], aliases: [test: fn _ -> :ok end]"))
    assert gated.verdicts("test", "coverage") == ["failed", "failed"]


def test_what_passes_only_when_repeated(gated: Gated, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    flaky = TEST.replace(
        "assert", 'seen = File.exists?("%s")\n    File.write!("%s", "")\n    assert seen and' % (mark, mark)
    )
    gated.write("test/demo_test.exs", flaky)
    row = gated.run("test", retry_failed=1)["gates"][0]
    assert row["verdict"] == "unstable" and row["named"] == [
        "DemoTest: test the <answer> & more (test/demo_test.exs:4)"
    ]
    # Also by hand: a second run of the same commit.
    mark.unlink()
    gated.write("README", "another commit")
    assert gated.verdicts("test") == ["failed"]
    again = gated.run("test")["gates"][0]
    assert again["verdict"] == "unstable" and "with the very same inputs" in again["reason"]
    assert gated.verdicts("test", unstable="fail") == gated.verdicts("test", force=True) == ["unstable"]


def test_a_gate_that_hangs_and_a_project_that_differs_from_its_commit(gated: Gated) -> None:
    gated.write("test/demo_test.exs", TEST.replace("assert", "Process.sleep(60_000)\n    assert"))
    started = time.monotonic()
    row = gated.run({"name": "test", "timeout": 3})["gates"][0]
    assert row["verdict"] == "failed" and "did not end within 3 s" in row["reason"] and time.monotonic() - started < 20
    gated.project.write("test/demo_test.exs", TEST)
    with pytest.raises(BeamError, match="test/demo_test.exs"):
        gated.run("test")
    before = gated.stated()
    dirty = gated.run("test", allow_dirty=True)
    assert dirty["passed"] and dirty["gates"][0]["statement"] is None and gated.stated() == before


def test_an_umbrella_is_one_result(gated: Gated) -> None:
    root = gated.project.root
    for name in ("lib/demo.ex", "test/demo_test.exs", "test/test_helper.exs"):
        for app in ("one", "two"):
            text = (root / name).read_text().replace("Demo", "Demo" + app.capitalize())
            gated.project.write("apps/%s/%s" % (app, name), text)
        (root / name).unlink()
    for app in ("one", "two"):
        child = MIX_EXS.replace(":demo", ":" + app).replace("Demo.", "Demo%s." % app.capitalize())
        gated.project.write("apps/%s/mix.exs" % app, child.replace("deps: []", 'build_path: "../../_build", deps: []'))
    top = MIX_EXS.replace(
        "[app: :demo, version",
        '[apps_path: "apps", releases: [demo: [version: "1.0.0", applications: [one: :permanent]]], version',
    )
    gated.write("mix.exs", top.replace("\n  def application, do: []", ""))
    found = gated.run("compile", "test", "coverage")
    assert found["passed"] and found["gates"][1]["counts"]["passed"] == 2
    text = Path(found["gates"][2]["reports"]["lcov"]).read_text()
    assert "SF:apps/one/lib/demo.ex" in text and "SF:apps/two/lib/demo.ex" in text

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build import needs
from ansible_collections.alchemist.beam.plugins.module_utils._build.plan import BuildPlan
from ansible_collections.alchemist.beam.plugins.module_utils._build.project import Chosen, Project, Toolchain
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import Request
from ansible_collections.alchemist.beam.plugins.module_utils._build.sources import GitState, Sources
from ansible_collections.alchemist.beam.plugins.module_utils._build.steps import Steps
from ansible_collections.alchemist.beam.plugins.module_utils._build.wanted import named_in
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

TELEMETRY = '"telemetry": {:hex, :telemetry, "1.2.1", "68fd", [:rebar3], [], "hexpm", "dad9"},\n'
BCRYPT = (
    '"bcrypt_elixir": {:hex, :bcrypt_elixir, "3.0.1", "9b", [:make, :mix], [{:elixir_make, "~> 0.6", [hex: :elixir_make, optional: false]}], "hexpm", "4"},\n'
    '"elixir_make": {:hex, :elixir_make, "0.7.7", "71", [:mix], [], "hexpm", "5b"},\n'
)
EXQLITE = (
    '"exqlite": {:hex, :exqlite, "0.2", "9b", [:make, :mix], [{:cc_precompiler, "~> 0.1", []}, {:elixir_make, "~> 0.8", []}], "hexpm", "4"},\n'
)


def one(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "app": "demo", "path": "/demo", "own": True, "elixir": None, "elixir_fits": True, "applications": [], "make": False, "deps": [], "paths": {},
        "runtime": changes.get("deps", []), "hex": [], **changes,
    }


class Place:
    """A project, a toolchain and programs that are files here and nothing more."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bin", "home", "project/deps", "otp/lib"):
            (root / name).mkdir(parents=True)
        self.program("mix", "echo \"$@ $MIX_REBAR3\" >> %s/said" % root)
        self.env = {"HOME": str(root / "home"), "PATH": str(root / "bin")}

    def program(self, name: str, script: str = "") -> Path:
        path = self.root / "bin" / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return path

    def file(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def plan(self, *projects: dict[str, t.Any], lock: str = "", elixir: str = "1.14.0", env: t.Any = None, deps: str = "locked", **more: t.Any) -> BuildPlan:
        self.file("project/mix.lock", "%%{\n%s}\n" % lock)
        said = {"projects": list(projects) or [one()], "releases": {}, "deps_path": str(self.root / "project" / "deps"), "hex": True, **more}
        toolchain = Toolchain(elixir, "25", "13.1.5", str(self.root / "elixir"), str(self.root / "otp"))
        project = Project("demo", False, {}, "", "1.0.0", {"demo": "1.0.0"}, (), True, "mix.lock", toolchain, needs=said)
        request = Request(str(self.root / "project"), str(self.root / "build"), env={**self.env, **(env or {})}, deps=deps)
        return BuildPlan(request, Sources("", GitState(), {}), project, Chosen("demo", "1.0.0", ()), "1.0.0", "f", None, {}, None, 0.0)

    def told(self, *projects: dict[str, t.Any], **options: t.Any) -> list[tuple[str, str]]:
        plan = self.plan(*projects, **options)
        return [(lack.code, "%s. %s" % (lack.why, lack.hint)) for lack in needs.lacks(plan, plan.request.environment())]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_wanted(place: Place) -> None:
    assert place.told() == []
    assert place.told(lock=TELEMETRY + BCRYPT) == []  # locked for another environment: nothing of it is used here


def test_elixir(place: Place) -> None:
    [(code, text)] = place.told(one(elixir="~> 1.15", elixir_fits=False))
    assert code == "elixir_version" and "mix.exs of demo wants Elixir ~> 1.15, and 1.14.0 is installed" in text and "toolchain_method: prebuilt" in text
    child, taken = one(app="child", elixir="~> 1.17", elixir_fits=False), one(app="taken", own=False, elixir="~> 1.18", elixir_fits=False)
    # What is taken by path counts where it is taken in this environment.
    assert [text[:40] for _code, text in place.told(one(app=None), child, taken)] == ["mix.exs of child wants Elixir ~> 1.17, a"]
    assert len(place.told(one(app=None), {**child, "deps": ["taken"]}, taken)) == 2


def test_applications(place: Place) -> None:
    place.file("otp/lib/mnesia-4.21/ebin/mnesia.app")
    place.file("otp/lib/xmerl-1.3/include/xmerl.hrl")  # of erlang-dev: the headers alone
    place.file("libs/wx/ebin/wx.app")
    applications = ["logger", "kernel", "my_own", "mnesia", "os_mon", "xmerl", "wx"]
    [(code, text)] = place.told(one(applications=applications), env={"ERL_LIBS": str(place.root / "libs")})
    assert code == "no_otp_application" and "no os_mon, which mix.exs of demo names, no xmerl, which" in text and "wx" not in text
    assert "Put erlang-os-mon, erlang-xmerl into toolchain_extra_packages" in text and "an Erlang that was built with os_mon, xmerl" in text
    assert place.told(one(applications=["os_mon"], deps=["os_mon"])) == []
    [(_code, text)] = place.told(one(), releases={"demo": ["ssh"], "other": ["eldap"]})
    assert "no ssh, which the release demo in mix.exs names" in text and "eldap" not in text


@pytest.mark.parametrize("there", ["home/.mix/archives/hex-2.0.6/hex-2.0.6/ebin/hex.app", "home/.mix/archives/hex.ez", "own/hex-2.1.1.ez"])
def test_hex(place: Place, there: str) -> None:
    want, env = one(hex=["jason", "plug"], deps=["jason", "plug"]), {"MIX_ARCHIVES": str(place.root / "own")} if there.startswith("own") else {}
    place.file("home/.mix/archives/hexagon-1.0.0/x")
    [(code, text)] = place.told(want, env=env, hex=False)
    assert code == "no_hex" and "jason, plug come from a registry" in text and "toolchain_hex: true" in text
    assert place.told(want, env=env, hex=True) == []
    assert place.told(one(deps=["telemetry"]), lock=TELEMETRY, env={**env, "MIX_REBAR3": "mix"}, hex=False)[0][0] == "no_hex"
    place.file(there)
    assert place.told(want, env=env, hex=False) == []


@pytest.mark.parametrize(
    ("there", "env", "set_for_mix"),
    [
        ("bin/rebar3", {}, True),
        ("home/.mix/elixir/1-14/rebar3", {}, False),
        ("home/.mix/elixir/1-14-otp-25/rebar3", {}, False),
        ("mix/elixir/1-14/rebar3", {"MIX_HOME": "mix"}, False),
        ("home/.local/share/mix/elixir/1-14/rebar3", {"MIX_XDG": "1"}, False),
        ("own/my_rebar", {"MIX_REBAR3": "own/my_rebar"}, False),
    ],
)
def test_rebar(place: Place, there: str, env: dict[str, str], set_for_mix: bool) -> None:
    env = {name: str(place.root / value) if "/" in value or name == "MIX_HOME" else value for name, value in env.items()}
    want = one(deps=["telemetry"])
    place.file("home/.mix/elixir/1-13/rebar3")
    [(code, text)] = place.told(want, lock=TELEMETRY, env=env)
    assert code == "no_rebar" and "telemetry is built with it" in text and "toolchain_rebar: true" in text
    assert ("MIX_REBAR3 is %s/own/my_rebar, which is no program" % place.root in text) == ("MIX_REBAR3" in env)
    path = place.file(there, "#!/bin/sh\n")
    path.chmod(0o755)
    assert place.told(want, lock=TELEMETRY, env=env) == []
    plan = place.plan(want, lock=TELEMETRY, env=env)
    descriptor = os.open(place.root / "lock", os.O_CREAT | os.O_RDWR)
    try:
        steps = Steps(plan.request, "demo", str(place.root / "compiled"), (descriptor,), None)
        needs.require(plan, steps)
        steps.mix("compile", "compile")
    finally:
        os.close(descriptor)
    assert (place.root / "said").read_text() == "compile %s\n" % (path if set_for_mix else env.get("MIX_REBAR3", ""))


def test_rebar_of_what_lies_there(place: Place) -> None:
    place.file("project/deps/of_git/rebar.config")
    place.file("project/deps/both/rebar.config")
    place.file("project/deps/both/mix.exs")
    place.file("project/deps/unused/rebar.config")
    place.file("beside/rebar.config")
    [(code, text)] = place.told(one(deps=["of_git", "both"], paths={"beside": str(place.root / "beside")}))
    assert code == "no_rebar" and "of_git, beside are built with it" in text


def test_compiler(place: Place) -> None:
    want = one(deps=["bcrypt_elixir"])
    [(code, text)] = place.told(want, lock=BCRYPT)
    assert code == "no_compiler" and "make and a C compiler (cc) are not installed, and bcrypt_elixir has C code" in text and "toolchain_compiler: true" in text
    place.program("make")
    assert "a C compiler (cc) is not installed" in place.told(want, lock=BCRYPT)[0][1]
    assert "(musl-gcc)" in place.told(want, lock=BCRYPT, env={"CC": "musl-gcc -O2"})[0][1].replace("musl-gcc -O2", "musl-gcc")
    place.program("clang")
    assert place.told(want, lock=BCRYPT) == []
    assert "gmake is not installed" in place.told(want, lock=BCRYPT, env={"MAKE": "gmake"})[0][1]
    assert place.told(one(make=True), env={"MAKE": "gmake"})[0][1].startswith("gmake is not installed, and demo has C code")


def test_what_is_compiled_already_needs_no_compiler(place: Place) -> None:
    assert place.told(one(deps=["exqlite"]), lock=EXQLITE + BCRYPT) == []


def test_all_at_once_and_before_anything_runs(place: Place) -> None:
    want = one(elixir="~> 1.15", elixir_fits=False, applications=["os_mon"], hex=["bcrypt_elixir"], deps=["bcrypt_elixir", "telemetry"])
    plan = place.plan(want, lock=BCRYPT + TELEMETRY, hex=False)
    with pytest.raises(BeamError) as caught:
        needs.require(plan)
    error = caught.value
    assert error.details["lacks"] == ["elixir_version", "no_otp_application", "no_hex", "no_rebar", "no_compiler"] and error.code == "elixir_version"
    words = ("prebuilt", "erlang-os-mon", "toolchain_rebar", "toolchain_compiler")
    assert error.what == "the build of demo can't begin" and all(word in error.hint for word in words)
    assert not (place.root / "said").exists()


@pytest.mark.parametrize(("elixir", "deps", "code"), [("1.14.5", "locked", "no_hex"), ("1.18.4", "locked", ""), ("1.18.4", "offline", "no_hex")])
def test_a_newer_mix_installs_hex_and_rebar3(place: Place, elixir: str, deps: str, code: str) -> None:
    plan = place.plan(one(hex=["a"], deps=["telemetry"]), lock=TELEMETRY, elixir=elixir, deps=deps, hex=False)
    descriptor = os.open(place.root / "lock", os.O_CREAT | os.O_RDWR)
    try:
        needs.require(plan, Steps(plan.request, "demo", str(place.root / "compiled"), (descriptor,), None))
    except BeamError as error:
        assert error.code == code
    else:
        assert not code
        assert (place.root / "said").read_text().splitlines() == ["local.hex --force --if-missing ", "local.rebar --force --if-missing "]
        needs.require(plan)  # to rehearse it installs nothing
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("mix.exs", "def application do\n  # extra_applications: [:wx]\n  [extra_applications: [:logger, :xmerl, {:ssh, :optional}]]\nend",
         ["logger", "xmerl"]),
        ("mix.exs", "def application, do: [applications: [:kernel, :eldap], included_applications: [:mnesia]]", ["mnesia", "kernel", "eldap"]),
        ("mix.exs", "[extra_applications: [:logger, inets: :optional, ssl: :required, wx: :optional]]", ["logger", "ssl"]),
        ("mix.exs", "extra_applications: extra(Mix.env())\ndefp extra(:test), do: [:wx]", []),
        ("mix.exs", "if Mix.env() == :test, do: [extra_applications: [:wx]], else: [extra_applications: []]", []),
        ("src/a.app.src", "{application, a, [{applications, [\n  kernel,\n  % wx,\n  'os_mon'\n]}, {optional_applications, [ssh]}]}.", ["kernel", "os_mon"]),
        ("src/a.app.src", "{application, a, [{applications, [kernel, ssh, crypto]}, {optional_applications, [ssh]}]}.", ["kernel", "crypto"]),
        ("src/a.app.src", "\xff not Erlang [", []),
    ],
)
def test_what_a_package_names(place: Place, name: str, text: str, found: list[str]) -> None:
    place.file("package/" + name, text)
    assert named_in(str(place.root / "package")) == found


def test_of_fetched_packages(place: Place) -> None:
    place.file("project/deps/live/mix.exs", "[extra_applications: [:logger, :os_mon]]")
    place.file("project/deps/tool/mix.exs", "[extra_applications: [:wx]]")  # not in the release
    place.file("project/deps/left_over/mix.exs", "[extra_applications: [:dialyzer]]")  # of another environment
    plan = place.plan(one(deps=["live", "tool"], runtime=["live"]))
    descriptor = os.open(place.root / "lock", os.O_CREAT | os.O_RDWR)
    try:
        with pytest.raises(BeamError) as caught:
            needs.require_of_fetched(plan, Steps(plan.request, "demo", str(place.root / "compiled"), (descriptor,), None))
    finally:
        os.close(descriptor)
    text = caught.value.message
    assert "no os_mon, which the package live names" in text and "erlang-os-mon" in text and "wx" not in text and "dialyzer" not in text

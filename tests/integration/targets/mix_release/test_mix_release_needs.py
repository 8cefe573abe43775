# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mix_release with real Elixir on a machine that lacks something: it is named before anything is fetched, with what brings it."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from mix_project import MIX_EXS, MixProject, ask, git

BCRYPT = (
    '"bcrypt_elixir": {:hex, :bcrypt_elixir, "3.0.1", "9b", [:make, :mix], [{:elixir_make, "~> 0.6", [hex: :elixir_make, repo: "hexpm", optional: false]}],'
    ' "hexpm", "48"},\n"elixir_make": {:hex, :elixir_make, "0.7.7", "71", [:mix], [], "hexpm", "5b"},\n'
)
TELEMETRY = '"telemetry": {:hex, :telemetry, "1.2.1", "68", [:rebar3], [], "hexpm", "da"},\n'
REBAR = """#!/bin/sh
# What Mix asks of rebar3: `bare compile`, into the directory that it names.
echo "$0 $*" >> "%s"
mkdir -p "$REBAR_BARE_COMPILER_OUTPUT_DIR/ebin"
erlc -o "$REBAR_BARE_COMPILER_OUTPUT_DIR/ebin" src/*.erl && cp src/tiny.app.src "$REBAR_BARE_COMPILER_OUTPUT_DIR/ebin/tiny.app"
"""


@pytest.fixture
def project(tmp_path: Path) -> MixProject:
    return MixProject(tmp_path / "demo")


@pytest.fixture
def machine(tmp_path: Path) -> t.Callable[..., dict[str, str]]:
    """The environment of a machine that has all programs of this one but some."""

    def make(*without: str) -> dict[str, str]:
        programs = tmp_path / "programs"
        programs.mkdir()
        for directory in reversed(os.environ["PATH"].split(os.pathsep)):
            for path in glob.glob(os.path.join(glob.escape(directory), "*")):
                link = programs / os.path.basename(path)
                if link.name not in without and os.access(path, os.X_OK):
                    link.unlink(missing_ok=True)
                    link.symlink_to(path)
        return {"PATH": str(programs), "MIX_HOME": str(tmp_path / "mix")}

    return make


def change(project: MixProject, *changes: tuple[str, str], lock: str = "") -> None:
    text = MIX_EXS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    project.write("mix.exs", text)
    if lock:
        project.write("mix.lock", "%%{\n%s}\n" % lock)
    project.commit()


def refused(project: MixProject, **options: t.Any) -> BeamError:
    with pytest.raises(BeamError) as caught:
        project.build(**options)
    assert git(project.root, "status", "--porcelain") == "" and not (project.root / "deps").exists()
    return caught.value


def test_elixir_that_is_too_old(project: MixProject) -> None:
    change(project, ('"~> 1.14"', '"~> 1.99"'), ("deps: []", 'deps: [{:other, git: "file:///nonexistent"}]'))
    for check_mode in (False, True):
        error = refused(project, check_mode=check_mode)
        assert (
            error.code == "elixir_version"
            and "mix.exs of demo wants Elixir ~> 1.99, and " in error.why
            and "toolchain_method: prebuilt" in error.hint
        )


def test_elixir_that_is_too_old_for_a_part(project: MixProject, tmp_path: Path) -> None:
    """A child of the umbrella, and what it takes by path; not what it takes for its tests."""
    change(
        project,
        (
            'app: :demo, version: "0.1.0",',
            'apps_path: "apps", releases: [demo: [version: "1.0.0", applications: [child: :permanent]]],',
        ),
    )
    deps = "deps: [{:beside, path: %r}, {:other, path: %r, only: :test}]" % (
        str(tmp_path / "beside"),
        str(tmp_path / "other"),
    )
    child = MIX_EXS.replace("Demo", "Child").replace(":demo", ":child").replace("deps: []", deps.replace("'", '"'))
    project.write("apps/child/mix.exs", child)
    for name in ("beside", "other"):
        part = MixProject(tmp_path / name)
        part.write(
            "mix.exs", MIX_EXS.replace("Demo", name.title()).replace(":demo", ":" + name).replace("~> 1.14", "~> 1.98")
        )
        part.commit()
    project.commit()
    error = refused(project)
    assert error.details["lacks"] == ["elixir_version"] and "mix.exs of beside wants Elixir ~> 1.98" in error.why
    project.write("apps/child/mix.exs", child.replace("~> 1.14", "~> 1.97"))
    project.commit()
    assert refused(project).why.startswith("mix.exs of child wants Elixir ~> 1.97")


HIDDEN = """
import json, sys
from mix_project import *
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
try:
    run_build(make_request(json.loads(sys.argv[1]), os.environ))
except BeamError as e:
    print(json.dumps([e.code, e.message]))
else:
    print(json.dumps(["", ""]))
"""


def built_without(application: str, options: dict[str, t.Any]) -> list[str]:
    """Builds where the application of Erlang/OTP is not installed: in a mount namespace of its own, where it is."""
    hide = 'for d in "$0"-*; do if [ -d "$d" ]; then mount -t tmpfs tmpfs "$d"; fi; done; exec "$@"'
    root = subprocess.run(
        ["erl", "-noshell", "-eval", "io:put_chars(code:lib_dir()), halt()."],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    build = [sys.executable, "-c", HIDDEN, json.dumps(options)]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hide, os.path.join(root, application), *build],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "old_new",
    [
        ("application, do: []", "application, do: [extra_applications: [:logger, :os_mon]]"),
        ("application, do: []", "application, do: [included_applications: [:os_mon]]"),
        ("deps: []", "deps: [], releases: [demo: fn -> [applications: [os_mon: :load]] end]"),
    ],
)
def test_application_of_otp_that_is_not_installed(project: MixProject, old_new: tuple[str, str]) -> None:
    change(project, old_new)
    code, message = built_without("os_mon", project.options())
    assert (
        code == "no_otp_application"
        and "has no os_mon, which " in message
        and "Put erlang-os-mon into toolchain_extra_packages" in message
    )


def test_application_of_otp_that_only_a_dependency_names(project: MixProject, tmp_path: Path) -> None:
    other = MixProject(tmp_path / "other")
    text = (
        MIX_EXS.replace("Demo", "Other")
        .replace(":demo", ":other")
        .replace("application, do: []", "application, do: [extra_applications: [:os_mon]]")
    )
    other.write("mix.exs", text)
    other.write("lib/demo.ex", 'raise "compiled"\n')
    other.commit()
    change(project, ("deps: []", 'deps: [{:other, git: "file://%s"}]' % other.root))
    code, message = built_without("os_mon", project.options(deps="get"))
    assert (
        code == "no_otp_application"
        and "no os_mon, which the package other names" in message
        and "compiled" not in message
    )


def test_optional_application_is_not_needed(project: MixProject) -> None:
    change(project, ("application, do: []", "application, do: [extra_applications: [:logger, os_mon: :optional]]"))
    assert built_without("os_mon", project.options()) == ["", ""]


def test_hex_rebar3_and_a_compiler(project: MixProject, machine: t.Callable[..., dict[str, str]]) -> None:
    """A default Phoenix project on a bare build server: all that is missing at once, and nothing is fetched."""
    change(project, ("deps: []", 'deps: [{:telemetry, "~> 1.0"}, {:bcrypt_elixir, "~> 3.0"}]'), lock=TELEMETRY + BCRYPT)
    env = machine("rebar3", "make", "cc", "gcc", "clang")
    error = refused(project, env=env, deps="offline")
    assert error.details["lacks"] == ["no_hex", "no_rebar", "no_compiler"]
    for text in (
        "toolchain_hex: true",
        "toolchain_rebar: true",
        "toolchain_compiler: true",
        "telemetry is built with it",
        "bcrypt_elixir has C code",
    ):
        assert text in error.message
    assert "registry can be reached" not in error.message and len(error.message) < 2500


def test_only_what_this_environment_uses(project: MixProject, machine: t.Callable[..., dict[str, str]]) -> None:
    change(project, ("deps: []", 'deps: [{:bcrypt_elixir, "~> 3.0", only: :test}]'), lock=TELEMETRY + BCRYPT)
    error = refused(project, env=machine("rebar3", "make"), mix_env="test", deps="offline")
    assert error.details["lacks"] == ["no_hex", "no_compiler"]


def with_rebar_package(project: MixProject, tmp_path: Path) -> None:
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "src").mkdir()
    (package / "rebar.config").write_text("{deps, []}.\n")
    about = (
        '{description, "Tiny"}, {vsn, "1.0.0"}, {registered, []}, {applications, [kernel, stdlib]}, {modules, [tiny]}'
    )
    (package / "src" / "tiny.app.src").write_text("{application, tiny, [%s]}.\n" % about)
    (package / "src" / "tiny.erl").write_text('-module(tiny).\n-export([answer/0]).\nanswer() -> <<"of Erlang">>.\n')
    git(package, "init", "--quiet", "--initial-branch=main")
    git(package, "add", "--all")
    git(package, "commit", "--quiet", "--message", "first")
    change(project, ("deps: []", 'deps: [{:tiny, git: "file://%s"}]' % package))


def test_rebar3_of_the_distribution_is_used(
    project: MixProject, tmp_path: Path, machine: t.Callable[..., dict[str, str]]
) -> None:
    """Mix itself does not look for it in PATH."""
    with_rebar_package(project, tmp_path)
    env = machine("rebar3")
    with pytest.raises(BeamError) as caught:
        project.build(env=env, deps="get")
    assert caught.value.code == "no_rebar" and "toolchain_rebar: true" in caught.value.hint
    project.commit()  # deps: get has made mix.lock
    rebar = tmp_path / "programs" / "rebar3"
    rebar.write_text(REBAR % (tmp_path / "asked"))
    rebar.chmod(0o755)
    made = project.build(env=env)
    assert ask(made, ":tiny.answer()") == "of Erlang"
    assert (tmp_path / "asked").read_text().startswith("%s bare compile" % rebar)


def test_rebar3_that_was_given_is_kept(
    project: MixProject, tmp_path: Path, machine: t.Callable[..., dict[str, str]]
) -> None:
    with_rebar_package(project, tmp_path)
    own = tmp_path / "own_rebar"
    own.write_text(REBAR % (tmp_path / "asked"))
    own.chmod(0o755)
    project.build(env={**machine(), "MIX_REBAR3": str(own)}, deps="get")
    assert (tmp_path / "asked").read_text().startswith("%s bare compile" % own)


def test_lock_that_hex_does_not_keep(project: MixProject, tmp_path: Path) -> None:
    """A mix whose deps.get does what Hex does with an advisory; all else is the real one."""
    change(
        project,
        ("deps: []", 'deps: [{:other, git: "file:///nonexistent"}]'),
        lock='"plug": {:hex, :plug, "1.14.0", "bf", [:mix], [], "hexpm", "02"},\n',
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("elixir", "mix"):
        real = subprocess.run(
            ["sh", "-c", "command -v " + name], check=True, capture_output=True, text=True
        ).stdout.strip()
        text = "#!/bin/sh\n"
        if name == "mix":
            text += (
                'if [ "$1" = deps.get ]; then\n  sed -i "s/1.14.0/1.15.3/" mix.lock\n'
                '  printf "Upgraded:\\n  plug 1.14.0 => 1.15.3 RETIRED!\\n    (security) CVE-2026-1234\\n"\n  exit 0\nfi\n'
            )
        (programs / name).write_text(text + 'exec %s "$@"\n' % real)
        (programs / name).chmod(0o755)
    error = refused(project, elixir_path=str(programs))
    assert error.code == "lock_changed" and error.details["moved"] == ["plug: from 1.14.0 to 1.15.3"]
    assert (
        "plug: from 1.14.0 to 1.15.3. Hex says: plug 1.14.0 => 1.15.3 RETIRED! / (security) CVE-2026-1234"
        in error.message
    )
    assert "deps: offline" in error.hint and "beam_deps: get" in error.hint and "needs no build" in error.hint


def test_compiler_that_is_missing_when_only_the_dependency_tells(
    project: MixProject, tmp_path: Path, machine: t.Callable[..., dict[str, str]]
) -> None:
    other = MixProject(tmp_path / "other")
    other.write("mix.exs", MIX_EXS.replace("Demo", "Other").replace(":demo", ":other"))
    other.write("Makefile", "all:\n\tcc -o x x.c\n")
    other.commit()
    change(project, ("deps: []", 'deps: [{:other, git: "file://%s", compile: "make"}]' % other.root))
    with pytest.raises(BeamError) as caught:
        project.build(env=machine("cc"), deps="get")
    assert caught.value.code == "no_program" and "cc is missing. Say toolchain_compiler: true" in caught.value.hint
    assert "other" in caught.value.details["output"][-1] or "cc: " in caught.value.details["output"][-1]


def test_header_of_otp_that_is_not_installed(project: MixProject) -> None:
    project.write("src/reader.erl", '-module(reader).\n-include_lib("wx/include/wx.hrl").\n')
    project.commit()
    code, message = built_without("wx", project.options())
    assert code == "no_otp_application" and "erlang-wx" in message and "wx/include/wx.hrl" in message

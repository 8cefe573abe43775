# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mix_release with real Elixir: what is built, when it is not, and that it is never stale."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build import plan as plan_module
from ansible_collections.alchemist.beam.plugins.module_utils._build import steps as steps_module
from ansible_collections.alchemist.beam.plugins.module_utils._release.record import load_record
from mix_project import MIX_EXS, MixProject, ask, git, hashes, snapshot


@pytest.fixture
def project(tmp_path: Path) -> MixProject:
    return MixProject(tmp_path / "demo")


def test_build_then_nothing_to_do(project: MixProject, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(project.root)
    predicted = project.build(check_mode=True)
    assert predicted["changed"] and predicted["version"] == "0.1.0" and snapshot(project.root) == before

    made = project.build()
    assert made["changed"] and made["path"] == predicted["path"] and made["fingerprint"] == predicted["fingerprint"]
    assert made["git_sha"] == git(project.root, "rev-parse", "HEAD")
    assert ask(made, "Demo.answer()") == "first"
    record = load_record(made["path"])
    assert record is not None and record.own_apps == ("demo",) and record.abi.erts and not record.provenance.git_dirty
    cookie = os.stat(os.path.join(made["path"], "releases", "COOKIE"))
    assert stat.S_IMODE(cookie.st_mode) == 0o600
    assert project.build(check_mode=True)["changed"] is False

    def started(*_args: t.Any, **_options: t.Any) -> t.NoReturn:
        raise AssertionError("Elixir was started")

    monkeypatch.setattr(plan_module, "ask_project", started)
    monkeypatch.setattr(steps_module, "run_command", started)
    before = snapshot(project.root)
    again = project.build()
    assert not again["changed"] and again["path"] == made["path"] and again["provenance"] == made["provenance"]
    assert snapshot(project.root) == before


def test_a_commit_that_changes_no_source_changes_nothing(project: MixProject) -> None:
    made = project.build()
    project.commit()
    again = project.build()
    assert not again["changed"] and again["git_sha"] == made["git_sha"]


def test_same_version_with_other_code_is_built(project: MixProject) -> None:
    """mix release says "already exists" with status 0, and builds nothing."""
    first = project.build()
    project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "other"\nend\n')
    project.commit()
    second = project.build()
    assert second["changed"] and second["version"] == first["version"] and second["path"] != first["path"]
    assert (ask(first, "Demo.answer()"), ask(second, "Demo.answer()")) == ("first", "other")


def test_a_changed_file_with_an_old_time_stamp_is_noticed(project: MixProject) -> None:
    project.build()
    path = project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "other"\nend\n')
    os.utime(path, (1_000_000_000, 1_000_000_000))
    project.commit()
    assert ask(project.build(), "Demo.answer()") == "other"


def test_forced_build_takes_nothing_from_the_tree_before(project: MixProject) -> None:
    """mix release never overwrites files of ERTS, and leaves strangers where they are."""
    made = project.build()
    whole = hashes(made["path"])
    tree = Path(made["path"])
    (tree / ("erts-" + made["toolchain"]["erts"]) / "bin" / "epmd").write_text("junk")
    (tree / "bin" / "stranger").write_text("junk")
    forced = project.build(force=True)
    assert forced["changed"] and forced["path"] == made["path"] and hashes(made["path"]) == whole


def test_version_that_mix_exs_takes_from_git(project: MixProject) -> None:
    """A commit that touches neither lib nor mix.exs leaves the old version in the application, unless it is forced."""
    described = '(System.cmd("git", ["describe", "--tags"]) |> elem(0) |> String.trim() |> String.trim_leading("v"))'
    project.write("mix.exs", MIX_EXS.replace('"0.1.0"', described))
    project.write(
        "lib/demo.ex", "defmodule Demo do\n  @version Mix.Project.config()[:version]\n  def answer, do: @version\nend\n"
    )
    project.commit()
    git(project.root, "tag", "v1.0.0")
    first = project.build()
    project.commit()
    second = project.build()
    assert first["version"] == "1.0.0" and second["changed"] and second["version"].startswith("1.0.0-1-g")
    assert ask(second, "Demo.answer()") == second["version"]
    assert ask(second, "Application.load(:demo) && to_string(Application.spec(:demo, :vsn))") == second["version"]
    assert project.build()["changed"] is False


def test_version_given_and_from_git(project: MixProject) -> None:
    git(project.root, "tag", "v2.0.0")
    from_git = project.build(version="git")
    assert from_git["version"] == "2.0.0" and (Path(from_git["path"]) / "releases" / "2.0.0").is_dir()
    assert project.build(version="2.0.0")["changed"] is False
    assert project.build(version="2.0.1+a")["version"] == "2.0.1+a"
    project.commit()
    assert project.build(version="git")["version"].startswith("2.0.0-1-g")


def test_same_input_same_files(tmp_path: Path) -> None:
    """Another place, another time, another number of schedulers."""
    projects = [MixProject(tmp_path / name / "demo") for name in ("one", "two")]
    source = """
    defmodule Demo%d do
      @table for i <- 1..40, into: %%{}, do: {{:key, i}, i}
      for {key, i} <- @table, do: def get(unquote(Macro.escape(key))), do: unquote(i)
    end
    """
    for project in projects:
        for number in range(8):
            project.write("lib/demo%d.ex" % number, source % number)
        project.write("config/config.exs", "import Config\nconfig :demo, map: Map.new(1..40, &{&1, &1})\n")
        project.commit()
    one, two = (project.build() for project in projects)
    assert one["fingerprint"] == two["fingerprint"] and load_record(one["path"]) == load_record(two["path"])
    assert hashes(one["path"]) == hashes(two["path"])
    alone = projects[1].build(env={"ERL_FLAGS": "+S 1"})
    assert alone["changed"] and hashes(alone["path"]) == hashes(one["path"])


def test_environment_decides(project: MixProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mix does not notice when only a variable changes that a module read when it was compiled."""
    project.write(
        "lib/demo.ex", 'defmodule Demo do\n  @flag System.get_env("FLAG", "unset")\n  def answer, do: @flag\nend\n'
    )
    project.commit()
    assert ask(project.build(env={"FLAG": "on"}), "Demo.answer()") == "on"
    assert ask(project.build(env={"FLAG": "off"}), "Demo.answer()") == "off"
    assert project.build(env={"FLAG": "on"})["changed"] is False
    monkeypatch.setenv("FLAG", "around")
    unnamed = project.build()
    assert ask(unnamed, "Demo.answer()") == "unset"
    named = project.build(compile_env=["FLAG"])
    assert named["changed"] and ask(named, "Demo.answer()") == "around"
    assert project.build(deps_env={"TOKEN": "changes-every-day"})["fingerprint"] == unnamed["fingerprint"]
    assert project.build(mix_env="stress", check_mode=True)["changed"]


def test_project_is_asked_without_runtime_settings(project: MixProject) -> None:
    project.write("config/runtime.exs", 'import Config\nconfig :demo, url: System.fetch_env!("DATABASE_URL")\n')
    project.commit()
    assert project.build()["changed"]


def test_application_by_path_from_outside(tmp_path: Path) -> None:
    shared = MixProject(tmp_path / "shared")
    shared.write("mix.exs", MIX_EXS.replace("Demo", "Shared").replace(":demo", ":shared"))
    shared.write("lib/demo.ex", 'defmodule Shared do\n  def answer, do: "first"\nend\n')
    shared.commit()
    project = MixProject(tmp_path / "demo")
    project.write("mix.exs", MIX_EXS.replace("deps: []", 'deps: [{:shared, path: "../shared"}]'))
    project.commit()
    first = project.build()
    assert first["own_apps"] == ["demo"] and project.build()["changed"] is False
    shared.write("lib/demo.ex", 'defmodule Shared do\n  def answer, do: "second, longer"\nend\n')
    shared.commit()
    assert ask(project.build(), "Shared.answer()") == "second, longer"


def test_version_that_only_the_build_can_tell(project: MixProject) -> None:
    project.write("mix.exs", MIX_EXS.replace("deps: []", "deps: [], releases: [demo: [version: {:from_app, :elixir}]]"))
    project.commit()
    predicted = project.build(check_mode=True)
    assert predicted["changed"] and predicted["version"] is None and predicted["path"] is None
    made = project.build()
    assert made["version"] == made["toolchain"]["elixir"] and os.path.isdir(made["path"])
    again = project.build()
    assert not again["changed"] and again["path"] == made["path"]


def test_umbrella(tmp_path: Path) -> None:
    project = MixProject(tmp_path / "umbrella")
    (project.root / "lib" / "demo.ex").unlink()
    umbrella = """
    defmodule All.MixProject do
      use Mix.Project
      def project, do: [apps_path: "apps", RELEASES deps: []]
    end
    """
    for app in ("left", "right"):
        project.write("apps/%s/mix.exs" % app, MIX_EXS.replace("Demo", app.capitalize()).replace(":demo", ":" + app))
        project.write(
            "apps/%s/lib/%s.ex" % (app, app), 'defmodule %s do\n  def answer, do: "%s"\nend\n' % (app.capitalize(), app)
        )
    releases = "releases: [all: [version: {:from_app, :left}, applications: [left: :permanent, right: :permanent]]],"
    project.write("mix.exs", umbrella.replace("RELEASES", releases))
    project.commit()
    made = project.build()
    assert (made["name"], made["version"], made["own_apps"]) == ("all", "0.1.0", ["left", "right"])
    assert ask(made, "Left.answer() <> Right.answer()") == "leftright"


def test_archive_of_the_tar_step_is_not_part_of_the_tree(project: MixProject) -> None:
    project.write("mix.exs", MIX_EXS.replace("deps: []", "deps: [], releases: [demo: [steps: [:assemble, :tar]]]"))
    project.commit()
    made = project.build()
    assert not list(Path(made["path"]).rglob("*.tar.gz"))


def test_task_before(project: MixProject) -> None:
    """A task of the project's own makes a file in priv, which becomes part of the release. Its question reads end of file."""
    project.write(
        "lib/assets.ex",
        """
        defmodule Mix.Tasks.Assets.Deploy do
          use Mix.Task
          def run(["--to", name]) do
            answer = Mix.shell().yes?("Go on?")
            File.mkdir_p!("priv")
            File.write!(Path.join("priv", name), inspect(answer))
          end
        end
        """,
    )
    project.write(".gitignore", "/_build/\n/priv/\n")
    project.commit()
    made = project.build(before=["assets.deploy --to 'a file'"])
    assert (Path(made["path"]) / "lib/demo-0.1.0/priv/a file").read_text() in ("false", "nil")
    assert project.build(before=["assets.deploy --to 'a file'"])["changed"] is False

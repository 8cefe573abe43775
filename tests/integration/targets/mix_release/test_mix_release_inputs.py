# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mix_release with real Elixir: whatever Mix reads decides, nothing else does, and what is published is not built again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.build import run_build
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import make_request
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.published import PublishedBuild
from mix_project import DEFAULTS, MIX_EXS, MixProject, ask, git, hashes

CHILD = """
defmodule %s.MixProject do
  use Mix.Project

  def project do
    [app: :%s, version: "0.1.0", deps: DEPS, build_path: "../../_build", config_path: "../../config/config.exs", deps_path: "../../deps",
     lockfile: "../../mix.lock", releases: [%s: [rel_templates_path: "../../rel"]]]
  end

  def application, do: []
end
"""
# Copies what the compiler wrote, as esbuild bundles the hooks that Phoenix collects from components.
BUNDLE = """
defmodule Mix.Tasks.%s do
  use Mix.Task

  def run(_) do
    beam = Path.join(Mix.Project.app_path(), "ebin/Elixir.Demo.beam")
    {:module, _} = :code.load_binary(Demo, to_charlist(beam), File.read!(beam))
    File.mkdir_p!("priv/static/assets")
    marker = Demo.answer()
    File.write!("priv/static/assets/app.js", marker)
    File.write!("priv/static/robots-#{:erlang.phash2(marker)}.txt", "digested")
    File.write!("priv/static/robots.txt.gz", "digested")
    File.write!("package-lock.json", inspect(System.os_time()))
    digests = %%{"app.js" => System.os_time(:second) + 62_167_219_200}
    entries = Enum.map_join(digests, ",", fn {name, mtime} -> ~s("#{name}":{"mtime":#{mtime}}) end)
    File.write!("priv/static/cache_manifest.json", ~s({"version":1,"latest":{},"digests":{#{entries}}}))
  end
end
"""
GITIGNORE = "/_build/\n/deps/\n/priv/static/assets/\n/priv/static/cache_manifest.json\n"


@pytest.fixture
def project(tmp_path: Path) -> MixProject:
    return MixProject(tmp_path / "demo")


@pytest.fixture
def phoenix(project: MixProject) -> MixProject:
    """What matters of `mix phx.new`: its .gitignore, what it tracks, and assets that read what the compiler writes."""
    project.write(".gitignore", GITIGNORE)
    project.write("priv/static/robots.txt", "of the commit\n")
    project.write("package-lock.json", "of the commit\n")
    project.write("lib/assets.ex", BUNDLE % "Assets.Deploy")
    project.commit()
    return project


@pytest.fixture
def umbrella(tmp_path: Path) -> MixProject:
    """Only apps/web is built, as `mix new --umbrella` makes its children."""
    project = MixProject(tmp_path / "umbrella")
    (project.root / "lib" / "demo.ex").unlink()
    project.write(".gitignore", "_build/\n")
    project.write(
        "mix.exs",
        'defmodule All.MixProject do\n  use Mix.Project\n  def project, do: [apps_path: "apps", deps: []]\nend\n',
    )
    project.write("apps/core/mix.exs", (CHILD % ("Core", "core", "core")).replace("DEPS", "[]"))
    project.write("apps/core/lib/core.ex", 'defmodule Core do\n  def answer, do: "first"\nend\n')
    project.write("apps/web/mix.exs", (CHILD % ("Web", "web", "web")).replace("DEPS", "[{:core, in_umbrella: true}]"))
    web = 'defmodule Web do\n  @external_resource "../../proto/x"\n  def proto, do: unquote(File.read!("../../proto/x"))\nend\n'
    project.write("apps/web/lib/web.ex", web)
    project.write("apps/web/lib/more.ex", "defmodule More do\n  def answer, do: Core.answer()\nend\n")
    project.write("proto/x", "first")
    project.write("shared/file", "first")
    (project.root / "apps/web/priv").mkdir()
    os.symlink("../../../shared", project.root / "apps/web/priv/shared")
    project.write("config/config.exs", "import Config\n")
    project.write("config/runtime.exs", "import Config\n# first\n")
    project.write("rel/env.sh.eex", "# first\n")
    project.write("mix.lock", "%{}\n")
    project.commit()
    return project


def test_what_lies_beside_a_child_of_an_umbrella(umbrella: MixProject) -> None:
    first = umbrella.build(subdir="apps/web")
    assert (
        first["name"] == "web"
        and first["own_apps"] == ["web"]
        and umbrella.build(subdir="apps/web")["changed"] is False
    )
    assert umbrella.build(project_dir=str(umbrella.root / "apps/web"))["changed"] is False  # the same by another option
    umbrella.write("apps/core/lib/core.ex", 'defmodule Core do\n  def answer, do: "second, longer"\nend\n')
    umbrella.write("config/runtime.exs", "import Config\n# second\n")
    umbrella.write("rel/env.sh.eex", "# second\n")
    umbrella.write("proto/x", "second, longer")
    umbrella.commit()
    made = umbrella.build(subdir="apps/web")
    release = Path(made["path"]) / "releases" / "0.1.0"
    assert made["changed"] and ask(made, "More.answer() <> Web.proto()") == "second, longersecond, longer"
    assert "second" in (release / "runtime.exs").read_text() and "second" in (release / "env.sh").read_text()
    (umbrella.root / "config/runtime.exs").write_text("import Config\n# by hand\n")
    with pytest.raises(BeamError, match="config/runtime.exs"):
        umbrella.build(subdir="apps/web")


@pytest.mark.parametrize(
    "path", ["config/runtime.exs", "apps/core/lib/core.ex", "mix.lock", "rel/env.sh.eex", "shared/file", "proto/x"]
)
def test_each_of_them_decides(umbrella: MixProject, path: str) -> None:
    before = umbrella.build(subdir="apps/web", check_mode=True)
    with (umbrella.root / path).open("a") as stream:
        stream.write("\n")
    umbrella.commit()
    assert umbrella.build(subdir="apps/web", check_mode=True)["fingerprint"] != before["fingerprint"]


def test_what_mix_exs_names_outside_of_the_repository(tmp_path: Path, project: MixProject) -> None:
    outside = tmp_path / "outside"
    for name in ("config/config.exs", "config/runtime.exs", "rel/env.sh.eex", "over/x"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text("import Config\n" if name.endswith(".exs") else "# first\n")
    line = 'config_path: "../outside/config/config.exs", releases: [demo: [rel_templates_path: "../outside/rel", overlays: ["../outside/over"]]], deps: []'
    project.write("mix.exs", MIX_EXS.replace("deps: []", line))
    project.commit()
    seen = {project.build(check_mode=True)["fingerprint"]}
    for name in ("config/runtime.exs", "rel/env.sh.eex", "over/x"):
        (outside / name).write_text("# second\n")
        seen.add(project.build(check_mode=True)["fingerprint"])
    assert len(seen) == 4 and project.build(check_mode=True)["inputs"] == ""


@pytest.mark.parametrize(
    "options", [{"after_compile": ["assets.deploy"]}, {"before": ["assets.deploy"]}, {"before": ["bundle"]}]
)
def test_assets_are_those_of_the_commit(phoenix: MixProject, options: dict[str, t.Any]) -> None:
    """On a clean directory and on one that holds the build before; with the .gitignore as it is."""
    phoenix.write("mix.exs", MIX_EXS.replace("deps: []", 'aliases: [bundle: ["assets.deploy"]], deps: []'))
    phoenix.commit()
    first = phoenix.build(**options)
    static = Path(first["path"]) / "lib/demo-0.1.0/priv/static"
    assert (static / "assets/app.js").read_text() == "first" and git(
        phoenix.root, "status", "--porcelain", "--ignored"
    ) == "!! _build/"
    assert phoenix.build(**options)["changed"] is False
    phoenix.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "other"\nend\n')
    (phoenix.root / "priv/static/robots.txt").unlink()
    phoenix.commit()
    second = phoenix.build(**options)
    static = Path(second["path"]) / "lib/demo-0.1.0/priv/static"
    assert second["changed"] and (static / "assets/app.js").read_text() == "other"
    assert len(list(static.glob("robots-*"))) == 1 and not (static / "robots.txt").exists()


def test_the_same_commit_is_the_same_bytes(phoenix: MixProject, tmp_path: Path) -> None:
    options: dict[str, t.Any] = {"after_compile": ["assets.deploy"]}
    made = phoenix.build(**options)
    whole = hashes(made["path"])
    assert hashes(phoenix.build(force=True, **options)["path"]) == whole
    git(tmp_path, "clone", "--quiet", str(phoenix.root), str(tmp_path / "clone"))
    clone = run_build(make_request({**phoenix.options(**options), "project_dir": str(tmp_path / "clone")}, os.environ))
    assert clone["fingerprint"] == made["fingerprint"] and hashes(clone["path"]) == whole


def test_with_changes_that_no_commit_has(phoenix: MixProject) -> None:
    """It is not built for ever, and nothing of somebody's is lost."""
    phoenix.write("package-lock.json", "by hand\n")
    options: dict[str, t.Any] = {"after_compile": ["assets.deploy"], "allow_dirty": True}
    assert phoenix.build(**options)["changed"] is True
    assert (phoenix.root / "package-lock.json").read_text() == "by hand\n" and phoenix.build(**options)[
        "changed"
    ] is False


def test_what_the_compiler_writes_beside_the_sources(project: MixProject) -> None:
    """As a macro does that compiles a library into priv/native: it must be in the second release too, though no source of it has changed."""
    native = (
        'defmodule Native do\n  File.mkdir_p!("priv/native")\n  File.write!("priv/native/nif.so", "library")\nend\n'
    )
    project.write("lib/native.ex", native)
    project.commit()
    assert (Path(project.build()["path"]) / "lib/demo-0.1.0/priv/native/nif.so").exists()
    project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "second, longer"\nend\n')
    project.commit()
    second = project.build()
    assert (Path(second["path"]) / "lib/demo-0.1.0/priv/native/nif.so").exists() and ask(
        second, "Demo.answer()"
    ) == "second, longer"
    assert not (project.root / "priv").exists()


@pytest.mark.parametrize("end", ['raise "broken"', "Process.sleep(60_000)"])
def test_a_task_that_ends_badly_leaves_nothing(project: MixProject, end: str) -> None:
    project.write(
        "lib/half.ex",
        'defmodule Mix.Tasks.Half do\n  use Mix.Task\n  def run(_) do\n    File.write!("half.txt", "")\n    %s\n  end\nend\n'
        % end,
    )
    project.commit()
    with pytest.raises(BeamError) as caught:
        project.build(after_compile=["half"], timeout=10)
    assert caught.value.details["step"] == "after_compile" and git(project.root, "status", "--porcelain") == ""
    assert project.build()["changed"]


def test_version_without_a_tag(project: MixProject) -> None:
    first = project.build(version="git")
    assert first["version"] == "0.1.0+g" + git(project.root, "rev-parse", "HEAD")[:8]
    project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "other"\nend\n')
    project.commit()
    second = project.build(version="git")
    assert second["version"] != first["version"] and ask(second, "Demo.answer()") == "other"
    assert ask(second, 'System.get_env("RELEASE_VSN")') == second["version"]


def test_the_path_of_the_build(project: MixProject) -> None:
    project.write("rel/vm.args.eex", '+K true\n-ssl_dist_optfile <%= Path.join(@release.path, "ssl.conf") %>\n')
    project.commit()
    with pytest.raises(BeamError, match=r"rel/vm.args.eex:2.*RELEASE_ROOT"):
        project.build()


@dataclass
class Store:
    """What a store has, as the build sees it."""

    inputs: t.Mapping[str, PublishedBuild]
    versions: t.Mapping[str, PublishedBuild]

    def of_inputs(self, _name: str, inputs: str) -> PublishedBuild | None:
        return self.inputs.get(inputs)

    def of_version(self, _name: str, version: str) -> PublishedBuild | None:
        return self.versions.get(version)


def published(made: t.Mapping[str, t.Any], noted: bool = True) -> Store:
    release = PublishedBuild(made["version"], "d" * 64, made["git_sha"], made["fingerprint"])
    return Store({made["inputs"]: release} if noted else {}, {release.version: release})


def bring(
    project: MixProject, place: Path, store: Store | None = None, check_mode: bool = False, **options: t.Any
) -> dict[str, t.Any]:
    wanted = {**DEFAULTS, "repo": str(project.root), "project_dir": str(place), "release": "demo", **options}
    return run_build(make_request(wanted, os.environ), check_mode, store)


def test_what_is_published_is_taken_as_it_is(project: MixProject, tmp_path: Path) -> None:
    made = bring(project, tmp_path / "one")
    assert (
        made["changed"]
        and made["ref"] == "main, the default branch"
        and made["commit"] == made["git_sha"]
        and len(made["inputs"]) == 64
    )
    for check_mode in (True, False):
        taken = bring(project, tmp_path / "nowhere", published(made), check_mode)
        assert (
            not taken["changed"]
            and taken["path"] is None
            and taken["published"]["version"] == "0.1.0"
            and taken["published"]["digest"] == "d" * 64
        )
        assert not (tmp_path / "nowhere").exists()
    # Of a release that was published without its inputs the project has to be asked, and that is all.
    later = bring(project, tmp_path / "two", published(made, noted=False))
    assert later["published"]["digest"] == "d" * 64 and not list((tmp_path / "two").rglob("demo-0.1.0-*"))
    assert bring(project, tmp_path / "one", published(made), force=True)["path"] == made["path"]
    (tmp_path / "one/lib/demo.ex").write_text('defmodule Demo do\n  def answer, do: "by hand"\nend\n')
    by_hand = bring(project, tmp_path / "one", published(made), allow_dirty=True)
    assert by_hand["changed"] and by_hand["inputs"] == "" and ask(by_hand, "Demo.answer()") == "by hand"
    git(tmp_path / "one", "checkout", "--quiet", ".")
    # Other options, and a tag that may be its version, are other inputs.
    git(project.root, "tag", "v9")
    assert bring(project, tmp_path / "one", check_mode=True)["inputs"] != made["inputs"]
    assert bring(
        project,
        tmp_path / "one",
        Store({made["inputs"]: PublishedBuild("0.1.0", "d" * 64)}, {}),
        check_mode=True,
        mix_env="stress",
    )["changed"]


def test_a_version_that_is_taken_is_refused_before_the_build(project: MixProject, tmp_path: Path) -> None:
    made = bring(project, tmp_path / "one")
    project.write("README.md", "a change that changes no release")
    project.commit()
    assert bring(project, tmp_path / "one", published(made))["changed"]
    project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "other"\nend\n')
    commit = project.commit()
    for check_mode in (True, False):
        with pytest.raises(BeamError) as caught:
            bring(project, tmp_path / "one", published(made), check_mode)
        message = caught.value.message
        assert (
            caught.value.code == "version_exists" and "beam_build_version: git" in message and "lib/demo.ex" in message
        )
        assert made["git_sha"][:12] in message and commit[:12] in message
    assert bring(project, tmp_path / "one", published(made), version="git")["version"] == "0.1.0+g" + commit[:8]


BRING = "import sys; from test_mix_release_inputs import *; print(json.dumps(run_build(make_request({**DEFAULTS, **json.loads(sys.argv[1])}, os.environ))))"


def test_two_deploys_at_once(project: MixProject, tmp_path: Path) -> None:
    """Each gets its own commit, whoever is first; also two branches with one version."""
    git(project.root, "checkout", "--quiet", "-b", "left")
    project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "left"\nend\n')
    project.commit()
    git(project.root, "checkout", "--quiet", "-b", "right", "main")
    project.write("lib/demo.ex", 'defmodule Demo do\n  def answer, do: "right"\nend\n')
    project.write("lib/slow.ex", "Process.sleep(1500)\n")
    project.commit()
    for order in (("left", "right"), ("right", "left")):
        place = tmp_path / order[0]
        options = [json.dumps({"repo": str(project.root), "project_dir": str(place), "ref": ref}) for ref in order]
        both = [
            subprocess.Popen(
                [sys.executable, "-c", BRING, text], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
            )
            for text in options
        ]
        for ref, process in zip(order, both):
            made = json.loads(process.communicate(timeout=120)[0])
            assert (
                made["changed"]
                and ask(made, "Demo.answer()") == ref
                and made["commit"] == git(project.root, "rev-parse", ref)
            )

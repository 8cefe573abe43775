# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mix.exs, read without Elixir; and files of a repository at a ref."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._project.mix_exs import (
    MixProject,
    find,
    least,
    read_mix_exs,
)
from ansible_collections.alchemist.beam.plugins.module_utils._project.repository import LARGEST, Files, open_source


def tree(files: t.Mapping[str, str]) -> Files:
    return Files("", "c0ffee", {path: len(text) for path, text in files.items()}, [], dict(files))


def read(body: str, **more: str) -> MixProject:
    return read_mix_exs(
        tree({"mix.exs": "defmodule Shop.MixProject do\n  use Mix.Project\n%s\nend\n" % body, **more}), "", "prod"
    )


def test_as_people_write_it() -> None:
    got = read("""
      @version "1.2.3"
      @elixir_requirement "~> 1.15"
      def project do
        [
          app: :shop, version: @version, elixir: @elixir_requirement, elixirc_paths: elixirc_paths(Mix.env()), deps: deps() ++ extra(Mix.env()),
          aliases: aliases(), releases: releases(), default_release: :web, start_permanent: Mix.env() == :prod
        ]
      end
      def application, do: [mod: {Shop.Application, []}, extra_applications: [:logger, :os_mon, ssh: :optional]]
      defp elixirc_paths(:test), do: ["lib", "test/support"]
      defp elixirc_paths(_), do: ["lib", "web"]
      defp deps do
        [
          {:phoenix, "~> 1.7"}, {:floki, ">= 0.30.0", only: :test}, {:esbuild, "~> 0.8", runtime: Mix.env() == :dev}, {:core, path: "../core"},
          {:oban, "~> 2.0", only: [:dev, :prod]}, {:git_dep, github: "a/b", tag: "v1"}
        ]
      end
      defp extra(:prod), do: [{:sentry, "~> 10.0"}]
      defp extra(_), do: [{:dialyxir, "~> 1.0"}]
      defp aliases, do: [setup: "deps.get", "assets.deploy": ["esbuild default", fn _ -> :ok end, "phx.digest"]]
      defp releases, do: [web: common() ++ [applications: [shop: :permanent]], worker: common()]
      defp common, do: [include_executables_for: [:unix]]
    """)
    assert (got.app, got.version, got.elixir, got.default_release) == ("shop", "1.2.3", "~> 1.15", "web")
    assert got.elixirc_paths == ("lib", "web") and got.applications == ("logger", "os_mon", "ssh") and got.starts
    assert [one.name for one in got.dependencies if one.production] == [
        "phoenix",
        "esbuild",
        "core",
        "oban",
        "git_dep",
        "sentry",
    ]
    assert [one.runtime for one in got.dependencies if one.name == "esbuild"] == [False]
    assert (
        list(got.releases) == ["web", "worker"]
        and got.aliases["assets.deploy"] == ("esbuild default", "phx.digest")
        and got.notes == ()
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ('String.trim(File.read!("VERSION"))', ""),
        ('System.get_env("VSN", "0.0.1")', "0.0.1"),
        ("version()", ""),
        ('"1.0." <> "2"', "1.0.2"),
        ('"#{@major}.1"', "3.1"),
        ('case File.read("VERSION") do {:ok, v} -> v; _ -> "0.0.0" end', ""),
        ("hd(~w(1.0.0 x))", "1.0.0"),
    ],
)
def test_a_version_that_is_computed(version: str, expected: str) -> None:
    assert read("@major 3\ndef project, do: [app: :shop, version: %s]" % version).version == expected


def test_what_mix_exs_reads_from_the_environment() -> None:
    got = read('def project, do: [app: :shop, version: "0.1.0+#{System.get_env("GIT_SHA", "dev")}"]')
    assert got.version == "0.1.0+dev" and [one.name for one in got.settings] == ["GIT_SHA"]


def test_releases_that_can_not_be_told_are_said() -> None:
    got = read("def project, do: [app: :shop, releases: Elsewhere.releases(), deps: Elsewhere.deps()]")
    assert got.releases == {} and len(got.notes) == 2 and "beam_name" in got.notes[1]


def test_umbrella() -> None:
    root = 'defmodule Root do\n  def project, do: [apps_path: "apps", version: "0.1.0", releases: [web: [applications: [web: :permanent]], jobs: []]]\nend'
    child = 'defmodule %s.MixProject do\n  def project, do: [app: :%s, config_path: "../../config/config.exs", deps: [{:core, in_umbrella: true}]]\nend'
    files = tree(
        {
            "mix.exs": root,
            "apps/web/mix.exs": child % ("Web", "web"),
            "apps/core/mix.exs": child % ("Core", "core"),
            "apps/web/assets/mix.exs": "x",
            "apps/broken/mix.exs": "defmodule (",
        }
    )
    got = read_mix_exs(files, "", "prod")
    assert [one.app for one in got.children] == ["core", "web"] and list(got.releases) == ["web", "jobs"]
    assert got.children[1].config_path == "config/config.exs" and got.children[1].dependencies[0].in_umbrella
    assert len(files.notes) == 1 and files.notes[0].startswith("apps/broken/mix.exs can't be read")


def test_where_the_project_is() -> None:
    assert find(tree({"mix.exs": "", "installer/mix.exs": ""}), "") == ""
    assert find(tree({"elixir/mix.exs": "", "elixir/apps/web/mix.exs": "", "rust/Cargo.toml": ""}), "") == "elixir"
    assert find(tree({"a/mix.exs": "", "b/mix.exs": ""}), "b/") == "b"


@pytest.mark.parametrize(
    ("files", "subdir", "code", "words"),
    [
        ({"Cargo.toml": ""}, "", "no_mix_exs", "beam_repo"),
        ({"mix.exs": ""}, "web", "no_mix_exs", "beam_build_subdir"),
        ({"a/mix.exs": "", "b/mix.exs": ""}, "", "mix_exs_ambiguous", "beam_build_subdir=a"),
    ],
)
def test_no_project(files: t.Mapping[str, str], subdir: str, code: str, words: str) -> None:
    with pytest.raises(BeamError) as error:
        find(tree(files), subdir)
    assert error.value.code == code and words in error.value.message


@pytest.mark.parametrize(
    "source",
    [
        "",
        "defmodule X do\nend",
        'defmodule X do\n def project, do: "a"\nend',
        "{{{",
        "\0",
        "defmodule X do\n def project, do: project()\nend",
    ],
)
def test_no_mix_exs(source: str) -> None:
    with pytest.raises(BeamError) as error:
        read_mix_exs(tree({"mix.exs": source}), "", "prod")
    assert error.value.code == "mix_exs_unreadable" and error.value.hint


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("~> 1.15", "1.15"),
        (">= 1.14.2", "1.14.2"),
        ("~> 1.15 or ~> 1.9", "1.9"),
        ("1.18.0", "1.18.0"),
        ("", ""),
        ("> 1.2", ""),
        (">= 1.14.0 and < 2.0.0", "1.14.0"),
    ],
)
def test_the_oldest_elixir(wanted: str, expected: str) -> None:
    assert least(wanted) == expected


def git(directory: Path, *arguments: str) -> None:
    command = ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "mix.exs").write_text("one")
    (path / "latin").write_bytes(b"caf\xe9")
    (path / "large.exs").write_text("#" * (LARGEST + 1))
    (path / "link").symlink_to("/etc/passwd")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "one")
    git(path, "tag", "v1.0.0")
    (path / "mix.exs").write_text("two")
    git(path, "commit", "-q", "-a", "-m", "two")
    return path


def test_files_at_a_ref(repository: Path) -> None:
    (repository / "mix.exs").write_text("not committed")
    with open_source(str(repository), "v1.0.0") as source:
        assert source.files.read("mix.exs") == "one" and source.said == "v1.0.0"
    with open_source(str(repository), "") as source:
        assert (
            source.files.read("mix.exs") == "two"
            and (source.said, source.url, source.dirty) == ("main", "", True)
            and source.tags == ("v1.0.0",)
        )
        assert "link" not in source.files and source.files.read("gone") == ""
        assert source.files.read("latin") == "caf\ufffd" and source.files.read("large.exs") == ""
        assert ["latin" in source.files.notes[0], "large.exs" in source.files.notes[1]] == [True, True]


def test_files_of_a_remote(repository: Path) -> None:
    url = "file://" + str(repository)
    for ref, text in (("", "two"), ("v1.0.0", "one"), ("main", "two")):
        with open_source(url, ref) as source:
            assert source.files.read("mix.exs") == text and source.url == url
    short = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "--short=8", "v1.0.0"], check=True, capture_output=True, text=True
    ).stdout.strip()
    with open_source(url, short) as source:
        assert source.files.read("mix.exs") == "one"


@pytest.mark.parametrize(
    ("repo", "ref", "code"),
    [
        ("", "", "git_no_repository"),
        ("{}", "v9", "git_no_ref"),
        ("{}/..", "", "git_no_repository"),
        ("nowhere", "", "git_no_repository"),
    ],
)
def test_no_files(repository: Path, repo: str, ref: str, code: str) -> None:
    with pytest.raises(BeamError) as error, open_source(repo.format(repository), ref):
        pass
    assert error.value.code == code and error.value.hint

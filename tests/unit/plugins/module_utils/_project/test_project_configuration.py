# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables a configuration reads, and what becomes of a boot without them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._project.configuration import (
    Configuration,
    read_configuration,
)
from ansible_collections.alchemist.beam.plugins.module_utils._project.findings import Setting
from ansible_collections.alchemist.beam.plugins.module_utils._project.mix_exs import read_mix_exs
from ansible_collections.alchemist.beam.plugins.module_utils._project.modules import Library
from ansible_collections.alchemist.beam.plugins.module_utils._project.repository import Files

MIX = """
defmodule Shop.MixProject do
  use Mix.Project
  def project, do: [app: :shop, version: "0.1.0", deps: []]
  def application, do: [mod: {Shop.Application, []}]
end
"""


def read(files: t.Mapping[str, str]) -> Configuration:
    everything = {"mix.exs": MIX, **files}
    tree = Files("", "c0ffee", {path: len(text) for path, text in everything.items()}, [], dict(everything))
    project = read_mix_exs(tree, "", "prod")
    return read_configuration(
        tree, project, Library(tree.read, tree.below("lib", ".ex")), "prod", next(iter(project.releases.values()), None)
    )


def runtime(source: str, **files: str) -> dict[str, Setting]:
    return {one.name: one for one in read({"config/runtime.exs": "import Config\n" + source, **files}).runtime}


REQUIRED = {
    "fetch_env": 'config :shop, key: System.fetch_env!("X")',
    "raise": 'config :shop, key: System.get_env("X") || raise "X is missing"',
    "heredoc": 'x =\n  System.get_env("X") ||\n    raise """\n    environment variable X is missing.\n    For example: #{"Y"}\n    """\n',
    "if nil": 'x = System.get_env("X")\nif is_nil(x), do: raise("X")',
    "unless": 'x = System.get_env("X")\nunless x do\n  raise ArgumentError, message: "X"\nend',
    "not": 'if !System.get_env("X"), do: raise "X"',
    "empty": 'x = System.get_env("X", "")\nif x == "" do\n  raise("X not available")\nend',
    "case": 'case System.get_env("X") do\n  "a" -> :a\n  "b" -> :b\n  other -> raise "not #{other}"\nend',
    "case without a clause for nil": 'case System.get_env("X") do\n  "a" -> :a\nend',
    "fetch_env in a case": 'x = case System.fetch_env("X") do\n  {:ok, value} -> value\n  :error -> raise "X"\nend',
    "to_integer of nil": 'config :shop, port: String.to_integer(System.get_env("X"))',
    "pipe": 'config :shop, port: "X" |> System.get_env() |> String.to_integer()',
    "text": 'config :shop, url: "https://" <> System.get_env("X")',
    "only in prod": 'if config_env() == :prod do\n  config :shop, key: System.fetch_env!("X")\nend',
    "not in test": 'unless config_env() in [:dev, :test] do\n  config :shop, key: System.fetch_env!("X")\nend',
    "dotenvy": 'import Dotenvy\nsource!([".env", System.get_env()])\nconfig :shop, key: env!("X", :string!)',
    "anonymous function": 'must = fn name -> System.get_env(name) || raise("#{name}") end\nconfig :shop, key: must.("X")',
    "module in the file": 'defmodule Env do\n  def must!(name), do: System.get_env(name) || raise("no #{name}")\nend\nconfig :shop, key: Env.must!("X")',
    "for each": 'for name <- ["X", "Y"], do: System.fetch_env!(name)',
    "map over names": "Enum.each(~w(X Y), fn name -> System.fetch_env!(name) end)",
    "capture": '["X"] |> Enum.map(&System.fetch_env!/1)',
    "confex": 'config :shop, key: {:system, "X"}',
    "vapor": 'Vapor.load!([%Vapor.Provider.Env{bindings: [key: "X", port: {:port, "PORT"}]}])',
    "whole environment": 'env = System.get_env()\nconfig :shop, key: Map.fetch!(env, "X")',
    "with": 'key = with nil <- System.get_env("X") do\n  raise "X"\nend',
}


@pytest.mark.parametrize("source", REQUIRED.values(), ids=REQUIRED)
def test_required(source: str) -> None:
    assert runtime(source)["X"].kind == "required"


DEFAULTS = {
    "second argument": ('System.get_env("X", "4000")', "4000"),
    "or": ('String.to_integer(System.get_env("X") || "4000")', "4000"),
    "number after conversion": ('(System.get_env("X") || 4000)', "4000"),
    "dotenvy": ('env!("X", :integer, 4000)', "4000"),
    "confex": ('{:system, :integer, "X", 4000}', "4000"),
    "if": ('if value = System.get_env("X"), do: String.to_integer(value), else: 4000', "4000"),
    "case": ('case System.get_env("X") do\n nil -> 4000\n x -> String.to_integer(x)\nend', "4000"),
    "of another environment": ('System.get_env("X", if(config_env() == :prod, do: "4000", else: "1"))', "4000"),
    "zero is one": ('System.get_env("X", "0")', "0"),
    "keyword": ('System.get_env("X", [prod: "4000", dev: "1"][config_env()])', "4000"),
}


@pytest.mark.parametrize(("source", "default"), DEFAULTS.values(), ids=DEFAULTS)
def test_default(source: str, default: str) -> None:
    found = runtime("config(:shop, key: %s)" % source)["X"]
    assert (found.kind, found.default) == ("default", default)


OPTIONAL = {
    "plain": 'config :shop, key: System.get_env("X")',
    "flag": 'if System.get_env("X") do\n  config :shop, Shop.Endpoint, server: true\nend',
    "in a list": 'ipv6 = if System.get_env("X"), do: [:inet6], else: []',
    "compared": 'config :shop, on: System.get_env("X") == "true"',
    "chooses": 'level = if System.get_env("X"), do: "debug", else: "info"\nconfig :logger, level: level',
    "itself asked for first": 'if System.get_env("X") do\n  config :shop, key: System.fetch_env!("X")\nend',
    "nil is a clause": 'case System.get_env("X") do\n  value when value in [nil, "", "web"] -> :web\n  "worker" -> :worker\n  other -> raise other\nend',
    "rescued": 'try do\n  System.get_env("X")\nrescue\n  _ -> nil\nend',
}


@pytest.mark.parametrize("source", OPTIONAL.values(), ids=OPTIONAL)
def test_optional(source: str) -> None:
    found = runtime(source)["X"]
    assert (found.kind, found.when) == ("optional", "")


NOT_READ = {
    "comment": '# System.fetch_env!("X")',
    "text": 'IO.puts(~S(System.fetch_env!("X")))',
    "test": 'if config_env() == :test, do: System.fetch_env!("X")',
    "else of prod": 'if config_env() == :prod do\n  :ok\nelse\n  System.fetch_env!("X")\nend',
    "case of prod": 'case config_env() do\n  :prod -> :ok\n  :dev -> System.fetch_env!("X")\nend',
    "not called": 'must = fn -> System.fetch_env!("X") end',
}


@pytest.mark.parametrize("source", NOT_READ.values(), ids=NOT_READ)
def test_what_production_does_not_read(source: str) -> None:
    assert "X" not in runtime(source)


def test_required_under_a_condition() -> None:
    found = runtime('if System.get_env("SMTP") == "true" do\n  config :shop, host: System.fetch_env!("SMTP_HOST")\nend')
    assert found["SMTP"].kind == "optional" and found["SMTP_HOST"].kind == "optional"
    assert found["SMTP_HOST"].when == 'System.get_env("SMTP") == "true"'
    found = runtime(
        'case System.get_env("MAILER", "local") do\n  "smtp" -> System.fetch_env!("SMTP_HOST")\n  "local" -> nil\nend'
    )
    assert found["SMTP_HOST"].when == "MAILER is smtp" and found["MAILER"].default == "local"


def test_what_is_set_by_default_counts() -> None:
    found = runtime(
        'if System.get_env("CLUSTER", "true") == "true" do\n  config :shop, query: System.fetch_env!("QUERY")\nend'
    )
    assert found["QUERY"].kind == "required"


def test_one_of_two() -> None:
    found = runtime('key = System.get_env("KEY") || System.get_env("OLD_KEY") || raise "KEY"')
    assert (
        found["KEY"].kind == "required" and found["KEY"].others == ("OLD_KEY",) and found["OLD_KEY"].kind == "optional"
    )


def test_both_of_two() -> None:
    found = runtime('if !System.get_env("A") or !System.get_env("B"), do: raise "A or B"')
    assert {name: one.kind for name, one in found.items()} == {"A": "required", "B": "required"}


def test_either_of_two() -> None:
    found = runtime('if !System.get_env("A") && !System.get_env("B"), do: raise "A or B"')
    assert found["A"].kind == "required" and found["A"].others == ("B",) and found["B"].kind == "optional"


def test_what_another_value_leads_past() -> None:
    found = runtime('case System.get_env("SOCKET") do\n  nil -> System.fetch_env!("DATABASE_HOST")\n  dir -> dir\nend')
    assert found["DATABASE_HOST"].kind == "required" and found["DATABASE_HOST"].unless == ("SOCKET",)


def test_what_nobody_looks_at_is_not_to_blame() -> None:
    helper = "defmodule H do\n  def put(opts, name), do: [{:url, System.fetch_env!(name)} | opts]\n  def check(opts, url), do: url || raise(opts)\nend"
    found = runtime(
        'H.put([pool: System.get_env("POOL", "5")], "URL")\nH.check([pool: System.get_env("POOL", "5")], System.get_env("OTHER"))',
        **{"lib/h.ex": helper},
    )
    assert {name: one.kind for name, one in found.items()} == {
        "POOL": "default",
        "URL": "required",
        "OTHER": "required",
    }


def test_a_number_with_a_unit_is_a_default() -> None:
    helper = """
    defmodule Helper do
      def time(name, default) do
        case name |> System.get_env(default) |> Integer.parse() do
          {number, ""} -> number
          {number, "m"} -> number * 60
          _ -> raise "not a time"
        end
      end
    end
    """
    assert (
        runtime('Code.require_file("helper.exs", "config")\nHelper.time("T", "5m")', **{"config/helper.exs": helper})[
            "T"
        ].kind
        == "default"
    )
    assert (
        runtime(
            '__DIR__ |> Path.join("helper.exs") |> Code.eval_file()\nHelper.time("T", "5x")',
            **{"config/helper.exs": helper},
        )["T"].kind
        == "required"
    )


def test_what_was_configured_when_it_was_built() -> None:
    config = 'import Config\nconfig :shop, hosted: System.get_env("SELF_HOSTED", "0") in ["1", "true"]'
    source = 'hosted = Application.compile_env(:shop, :hosted)\nget = fn key -> if hosted, do: System.get_env(key), else: System.fetch_env!(key) end\nget.("X")'
    assert runtime(source, **{"config/config.exs": config})["X"].kind == "required"
    assert runtime(source, **{"config/config.exs": config.replace('"0"', '"1"')})["X"].kind == "optional"


def test_helper_of_the_project_is_followed_and_the_place_is_where_it_is_called() -> None:
    helper = """
    defmodule Shop.Env do
      @moduledoc "Reads, as System.get_env(\\"NOTHING\\")"
      def get(name, default \\\\ nil)
      def get(name, nil), do: System.get_env(name)
      def get(name, default) when is_integer(default) do
        value = System.get_env(name)
        if value, do: String.to_integer(value), else: default
      end
      def must!(name, defaults \\\\ []) do
        case Application.get_env(:shop, :x) || :prod do
          :prod -> System.fetch_env!(name)
          env -> System.get_env(name, defaults[env])
        end
      end
    end
    """
    source = 'alias Shop.Env\nconfig :shop, pool: Env.get("POOL", 5), sentry: Env.get("SENTRY"),\n  key: Env.must!("KEY", dev: "x")\n'
    found = runtime(source, **{"lib/shop/env.ex": helper})
    assert (found["POOL"].kind, found["POOL"].default) == ("default", "5")
    assert found["SENTRY"].kind == "optional" and "NOTHING" not in found
    assert (found["POOL"].file, found["POOL"].line) == ("config/runtime.exs", 3)


def test_helper_that_can_not_be_followed_is_said() -> None:
    got = read(
        {
            "config/runtime.exs": 'import Config\nconfig :shop, key: Elsewhere.get_env!("TOKEN"), other: Elsewhere.env(:database_url)'
        }
    )
    assert {one.name: one.kind for one in got.runtime} == {"TOKEN": "guessed", "DATABASE_URL": "guessed"}
    assert len(got.notes) == 2 and "Elsewhere.get_env!" in got.notes[0] and "DATABASE_URL" in got.notes[1]


def test_files_that_it_reads() -> None:
    got = read(
        {
            "config/runtime.exs": 'import Config\nCode.require_file("config/mail.exs")\nCode.eval_file("gone.exs")',
            "config/mail.exs": 'import Config\nconfig :shop, relay: System.fetch_env!("SMTP_RELAY")',
        }
    )
    assert [(one.name, one.file) for one in got.runtime] == [("SMTP_RELAY", "config/mail.exs")]
    assert any("gone.exs" in note for note in got.notes)


def test_build_time_is_apart_and_the_configuration_is_merged() -> None:
    got = read(
        {
            "config/config.exs": 'import Config\nconfig :shop, Shop.Endpoint, url: [host: "localhost"], http: [port: 1]\nimport_config "#{config_env()}.exs"',
            "config/prod.exs": 'import Config\nconfig :shop, Shop.Endpoint, force_ssl: [hsts: true], cdn: System.get_env("CDN_HOST")',
            "config/dev.exs": 'import Config\nconfig :shop, x: System.fetch_env!("DEV_ONLY")',
            "config/runtime.exs": 'import Config\nconfig :shop, Shop.Endpoint, http: [port: String.to_integer(System.get_env("PORT", "4000"))]',
        }
    )
    assert [one.name for one in got.build] == ["CDN_HOST"] and [one.name for one in got.runtime] == ["PORT"]
    endpoint = dict((key.name, value) for key, value in got.value("shop", "Shop.Endpoint"))
    assert set(endpoint) == {"url", "http", "force_ssl", "cdn"}


HOSTILE = {
    "no Elixir": "<html>{{{</html>",
    "text without end": 'config :shop, key: "abc',
    "block without end": "if true do\n  1\n",
    "deep": "x = " + "(" * 5000 + "1" + ")" * 5000,
    "deep lists": "x = " + "[" * 3000 + "]" * 3000,
    "deep texts": 'x = "' + '#{"' * 200 + '"}' * 200 + '"',
    "nothing": "",
    "zero": "\0",
    "runs for ever": "defmodule L do\n  def a(x), do: a(x + 1) + a(x + 2)\nend\nL.a(1)",
    "counts for ever": "Enum.each(1..100_000_000, fn x -> Enum.each(1..100_000_000, fn y -> x + y end) end)",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_hostile_sources_end(source: str) -> None:
    got = read({"config/runtime.exs": source})
    assert got.runtime == ()


def test_what_stands_before_the_unreadable_is_not_lost_silently() -> None:
    got = read({"config/runtime.exs": 'import Config\nconfig :shop, key: System.fetch_env!("X")\n"abc'})
    assert got.notes == (
        "config/runtime.exs can't be read: a text that begins here does not end, in line 3; its variables are not in the inventory",
    )


def test_a_million_letters_are_read_within_seconds() -> None:
    source = "import Config\n" + "".join(
        'config :shop, key%d: "a#{System.get_env("V%d")}b"\n' % (number, number) for number in range(4000)
    )
    assert len(runtime(source)) == 4000

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The Elixir script that asks a project who it is.

It evaluates mix.exs and nothing else: neither config/runtime.exs (which may want secrets of the server) nor the
dependencies have to be there. A string, because only .py files travel with a module. It writes to a file, because
mix.exs may print. Runs on Elixir 1.14 and later.
"""

from __future__ import annotations

SCRIPT = r"""
defmodule AlchemistBeam.Json do
  def encode(nil), do: "null"
  def encode(value) when is_boolean(value) or is_integer(value), do: to_string(value)
  def encode(value) when is_atom(value), do: encode(Atom.to_string(value))
  def encode(value) when is_list(value), do: "[" <> Enum.map_join(value, ",", &encode/1) <> "]"

  def encode(value) when is_map(value) do
    "{" <> Enum.map_join(value, ",", fn {key, item} -> encode(to_string(key)) <> ":" <> encode(item) end) <> "}"
  end

  def encode(value) when is_binary(value) do
    "\"" <> for(<<char::utf8 <- value>>, into: "", do: escape(char)) <> "\""
  end

  defp escape(char) when char in [?", ?\\] or char < 32 or char > 126 do
    char |> List.wrap() |> List.to_string() |> :unicode.characters_to_binary(:utf8, {:utf16, :big}) |> units("")
  end

  defp escape(char), do: <<char>>

  defp units(<<unit::16, rest::binary>>, text) do
    units(rest, text <> "\\u" <> String.pad_leading(Integer.to_string(unit, 16), 4, "0"))
  end

  defp units("", text), do: text
end

defmodule AlchemistBeam.Info do
  # {app, path} of every application that lies in a directory: children of an umbrella, dependencies by path, and theirs.
  def by_path(config, root, seen) do
    children = if config[:apps_path], do: Enum.map(Mix.Project.apps_paths(config) || %{}, fn {app, path} -> {app, path} end), else: []

    Enum.reduce(children ++ path_deps(config), seen, fn {app, path}, seen ->
      path = Path.expand(path, root)
      child = {app, path} in expand(children, root)

      cond do
        # A child that a sibling has led to before.
        Map.has_key?(seen, path) ->
          Map.update!(seen, path, &%{&1 | child: &1.child or child})

        not File.regular?(Path.join(path, "mix.exs")) ->
          Map.put(seen, path, %{app: app, version: nil, child: false, fetched: false})

        true ->
          inside(app, path, fn config ->
            seen = Map.put(seen, path, %{app: app, version: config[:version], child: child, fetched: fetched?(config)})
            by_path(config, path, seen)
          end)
      end
    end)
  end

  def fetched?(config), do: length(config[:deps] || []) > length(path_deps(config))

  def releases(config, apps) do
    for {name, opts} <- config[:releases] || [] do
      opts = if is_function(opts, 0), do: opts.(), else: opts

      version =
        case opts[:version] do
          {:from_app, app} -> apps[app]
          nil -> config[:version]
          version -> version
        end

      %{name: name, version: version}
    end
  end

  # What else Mix reads of the project: files and directories. `paths` has the applications.
  def reads(config, root) do
    releases = for {_name, opts} <- config[:releases] || [], opts = if(is_function(opts, 0), do: opts.(), else: opts), do: opts
    templates = for opts <- releases, path <- [opts[:rel_templates_path] | List.wrap(opts[:overlays])], is_binary(path), do: path
    config_dir = if config[:config_path], do: [Path.dirname(config[:config_path])], else: []

    ([config[:lockfile]] ++ config_dir ++ templates ++ List.wrap(config[:elixirc_paths]) ++ List.wrap(config[:erlc_paths]))
    |> Enum.filter(&is_binary/1)
    |> Enum.map(&Path.expand(&1, root))
    |> Enum.uniq()
  end

  # The tasks that an alias leads to, as words; what is a function has no name.
  def aliases(config) do
    for {name, steps} <- config[:aliases] || [], into: %{}, do: {name, Enum.filter(List.wrap(steps), &is_binary/1)}
  end

  defp inside(app, path, work), do: Mix.Project.in_project(app, path, fn _module -> work.(Mix.Project.config()) end)

  defp expand(children, root), do: Enum.map(children, fn {app, path} -> {app, Path.expand(path, root)} end)

  defp path_deps(config) do
    for {app, opts} <- options(config), path = opts[:path] || (opts[:in_umbrella] && "../#{app}"), do: {app, path}
  end

  defp options(config) do
    Enum.flat_map(config[:deps] || [], fn
      {app, opts} when is_list(opts) -> [{app, opts}]
      {app, _requirement, opts} when is_list(opts) -> [{app, opts}]
      _other -> []
    end)
  end
end

defmodule AlchemistBeam.Needs do
  # What the project, and each application that lies in a directory, asks of the toolchain in this environment.
  def of(config, found, root) do
    inside =
      for {path, %{app: app, child: child}} <- found, path != root, File.regular?(Path.join(path, "mix.exs")) do
        Mix.Project.in_project(app, path, fn _module -> one(Mix.Project.config(), path, child) end)
      end

    %{projects: [one(config, root, true) | inside], releases: releases(config), deps_path: Mix.Project.deps_path(), hex: hex?()}
  end

  defp one(config, path, own) do
    deps = for {app, opts} <- options(config), wanted?(opts, own), do: {app, opts}
    compiled = for {app, opts} <- deps, opts[:compile] != false, do: {app, opts}
    fetched = for {app, opts} <- deps, is_nil(opts[:path]), !opts[:in_umbrella], do: {app, opts}

    %{
      app: config[:app], path: path, own: own, elixir: requirement(config[:elixir]), elixir_fits: fits?(config[:elixir]), applications: applications(),
      make: :elixir_make in List.wrap(config[:compilers]) and is_nil(config[:make_precompiler]),
      deps: Enum.map(compiled, &elem(&1, 0)), paths: for({app, opts} <- compiled, opts[:path], into: %{}, do: {app, Path.expand(opts[:path], path)}),
      runtime: for({app, opts} <- deps, opts[:runtime] != false and opts[:app] != false, do: app),
      hex: for({app, opts} <- fetched, is_nil(opts[:git]) and is_nil(opts[:github]), do: app)
    }
  end

  defp requirement(text) when is_binary(text), do: text
  defp requirement(_other), do: nil

  defp fits?(text) when is_binary(text) do
    case Version.parse_requirement(text) do
      {:ok, requirement} -> Version.match?(System.version(), requirement)
      :error -> true
    end
  end

  defp fits?(_other), do: true

  # Names that application/0 gives, which may be a function of anything: what it can't tell here, Mix tells later.
  defp applications do
    module = Mix.Project.get()
    options = if module && function_exported?(module, :application, 0), do: module.application(), else: []
    names(List.wrap(options[:applications]) ++ List.wrap(options[:extra_applications]) ++ List.wrap(options[:included_applications]))
  rescue
    _error -> []
  catch
    _kind, _reason -> []
  end

  defp names(list) do
    Enum.flat_map(list, fn
      {_app, :optional} -> []
      {app, _mode} when is_atom(app) -> [app]
      app when is_atom(app) -> [app]
      _other -> []
    end)
  end

  defp releases(config) do
    for {name, opts} <- config[:releases] || [], into: %{} do
      opts = if is_function(opts, 0), do: opts.(), else: opts
      {name, names(opts[:applications] || [])}
    end
  end

  defp wanted?(opts, own) do
    env = if own, do: Mix.env(), else: :prod
    (is_nil(opts[:only]) or env in List.wrap(opts[:only])) and (own or !opts[:optional])
  end

  defp options(config) do
    Enum.flat_map(config[:deps] || [], fn
      {app, opts} when is_list(opts) -> [{app, opts}]
      {app, _requirement, opts} when is_list(opts) -> [{app, opts}]
      {app, _requirement} -> [{app, []}]
      _other -> []
    end)
  end

  # Mix has loaded no archive here. Hex may come in another way, too.
  defp hex? do
    if Code.ensure_loaded?(Mix.Local) and function_exported?(Mix.Local, :append_archives, 0), do: Mix.Local.append_archives()
    Code.ensure_loaded?(Hex)
  rescue
    _error -> false
  end
end

[target] = System.argv()
Mix.start()
Mix.env(String.to_atom(System.fetch_env!("MIX_ENV")))
Code.compile_file("mix.exs")
config = Mix.Project.config()
root = File.cwd!()
found = AlchemistBeam.Info.by_path(config, root, %{})
children = for {_path, %{child: true} = child} <- found, do: child
own = if config[:apps_path], do: children, else: [%{app: config[:app], version: config[:version]}]
apps = for {_path, %{app: app, version: version}} <- found, into: %{config[:app] => config[:version]}, do: {app, version}

File.write!(target, AlchemistBeam.Json.encode(%{
  app: config[:app],
  version: config[:version],
  umbrella: config[:apps_path] != nil,
  releases: AlchemistBeam.Info.releases(config, apps),
  default_release: config[:default_release],
  own_apps: for(%{app: app, version: version} <- own, into: %{}, do: {app, version}),
  paths: Map.keys(found),
  reads: AlchemistBeam.Info.reads(config, root),
  aliases: AlchemistBeam.Info.aliases(config),
  fetched: AlchemistBeam.Info.fetched?(config) or Enum.any?(found, fn {_path, item} -> item.fetched end),
  lockfile: config[:lockfile] || "mix.lock",
  needs: AlchemistBeam.Needs.of(config, found, root),
  elixir: System.version(),
  elixir_root: :code.lib_dir(:elixir) |> to_string() |> Path.join("../..") |> Path.expand(),
  otp_root: to_string(:code.root_dir()),
  otp_release: System.otp_release(),
  erts: to_string(:erlang.system_info(:version))
}))
"""

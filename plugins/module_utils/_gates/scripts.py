# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The Elixir scripts that a gate loads with `elixir -r`, beside the project's own code. Nothing is added to the application.

Strings, because only .py files travel with a module. Each writes Erlang terms to a file, and names the file only when it is whole: a file that is
missing is a gate that failed. They run on Elixir 1.14 and later.
"""

from __future__ import annotations

# A formatter of ExUnit. One file for each run: an umbrella has one run for each of its applications. `begun` stays where a run did not end.
FORMATTER = r"""
defmodule AlchemistBeam.Formatter do
  use GenServer

  def init(_options) do
    name = "#{Mix.Project.config()[:app] || "umbrella"}-#{System.unique_integer([:positive])}"
    place = Path.join(System.fetch_env!("ALCHEMIST_GATE_DIR"), name)
    File.write!(place <> ".begun", "")
    {:ok, %{place: place, app: to_string(Mix.Project.config()[:app]), root: File.cwd!(), tests: [], modules: []}}
  end

  def handle_cast({:test_finished, %ExUnit.Test{} = test}, state) do
    {outcome, text} = outcome(test)
    file = Path.relative_to(to_string(test.tags[:file]), state.root)
    row = {inspect(test.module), to_string(test.name), outcome, test.time, file, test.tags[:line] || 0, text}
    {:noreply, %{state | tests: [row | state.tests]}}
  end

  # setup_all failed: the tests of the module did not run, and come with a state of their own.
  def handle_cast({:module_finished, %{state: {:failed, failures} = failed} = module}, state) when is_list(failures) do
    {:noreply, %{state | modules: [{inspect(module.name), text(fn -> module_failure(module, failed) end)} | state.modules]}}
  end

  def handle_cast({:suite_finished, _times}, state) do
    term = {:alchemist_gate, 1, state.app, Enum.reverse(state.tests), Enum.reverse(state.modules)}
    File.write!(state.place <> ".part", :erlang.term_to_binary(term))
    File.rename!(state.place <> ".part", state.place <> ".etf")
    File.rm!(state.place <> ".begun")
    {:noreply, state}
  end

  def handle_cast(_event, state), do: {:noreply, state}

  defp outcome(%{state: nil}), do: {:passed, ""}
  defp outcome(%{state: {:skipped, why}}), do: {:skipped, to_string(why)}
  defp outcome(%{state: {:excluded, why}}), do: {:excluded, to_string(why)}
  defp outcome(%{state: {:invalid, _module}}), do: {:failed, "setup_all of its module failed"}
  defp outcome(%{state: {:failed, failures}} = test), do: {:failed, text(fn -> format(test, failures) end)}

  defp format(test, failures), do: ExUnit.Formatter.format_test_failure(test, failures, 1, 120, &plain/2)
  defp module_failure(module, {:failed, failures}), do: ExUnit.Formatter.format_test_all_failure(module, failures, 1, 120, &plain/2)

  # Whatever a test raises may fail to be shown.
  defp text(work) do
    IO.iodata_to_binary(work.()) |> String.slice(0, 4000)
  rescue
    _error -> "it failed, and can't be shown"
  end

  defp plain(:diff_enabled?, _text), do: false
  defp plain(_key, text), do: text
end
"""

COMPILE = r"""
defmodule Mix.Tasks.AlchemistBeam.Compile do
  use Mix.Task

  def run([target]) do
    Mix.Task.run("loadpaths")
    answers = List.wrap(Mix.Task.run("compile", ["--return-errors", "--all-warnings", "--force"]))
    statuses = for {status, _found} <- answers, do: status

    rows =
      for {_status, found} <- answers, one <- List.wrap(found) do
        {one.severity, Path.relative_to_cwd(to_string(one.file)), line(one.position), IO.chardata_to_string(one.message)}
      end

    File.write!(target <> ".part", :erlang.term_to_binary({:alchemist_gate, 1, statuses, rows}))
    File.rename!(target <> ".part", target)
    if :error in statuses, do: System.halt(1)
  end

  defp line(position) when is_integer(position), do: position
  defp line(position) when is_tuple(position), do: elem(position, 0)
  defp line(_none), do: 0
end
"""

# Reads what the runs of the tests exported. Modules that the project leaves out of its coverage are left out here, too.
COVERAGE = r"""
defmodule Mix.Tasks.AlchemistBeam.Coverage do
  use Mix.Task

  def run([target | exported]) do
    # Since Elixir 1.15, which takes applications of Erlang/OTP that nobody names out of the path.
    if function_exported?(Mix, :ensure_application!, 1), do: apply(Mix, :ensure_application!, [:tools])
    Mix.Task.run("loadpaths")
    for ebin <- Path.wildcard(Path.join(Mix.Project.build_path(), "lib/*/ebin")), do: Code.append_path(ebin)
    {:ok, _pid} = :cover.start()
    for path <- exported, do: :ok = :cover.import(String.to_charlist(path))
    ignored = get_in(Mix.Project.config(), [:test_coverage, :ignore_modules]) || []
    modules = for module <- :cover.imported_modules(), not ignored?(module, ignored), do: module

    rows =
      for module <- modules, {:ok, lines} <- [:cover.analyse(module, :calls, :line)] do
        {inspect(module), source(module), for({{_module, line}, hits} <- lines, line != 0, do: {line, hits})}
      end

    File.write!(target <> ".part", :erlang.term_to_binary({:alchemist_gate, 1, rows}))
    File.rename!(target <> ".part", target)
  end

  defp ignored?(module, ignored) do
    Enum.any?(ignored, fn
      %Regex{} = pattern -> Regex.match?(pattern, inspect(module))
      name -> name == module
    end)
  end

  defp source(module) do
    Path.relative_to_cwd(to_string(module.module_info(:compile)[:source]))
  rescue
    _error -> ""
  end
end
"""

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Fault do
  @moduledoc """
  Ways to go wrong on purpose, for tests of deployments: `BEACON_FAULT=name` or `name:milliseconds`.

    * `never_healthy` - /health is 503 for ever
    * `flap` - /health is 200 and 503 in turns
    * `lie` - /health is 200 but names another version
    * `slow_health:MS` - /health answers late
    * `errors` - /health is 200, everything else 500
    * `slow:MS` - /health is quick, everything else late (1000 where no number is given)
    * `slow_boot:MS` - the application takes that long to start
    * `boot_error` - the application does not start
    * `crash_loop:MS` - a worker crashes until the VM gives up, the first time after MS
    * `exit0:MS` - the VM stops by itself, as if all were well
    * `hang_on_stop` - a worker never ends, with no time limit
    * `ignore_term` - SIGTERM is not heard
    * `port_in_use` - something listens on its port already
    * `migration_fails` - `Beacon.Release.migrate/0` raises
  """

  @doc "Whether this fault is asked for."
  def named(name), do: elem(parse(), 0) == name

  @doc "The number that comes with the fault (or `unsaid`), or the default where another one is asked for."
  def argument(name, default, unsaid \\ nil) do
    case parse() do
      {^name, ms} -> ms || unsaid || default
      _other -> default
    end
  end

  @turns {__MODULE__, :turns}

  def at_boot do
    :persistent_term.put(@turns, :counters.new(1, []))
    if named("boot_error"), do: raise("BEACON_FAULT=boot_error")
    if named("ignore_term"), do: :os.set_signal(:sigterm, :ignore)
    if named("port_in_use"), do: {:ok, _socket} = :gen_tcp.listen(Application.fetch_env!(:beacon, :port), reuseaddr: true)
    Process.sleep(argument("slow_boot", 0))
  end

  def children do
    case parse() do
      {"crash_loop", ms} -> [task(fn -> fail_after(ms || 300) end)]
      {"exit0", ms} -> [task(fn -> stop_after(ms || 300) end)]
      {"hang_on_stop", _} -> [%{id: :hang, start: {Beacon.Fault.Hang, :start_link, []}, shutdown: :infinity}]
      _other -> []
    end
  end

  def healthy? do
    case parse() do
      {"never_healthy", _} -> false
      {"flap", _} -> turn() == 0
      _other -> true
    end
  end

  defp turn do
    turns = :persistent_term.get(@turns)
    :counters.add(turns, 1, 1)
    rem(:counters.get(turns, 1), 2)
  end

  defp parse do
    case String.split(Application.fetch_env!(:beacon, :fault), ":", parts: 2) do
      [name] -> {name, nil}
      [name, ms] -> {name, String.to_integer(ms)}
    end
  end

  defp task(work), do: Supervisor.child_spec({Task, work}, id: :fault, restart: :permanent)

  defp fail_after(ms) do
    Process.sleep(ms)
    raise "BEACON_FAULT=crash_loop"
  end

  defp stop_after(ms) do
    Process.sleep(ms)
    System.stop(0)
    Process.sleep(:infinity)
  end
end

defmodule Beacon.Fault.Hang do
  @moduledoc "Never ends when told to."
  use GenServer

  def start_link, do: GenServer.start_link(__MODULE__, nil)

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    {:ok, nil}
  end

  @impl true
  def terminate(_reason, _state), do: Process.sleep(:infinity)
end

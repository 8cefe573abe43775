# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Drain do
  @moduledoc """
  A stop in three steps: report 503 and go on serving (the lame duck, for a balancer to notice), accept nothing new,
  let what is in flight finish. Both waits are bounded.
  """
  require Logger

  @flag {__MODULE__, :draining}

  def draining?, do: :persistent_term.get(@flag, false)

  def run do
    :persistent_term.put(@flag, true)
    Process.sleep(Application.fetch_env!(:beacon, :lame_duck))
    Beacon.Listener.close()
    for pid <- connections(), do: send(pid, :drain)
    left = wait(System.monotonic_time(:millisecond) + Application.fetch_env!(:beacon, :drain))
    Logger.info("drained, #{left} requests cut")
  end

  defp wait(deadline) do
    case length(connections()) do
      0 ->
        0

      left ->
        if System.monotonic_time(:millisecond) < deadline do
          Process.sleep(20)
          wait(deadline)
        else
          left
        end
    end
  end

  defp connections, do: Task.Supervisor.children(Beacon.Connections)
end

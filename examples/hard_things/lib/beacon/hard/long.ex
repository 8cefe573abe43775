# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Long do
  @moduledoc "A Task that runs for a minute inside of its own code."

  @generation 1

  def begin, do: Task.Supervisor.start_child(Beacon.Hard.Tasks, __MODULE__, :run, [self()])

  def run(caller) do
    receive do
      :done -> send(caller, {:done, @generation})
    after
      60_000 -> :ok
    end
  end
end

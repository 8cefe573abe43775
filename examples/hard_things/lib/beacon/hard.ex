# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard do
  @moduledoc "One of each thing that makes a hot upgrade hard. README.md says what becomes of it."
  use Supervisor

  def start_link(_), do: Supervisor.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    children = [
      {DynamicSupervisor, name: Beacon.Hard.Sessions, strategy: :one_for_one},
      {Task.Supervisor, name: Beacon.Hard.Tasks},
      Beacon.Hard.Acceptors,
      Beacon.Hard.Callbacks,
      Beacon.Hard.Door,
      Beacon.Hard.Slow,
      Beacon.Hard.Table
    ]

    Supervisor.init(children, strategy: :one_for_one)
  end
end

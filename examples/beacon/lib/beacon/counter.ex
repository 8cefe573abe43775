# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Counter do
  @moduledoc "A process with state: how often it was asked."
  use GenServer

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  def increment, do: GenServer.call(__MODULE__, :increment)

  @impl true
  def init(nil), do: {:ok, 0}

  @impl true
  def handle_call(:increment, _from, count), do: {:reply, %{count: count + 1}, count + 1}
end

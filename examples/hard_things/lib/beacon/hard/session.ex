# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Session do
  @moduledoc "One of many, below a DynamicSupervisor. Its state has another shape in each version."
  use GenServer, restart: :temporary

  @generation 1

  def open(count) do
    for number <- 1..count, do: {:ok, _} = DynamicSupervisor.start_child(Beacon.Hard.Sessions, {__MODULE__, number})
    count
  end

  @doc "How many there are by generation of their state, and the sum of what they keep."
  def summary do
    states =
      for {_, pid, _, _} <- DynamicSupervisor.which_children(Beacon.Hard.Sessions), do: GenServer.call(pid, :state)

    {Enum.frequencies_by(states, &elem(&1, 0)), states |> Enum.map(&elem(&1, 1)) |> Enum.sum()}
  end

  def start_link(number), do: GenServer.start_link(__MODULE__, number)

  @impl true
  def init(number), do: {:ok, {@generation, number}}

  @impl true
  def handle_call(:state, _from, {@generation, _} = state), do: {:reply, state, state}

  @impl true
  def code_change({:down, _vsn}, {_, number}, _extra), do: {:ok, {@generation - 1, number}}
  def code_change(_vsn, {_, number}, _extra), do: {:ok, {@generation, number}}
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Slow do
  @moduledoc "A process in handle_continue: it answers nobody, and can't be suspended, until it is told to go on."
  use GenServer

  @generation 1

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  def generation, do: GenServer.call(__MODULE__, :generation)

  @impl true
  def init(nil), do: {:ok, @generation}

  @impl true
  def handle_call(:generation, _from, state), do: {:reply, {state, @generation}, state}

  @impl true
  def handle_cast(:work, state), do: {:noreply, state, {:continue, :work}}

  @impl true
  def handle_continue(:work, state) do
    receive do
      :go -> {:noreply, state}
    end
  end

  @impl true
  def code_change({:down, _vsn}, _state, _extra), do: {:ok, @generation - 1}
  def code_change(_vsn, _state, _extra), do: {:ok, @generation}
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Callbacks do
  @moduledoc "Keeps an anonymous function in its state: it is of the code that made it, whatever is loaded later."
  use GenServer

  @generation 1

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  def call, do: GenServer.call(__MODULE__, :call)
  def renew, do: GenServer.call(__MODULE__, :renew)

  @impl true
  def init(nil), do: {:ok, made()}

  @impl true
  def handle_call(:call, _from, kept), do: {:reply, {kept.(), @generation}, kept}
  def handle_call(:renew, _from, _kept), do: {:reply, :ok, made()}

  defp made, do: fn -> @generation end
end

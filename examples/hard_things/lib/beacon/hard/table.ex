# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Table do
  @moduledoc "Owns an ETS table, in which there is an anonymous function, too; and has put a persistent_term."
  use GenServer

  @generation 1

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  def increment, do: {:ets.update_counter(__MODULE__, :count, 1), :persistent_term.get(__MODULE__), @generation}

  def call, do: :ets.lookup_element(__MODULE__, :function, 2).()
  def renew, do: :ets.insert(__MODULE__, {:function, fn -> @generation end})

  @impl true
  def init(nil) do
    :ets.new(__MODULE__, [:named_table, :public])
    :ets.insert(__MODULE__, {:count, 0})
    renew()
    :persistent_term.put(__MODULE__, self())
    {:ok, nil}
  end
end

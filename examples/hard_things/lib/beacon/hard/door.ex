# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Door do
  @moduledoc "A gen_statem: the name of its state and its data change with the version."
  @behaviour :gen_statem

  @generation 1

  def child_spec(_), do: %{id: __MODULE__, start: {__MODULE__, :start_link, []}}

  def start_link, do: :gen_statem.start_link({:local, __MODULE__}, __MODULE__, nil, [])

  def push, do: :gen_statem.call(__MODULE__, :push)

  @impl true
  def callback_mode, do: :handle_event_function

  @impl true
  def init(nil), do: {:ok, {:closed, @generation}, 0}

  @impl true
  def handle_event({:call, from}, :push, {state, @generation}, count) do
    next = if state == :closed, do: :open, else: :closed
    {:next_state, {next, @generation}, count + 1, [{:reply, from, {next, count + 1, @generation}}]}
  end

  @impl true
  def code_change({:down, _vsn}, {state, _}, count, _extra), do: {:ok, {state, @generation - 1}, count}
  def code_change(_vsn, {state, _}, count, _extra), do: {:ok, {state, @generation}, count}
end

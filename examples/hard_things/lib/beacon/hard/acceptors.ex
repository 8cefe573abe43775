# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Acceptors do
  @moduledoc "Owns a socket, and a pool of processes that wait for connections to it."
  use GenServer

  @size 3

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  def port, do: GenServer.call(__MODULE__, :port)

  @impl true
  def init(nil) do
    {:ok, socket} = :gen_tcp.listen(0, [:binary, packet: :line, active: false, ip: {127, 0, 0, 1}])
    for _ <- 1..@size, do: spawn_link(Beacon.Hard.Acceptor, :loop, [socket])
    {:ok, socket}
  end

  @impl true
  def handle_call(:port, _from, socket), do: {:reply, :inet.port(socket), socket}
end

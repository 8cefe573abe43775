# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Cluster do
  @moduledoc "Keeps the node connected to those that BEACON_PEERS names, as libcluster does for real applications."
  use GenServer

  @every 200

  def children do
    case Application.fetch_env!(:beacon, :peers) do
      [] -> []
      peers -> [{__MODULE__, peers}]
    end
  end

  def start_link(peers), do: GenServer.start_link(__MODULE__, peers, name: __MODULE__)

  @impl true
  def init(peers) do
    send(self(), :connect)
    {:ok, peers}
  end

  @impl true
  def handle_info(:connect, peers) do
    for peer <- peers, peer != node(), peer not in Node.list(), do: Node.connect(peer)
    Process.send_after(self(), :connect, @every)
    {:noreply, peers}
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Listener do
  @moduledoc "Owns the listening socket and a small pool of acceptors; each connection is a process of its own."
  use GenServer
  require Logger

  @acceptors 8

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  def close, do: GenServer.call(__MODULE__, :close)

  @impl true
  def init(nil) do
    ip = Application.fetch_env!(:beacon, :ip)
    port = Application.fetch_env!(:beacon, :port)
    {:ok, address} = ip |> String.to_charlist() |> :inet.parse_address()

    options = [
      :binary,
      ip: address,
      packet: :http_bin,
      active: false,
      reuseaddr: true,
      nodelay: true,
      backlog: 1024
    ]

    case :gen_tcp.listen(port, options) do
      {:ok, socket} ->
        for _ <- 1..@acceptors, do: {:ok, _} = Task.start_link(fn -> accept(socket) end)
        Logger.info("beacon #{Beacon.Health.version()} listens on #{ip}:#{port}")
        {:ok, socket}

      {:error, reason} ->
        {:stop, "can't listen on #{ip}:#{port}: #{:inet.format_error(reason)}"}
    end
  end

  @impl true
  def handle_call(:close, _from, socket) do
    {:reply, :gen_tcp.close(socket), socket}
  end

  defp accept(listening) do
    case :gen_tcp.accept(listening) do
      {:ok, socket} ->
        {:ok, pid} = Task.Supervisor.start_child(Beacon.Connections, Beacon.Connection, :serve, [socket])
        # The connection may be gone again already; then there is nobody to hand it to.
        if :gen_tcp.controlling_process(socket, pid) == :ok, do: send(pid, :yours)
        accept(listening)

      {:error, :closed} ->
        :ok

      {:error, reason} when reason in [:econnaborted, :emfile, :enfile, :system_limit] ->
        Process.sleep(10)
        accept(listening)
    end
  end
end

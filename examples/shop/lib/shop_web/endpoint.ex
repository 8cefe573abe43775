# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule ShopWeb.Endpoint do
  @moduledoc "As Phoenix does it with Cowboy: it listens where `server: true` says so, and says so where it does not."
  use Supervisor
  require Logger

  def start_link(_options) do
    Supervisor.start_link(__MODULE__, Application.fetch_env!(:shop, __MODULE__), name: __MODULE__)
  end

  @impl true
  def init(config) do
    Supervisor.init(if(config[:server], do: [listener(config)], else: none()),
      strategy: :one_for_one
    )
  end

  @doc "The path of a static file, with its digest where there is one."
  def static_path(path) do
    manifest = :persistent_term.get(__MODULE__, nil) || read_manifest()
    "/" <> Map.get(manifest, path, path)
  end

  defp listener(config) do
    port = config[:http][:port]
    dispatch = :cowboy_router.compile(ShopWeb.Router.routes())

    Logger.info(
      "Running ShopWeb.Endpoint with cowboy #{Application.spec(:cowboy, :vsn)} at :::#{port} (http)"
    )

    # The listener of one port takes IPv4, too.
    transport = %{socket_opts: [:inet6, port: port], connection_type: :supervisor}
    protocol = %{env: %{dispatch: dispatch}, connection_type: :supervisor}
    :ranch.child_spec(ShopWeb.Endpoint.HTTP, :ranch_tcp, transport, :cowboy_clear, protocol)
  end

  defp none do
    Logger.info(
      "Configuration :server was not enabled for ShopWeb.Endpoint, http/https services won't start"
    )

    []
  end

  defp read_manifest do
    file = Application.fetch_env!(:shop, __MODULE__)[:cache_static_manifest]
    text = if file, do: File.read!(Application.app_dir(:shop, file)), else: ""
    found = Regex.scan(~r/"([^"]+)": \{"path": "([^"]+)"/, text)
    manifest = Map.new(found, fn [_all, name, digested] -> {name, digested} end)
    :persistent_term.put(__MODULE__, manifest)
    manifest
  end
end

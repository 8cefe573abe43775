# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Router do
  @moduledoc "What each path answers: `{status, map}`."

  def answer(%URI{path: "/health"}), do: Beacon.Health.answer()

  def answer(%URI{} = uri) do
    if Beacon.Fault.named("errors") do
      {500, %{error: "BEACON_FAULT=errors"}}
    else
      route(uri.path, URI.decode_query(uri.query || ""))
    end
  end

  defp route("/", _query) do
    secret = Application.fetch_env!(:beacon, :secret)

    {200,
     %{
       greeting: Beacon.Greeting.text(),
       motd: :beacon |> :code.priv_dir() |> Path.join("motd.txt") |> File.read!() |> String.trim(),
       # Proves that the secret arrived without saying it.
       secret: secret && binary_part(Base.encode16(:crypto.hash(:sha256, secret), case: :lower), 0, 8)
     }}
  end

  defp route("/counter", _query), do: {200, Beacon.Counter.increment()}

  defp route("/slow", query) do
    ms = query |> Map.get("ms", "1000") |> String.to_integer() |> min(60_000)
    Process.sleep(ms)
    {200, %{slept: ms}}
  end

  defp route(_path, _query), do: {404, %{error: "there is /, /health, /counter and /slow?ms="}}
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Router do
  @moduledoc "What each path answers: `{status, map}`, or `{:stream, milliseconds, every}`."

  def answer(%URI{path: "/health"}), do: Beacon.Health.answer()

  def answer(%URI{} = uri) do
    Process.sleep(Beacon.Fault.argument("slow", 0, 1000))

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
    ms = integer(query, "ms", "1000")
    Process.sleep(ms)
    {200, %{slept: ms}}
  end

  defp route("/work", query) do
    ms = integer(query, "ms", "10")
    {200, %{worked: ms, rounds: work(System.monotonic_time(:millisecond) + ms, 0)}}
  end

  defp route("/stream", query), do: {:stream, integer(query, "ms", "10000"), integer(query, "every", "500")}

  defp route(_path, _query),
    do: {404, %{error: "there is /, /health, /counter, /slow?ms=, /work?ms= and /stream?ms=&every="}}

  defp integer(query, name, default),
    do: query |> Map.get(name, default) |> String.to_integer() |> max(0) |> min(600_000)

  # Keeps a scheduler busy, as templates and queries do.
  defp work(deadline, rounds) do
    :crypto.hash(:sha256, <<rounds::4096>>)
    if System.monotonic_time(:millisecond) < deadline, do: work(deadline, rounds + 1), else: rounds
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Connection do
  @moduledoc """
  HTTP/1.1 with keep-alive, GET only. An idle connection ends when the drain begins, a busy one after its answer, a stream
  at its end. Every answer names the version in `x-version`.
  """

  @idle 60_000
  @headers 5_000
  # A request that crosses the drain's begin on the wire is answered, not cut.
  @last 50

  def serve(socket) do
    receive do
      :yours -> await_request(socket)
    after
      5_000 -> :gen_tcp.close(socket)
    end
  end

  defp await_request(socket) do
    with :ok <- :inet.setopts(socket, active: :once, packet: :http_bin) do
      receive do
        {:http, ^socket, {:http_request, method, {:abs_path, path}, version}} ->
          read(socket, method, path, version)

        {:http, ^socket, _other} ->
          respond(socket, {400, %{error: "bad request"}}, false)

        {:tcp_closed, ^socket} ->
          :ok

        {:tcp_error, ^socket, _reason} ->
          :ok

        :drain ->
          last_request(socket)
      after
        @idle -> :gen_tcp.close(socket)
      end
    end
  end

  defp last_request(socket) do
    receive do
      {:http, ^socket, {:http_request, method, {:abs_path, path}, version}} -> read(socket, method, path, version)
    after
      @last -> :gen_tcp.close(socket)
    end
  end

  defp read(socket, method, path, version) do
    with {:ok, keep?} <- read_headers(socket, version == {1, 1}) do
      answer = answer(method, path)
      keep? = keep? and method == :GET and not Beacon.Drain.draining?()

      if respond(socket, answer, keep?) == :ok and keep? do
        await_request(socket)
      end
    end
  end

  defp read_headers(socket, keep?) do
    case :gen_tcp.recv(socket, 0, @headers) do
      {:ok, {:http_header, _, :Connection, _, value}} ->
        read_headers(socket, String.downcase(value) != "close")

      {:ok, {:http_header, _, _, _, _}} ->
        read_headers(socket, keep?)

      {:ok, :http_eoh} ->
        {:ok, keep?}

      _error ->
        :gen_tcp.close(socket)
    end
  end

  defp answer(:GET, path) do
    Beacon.Router.answer(URI.parse(path))
  rescue
    error -> {500, %{error: Exception.message(error)}}
  end

  defp answer(_method, _path), do: {405, %{error: "only GET"}}

  # One line every `every` milliseconds: 0, 1, 2, ..., end. It has no length, so what was cut can be told from what ended.
  defp respond(socket, {:stream, ms, every}, _keep?) do
    head = [head(200, "text/plain", false), "transfer-encoding: chunked\r\n\r\n"]
    with :ok <- :gen_tcp.send(socket, head), do: stream(socket, 0, every, System.monotonic_time(:millisecond) + ms)
    :gen_tcp.close(socket)
    :closed
  end

  defp respond(socket, {status, body}, keep?) do
    json = Beacon.JSON.encode(body)

    sent =
      :gen_tcp.send(socket, [
        head(status, "application/json", keep?),
        "content-length: #{byte_size(json)}\r\n\r\n",
        json
      ])

    if not keep?, do: :gen_tcp.close(socket)
    sent
  end

  defp stream(socket, number, every, deadline) do
    left = deadline - System.monotonic_time(:millisecond)

    if left <= 0 do
      :gen_tcp.send(socket, [chunk("end\n"), "0\r\n\r\n"])
    else
      with :ok <- :gen_tcp.send(socket, chunk("#{number}\n")) do
        Process.sleep(min(every, left))
        stream(socket, number + 1, every, deadline)
      end
    end
  end

  defp chunk(text), do: [Integer.to_string(byte_size(text), 16), "\r\n", text, "\r\n"]

  defp head(status, type, keep?) do
    [
      "HTTP/1.1 #{status} #{reason(status)}\r\ncontent-type: #{type}\r\nx-version: #{Beacon.Health.version()}\r\n",
      "connection: #{if keep?, do: "keep-alive", else: "close"}\r\n"
    ]
  end

  defp reason(200), do: "OK"
  defp reason(400), do: "Bad Request"
  defp reason(404), do: "Not Found"
  defp reason(405), do: "Method Not Allowed"
  defp reason(500), do: "Internal Server Error"
  defp reason(503), do: "Service Unavailable"
end

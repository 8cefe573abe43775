# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Connection do
  @moduledoc "HTTP/1.1 with keep-alive, GET only. An idle connection ends when the drain begins, a busy one after its answer."

  @idle 60_000
  @headers 5_000

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
          respond(socket, 400, %{error: "bad request"}, false)

        {:tcp_closed, ^socket} ->
          :ok

        {:tcp_error, ^socket, _reason} ->
          :ok

        :drain ->
          :gen_tcp.close(socket)
      after
        @idle -> :gen_tcp.close(socket)
      end
    end
  end

  defp read(socket, method, path, version) do
    with {:ok, keep?} <- read_headers(socket, version == {1, 1}) do
      {status, body} = answer(method, path)
      keep? = keep? and method == :GET and not Beacon.Drain.draining?()

      if respond(socket, status, body, keep?) == :ok and keep? do
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

  defp respond(socket, status, body, keep?) do
    json = Beacon.JSON.encode(body)

    sent =
      :gen_tcp.send(socket, [
        "HTTP/1.1 #{status} #{reason(status)}\r\ncontent-type: application/json\r\n",
        "content-length: #{byte_size(json)}\r\nconnection: #{if keep?, do: "keep-alive", else: "close"}\r\n\r\n",
        json
      ])

    if not keep?, do: :gen_tcp.close(socket)
    sent
  end

  defp reason(200), do: "OK"
  defp reason(400), do: "Bad Request"
  defp reason(404), do: "Not Found"
  defp reason(405), do: "Method Not Allowed"
  defp reason(500), do: "Internal Server Error"
  defp reason(503), do: "Service Unavailable"
end

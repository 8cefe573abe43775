# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Connection do
  @moduledoc "A long-lived connection: it says how many lines it has read, who accepted it, and which code speaks."

  @generation 1

  def begin(socket, accepted) do
    receive do
      :yours -> __MODULE__.serve(socket, accepted, 1)
    end
  end

  def serve(socket, accepted, count) do
    with {:ok, _line} <- :gen_tcp.recv(socket, 0),
         :ok <- :gen_tcp.send(socket, "#{count} #{accepted} #{@generation}\n") do
      __MODULE__.serve(socket, accepted, count + 1)
    end
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Acceptor do
  @moduledoc "Waits inside of its own code for a connection, and gives it a process. It calls itself by its full name, so it goes on with new code."

  @generation 1

  def loop(listen) do
    {:ok, socket} = :gen_tcp.accept(listen)
    connection = spawn(Beacon.Hard.Connection, :begin, [socket, @generation])
    :ok = :gen_tcp.controlling_process(socket, connection)
    send(connection, :yours)
    __MODULE__.loop(listen)
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Application do
  @moduledoc "Starts the counter, then the listener; drains before anything is stopped."
  use Application

  @impl true
  def start(_type, _args) do
    Beacon.Fault.at_boot()

    children =
      [Beacon.Counter, {Task.Supervisor, name: Beacon.Connections}, Beacon.Listener] ++
        Beacon.Cluster.children() ++ Beacon.Fault.children()

    Supervisor.start_link(children, strategy: :one_for_one, name: Beacon.Supervisor)
  end

  # Called before the supervisor is told to stop: the only place where everything still runs.
  @impl true
  def prep_stop(state) do
    Beacon.Drain.run()
    state
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import Config

# Evaluated at every boot, on the server. Everything has a default, so that the example starts without any setting.
integer = fn name, default -> name |> System.get_env(default) |> String.to_integer() end

config :beacon,
  port: integer.("PORT", "4000"),
  ip: System.get_env("BEACON_IP", "127.0.0.1"),
  secret: System.get_env("BEACON_SECRET"),
  # After SIGTERM: how long it still accepts (and reports 503), then how long requests in flight may take. Milliseconds.
  lame_duck: integer.("BEACON_LAME_DUCK_MS", "0"),
  drain: integer.("BEACON_DRAIN_MS", "5000"),
  # A file that has to be there before this node is ready, made by whoever has prepared the server.
  ready_file: System.get_env("BEACON_READY_FILE"),
  # Other nodes to stay connected to: names with their hosts, separated by commas.
  peers: "BEACON_PEERS" |> System.get_env("") |> String.split(",", trim: true) |> Enum.map(&String.to_atom/1),
  fault: System.get_env("BEACON_FAULT", "none")

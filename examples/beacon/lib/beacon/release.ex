# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Release do
  @moduledoc """
  What is done with a release that does not run yet: `bin/beacon eval "Beacon.Release.migrate()"`.
  There is no database here: a line in the file `BEACON_SCHEMA_FILE`, if it is set, stands for it.
  """

  def migrate do
    Application.load(:beacon)
    if Beacon.Fault.named("migration_fails"), do: raise("column \"since\" of relation \"counters\" does not exist")
    file = System.get_env("BEACON_SCHEMA_FILE")
    if file, do: File.write!(file, "#{Beacon.Health.version()}\n", [:append])
    IO.puts("migrated to #{Beacon.Health.version()}")
  end
end

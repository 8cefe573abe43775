# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Shop.Release do
  @moduledoc "Where mix phx.gen.release puts it: what is run in a release, where there is no Mix."
  @app :shop

  def migrate do
    Application.load(@app)

    for file <- Path.wildcard(Application.app_dir(@app, "priv/repo/migrations/*.exs")) do
      [version | _name] = file |> Path.basename() |> String.split("_")
      up(String.to_integer(version), file, Shop.Repo.read())
    end
  end

  defp up(version, file, database) do
    unless version in database.migrations do
      {change, _binding} = Code.eval_file(file)
      Shop.Repo.write(%{change.(database) | migrations: [version | database.migrations]})
      IO.puts("== Migrated #{version}")
    end
  end
end

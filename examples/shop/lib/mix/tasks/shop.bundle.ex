# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Mix.Tasks.Shop.Bundle do
  @shortdoc "What stands for tailwind and esbuild: assets/ goes to priv/static/assets"
  @moduledoc @shortdoc
  use Mix.Task

  @impl true
  def run(_args) do
    File.mkdir_p!("priv/static/assets")

    for file <- ["assets/css/app.css", "assets/js/app.js"],
        do: File.cp!(file, "priv/static/assets/#{Path.basename(file)}")
  end
end

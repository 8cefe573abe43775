# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [
      app: :shop,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      aliases: aliases(),
      deps: deps()
    ]
  end

  def application do
    [mod: {Shop.Application, []}, extra_applications: [:logger, :runtime_tools]]
  end

  # Compiled already, as examples/make_shop.py puts them there: this example builds where there is no way out.
  defp deps do
    [
      {:cowboy, path: "vendor/cowboy", compile: "true"},
      {:cowlib, path: "vendor/cowlib", compile: "true"},
      {:ranch, path: "vendor/ranch", compile: "true"}
    ]
  end

  # Where mix phx.new has tailwind and esbuild in front of phx.digest.
  defp aliases do
    ["assets.deploy": ["shop.bundle", "shop.digest"]]
  end
end

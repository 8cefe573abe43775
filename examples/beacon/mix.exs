# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.MixProject do
  use Mix.Project

  def project do
    [
      app: :beacon,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() not in [:dev, :test],
      deps: deps(),
      releases: [beacon: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [mod: {Beacon.Application, []}, extra_applications: [:logger, :crypto]]
  end

  # No package from hex.pm: this example builds where there is no way out.
  defp deps do
    []
  end
end

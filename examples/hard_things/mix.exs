# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Mix.Tasks.Compile.HardNif do
  @moduledoc "Compiles the NIF with the C compiler that is there."
  use Mix.Task.Compiler

  @impl true
  def run(_args) do
    File.mkdir_p!("priv")
    include = Path.join([:code.root_dir(), "usr", "include"])
    argv = ["-shared", "-fPIC", "-O2", "-I", include, "-o", "priv/hard.so", "c_src/hard.c"]

    case System.cmd("cc", argv, stderr_to_stdout: true) do
      {_, 0} -> {:ok, []}
      {said, _} -> Mix.raise("cc failed: " <> said)
    end
  end
end

defmodule Beacon.MixProject do
  use Mix.Project

  def project do
    [
      app: :beacon,
      version: "1.0.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() not in [:dev, :test],
      compilers: [:hard_nif] ++ Mix.compilers(),
      deps: [],
      releases: [beacon: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [mod: {Beacon.Application, []}, extra_applications: [:logger, :crypto]]
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Shop.Repo do
  @moduledoc "What stands for a database here: a file with one Erlang term, which DATABASE_URL names."

  @empty %{migrations: [], products: []}

  def read do
    case File.read(path()) do
      {:ok, data} -> :erlang.binary_to_term(data, [:safe])
      {:error, :enoent} -> @empty
    end
  end

  def write(term) do
    File.write!(path() <> ".new", :erlang.term_to_binary(term))
    File.rename!(path() <> ".new", path())
  end

  defp path, do: URI.parse(Application.fetch_env!(:shop, __MODULE__)[:url]).path
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.JSON do
  @moduledoc "Just enough JSON for flat answers (the standard library has none before Elixir 1.18)."

  def encode(map) do
    "{" <>
      Enum.map_join(Enum.sort(map), ",", fn {key, value} -> string("#{key}") <> ":" <> value(value) end) <>
      "}\n"
  end

  defp value(nil), do: "null"
  defp value(value) when is_boolean(value) or is_integer(value), do: to_string(value)
  defp value(value) when is_binary(value), do: string(value)

  defp string(text), do: "\"" <> for(<<char::utf8 <- text>>, into: "", do: escape(char)) <> "\""

  defp escape(?"), do: "\\\""
  defp escape(?\\), do: "\\\\"
  defp escape(char) when char < 32, do: "\\u" <> String.pad_leading(Integer.to_string(char, 16), 4, "0")
  defp escape(char), do: <<char::utf8>>
end

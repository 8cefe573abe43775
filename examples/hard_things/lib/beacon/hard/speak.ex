# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defprotocol Beacon.Hard.Speak do
  @moduledoc "A protocol: a release consolidates it, and another version has more implementations."
  def speak(value)
end

defimpl Beacon.Hard.Speak, for: Atom do
  @generation 1
  def speak(value), do: "#{value} #{@generation}"
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Greeting do
  @moduledoc "What `/` says."

  def text, do: "Hello"
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Hard.Native do
  @moduledoc "A NIF. Its module stays the same from version to version; its library is another matter."
  @on_load :load

  def load, do: :erlang.load_nif(:filename.join(:code.priv_dir(:beacon), 'hard'), 0)

  def answer, do: :erlang.nif_error(:not_loaded)
end

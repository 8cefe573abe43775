# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule ShopWeb.PageController do
  @moduledoc false

  def init(request, :home) do
    headers = %{"content-type" => "text/html; charset=utf-8"}
    {:ok, :cowboy_req.reply(200, headers, home(), request), :home}
  end

  defp home do
    """
    <!DOCTYPE html>
    <link rel="stylesheet" href="#{ShopWeb.Endpoint.static_path("assets/app.css")}">
    <h1>Welcome to the shop</h1>
    """
  end
end

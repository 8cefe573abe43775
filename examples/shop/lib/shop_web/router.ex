# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule ShopWeb.Router do
  @moduledoc false

  def routes do
    [
      {:_,
       [
         {"/", ShopWeb.PageController, :home},
         {"/assets/[...]", :cowboy_static, {:priv_dir, :shop, "static/assets"}},
         {"/images/[...]", :cowboy_static, {:priv_dir, :shop, "static/images"}},
         {"/favicon.ico", :cowboy_static, {:priv_file, :shop, "static/favicon.ico"}},
         {"/robots.txt", :cowboy_static, {:priv_file, :shop, "static/robots.txt"}}
       ]}
    ]
  end
end

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import Config

config :shop, ShopWeb.Endpoint, url: [host: "localhost"]

config :logger, :console, format: "$time [$level] $message\n"

import_config "#{config_env()}.exs"

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import Config

config :shop, Shop.Repo, url: "file://#{Path.expand("../tmp/test.data", __DIR__)}"

config :shop, ShopWeb.Endpoint,
  server: false,
  http: [port: 4002],
  secret_key_base: String.duplicate("test", 16)

config :logger, level: :warning

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import Config

config :shop, Shop.Repo, url: "file://#{Path.expand("../tmp/shop.data", __DIR__)}"

config :shop, ShopWeb.Endpoint,
  server: true,
  http: [port: 4000],
  secret_key_base: String.duplicate("dev", 22)

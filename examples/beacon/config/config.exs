# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import Config

config :logger, :console, format: "$time [$level] $message\n"

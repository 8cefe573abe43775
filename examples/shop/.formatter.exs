# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

[
  inputs: ["*.{ex,exs}", "{config,lib,priv}/**/*.{ex,exs}"]
]

# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

[inputs: ["*.exs", "{config,lib}/**/*.{ex,exs}"], line_length: 110]

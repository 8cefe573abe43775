# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

fn database -> %{database | products: [%{name: "Tea"}]} end

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tree that looks like a `mix release`, without a compiler: PARENT VERSION..."""

from __future__ import annotations

import pathlib
import random
import sys

parent, versions = pathlib.Path(sys.argv[1]), sys.argv[2:]
for version in versions:
    files = {
        "bin/shop": b"#!/bin/sh\necho shop\n",
        "releases/start_erl.data": b"13.1.5 " + version.encode(),
        "releases/%s/shop.rel" % version: b'{release, {"shop", "%s"}}.' % version.encode(),
        "lib/shop-%s/ebin/Elixir.Shop.beam" % version: b"shop " + version.encode(),
        "lib/shop-%s/ebin/shop.app" % version: b'{application, shop, [{vsn, "%s"}]}.' % version.encode(),
    }
    for app in ("kernel-8.5.4", "stdlib-4.2", "elixir-1.14.0", "jason-1.4.0"):
        for module in range(40):
            noise = random.Random("%s %d" % (app, module))
            files["lib/%s/ebin/m%d.beam" % (app, module)] = noise.randbytes(3000)
    for path, data in files.items():
        place = parent / version / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o755 if path.startswith("bin/") else 0o644)

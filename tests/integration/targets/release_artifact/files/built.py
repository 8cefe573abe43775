# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""built.py SUPPORT TREE VERSION COMMIT [SEED]: a tree and its build record, as mix_release leaves them. A SEED is a file that differs."""

from __future__ import annotations

import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import trees

tree = trees.make_tree(pathlib.Path(sys.argv[2]), sys.argv[3], modules=4, dependencies=2)
if len(sys.argv) > 5:
    trees.write(tree, "lib/shop-%s/priv/static/cache_manifest.json" % sys.argv[3], sys.argv[5].encode())
provenance = {"git_sha": sys.argv[4], "fingerprint": "f" * 64, "elixir": "1.17.3", "otp": "26.2.5", "mix_env": "prod"}
abi = {key: "" for key in ("arch", "libc", "libc_version", "openssl", "erts", "interpreter")}
record = {
    "name": "shop",
    "version": sys.argv[3],
    "abi": {**abi, "needs": {}, "runpath": []},
    "provenance": provenance,
    "own_apps": ["shop"],
}
pathlib.Path(str(tree) + ".build.json").write_text(json.dumps(record), encoding="ascii")

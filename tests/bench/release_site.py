# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small release in a store and on a server: what is done with it, and what is there afterwards.

For the benches that end an operation half-way (bad_days_power.py, bad_days_crash_points.py).
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.layout import Layout
from ansible_collections.alchemist.beam.plugins.module_utils._host.present import read_state
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

OPTIONS = {
    "state": "present",
    "exclude": [],
    "pinned": None,
    "keep": 10,
    "keep_days": 0,
    "min_layer_age": 24,
    "dest": None,
}
Work = t.Callable[[Path], t.Any]
State = dict[str, str]


def tree(root: Path, version: str, files: int = 150) -> Path:
    """So many modules and a few more files, of which a second version changes a few."""
    for index in range(files):
        name = "lib/shop-%s/ebin" % version if index < 12 else "lib/dep%d-1.0.0/ebin" % (index % 12)
        path = root / version / name / ("m%d.beam" % index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random("%d%s" % (index, version if index < 3 else "")).randbytes(3000 + 97 * index))
    shell = "#!/bin/sh\n"
    texts = {
        "bin/shop": shell,
        "erts-13.1/bin/erl": shell,
        "releases/start_erl.data": "13.1 " + version,
        "releases/%s/env.sh" % version: shell,
    }
    for name, text in texts.items():
        path = root / version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return root / version


# What is done. Each takes the directory that the store and the server's base are in.


def publish(version: str, trees: Path) -> Work:
    return lambda root: run_artifact(
        {**OPTIONS, "store": "file://%s/store" % root, "path": str(trees / version), "name": "shop"}, False
    )


def remove(**options: t.Any) -> Work:
    return lambda root: run_artifact(
        {**OPTIONS, "store": "file://%s/store" % root, "name": "shop", "min_layer_age": 0, **options}, False
    )


def promote(version: str) -> Work:
    wanted = {"name": "shop", "channel": "production", "state": "promoted", "version": version}
    return lambda root: run_channel({**wanted, "store": "file://%s/store" % root}, False)


def take(version: str | None, state: str, keep: int = 5) -> Work:
    def work(root: Path) -> t.Any:
        request = Request(Wanted("shop", version=version), str(root / "base"), state, keep)
        return install(request, lambda: open_store({"store": "file://%s/store" % root}))

    return work


# What is there.

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b[0-9a-f]{32}\b")
STATE, UNREADABLE = "base/state.json", "unreadable"
_SCRAP = re.compile(r"(^|/)\.tmp-|^base/tmp/|\.new$")


def masked(text: str) -> str:
    return _TIME.sub("_", text)


def state_of(root: Path) -> State:
    """Of each file what it is and what is in it, but times and tokens.

    state.json is what the product makes of it: a release whose note was lost is found again from its manifest, and the file is mended at its next change.
    """
    found: State = {}
    for top in ("store", "base"):
        for path in sorted((root / top).rglob("*")):
            name = str(path.relative_to(root))
            if path.is_symlink():
                found[name] = "-> " + os.readlink(path)
            elif path.is_dir():
                found[name + "/"] = "%o" % (path.stat().st_mode & 0o7777)
            elif not name.endswith(".lock"):
                data = path.read_bytes()
                if name == STATE:
                    try:
                        data = read_state(Layout(str(root / "base")), "shop").to_bytes()
                    except BeamError:
                        found[name] = UNREADABLE
                        continue
                if name.endswith(".json"):
                    data = masked(data.decode("utf-8", "replace")).encode()
                found[name] = "%o %s" % (path.stat().st_mode & 0o7777, hashlib.sha256(data).hexdigest())
    return found


def scraps(state: State) -> list[str]:
    return [name for name in state if _SCRAP.search(name) and not name.endswith("/")]


def kept(state: State) -> State:
    return {name: value for name, value in state.items() if not _SCRAP.search(name) and not re.search(r"(^|/)\.", name)}


def torn(found: State, before: State, after: State) -> list[str]:
    """What has its final name has to be what was there before, or what is there afterwards, and whole.

    Two things pass through a third state, and are compared after the next run alone: a new directory of a store is 0700 until it has its mode,
    and state.json tells of a release that is staged before it tells that it is active. It has to be readable all the same.
    """
    wrong = []
    whole = {**before, **after}
    for name, value in kept(found).items():
        passing = (name.startswith("store/") and name.endswith("/") and name not in before and value == "700") or (
            name == STATE and value != UNREADABLE
        )
        if value not in (before.get(name), after.get(name)) and not passing:
            wrong.append("%s is %s" % (name, value))
    for name in whole:
        parts = name.split("/")
        if (
            parts[:2] in (["base", "releases"], ["base", "layers"])
            and len(parts) > 3
            and "/".join(parts[:3]) + "/" in found
            and name not in found
        ):
            wrong.append("%s lacks" % name)
    needed = ("store/shop/layers/", "store/shop/manifests/")
    for version in [
        name
        for name in found
        if name.startswith("store/shop/versions/") and name not in before and not name.endswith("/")
    ]:
        wrong += ["%s lacks %s" % (version, name) for name in after if name.startswith(needed) and name not in found]
    link = found.get("base/current")
    if link and "base/" + link[3:] + "/" not in found:
        wrong.append("current %s leads nowhere" % link)
    if "base/current" in before and "base/current" in after and link is None:
        wrong.append("current is gone")
    return wrong


def differs(one: State, other: State) -> str:
    one, other = kept(one), kept(other)
    return ", ".join(sorted(name for name in {*one, *other} if one.get(name) != other.get(name))[:6])

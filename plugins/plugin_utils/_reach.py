# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How a server gets a release: by URLs for exactly what it lacks, by what was pushed to it, or from the store as the user said."""

from __future__ import annotations

import typing as t

Vars = t.Mapping[str, t.Any]
PUSH, PRESIGNED = "push", "presigned"


def layer_of(key: str) -> str:
    """The sha256 of the layer that a key of the store is of; empty for a document."""
    *where, name = key.split("/")
    return name.split(".", 1)[0] if where[-1:] == ["layers"] else ""


def urls_for(urls: t.Mapping[str, str], lacks: t.Collection[str]) -> dict[str, str]:
    """The URLs that one server needs: of the documents, and of the layers that it lacks. urls: of all that the release is made of, by key."""
    return {key: url for key, url in urls.items() if not layer_of(key) or layer_of(key) in lacks}


def reach(ask: t.Callable[[str], t.Any], urls: t.Mapping[str, str], lacks: t.Collection[str] = ()) -> dict[str, t.Any]:
    """As options of the modules that install. ask: gives a variable of the role."""
    way = ask("rollout_way")
    if way == PUSH:
        return {"store": "file://%s" % ask("rollout_pushed")}
    if way == PRESIGNED:
        return {"presigned": urls_for(urls, lacks)}
    return {**(ask("rollout_store_options") or {}), "store": ask("rollout_store")}

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Where the servers get the release from: what is done once, before each of them stages it."""

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import SKIPPED, Fleet, Result
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed
from ansible_collections.alchemist.beam.plugins.plugin_utils._reach import PRESIGNED, PUSH, layer_of

# As long as a URL may be good at all: it is a credential.
SECONDS = 900


def sources(fleet: Fleet) -> Result:
    """Of what the release is made, where that is pushed; URLs of all of it, where the servers hold no credentials. The URLs are credentials themselves: the
    memory alone has them, and each server is given those of what it lacks.
    """
    way, store = fleet.ask("rollout_way"), str(fleet.ask("rollout_store"))
    if way not in (PUSH, PRESIGNED):
        return dict(SKIPPED)
    if way == PUSH and not store.startswith("file://"):
        text = "%s is no directory, so nothing can be pushed from there. Give a file:// store, or say beam_fetch: presigned."
        return {"failed": True, "msg": text % store}
    options = {
        **(fleet.ask("rollout_store_options") or {}),
        "store": store,
        "name": fleet.ask("rollout_name"),
        "digest": fleet.plan["digest"],
        **({"presign": SECONDS} if way == PRESIGNED else {}),
    }
    found = fleet.call("release_artifact_info", options)
    fleet.memory.urls = found.pop("presigned", None) or {}
    if failed(found):
        return found
    keys = found["objects"]
    return {
        "changed": False,
        "documents": [key for key in keys if not layer_of(key)],
        "layers": {layer_of(key): key for key in keys if layer_of(key)},
    }

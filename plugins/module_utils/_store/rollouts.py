# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which versions the journals of rollouts need: of each one that has not ended, where it goes, where it came from, and what its hosts ran.

Only that is read here. The journal itself, with its rules, is _rollout/journal.py.
"""

from __future__ import annotations

import typing as t

from .._errors import BeamError, NotFound
from .._json import parse_json
from .._release.names import check_channel, check_version
from .base import Store
from .keys import names_in, prefix
from .parallel import parallel

MAX_JOURNAL_BYTES = 16 * 1024 * 1024


def versions_in_rollouts(store: Store, name: str) -> dict[str, str]:
    """version -> what it is needed for. A journal that can't be read ends it: what it names must not be removed."""
    keys = [s.key for s in names_in(store.list(prefix(name, "journal")), ".json", check_channel)[0]]
    return {
        version: why for found in parallel(lambda key: _versions(store, key), keys) for version, why in found.items()
    }


def _versions(store: Store, key: str) -> dict[str, str]:
    channel = key.rsplit("/", 1)[1][: -len(".json")]
    try:
        doc = parse_json(store.get(key, MAX_JOURNAL_BYTES).data)
        running = bool(doc["id"]) and doc["state"] != "finished"
        needed: list[t.Any] = [doc["version"], (doc["stable"] or {}).get("version")] if running else []
        # A host may be left over from a rollout that is called finished: it has to be brought home all the same.
        needed += [host["from"] for host in doc["hosts"].values() if running or host["out"]]
        why = (
            "the rollout %s on the channel %s has not ended"
            if running
            else "hosts of the rollout %s on the channel %s are not back yet"
        )
        return {check_version(version): why % (doc["id"], channel) for version in needed if version}
    except NotFound:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, BeamError) as exc:
        raise BeamError(
            "journal_invalid",
            "the journal %s of the store %s can't be read" % (key, store.location),
            str(exc) or type(exc).__name__,
            "See what the hosts of that channel run, then remove the file",
        ) from exc

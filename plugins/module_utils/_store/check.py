# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Does the store keep the promises that everything rests on?

An S3 API that ignores If-None-Match or If-Match answers 200 to everything: two publishers would overwrite each other,
and every promotion would win. So this is proven before it is trusted: the short form before each write, in two requests
that are meant to be refused; the long form by store_check.
"""

from __future__ import annotations

import secrets
import typing as t

from .._errors import BeamError, Conflict
from .base import Store
from .intact import lost_write
from .location import open_store
from .promises import CONDITIONS, NO_ETAG, OPTIONAL, Check, Promises

# No release can be called so: a name begins with a letter.
PREFIX = ".check/"
_PROBE = PREFIX + "conditions"
_PROBE_DATA = b"alchemist.beam writes here, to see that it may not\n"
# Stores that were proven by this process.
_PROVEN: set[str] = set()


def _ignores(store: Store, what: str) -> BeamError:
    return BeamError(
        "store_unconditional",
        "the store %s is refused" % store.location,
        "it %s, so two writers could overwrite each other" % what,
        "Use an S3 API with conditional writes (If-None-Match and If-Match); alchemist.beam.store_check tells more",
    )


def prove_conditions(store: Store) -> None:
    """The short form: nothing where the store needs no proof; one small object is written the first time."""
    if not store.needs_proof or store.identity in _PROVEN:
        return
    before = store.writes
    if store.put_if_absent(_PROBE, _PROBE_DATA, len(_PROBE_DATA)) and store.put_if_absent(
        _PROBE, _PROBE_DATA, len(_PROBE_DATA)
    ):
        if store.stat(_PROBE) is None:
            raise lost_write(store, _PROBE, "it is not there")
        raise _ignores(store, "creates an object that exists already (it ignores If-None-Match)")
    try:
        # Other bytes than the probe's: a store that has the same ones would look like our own write.
        store.replace(_PROBE, secrets.token_bytes(len(_PROBE_DATA)), NO_ETAG)
    except Conflict:
        store.writes = before  # the probe is nothing that a user asked for
        _PROVEN.add(store.identity)
        return
    raise _ignores(store, "replaces an object whatever its ETag is (it ignores If-Match)")


def check_store(store: Store) -> list[Check]:
    """The long form. Everything is tried on objects of its own, which are removed again."""
    return Promises(store, PREFIX).run()


def run_check(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What store_check does: from options to the result."""
    store = open_store(params)
    checks = check_store(store)
    rows = [check.to_dict() for check in checks]
    broken = [check for check in checks if not check.ok and check.name not in OPTIONAL]
    if broken:
        raise BeamError(
            "store_unconditional" if any(check.name in CONDITIONS for check in broken) else "store_unfit",
            "the store %s is refused" % store.location,
            "; ".join(check.detail for check in broken),
            "Use a store that keeps these promises, such as a directory, AWS S3 or SeaweedFS",
            checks=rows,
        )
    return {"changed": False, "checks": rows}

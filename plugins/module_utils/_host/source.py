# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The store as a server sees it: presigned URLs, http(s), or what every other module can open."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._store.base import Store


def open_source(params: t.Mapping[str, t.Any]) -> Store:
    """params: the options of STORE_SPEC, and presigned. Imports only what is needed: every task pays for it."""
    location = params.get("store")
    if params.get("presigned") is not None or str(location).startswith(("http://", "https://")):
        from .._store.web import open_http

        return open_http(params)
    if not location:
        raise BeamError(
            "store_unset",
            "the release can't be fetched",
            "neither store nor presigned is given, and it is not on this server",
            "Give store (in an inventory beam_store) or presigned",
        )
    from .._store.location import open_store

    return open_store(params)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""JSON that others wrote: a text that is no JSON, or is nested deeper than any document of ours, is a ValueError and nothing else."""

from __future__ import annotations

import json
import typing as t

# Whoever goes through a document, or writes it again, may then do so by recursion.
MAX_NESTING = 100


def parse_json(text: str | bytes, **options: t.Any) -> t.Any:
    """options: of json.loads."""
    try:
        value = json.loads(text, **options)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value]
    for _depth in range(MAX_NESTING + 1):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


_TOO_DEEP = "it is nested more than %d deep" % MAX_NESTING


def _parts(value: t.Any) -> t.Iterable[t.Any]:
    """What is in it and may hold something itself."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in inside if isinstance(part, (dict, list))]

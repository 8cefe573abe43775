# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Many small requests at once."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from .._deadline import carry

WORKERS = 8

S = t.TypeVar("S")
T = t.TypeVar("T")


def parallel(work: t.Callable[[S], T], items: t.Iterable[S], workers: int = WORKERS) -> list[T]:
    """work of each item, in order. The first error ends it: what has not begun then is not begun."""
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        futures = [pool.submit(carry(work), item) for item in items]
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

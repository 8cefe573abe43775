# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What an S3 server answers, as values. A proxy, a gateway or a bug may answer anything: what is no answer of S3 is said so, and by name. Pure."""

from __future__ import annotations

import typing as t

from .base import Stat

Answer = t.Mapping[str, t.Any]
LARGEST = 2**50  # bytes; S3 ends at 50 TB


class Invalid(ValueError):
    """An answer that S3 does not give; says what is wrong with it."""


def etag_of(answer: Answer) -> str:
    value = answer.get("ETag")
    if not isinstance(value, str) or not value.strip():
        raise Invalid("it has no ETag")
    return value


def size_of(answer: Answer, key: str = "ContentLength") -> int:
    value = answer.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise Invalid("its size is %s" % ("missing" if value is None else str(value)[:40]))
    return value


def modified_of(answer: Answer) -> float:
    """Seconds since 1970."""
    try:
        return float(answer["LastModified"].timestamp())
    except (KeyError, AttributeError, ValueError, OverflowError, TypeError, OSError):
        raise Invalid("it has no time of its last change") from None


def check_range(answer: Answer, start: int) -> None:
    """Of an answer to a request for the bytes from start on."""
    if start and not str(answer.get("ContentRange") or "").startswith("bytes %d-" % start):
        raise Invalid("it has other bytes than those from %d on, which were asked for" % start)


class Pages:
    """The pages of a list, in the order in which they come."""

    def __init__(self, prefix: str, skip: int) -> None:
        """prefix: the requested prefix; skip: how many characters of each key are the store's own prefix."""
        self._prefix, self._skip = prefix, skip
        self._tokens: set[str] = set()
        self._keys: set[str] = set()  # of all pages until now

    def read(self, page: Answer) -> tuple[list[Stat], str]:
        """What the page lists, and the token of the next one; "" for the last."""
        if not any(key in page for key in ("Name", "MaxKeys", "KeyCount", "IsTruncated")):
            raise Invalid("it is no list of a bucket")
        rows = page.get("Contents")
        found = [self._row(row) for row in (rows if isinstance(rows, (list, tuple)) else ())]
        token = ""
        if page.get("IsTruncated"):
            token = page.get("NextContinuationToken") or ""
            if not isinstance(token, str) or not token:
                raise Invalid("there is more, and it does not say how to ask for it")
            if token in self._tokens:
                raise Invalid("its pages go round in a circle")
            self._tokens.add(token)
        for row in found:
            if row.key in self._keys:
                raise Invalid("it lists %s twice" % row.key[:200])
            self._keys.add(row.key)
        return found, token

    def _row(self, row: t.Any) -> Stat:
        key = row.get("Key") if isinstance(row, t.Mapping) else None
        if not isinstance(key, str):
            raise Invalid("it lists an object without a key")
        if not key.startswith(self._prefix):
            raise Invalid("it lists %s, which was not asked for" % key[:200])
        etag = row.get("ETag")
        try:
            return Stat(
                key[self._skip :], size_of(row, "Size"), etag if isinstance(etag, str) else "", modified_of(row)
            )
        except Invalid as exc:
            raise Invalid("of %s: %s" % (key[:200], exc)) from None

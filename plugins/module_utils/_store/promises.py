# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Each promise of a store that the rest relies on, tried on objects that are removed again."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import typing as t
from dataclasses import dataclass

from .._deadline import carry
from .._errors import BeamError, Conflict, NotFound
from .base import Store
from .web import HttpStore

RACERS = 8
PRESIGNED_SECONDS = 10
NO_ETAG = '"00000000000000000000000000000000"'
# Without these, two writers could overwrite each other.
CONDITIONS = ("create_once", "create_race", "replace_matching", "replace_race")
# Only fleets whose servers read by presigned URLs rely on it: told, and no reason to refuse the store.
OPTIONAL = ("presigned",)
# What keeps a promise from being tried.
_NOT_THE_PROMISE = (
    "store_denied",
    "store_unreachable",
    "store_timeout",
    "store_missing",
    "store_full",
    "store_read_only",
)


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str

    def to_dict(self) -> dict[str, t.Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


class Promises:
    """Each is a method, which returns what was found, or raises _Broken with the promise that is not kept."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self.token = secrets.token_hex(8)
        self.keys: list[str] = []

    def key(self, name: str) -> str:
        key = "%s%s/%s" % (self.prefix, self.token, name)
        self.keys.append(key)
        return key

    def run(self) -> list[Check]:
        checks = (
            self.write,
            self.read,
            self.lengths,
            self.hashes,
            self.create_once,
            self.create_race,
            self.replace_matching,
            self.replace_race,
            self.etags,
            self.list,
            self.presigned,
            self.delete,
        )
        try:
            results = [self.one(work) for work in checks]
        except BeamError:
            with contextlib.suppress(BeamError):  # what went wrong first is what matters
                self.clean()
            raise
        self.clean()
        return results

    def clean(self) -> None:
        for key in self.keys:
            self.store.delete(key)

    def one(self, work: t.Callable[[], str]) -> Check:
        try:
            return Check(work.__name__, True, work())
        except _Broken as exc:
            return Check(work.__name__, False, str(exc))
        except BeamError as exc:
            if exc.code in _NOT_THE_PROMISE or not self.keys[1:]:
                raise
            return Check(work.__name__, False, "%s failed: %s" % (work.__name__, exc.message))

    def write(self) -> str:
        if not self.store.put_if_absent(self.key("x"), b"one", 3):
            raise _Broken("a new object is said to exist already")
        return "an object was created"

    def read(self) -> str:
        if self.store.get(self.keys[0], 100).data != b"one":
            raise _Broken("an object does not hold what was just written")
        with self.store.open(self.keys[0], 1) as stream:
            if stream.read() != b"ne":
                raise _Broken("a range of an object is not what was asked for")
        try:
            self.store.get(self.prefix + self.token + "/none", 100)
        except NotFound:
            return "whole, from an offset, and what is missing is said to be missing"
        raise _Broken("an object that does not exist was read")

    def lengths(self) -> str:
        data = b"0123456789" * 1000
        key = self.key("long")
        self.store.put_if_absent(key, data, len(data))
        stat = self.store.stat(key)
        listed = [row.size for row in self.store.list(key)]
        if stat is None or stat.size != len(data) or listed != [len(data)]:
            raise _Broken("Content-Length or the size in a listing is not that of the object")
        with self.store.open(key, 9_990) as stream:
            if stream.read() != b"0123456789":
                raise _Broken("a range of an object is not what was asked for")
        return "sizes are told as they are"

    def hashes(self) -> str:
        """Not needed: without it, what is used again is read."""
        noted = self.store.noted(self.keys[0])
        if noted is None or noted.size != 3:
            raise _Broken("an object that was just written is not there")
        if noted.sha256 not in ("", hashlib.sha256(b"one").hexdigest()):
            raise _Broken("the sha256 that is kept of an object is not that of what was sent")
        return (
            "the sha256 of an upload is kept"
            if noted.sha256
            else "no sha256 of an upload is kept: a publish reads what it uses again"
        )

    def create_once(self) -> str:
        if self.store.put_if_absent(self.keys[0], b"two", 3) or self.store.get(self.keys[0], 100).data != b"one":
            raise _Broken("If-None-Match is ignored: an object that exists was created again")
        return "an object that exists is not created again"

    def create_race(self) -> str:
        key = self.key("race")
        won = _race(lambda i: self.store.put_if_absent(key, b"writer %d" % i, 8))
        if won.count(True) != 1:
            raise _Broken("%d of %d writers created the same object" % (won.count(True), RACERS))
        return "one of %d writers at once created an object" % RACERS

    def replace_matching(self) -> str:
        key = self.key("swap")
        first = self.store.replace(key, b"one", None)
        second = self.store.replace(key, b"two", first)
        for etag in (first, None, NO_ETAG):
            try:
                self.store.replace(key, b"thr", etag)
            except Conflict:
                continue
            raise _Broken("If-Match is ignored: an object was replaced by a writer who had not seen it")
        try:
            self.store.replace(self.key("none"), b"new", second)
        except Conflict:
            self.keys.pop()
        else:
            raise _Broken(
                "If-Match is ignored where there is no object: one that was removed meanwhile was written again"
            )
        found = self.store.get(key, 100)
        if (found.data, found.etag) != (b"two", second):
            raise _Broken("an object does not hold what was just written")
        return "an object is replaced only by who has seen it last"

    def replace_race(self) -> str:
        key = self.key("swaprace")
        etag = self.store.replace(key, b"start", None)

        def work(index: int) -> bool:
            try:
                self.store.replace(key, b"writer %d" % index, etag)
            except Conflict:
                return False
            return True

        won = _race(work).count(True)
        if won != 1:
            raise _Broken("%d of %d writers replaced the same object" % (won, RACERS))
        return "one of %d writers at once replaced an object" % RACERS

    def etags(self) -> str:
        key = self.key("etag")
        first = self.store.replace(key, b"one", None)
        seen = {self.store.get(key, 100).etag for _turn in range(3)} | {getattr(self.store.stat(key), "etag", None)}
        if seen != {first} or not first:
            raise _Broken("the ETag of an object that nobody changed is not always the same")
        if self.store.replace(key, b"two", first) == first:
            raise _Broken("the ETag of an object stays the same when its content changes")
        return "an ETag stays as long as its object, and no longer"

    def presigned(self) -> str:
        try:
            url = self.store.presign(self.keys[0], 60)
        except BeamError as exc:
            if exc.code != "presign_unsupported":
                raise
            return "no presigned URLs are used with this store"
        key, options = self.keys[0], getattr(self.store, "options", None)
        # As servers read it.
        reader = HttpStore(
            presigned={key: url},
            timeout=PRESIGNED_SECONDS,
            validate_certs=getattr(options, "validate_certs", True),
            ca_file=getattr(options, "aws_ca_bundle", None),
        )
        try:
            with contextlib.closing(reader):
                data = reader.get(key, 100).data
        except BeamError as exc:
            raise _Broken("a presigned URL can't be read: %s" % exc.why) from None
        if data != b"one":
            raise _Broken("a presigned URL does not give the object")
        return "a presigned URL gives the object"

    def list(self) -> str:
        found = [s.key for s in self.store.list(self.prefix + self.token + "/")]
        if found != sorted(self.keys):
            raise _Broken("the listing does not show what was just written: %s" % ", ".join(found))
        return "what was just written is listed, in order"

    def delete(self) -> str:
        self.store.delete(self.keys[0])
        if self.store.stat(self.keys[0]) is not None:
            raise _Broken("an object that was deleted is still there")
        return "what was deleted is gone"


class _Broken(Exception):
    pass


def _race(work: t.Callable[[int], bool]) -> list[bool]:
    results = [False] * RACERS
    errors: list[BaseException] = []
    barrier = threading.Barrier(RACERS)

    def one(index: int) -> None:
        try:
            barrier.wait()
            results[index] = work(index)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=carry(one), args=(index,)) for index in range(RACERS)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # no room for one more: the others would wait for it for ever
        barrier.abort()
        raise
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results

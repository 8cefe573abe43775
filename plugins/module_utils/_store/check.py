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

import contextlib
import secrets
import threading
import typing as t
from dataclasses import dataclass

from .._deadline import carry
from .._errors import BeamError, Conflict, NotFound
from .base import Store
from .intact import lost_write
from .location import open_store

# No release can be called so: a name begins with a letter.
PREFIX = ".check/"
_PROBE = PREFIX + "conditions"
_PROBE_DATA = b"alchemist.beam writes here, to see that it may not\n"
_NO_ETAG = '"00000000000000000000000000000000"'
RACERS = 8
# Stores that were proven by this process.
_PROVEN: set[str] = set()


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str

    def to_dict(self) -> dict[str, t.Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


def _ignores(store: Store, what: str) -> BeamError:
    return BeamError(
        "store_unconditional", "the store %s is refused" % store.location, "it %s, so two writers could overwrite each other" % what,
        "Use an S3 API with conditional writes (If-None-Match and If-Match); alchemist.beam.store_check tells more",
    )


def prove_conditions(store: Store) -> None:
    """The short form: nothing where the store needs no proof; one small object is written the first time."""
    if not store.needs_proof or store.identity in _PROVEN:
        return
    before = store.writes
    if store.put_if_absent(_PROBE, _PROBE_DATA, len(_PROBE_DATA)) and store.put_if_absent(_PROBE, _PROBE_DATA, len(_PROBE_DATA)):
        if store.stat(_PROBE) is None:
            raise lost_write(store, _PROBE, "it is not there")
        raise _ignores(store, "creates an object that exists already (it ignores If-None-Match)")
    try:
        # Other bytes than the probe's: a store that has the same ones would look like our own write.
        store.replace(_PROBE, secrets.token_bytes(len(_PROBE_DATA)), _NO_ETAG)
    except Conflict:
        store.writes = before  # the probe is nothing that a user asked for
        _PROVEN.add(store.identity)
        return
    raise _ignores(store, "replaces an object whatever its ETag is (it ignores If-Match)")


def check_store(store: Store) -> list[Check]:
    """The long form. Everything is tried on objects of its own, which are removed again."""
    return _Checks(store).run()


def run_check(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What store_check does: from options to the result."""
    store = open_store(params)
    checks = check_store(store)
    rows = [check.to_dict() for check in checks]
    broken = [check for check in checks if not check.ok]
    if broken:
        raise BeamError(
            "store_unconditional", "the store %s is refused" % store.location, "; ".join(check.detail for check in broken),
            "Use a store that keeps these promises, such as a directory, AWS S3 or SeaweedFS", checks=rows,
        )
    return {"changed": False, "checks": rows}


class _Checks:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.token = secrets.token_hex(8)
        self.keys: list[str] = []

    def key(self, name: str) -> str:
        key = "%s%s/%s" % (PREFIX, self.token, name)
        self.keys.append(key)
        return key

    def run(self) -> list[Check]:
        checks = (
            self.write, self.read, self.create_once, self.create_race, self.replace_matching, self.replace_race, self.list, self.delete,
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
            self.store.get(PREFIX + self.token + "/none", 100)
        except NotFound:
            return "whole, from an offset, and what is missing is said to be missing"
        raise _Broken("an object that does not exist was read")

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
        for etag in (first, None, _NO_ETAG):
            try:
                self.store.replace(key, b"thr", etag)
            except Conflict:
                continue
            raise _Broken("If-Match is ignored: an object was replaced by a writer who had not seen it")
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

    def list(self) -> str:
        found = [s.key for s in self.store.list(PREFIX + self.token + "/")]
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
        barrier.wait()
        try:
            results[index] = work(index)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=carry(one), args=(index,)) for index in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results

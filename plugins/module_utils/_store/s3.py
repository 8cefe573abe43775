# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A store in S3, or behind any S3 API that honours conditional writes (If-None-Match, If-Match).

The client is botocore's, which comes with boto3; boto3's own layer on top is not needed, and costs time at every task.
Its retries are switched off: one loop here retries everything until one deadline, and so knows whether a write was tried
before, which is what tells a lost answer to our own write from somebody else's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import random
import time
import typing as t

from .._aws import refused_by_parser
from .._deadline import Limit
from .._errors import BeamError, NotFound
from . import s3_answers, s3_errors
from .base import Found, Noted, Stat, Store, late
from .s3_client import S3Options, make_client

CONNECT_ATTEMPTS = 5  # a wrong endpoint or a closed firewall does not mend itself
CONFLICT_ATTEMPTS = 6  # 409: two conditional writes at the same moment
MAX_PRESIGN_SECONDS = 900
CHUNK = 1024 * 1024
SMALL = 4 * 1024 * 1024

T = t.TypeVar("T")


class S3Store(Store):
    needs_proof = True

    def __init__(self, options: S3Options, client: t.Any = None) -> None:
        self.options = options
        self.location = options.location
        self._start = time.monotonic()
        with self._limit() as limit:  # credentials may be asked for
            try:
                self._client = client or make_client(options)
            finally:
                if limit.cut:
                    raise late("the store %s can't be used" % options.location, limit)
        self._common: dict[str, str] = {"Bucket": options.bucket}
        if options.expected_bucket_owner:
            self._common["ExpectedBucketOwner"] = options.expected_bucket_owner

    @property
    def identity(self) -> str:
        return "%s %s" % (self.options.endpoint_url or "", self.location)

    # The interface.

    def get(self, key: str, limit: int) -> Found:
        def work(_attempt: int) -> Found:
            response = self._client.get_object(Key=self._key(key), **self._common)
            with contextlib.closing(response["Body"]) as body:
                # None where the body ends with the connection.
                size = None if response.get("ContentLength") is None else s3_answers.size_of(response)
                if size is not None and size > limit:
                    raise self._too_large(key, size, limit)
                data = body.read(limit + 1)
                if len(data) > limit:
                    raise self._too_large(key, len(data), limit)
                if size is not None and len(data) != size:
                    raise ConnectionError("%d of %d bytes came" % (len(data), size))
            return Found(data, s3_answers.etag_of(response))

        try:
            return self._call("read", key, work)
        except BeamError as exc:
            # A key that may list only a part of the bucket gets 'access denied' for a missing object, too. The list of that part shows which of the two it is.
            if exc.code == "store_denied" and self._unlisted(key):
                raise s3_errors.missing(key, self.location) from exc
            raise

    def _unlisted(self, key: str) -> bool:
        try:
            return all(row.key != key for row in self.list(key))
        except BeamError:
            return False

    @contextlib.contextmanager
    def open(self, key: str, start: int = 0) -> t.Iterator[t.BinaryIO]:
        with _Body(self, key, start) as body:
            yield t.cast(t.BinaryIO, body)

    def put_if_absent(self, key: str, data: bytes | t.BinaryIO, size: int) -> bool:
        # A stream is sent with "Expect: 100-continue": worth a round trip only where the body is large.
        if not isinstance(data, bytes) and size <= SMALL:
            data = data.read()
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        start = stream.tell()
        digest = _sha256(stream)
        again = False

        def work(attempt: int) -> bool:
            nonlocal again
            again = attempt > 0
            stream.seek(start)
            self._client.put_object(
                Key=self._key(key),
                Body=data,
                ContentLength=size,
                IfNoneMatch="*",
                ChecksumSHA256=base64.b64encode(digest).decode("ascii"),
                **self._common,
            )
            return True

        try:
            self._call("written", key, work)
        except _Precondition:
            # Where the answer to our own write was lost and the write was sent again, what is there may be ours.
            if not (again and self._has(key, digest, size)):
                return False
        self._wrote()
        return True

    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")

        def work(_attempt: int) -> str:
            response = self._client.put_object(
                Key=self._key(key), Body=data, ChecksumSHA256=checksum, **condition, **self._common
            )
            return str(response.get("ETag") or "")

        cause: BeamError | None = None
        try:
            result = self._call("written", key, work)
        except (_Precondition, _Missing) as exc:
            result, cause = "", exc
        if not result:  # the existing object may be ours: its answer was lost, or had no ETag
            found = self._maybe(key, len(data))
            if found is None or found.data != data:
                raise s3_errors.lost(key, self.location) from cause
            result = found.etag
        self._wrote()
        return result

    def list(self, prefix: str) -> t.Iterator[Stat]:
        token: dict[str, str] = {}
        pages = s3_answers.Pages(self._key(prefix), len(self._key("")))
        while True:
            more = dict(token)

            # The default binds the value of this round. pylint: disable-next=dangerous-default-value
            def work(_attempt: int, more: dict[str, str] = more) -> tuple[list[Stat], str]:
                return pages.read(self._client.list_objects_v2(Prefix=self._key(prefix), **more, **self._common))

            rows, following = self._call("listed", prefix, work)
            yield from rows
            if not following:
                return
            token = {"ContinuationToken": following}

    def delete(self, key: str, etag: str | None = None) -> bool:
        condition = {} if etag is None else {"IfMatch": etag}
        # S3 answers a delete of nothing as one of something.
        before = self.stat(key)
        if before is None:
            return False
        if etag is not None and before.etag != etag:
            raise s3_errors.lost(key, self.location)
        try:
            self._call(
                "removed",
                key,
                lambda _attempt: self._client.delete_object(Key=self._key(key), **condition, **self._common),
            )
        except _Missing:
            return False
        except _Precondition as exc:
            if self.stat(key) is not None:
                # What is caught is an exception (of this file). pylint: disable-next=bad-exception-cause
                raise s3_errors.lost(key, self.location) from exc
        self._wrote()
        return True

    def stat(self, key: str) -> Stat | None:
        def work(_attempt: int) -> Stat:
            head = self._client.head_object(Key=self._key(key), **self._common)
            return Stat(key, s3_answers.size_of(head), s3_answers.etag_of(head), s3_answers.modified_of(head))

        try:
            return self._call("read", key, work)
        except _Missing:
            return None

    def noted(self, key: str) -> Noted | None:
        """The sha256 that was sent with the bytes, which S3 compared and kept; "" where the server keeps none, or somebody else wrote without one."""

        def work(_attempt: int) -> tuple[int, str]:
            head = self._client.head_object(Key=self._key(key), ChecksumMode="ENABLED", **self._common)
            return s3_answers.size_of(head), str(head.get("ChecksumSHA256") or "")

        try:
            size, checksum = self._call("read", key, work)
        except _Missing:
            return None
        try:
            kept = base64.b64decode(checksum, validate=True)
        except ValueError:  # of parts, as "...=-2"
            kept = b""
        return Noted(size, kept.hex() if len(kept) == hashlib.sha256().digest_size else "")

    def start_clock(self) -> None:
        self._start = time.monotonic()

    def presign(self, key: str, seconds: int) -> str:
        if not 1 <= seconds <= MAX_PRESIGN_SECONDS:
            raise BeamError(
                "presign_seconds",
                "no URL can be presigned for %d seconds" % seconds,
                "1 to %d are allowed" % MAX_PRESIGN_SECONDS,
                "Presign just before the URLs are used",
            )
        return str(
            self._call(
                "presigned",
                key,
                lambda _attempt: self._client.generate_presigned_url(
                    "get_object",
                    Params={"Bucket": self.options.bucket, "Key": self._key(key)},
                    ExpiresIn=seconds,
                ),
            )
        )

    # Below the interface.

    def _key(self, key: str) -> str:
        return "%s/%s" % (self.options.prefix, key) if self.options.prefix else key

    def _too_large(self, key: str, size: int, limit: int) -> BeamError:
        return BeamError(
            "store_object_too_large",
            "%s of the store %s can't be read" % (key, self.location),
            "it has %d bytes or more, %d are allowed" % (size, limit),
            "Find out who wrote it",
        )

    def _maybe(self, key: str, limit: int) -> Found | None:
        try:
            return self.get(key, limit)
        except BeamError as exc:
            if exc.code in ("store_key_missing", "store_object_too_large"):
                return None
            raise

    def _has(self, key: str, digest: bytes, size: int) -> bool:
        stat = self.stat(key)
        if stat is None or stat.size != size:
            return False
        with self.open(key) as stream:
            return _sha256(stream) == digest

    def _no_answer(self, what: str, why: str) -> BeamError:
        server = self.options.endpoint_url or "the server of the bucket %s" % self.options.bucket
        return BeamError(
            "store_answer_invalid",
            what,
            "%s gave an answer that is none of S3: %s" % (server, why),
            "Check endpoint_url (in an inventory in beam_store_options), and what stands between; alchemist.beam.store_check tries what the store promises",
        )

    def _limit(self) -> Limit:
        """What is left of store_timeout."""
        return Limit(self._start + self.options.timeout - time.monotonic(), "store_timeout", self.options.timeout)

    def _call(self, verb: str, key: str, work: t.Callable[[int], T]) -> T:
        """work's result; tries again, with growing pauses, what may pass by itself, until the deadline."""
        what = "%s of the store %s can't be %s" % (key or "the root", self.location, verb)
        begun = time.monotonic()
        conflicts = connects = attempt = 0
        with self._limit() as limit:
            while True:
                if attempt == 0 and limit.left() <= 0:
                    raise late(what, limit)
                try:
                    return work(attempt)
                except BeamError:
                    raise
                except s3_answers.Invalid as exc:
                    raise self._no_answer(what, str(exc)) from exc
                except Exception as exc:
                    status, code = s3_errors.status_of(exc), s3_errors.code_of(exc)
                    if status == 412 or code == "PreconditionFailed":
                        raise _Precondition("store_conflict", what, "its condition does not hold") from exc
                    if code in ("NoSuchKey", "404", "NotFound"):
                        missing = s3_errors.missing(key, self.location)
                        raise _Missing(missing.code, missing.what, missing.why) from exc
                    if limit.cut:
                        raise late(what, limit) from exc
                    error = s3_errors.translate(exc, what, time.monotonic() - begun, self.options.expected_bucket_owner)
                    if error is None:
                        refused = refused_by_parser(exc)
                        if refused:
                            raise self._no_answer(what, "it can't be parsed (%s)" % refused) from exc
                        raise
                    conflicts += status == 409
                    connects += error.code == "store_unreachable"
                    known = s3_errors.meaning_of(exc)
                    again = (known is not None and known.retry) or status == 409
                    pause = min(5.0, 0.1 * 2 ** min(attempt, 6)) * (0.5 + random.random())  # jitter, not a secret
                    if (
                        not again
                        or conflicts >= CONFLICT_ATTEMPTS
                        or connects >= CONNECT_ATTEMPTS
                        or limit.left() <= pause
                    ):
                        raise error from exc
                    time.sleep(pause)
                    attempt += 1


class _Precondition(BeamError):
    pass


class _Missing(NotFound):
    pass


def _sha256(stream: t.BinaryIO) -> bytes:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(CHUNK), b""):
        digest.update(chunk)
    return digest.digest()


class _Body(io.RawIOBase):
    """An object's bytes; a broken connection is resumed where it broke, as long as the object is the same."""

    def __init__(self, store: S3Store, key: str, start: int) -> None:
        super().__init__()
        self.store = store
        self.key = key
        self.at = start
        self.end = -1
        self.etag = ""
        self.body: t.Any = None
        self._connect()

    def readable(self) -> bool:
        return True

    def _connect(self) -> None:
        self.body = self.store._call("read", self.key, self._open)

    def _open(self, _attempt: int) -> t.Any:
        more: dict[str, str] = {"Range": "bytes=%d-" % self.at} if self.at else {}
        if self.etag:
            more["IfMatch"] = self.etag
        try:
            response = self.store._client.get_object(Key=self.store._key(self.key), **more, **self.store._common)
        except Exception as exc:
            if s3_errors.status_of(exc) == 416:  # nothing is left from here on
                return io.BytesIO()
            raise
        s3_answers.check_range(response, self.at)
        self.etag = s3_answers.etag_of(response)
        return response["Body"]

    def read(self, size: int = -1) -> bytes:
        def work(attempt: int) -> bytes:
            if attempt:
                self.body.close()
                self.body = self._open(attempt)
            data: bytes = self.body.read(None if size < 0 else size)
            return data

        try:
            data = self.store._call("read", self.key, work)
        except _Precondition as exc:
            # What is caught is an exception (of this file). pylint: disable-next=bad-exception-cause
            raise s3_errors.lost(self.key, self.store.location) from exc
        self.at += len(data)
        return data

    def readinto(self, buffer: t.Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self.body is not None:
            self.body.close()
            self.body = None
        super().close()

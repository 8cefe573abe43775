# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A store that is only read, over http(s): a base URL, or one presigned URL for each key.

For servers, which have nothing but Python's standard library. A URL's query is a credential there: it never appears
in a message.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import io
import itertools
import random
import ssl
import threading
import time
import typing as t
from urllib.parse import quote, urljoin, urlsplit

from .._deadline import TIMEOUTS, Limit, http_connection, http_parts
from .._errors import BeamError, NotFound
from .base import Found, Stat, Store, late

CONNECT_SECONDS = 3.0
READ_SECONDS = 20.0
ATTEMPTS = 5  # at a broken connection; a server that says it is busy is asked again until the time is up
PAUSE_SECONDS = 0.1  # doubled with each attempt, up to MAX_PAUSE_SECONDS
MAX_PAUSE_SECONDS = 8.0
MAX_REDIRECTS = 3
_BUSY = (429, 500, 502, 503, 504)
_BROKEN = (OSError, http.client.HTTPException)


class HttpStore(Store):
    def __init__(
        self,
        base_url: str = "",
        presigned: t.Mapping[str, str] | None = None,
        timeout: float = 120,
        validate_certs: bool = True,
        ca_file: str | None = None,
    ) -> None:
        """timeout: seconds for everything that is ever asked of this object."""
        self._presigned = presigned
        self._base_url = base_url.rstrip("/") + "/"
        self.location = "the presigned URLs" if presigned is not None else _label(base_url)
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._tls = (validate_certs, ca_file)
        self._context: ssl.SSLContext | None = None
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, limit: int) -> Found:
        with self._open(key, 0) as body:
            if body.size is not None and body.size > limit:
                raise _too_large(body.label, limit)
            data = body.read(limit + 1)
            while len(data) <= limit:
                more = body.read(limit + 1 - len(data))
                if not more:
                    return Found(data, body.etag)
                data += more
        raise _too_large(body.label, limit)

    def open(self, key: str, start: int = 0) -> t.ContextManager[t.BinaryIO]:
        return t.cast("t.ContextManager[t.BinaryIO]", self._open(key, start))

    def stat(self, key: str) -> Stat | None:
        try:
            with self._open(key, 0) as body:
                return Stat(key, body.size or 0, body.etag, body.modified)
        except NotFound:
            return None

    def put_if_absent(self, key: str, data: bytes | t.BinaryIO, size: int) -> bool:
        raise self._read_only("write %s" % key)

    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        raise self._read_only("write %s" % key)

    def list(self, prefix: str) -> t.Iterator[Stat]:
        raise self._read_only("list %s" % prefix)

    def delete(self, key: str, etag: str | None = None) -> bool:
        raise self._read_only("delete %s" % key)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    # How it is done.

    def _read_only(self, what: str) -> BeamError:
        return BeamError(
            "store_read_only",
            "can't %s" % what,
            "a store over http(s) can only be read",
            "Use file:// or s3:// to write to the store",
        )

    def _url(self, key: str) -> str:
        if self._presigned is None:
            return self._base_url + quote(key)
        url = self._presigned.get(key)
        if url is None:
            raise BeamError(
                "presigned_missing",
                "%s can't be fetched" % key,
                "there is no presigned URL for it",
                "Presign the release that is to be installed (alchemist.beam.release_artifact_info with presign), and give all of its URLs",
            )
        return url

    def _open(self, key: str, start: int) -> _Body:
        url = self._url(key)
        _check_url(url)
        return _Body(self, url, start)

    def limit(self) -> Limit:
        """What is left of store_timeout."""
        return Limit(self._deadline - time.monotonic(), "store_timeout", self._timeout)

    def check_time(self, label: str, limit: Limit, why: str = "") -> None:
        if limit.cut or limit.left() <= 0:
            raise late("%s can't be read" % label, limit, why)

    def pause(self, attempt: int, label: str, why: str, limit: Limit) -> None:
        self.check_time(label, limit, why)
        # Not all at the same moment: many servers may ask at once.
        seconds = min(random.uniform(1, 2) * PAUSE_SECONDS * 2**attempt, MAX_PAUSE_SECONDS)
        time.sleep(min(seconds, max(0.0, limit.left())))
        self.check_time(label, limit, why)

    def request(self, url: str, headers: dict[str, str]) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """One answer with a status worth looking at; broken connections and busy servers are tried again."""
        with self.limit() as limit:
            return self._request(url, headers, limit)

    def _request(
        self, url: str, headers: dict[str, str], limit: Limit
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        label = _label(url)
        broken = 0
        for attempt in itertools.count(1):
            self.check_time(label, limit)
            connection = self._connect(url, fresh=attempt > 1)
            try:
                response = self._ask(connection, url, headers)
                if response.status not in _BUSY:
                    return connection, response
                why = "the server answers %d" % response.status
            except ssl.SSLCertVerificationError as exc:
                connection.close()
                raise BeamError(
                    "store_untrusted",
                    "%s can't be read" % label,
                    "its certificate is not valid here (%s)" % exc.verify_message,
                    "Give the CA that signed it (aws_ca_bundle; in an inventory in beam_store_options)",
                ) from exc
            except _BROKEN as exc:
                why = _reason(exc)
                broken += 1
            connection.close()
            if broken >= ATTEMPTS:
                break
            self.pause(attempt, label, why, limit)
        raise BeamError(
            "store_unavailable",
            "%s can't be read" % label,
            "%s, %d times" % (why, ATTEMPTS),
            "Look at the network and the store, and try again",
        )

    def _ask(
        self, connection: http.client.HTTPConnection, url: str, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        parts = urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        connection.request("GET", target, headers={"Accept-Encoding": "identity", **headers})
        return connection.getresponse()

    def _connect(self, url: str, fresh: bool) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc))
            if idle and not fresh:
                return idle.pop()
        context = self._tls_context() if parts.scheme == "https" else None
        return http_connection(parts.scheme, str(parts.hostname), parts.port, CONNECT_SECONDS, context)

    def _tls_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                validate, ca_file = self._tls
                self._context = ssl.create_default_context(cafile=ca_file)
                if not validate:
                    self._context.check_hostname = False
                    self._context.verify_mode = ssl.CERT_NONE
            return self._context

    def keep(self, url: str, connection: http.client.HTTPConnection) -> None:
        parts = urlsplit(url)
        with self._lock:
            self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)


class _Body(io.RawIOBase):
    """The bytes of one object from a position on. A cut connection is resumed where it was cut."""

    def __init__(self, store: HttpStore, url: str, start: int) -> None:
        self._store = store
        self._url = url
        self._at = start
        self._fruitless = 0
        self.label = _label(url)
        self.etag = ""
        self.modified = 0.0
        self.size: int | None = None  # bytes from start to the end, where the server says it
        self._response: http.client.HTTPResponse | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._begin()
        response = t.cast(http.client.HTTPResponse, self._response)
        self.etag = response.headers.get("ETag", "")
        self.size = response.length
        with contextlib.suppress(TypeError, ValueError, OverflowError, IndexError):
            self.modified = email.utils.parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
        self._end = None if self.size is None else start + self.size

    def _begin(self) -> None:
        for _redirect in range(MAX_REDIRECTS + 1):
            headers = {"Range": "bytes=%d-" % self._at} if self._at else {}
            connection, response = self._store.request(self._url, headers)
            if response.status not in (301, 302, 303, 307, 308):
                break
            connection.close()
            self._url = _redirected(self._url, response.headers.get("Location", ""), self.label)
        else:
            raise BeamError(
                "store_redirected",
                "%s can't be read" % self.label,
                "it redirects without end",
                "Give the store's own URL",
            )
        if response.status not in (200, 206):
            connection.close()
            raise _refused(self.label, response.status)
        self._connection, self._response = connection, response
        if response.status == 206 and not response.headers.get("Content-Range", "").startswith("bytes %d-" % self._at):
            raise BeamError(
                "store_range",
                "%s can't be resumed" % self.label,
                "the server sent another range than the one asked for",
                "Try again; a proxy in between may be at fault",
            )
        if response.status == 200 and self._at:
            self._skip(response)
        if self.etag and response.headers.get("ETag", "") != self.etag:
            raise BeamError(
                "store_changed",
                "%s can't be read" % self.label,
                "the object was replaced while it was read",
                "Find out who writes to the store: what is read here never changes",
            )

    def _skip(self, response: http.client.HTTPResponse) -> None:
        """The server does not know ranges: read again what we have."""
        left = self._at
        while left:
            data = response.read(min(left, 1024 * 1024))
            if not data:
                raise BeamError(
                    "store_changed", "%s can't be resumed" % self.label, "it is shorter than before", "Try again"
                )
            left -= len(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        if self.closed or len(buffer) == 0:
            return 0
        with self._store.limit() as limit:
            return self._read(buffer, limit)

    def _read(self, buffer: t.Any, limit: Limit) -> int:
        while True:
            self._store.check_time(self.label, limit)
            why = "the connection was cut"
            try:
                if self._response is None:
                    self._begin()
                response = t.cast(http.client.HTTPResponse, self._response)
                count = response.readinto(buffer)
                if count or self._end is None or self._at >= self._end:
                    self._at += count
                    self._fruitless = 0 if count else self._fruitless
                    return count
            except _BROKEN as exc:
                why = _reason(exc)
            self._drop()
            self._fruitless += 1
            if self._fruitless >= ATTEMPTS:
                raise BeamError(
                    "store_unavailable",
                    "%s can't be read" % self.label,
                    "%s, %d times at byte %d" % (why, ATTEMPTS, self._at),
                    "Look at the network and the store, and try again",
                )
            self._store.pause(self._fruitless, self.label, why, limit)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._response = None

    def close(self) -> None:
        if not self.closed and self._connection is not None and self._response is not None:
            # Only a body that was read to its end leaves a connection that can be used again.
            whole = self._response.isclosed() or self._response.length == 0
            self._response.close()
            if whole and self._connection.sock is not None:
                self._store.keep(self._url, self._connection)
            else:
                self._connection.close()
        super().close()

    def __enter__(self) -> _Body:
        return self


def open_http(params: t.Mapping[str, t.Any]) -> HttpStore:
    """params: the options of STORE_SPEC, and presigned, which wins over store."""
    presigned = params.get("presigned")
    return HttpStore(
        str(params.get("store") or ""),
        None if presigned is None else {str(key): str(url) for key, url in presigned.items()},
        float(params.get("store_timeout") or 120),
        params.get("validate_certs") is not False,
        params.get("aws_ca_bundle"),
    )


def _label(url: str) -> str:
    """The URL without what may be secret in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.port:
            host += ":%d" % parts.port
    except ValueError:
        return "a URL that can't be parsed"
    return "%s://%s%s" % (parts.scheme, host, parts.path)


def _check_url(url: str) -> None:
    try:
        http_parts(url)
    except ValueError as exc:
        raise BeamError(
            "store_url_invalid", "%s can't be read" % _label(url), str(exc), "Give a URL such as https://host/path"
        ) from None


def _redirected(url: str, location: str, label: str) -> str:
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
    except ValueError:
        raise BeamError(
            "store_redirected", "%s can't be read" % label, "it redirects to what is no URL", "Give the store's own URL"
        ) from None
    if not location or (old.scheme, old.netloc) != (new.scheme, new.netloc):
        raise BeamError(
            "store_redirected",
            "%s can't be read" % label,
            "it redirects to another host (%s)" % _label(target) if location else "it redirects to nowhere",
            "Give the store's own URL; for S3, look at the region and the endpoint",
        )
    _check_url(target)
    return target


def _reason(exc: Exception) -> str:
    """Never str(exc) of an HTTPException: it may quote the URL."""
    if isinstance(exc, TIMEOUTS):
        return "no answer in time"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return (
        "the connection was cut"
        if isinstance(exc, (http.client.IncompleteRead, ConnectionError))
        else type(exc).__name__
    )


def _too_large(label: str, limit: int) -> BeamError:
    return BeamError(
        "store_object_too_large",
        "%s can't be read" % label,
        "it has more than %d bytes" % limit,
        "Find out who changed the store",
    )


def _refused(label: str, status: int) -> BeamError:
    if status in (404, 410):
        return NotFound(
            "store_missing",
            "%s is not there" % label,
            "the server answers %d" % status,
            "Look at the store's URL, the name and the version",
        )
    if status in (400, 401, 403):
        return BeamError(
            "store_denied",
            "%s can't be read" % label,
            "the server answers %d: the presigned URL has expired, or there is no right to read it, or nothing there"
            % status,
            "Presign again just before the installation (URLs live 15 minutes at most), and look at the signer's rights",
        )
    return BeamError(
        "store_failed", "%s can't be read" % label, "the server answers %d" % status, "Look at the store's own log"
    )

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A limit of time that holds whatever a server does.

A socket's own timeout begins anew with every byte, so a server that sends one byte a second is never too late for it. Here each
wait of a socket (for a name, a connection, a handshake, a byte) is given what is left of the limit around it:

    with Limit(8, "store_timeout") as limit:
        ...                      # anything that uses the connections below, botocore's too (_aws.py)
    limit.cut, limit.why         # whether the limit ended it, and what had come until then

Limits nest, and the one that ends first holds. Threads begin without one: carry() takes it along.
"""

from __future__ import annotations

import contextvars
import functools
import http.client
import socket
import ssl
import threading
import time
import typing as t
from urllib.parse import SplitResult, urlsplit

TIMEOUTS = (TimeoutError, socket.timeout)  # one and the same since Python 3.10
_current: contextvars.ContextVar[t.Optional[Limit]] = contextvars.ContextVar("limit", default=None)

T = t.TypeVar("T")


class Limit:
    """seconds for all that happens in a `with` block; name: what the user calls them."""

    def __init__(self, seconds: float, name: str = "", shown: t.Optional[float] = None) -> None:
        """shown: what to call the number of seconds, where some of them were used before."""
        self.seconds = seconds if shown is None else shown
        self.name = name
        self.end = time.monotonic() + seconds
        self.cut = False  # something was interrupted because the time was over
        self.doing = ""  # what is waited for
        self.server = ""
        self.received = 0  # bytes since the last request
        self._tokens: list[t.Any] = []

    def __enter__(self) -> Limit:
        outer = _current.get()
        if outer is not None and outer.end < self.end:
            self.end, self.name, self.seconds = outer.end, outer.name, outer.seconds
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        _current.reset(self._tokens.pop())

    def left(self) -> float:
        return self.end - time.monotonic()

    def expire(self) -> t.NoReturn:
        self.cut = True
        raise socket.timeout("the time is over")

    @property
    def why(self) -> str:
        """That the limit is over, and the state at its end."""
        over = "the %g seconds%s are over" % (round(self.seconds, 1), " of %s" % self.name if self.name else "")
        return "%s: %s" % (over, self.state) if self.server else over

    @property
    def state(self) -> str:
        """What is waited for, and what has come until now."""
        if self.doing or not self.server:
            return self.doing
        if not self.received:
            return "%s had sent nothing" % self.server
        return "%s had sent no more than %d bytes of its answer, and was still sending" % (self.server, self.received)

    def wait_for(self, server: str, doing: str) -> None:
        self.server, self.doing, self.received = server, doing, 0


def current() -> t.Optional[Limit]:
    return _current.get()


def time_left(seconds: t.Optional[float]) -> t.Optional[float]:
    """seconds, or what is left of the limit around, if that is less; a timeout where nothing is left."""
    limit = _current.get()
    if limit is None:
        return seconds
    left = limit.left()
    if left <= 0:
        limit.expire()
    return left if seconds is None or left < seconds else seconds


def carry(work: t.Callable[..., T]) -> t.Callable[..., T]:
    """work, under the limit that is around now, in whatever thread it runs."""
    limit = _current.get()

    @functools.wraps(work)
    def run(*args: t.Any) -> T:
        token = _current.set(limit)
        try:
            return work(*args)
        finally:
            _current.reset(token)

    return run


class _Guard:
    """What waits, on a socket: never longer than the limit around."""

    server = ""

    def _bounded(self, call: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        limit = _current.get()
        own = t.cast(t.Any, self).gettimeout()
        if limit is None or own == 0:
            return call(*args)
        left = limit.left()
        if left <= 0:
            limit.expire()
        if own is not None and own <= left:
            return call(*args)
        sock = t.cast(t.Any, self)
        sock.settimeout(left)
        try:
            return call(*args)
        except TIMEOUTS:
            limit.cut = True
            raise
        finally:
            if sock.fileno() >= 0:
                sock.settimeout(own)

    def _received(self, count: int) -> None:
        limit = _current.get()
        if limit is not None:
            limit.received += count
            limit.server = limit.server or self.server

    def _asked(self) -> None:
        limit = _current.get()
        if limit is not None and self.server:
            limit.wait_for(self.server, "")

    def recv(self, *args: t.Any) -> bytes:
        data: bytes = self._bounded(super().recv, *args)  # type: ignore[misc]
        self._received(len(data))
        return data

    def recv_into(self, *args: t.Any) -> int:
        count: int = self._bounded(super().recv_into, *args)  # type: ignore[misc]
        self._received(count)
        return count

    def send(self, *args: t.Any) -> int:
        self._asked()
        count: int = self._bounded(super().send, *args)  # type: ignore[misc]
        return count

    def sendall(self, *args: t.Any) -> None:
        self._asked()
        self._bounded(super().sendall, *args)  # type: ignore[misc]

    def do_handshake(self, *args: t.Any) -> None:
        self._bounded(super().do_handshake, *args)  # type: ignore[misc]


class Socket(_Guard, socket.socket):
    pass


class TlsSocket(_Guard, ssl.SSLSocket):
    pass


def resolve(host: str, port: int) -> list[t.Any]:
    """The addresses of a host."""
    try:
        return _resolve(host, port)
    except UnicodeError as exc:
        raise socket.gaierror(socket.EAI_NONAME, "%s can't be the name of a host" % host[:100]) from exc


def _resolve(host: str, port: int) -> list[t.Any]:
    """getaddrinfo, which nothing can interrupt: it runs in a thread, which is left to itself where it takes too long."""
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # it is a name
    seconds = time_left(None)
    if seconds is None:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    done: list[t.Any] = []

    def look_up() -> None:
        try:
            done.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as exc:
            done.append(exc)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        t.cast(Limit, _current.get()).expire()
    if isinstance(done[0], Exception):
        raise done[0]
    return t.cast("list[t.Any]", done[0])


def connect(
    host: str,
    port: int,
    timeout: t.Optional[float] = None,
    source: t.Optional[tuple[str, int]] = None,
    options: t.Iterable[tuple[t.Any, ...]] = (),
) -> Socket:
    """A connection to the first address of host that takes one; timeout: for each of them, and of the socket afterwards."""
    limit, server = _current.get(), "%s:%d" % (host, port)
    if limit is not None:
        limit.wait_for(server, "the name %s was not resolved" % host)
    last: t.Optional[OSError] = None
    found = resolve(host, port)
    if limit is not None:
        limit.wait_for(server, "%s did not take the connection" % server)
    for family, kind, protocol, _name, address in found:
        sock = Socket(family, kind, protocol)
        try:
            sock.server = server
            for option in options:
                sock.setsockopt(*option)
            if source:
                sock.bind(source)
            reach(sock, address, timeout)
            return sock
        except OSError as exc:
            sock.close()
            last = exc
    raise last or OSError("%s has no address" % host)


def reach(sock: socket.socket, address: t.Any, timeout: t.Optional[float]) -> None:
    """sock.connect, within the limit around; the socket has the timeout then."""
    wait = time_left(timeout)
    sock.settimeout(wait)
    try:
        sock.connect(address)
    except TIMEOUTS:
        limit = _current.get()
        if limit is not None and wait != timeout:
            limit.cut = True
        raise
    sock.settimeout(timeout)


class HTTPConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = connect(self.host, self.port, self.timeout, options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])


class HTTPSConnection(http.client.HTTPSConnection):
    def __init__(
        self, host: str, port: t.Optional[int], context: ssl.SSLContext, timeout: t.Optional[float] = None
    ) -> None:
        context.sslsocket_class = TlsSocket
        super().__init__(host, port, context=context, timeout=timeout)
        self._tls = context

    def connect(self) -> None:
        plain = connect(self.host, self.port, self.timeout, options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
        limit = _current.get()
        if limit is not None:
            limit.wait_for(plain.server, "%s did not finish the TLS handshake" % plain.server)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        t.cast(TlsSocket, self.sock).server = plain.server


def http_parts(url: str) -> SplitResult:
    """The parts of an URL that can be asked. The ValueError for any other one says why, and holds nothing of it: Python's own would show a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is no http:// or https:// URL")
    if any(ord(sign) <= 32 or ord(sign) >= 127 for sign in url):
        raise ValueError("it has a space or a letter that has to be quoted in a URL")
    try:
        good = parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("its port is no number from 1 to 65535")
    return parts


def http_connection(
    scheme: str,
    host: str,
    port: t.Optional[int],
    timeout: t.Optional[float],
    context: t.Optional[ssl.SSLContext],
) -> http.client.HTTPConnection:
    """context: of https alone."""
    if scheme == "https":
        return HTTPSConnection(host, port, t.cast(ssl.SSLContext, context), timeout)
    return HTTPConnection(host, port, timeout=timeout)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that sends one byte at a time, or takes connections and says nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t

HEAD = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "one"\r\n'
# What is sent at once, and what is repeated byte by byte.
WAYS = {
    "nothing": (b"", b""),
    "status": (b"", b"HTTP/1.1 200 OK" + b" " * 500),
    "header": (HEAD + b"X-A: ", b"a"),
    "body": (HEAD + b"\r\n", b"a"),
    "endless": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"a"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@contextlib.contextmanager
def dripping(way: t.Union[str, tuple[bytes, bytes]] = "body", every: float = 0.1, path: str = "") -> t.Iterator[str]:
    """HOST:PORT, or the socket at path. way: one of WAYS, by its name or written out."""
    first, again = WAYS[way] if isinstance(way, str) else way
    stop = threading.Event()
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen(16)

    def talk(link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            link.recv(65536)
            link.sendall(first)
            at = 0
            while not stop.wait(every):
                if again:
                    link.sendall(again[at % len(again)].to_bytes(1, "big"))
                    at += 1

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield path or "127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()

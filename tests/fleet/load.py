# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load on a balancer, every request accounted for. Runs in the control namespace, and needs nothing but Python:

    fleet run -- python tests/fleet/load.py http://10.99.0.1:8080 --seconds 60 --out load.json

Four kinds of clients, each with its own count:
    keepalive  many requests on one connection      fresh   a new connection each, a share of --rate
    slow       `/slow?ms=`, one after the other     stream  `/stream?ms=`, reopened when it ends

Nothing is ever tried again: a request either got a whole right answer, or it failed, and is counted by how. The result is written to --out
each second (without latencies), and whole at the end: after --seconds, or on SIGTERM or SIGINT. Exit code 1: something failed.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import collections
import contextlib
import json
import os
import signal
import sys
import time
import typing as t
import urllib.parse

KEPT = 200  # failures that are told one by one


class Failed(Exception):
    """How a request failed: the kind that is counted, and the details of this one."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class Count:
    """Of one kind of client."""

    def __init__(self) -> None:
        self.ok = 0
        self.failures: collections.Counter[str] = collections.Counter()
        self.latencies = array.array("f")

    def told(self, whole: bool) -> dict[str, t.Any]:
        failed = sum(self.failures.values())
        found: dict[str, t.Any] = {
            "requests": self.ok + failed,
            "ok": self.ok,
            "failed": failed,
            "failures": dict(self.failures),
        }
        if whole and self.latencies:
            ordered = sorted(self.latencies)
            marks = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1))
            found["milliseconds"] = {
                name: round(ordered[min(len(ordered) - 1, int(len(ordered) * mark))] * 1000, 1) for name, mark in marks
            }
        return found


class Load:
    def __init__(self, options: argparse.Namespace) -> None:
        url = urllib.parse.urlsplit(options.url)
        self.host, self.port = url.hostname or "", url.port or 80
        self.options = options
        self.counts = {name: Count() for name in ("keepalive", "fresh", "slow", "stream")}
        self.versions: collections.Counter[str] = collections.Counter()
        self.timeline: dict[int, list[int]] = {}
        self.failures: list[dict[str, t.Any]] = []
        self.open = 0  # streams
        self.cut = 0  # streams that ended early and had run longer than a drain lasts: nobody promised them more
        self.began = time.time()
        self.start = time.monotonic()
        self.stopping = asyncio.Event()

    # One request.

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection(self.host, self.port)
        except ConnectionRefusedError as error:
            raise Failed("refused", str(error)) from error
        except OSError as error:
            raise Failed("connect", str(error)) from error

    async def head(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, close: bool
    ) -> dict[str, str]:
        """Sends the request, and reads the answer's headers; its status is in `:status`."""
        words = "GET %s HTTP/1.1\r\nHost: %s:%d\r\nConnection: %s\r\n\r\n"
        writer.write((words % (path, self.host, self.port, "close" if close else "keep-alive")).encode())
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _colon, value in (line.partition(":") for line in lines[1:] if line)
        }
        headers[":status"] = lines[0].split(" ")[1]
        return headers

    async def once(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, close: bool
    ) -> tuple[str, bool]:
        """The version that answered, and whether the connection may be used again."""
        headers = await self.head(reader, writer, path, close)
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await reader.read()  # an error page of the balancer
        self.check(headers, body[:200])
        with contextlib.suppress(ValueError):
            answer = json.loads(body)
            if isinstance(answer, dict) and "error" not in answer:
                return headers.get("x-version", "?"), headers.get(
                    "connection", ""
                ).lower() != "close" and "content-length" in headers
        raise Failed("wrong_body", repr(body[:200]))

    @staticmethod
    def check(headers: dict[str, str], detail: bytes = b"") -> None:
        status = headers[":status"]
        if status != "200":
            raise Failed("5xx" if status.startswith("5") else "status", "%s %r" % (status, detail))

    @contextlib.asynccontextmanager
    async def judged(self, name: str, seconds: float, reused: bool = False) -> t.AsyncIterator[None]:
        """Turns whatever goes wrong inside into a kind of failure."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):  # type: ignore[attr-defined, unused-ignore]  # of Python 3.11, which is what runs this
                yield
        except Failed as error:
            self.failed(name, error, began)
        except (asyncio.IncompleteReadError, BrokenPipeError) as error:
            # On a connection that was used before: whoever closed it did so before the answer, which the client can't tell from a request that was lost.
            some = isinstance(error, asyncio.IncompleteReadError) and len(error.partial)
            self.failed(name, Failed("eof_reused" if reused and not some else "eof", repr(error)), began)
        except ConnectionResetError as error:
            self.failed(name, Failed("reset", str(error)), began)
        except TimeoutError:
            self.failed(name, Failed("timeout", "nothing after %d s" % seconds), began)
        except (OSError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            self.failed(name, Failed("other", repr(error)), began)

    def second(self) -> list[int]:
        return self.timeline.setdefault(int(time.monotonic() - self.start), [0, 0])

    def failed(self, name: str, error: Failed, began: float) -> None:
        if self.stopping.is_set() and name in ("slow", "stream"):
            return  # ended by ourselves
        self.counts[name].failures[error.kind] += 1
        self.second()[1] += 1
        if len(self.failures) < KEPT:
            now = time.monotonic()
            moment = {"at": round(now - self.start, 3), "after": round(now - began, 3)}
            self.failures.append({**moment, "client": name, "kind": error.kind, "detail": error.detail})

    def succeeded(self, name: str, version: str, began: float) -> None:
        self.counts[name].ok += 1
        self.counts[name].latencies.append(time.monotonic() - began)
        self.versions[version] += 1
        self.second()[0] += 1

    # The clients.

    async def pause(self, until: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), max(until - time.monotonic(), 0.0))

    async def requests(self, name: str, interval: float, offset: float) -> None:
        """A client that asks every `interval` seconds, and no faster when it is late."""
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        due = time.monotonic() + offset
        number = 0
        while True:
            await self.pause(due)
            if self.stopping.is_set():
                break
            due = max(due + interval, time.monotonic() - 1)
            path = self.options.path[number % len(self.options.path)]
            number += 1
            keep, began = False, time.monotonic()
            async with self.judged(name, self.options.timeout, connection is not None):
                if connection is None:
                    connection = await self.connect()
                version, keep = await self.once(*connection, path, name == "fresh")
                self.succeeded(name, version, began)
            if connection and not (keep and name == "keepalive"):
                connection[1].close()
                connection = None
        if connection:
            connection[1].close()

    async def slow(self, milliseconds: int, offset: float) -> None:
        await self.pause(time.monotonic() + offset)
        while not self.stopping.is_set():
            began, connection, ok = time.monotonic(), None, False
            async with self.judged("slow", milliseconds / 1000 + self.options.timeout):
                connection = await self.connect()
                version, _keep = await self.once(*connection, "/slow?ms=%d" % milliseconds, True)
                if time.monotonic() - began < milliseconds / 1000:
                    raise Failed("wrong_body", "it was too quick")
                self.succeeded("slow", version, began)
                ok = True
            if connection:
                connection[1].close()
            if not ok:
                await self.pause(time.monotonic() + 0.2)

    async def stream(self, milliseconds: int, offset: float) -> None:
        await self.pause(time.monotonic() + offset)
        while not self.stopping.is_set():
            began, connection, done = time.monotonic(), None, self.counts["stream"].ok
            path = "/stream?ms=%d&every=%d" % (milliseconds, self.options.every)
            async with self.judged("stream", milliseconds / 1000 + self.options.timeout):
                connection = await self.connect()
                try:
                    headers = await self.head(*connection, path, True)
                    self.check(headers)
                    self.open += 1
                    try:
                        await self.chunks(connection[0])
                    finally:
                        self.open -= 1
                except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
                    # A drain ends `drain` after it began, and streams are not opened in it: one that is cut at its end has run for that long at least.
                    lasted = time.monotonic() - began
                    if (
                        milliseconds > self.options.drain_ms
                        and lasted * 1000 >= self.options.drain_ms
                        and not self.stopping.is_set()
                    ):
                        self.cut += 1
                    else:
                        raise Failed("abnormal_close", "%.1f s of %.1f s" % (lasted, milliseconds / 1000)) from None
                else:
                    self.succeeded("stream", headers.get("x-version", "?"), began)
            if connection:
                connection[1].close()
            if self.counts["stream"].ok == done:
                await self.pause(time.monotonic() + 0.2)

    @staticmethod
    async def chunks(reader: asyncio.StreamReader) -> None:
        """0, 1, 2, ..., end: one line a chunk."""
        number, last = 0, ""
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            chunk = (await reader.readexactly(size + 2))[:-2].decode()
            if not size:
                break
            for last in chunk.split():
                if last not in (str(number), "end"):
                    raise Failed("wrong_body", "%r in the place of line %d" % (last, number))
                number += 1
        if last != "end":
            raise Failed("abnormal_close", "it ended properly, but early")

    # The whole.

    def result(self, whole: bool) -> dict[str, t.Any]:
        counts = {name: count.told(whole) for name, count in self.counts.items()}
        counts["stream"].update(open=self.open, cut=self.cut)
        seconds = time.monotonic() - self.start
        total = {name: sum(count[name] for count in counts.values()) for name in ("requests", "ok", "failed")}
        kinds = sum((count.failures for count in self.counts.values()), collections.Counter())
        return {
            "schema": 1,
            "url": self.options.url,
            "began": self.began,
            "seconds": round(seconds, 1),
            "running": not whole,
            **total,
            "rate": round(total["requests"] / seconds, 1) if seconds else 0,
            "failures": dict(kinds),
            "versions": dict(self.versions),
            "clients": counts,
            "timeline": [[second, *counted] for second, counted in sorted(self.timeline.items())] if whole else [],
            "first_failures": self.failures,
        }

    def write(self, whole: bool) -> None:
        if self.options.out:
            with open(self.options.out + ".new", "w", encoding="utf-8") as stream:
                json.dump(self.result(whole), stream)
            os.replace(self.options.out + ".new", self.options.out)

    async def run(self) -> None:
        options = self.options
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stopping.set)
        quick, long = [], []
        rates = (
            ("keepalive", options.keepalive, options.rate * (1 - options.fresh_share)),
            ("fresh", options.fresh, options.rate * options.fresh_share),
        )
        for name, clients, rate in rates:
            quick += [
                self.requests(name, clients / rate, number / rate) for number in range(clients if rate > 0 else 0)
            ]
        for kind, groups in ((self.slow, options.slow), (self.stream, options.stream)):
            for clients, milliseconds in groups:  # spread out, so that they don't end together either
                long += [kind(milliseconds, number * milliseconds / 1000 / clients) for number in range(clients)]
        tasks = [asyncio.create_task(work) for work in (*quick, *long)]
        end = self.start + options.seconds if options.seconds else float("inf")
        while not self.stopping.is_set():
            await self.pause(min(end, time.monotonic() + 1))
            self.write(False)
            if time.monotonic() >= end:
                self.stopping.set()
        # A quick request in flight is waited for, and counted; a long one is given up.
        if quick:
            await asyncio.wait(tasks[: len(quick)], timeout=options.timeout + 2)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


def group(text: str) -> tuple[int, int]:
    clients, _colon, milliseconds = text.partition(":")
    return int(clients), int(milliseconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=0, help="0: until SIGTERM")
    parser.add_argument(
        "--rate", type=float, default=300, help="quick requests a second, of all keepalive and fresh clients together"
    )
    parser.add_argument("--fresh-share", type=float, default=0.2, help="of the rate: with a new connection each")
    parser.add_argument("--keepalive", type=int, default=40, help="clients")
    parser.add_argument("--fresh", type=int, default=20, help="clients")
    parser.add_argument("--path", action="append", help="of the quick requests, by turns (default: /)")
    parser.add_argument("--slow", type=group, action="append", default=[], metavar="CLIENTS:MS", help="such as 10:5000")
    parser.add_argument(
        "--stream",
        type=group,
        action="append",
        default=[],
        metavar="CLIENTS:MS",
        help="such as 200:10000; may be given twice",
    )
    parser.add_argument("--every", type=int, default=500, help="milliseconds between the pieces of a stream")
    parser.add_argument(
        "--drain-ms", type=int, default=30000, help="a stream that would have ended in that time may not be cut"
    )
    parser.add_argument(
        "--timeout", type=float, default=30, help="seconds for an answer, beyond what it takes by itself"
    )
    parser.add_argument("--out", default="", help="where the result goes (JSON)")
    options = parser.parse_args()
    options.path = options.path or ["/"]

    async def go() -> Load:
        load = Load(options)
        await load.run()
        return load

    load = asyncio.run(go())
    load.write(True)
    found = load.result(True)
    short = {name: found[name] for name in ("seconds", "requests", "rate", "ok", "failed", "failures", "versions")}
    print(
        json.dumps({**short, "streams": {name: found["clients"]["stream"][name] for name in ("ok", "cut", "failed")}})
    )
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

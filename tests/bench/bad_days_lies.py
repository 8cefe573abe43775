# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lies of a store, over S3 and http, and of what is near (bad_days_lies_near.py). `bad_days.py lies`

Every one is an error that names the server, or does no harm.

A case is an operation and a lie. Right is a BeamError, or the result that is true; a traceback is any other exception, wrong is any other result.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore

BODY = b"true bytes"
ETAG = '"0123456789abcdef0123456789abcdef"'
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
SECONDS = 1.0
WORKERS = 4  # most of the time is pauses between attempts
TRUE = [("ETag", ETAG), ("Content-Length", "%d" % len(BODY)), ("Last-Modified", DATE)]


def http(status: str = "200 OK", headers: t.Sequence[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    lines = ["HTTP/1.1 " + status, *("%s: %s" % pair for pair in headers), "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def but(name: str, *values: str) -> list[tuple[str, str]]:
    """The true headers, but for this one."""
    return [pair for pair in TRUE if pair[0] != name] + [(name, value) for value in values]


def row(
    key: str = "<Key>x/k</Key>",
    size: str = "<Size>10</Size>",
    date: str = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>",
) -> str:
    return "<Contents>%s%s%s<ETag>%s</ETag></Contents>" % (key, size, date, ETAG.replace('"', "&quot;"))


def listing(rows: str = "", end: str = "<IsTruncated>false</IsTruncated>") -> bytes:
    text = (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>%s%s</ListBucketResult>'
        % (rows, end)
    )
    return http(headers=[("Content-Type", "application/xml"), ("Content-Length", "%d" % len(text))], body=text.encode())


def xml(text: str, status: str = "200 OK") -> bytes:
    return http(status, [*but("Content-Length", "%d" % len(text)), ("Content-Type", "application/xml")], text.encode())


MORE = "<IsTruncated>true</IsTruncated>"
NUMBERS = (
    "abc",
    "-1",
    "-99999999999999999999",
    "9" * 30,
    "9223372036854775807",
    "0x10",
    "1e3",
    "",
    " ",
    "10, 11",
    "+10",
    "NaN",
    "\xb2",
)
DATES = (
    "never",
    "",
    "0",
    "99999999999999999999",
    "Thu, 99 Foo 2026 99:99:99 GMT",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "\xff",
)
LOCATIONS = (
    "http://[::1",
    "//[bad",
    "",
    "http://",
    "\x00",
    "ftp://x/",
    "//",
    "http://a..b/",
    "http://127.0.0.1:99999/",
    "?",
    "http://" + "a" * 300 + "/",
)
HTML = "<html><head><title>502</title></head><body><p>Proxy<br></body></html>"

# Lies about one object, for each transport and each operation on it.
HEADS: dict[str, bytes] = {
    "true": http(headers=TRUE, body=BODY),
    "no header at all": http(body=BODY),
    "no ETag": http(headers=[pair for pair in TRUE if pair[0] != "ETag"], body=BODY),
    "two ETags": http(headers=but("ETag", '"a"', '"b"'), body=BODY),
    "an empty ETag": http(headers=but("ETag", ""), body=BODY),
    "an ETag of quotes": http(headers=but("ETag", '""'), body=BODY),
    **{"Content-Length %r" % value[:12]: http(headers=but("Content-Length", value), body=BODY) for value in NUMBERS},
    "two Content-Lengths": http(headers=but("Content-Length", "10", "11"), body=BODY),
    "no Last-Modified": http(headers=TRUE[:2], body=BODY),
    **{"Last-Modified %r" % value[:12]: http(headers=but("Last-Modified", value), body=BODY) for value in DATES},
    "chunks without a number": http(headers=[("Transfer-Encoding", "chunked"), ("ETag", ETAG)], body=b"zz\r\nab\r\n"),
    "chunks of a negative size": http(headers=[("Transfer-Encoding", "chunked"), ("ETag", ETAG)], body=b"-5\r\nab\r\n"),
    "chunks of a huge size": http(
        headers=[("Transfer-Encoding", "chunked"), ("ETag", ETAG)], body=b"ffffffffffffffffffff\r\nab\r\n"
    ),
    "gzip that is none": http(headers=[*TRUE, ("Content-Encoding", "gzip")], body=BODY),
    "an encoding that nobody knows": http(headers=[*TRUE, ("Content-Encoding", "x, gzip, br, \xff")], body=BODY),
    "a body that is cut": http(headers=TRUE, body=BODY[:3]),
    "204": http("204 No Content"),
    "206 that was not asked for": http("206 Partial", [*TRUE, ("Content-Range", "bytes 5-14/20")], BODY),
    "304": http("304 Not Modified"),
    "412": http("412 Precondition Failed"),
    "a status of letters": http("OK 200"),
    "a status of 0": http("000 X"),
    "a status of 9999": http("9999 X"),
    "a negative status": http("-200 X"),
    "no status": b"\r\n\r\n",
    "HTTP 0.9": b"hello",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "a header line of 100 KB": http(headers=[("X", "a" * 100_000)]),
    "2,000 headers": http(headers=[("X", "a")] * 2000),
    "100 and the end": b"HTTP/1.1 100 Continue\r\n\r\n",
    "HTML of a proxy": xml(HTML),
    "HTML as an error": xml(HTML, "404 Not Found"),
    "an empty error": http("400 Bad"),
    "an error of numbers": xml("<Error><Code>1</Code><Message/></Error>", "400 Bad"),
    "an error in an error": xml("<Error><Code><Code>x</Code></Code></Error>", "403 No"),
    "an error with 200": xml("<Error><Code>InternalError</Code></Error>"),
    **{
        "a redirect to %r" % to[:14]: http("301 Moved", [("Location", to), ("Content-Length", "0")]) for to in LOCATIONS
    },
    "a region that is none": http("301 Moved", [("x-amz-bucket-region", "\xff .."), ("Content-Length", "0")]),
}
LISTS: dict[str, bytes] = {
    "true": listing(row()),
    "no Key": listing(row(key="")),
    "an empty Key": listing(row(key="<Key/>")),
    "two Keys": listing(row(key="<Key>x/k</Key><Key>x/l</Key>")),
    "another's Key": listing(row(key="<Key>other/k</Key>")),
    "a Key twice": listing(row() + row()),
    "no Size": listing(row(size="")),
    **{"Size %r" % value[:12]: listing(row(size="<Size>%s</Size>" % value)) for value in NUMBERS if value.isascii()},
    "no LastModified": listing(row(date="")),
    **{
        "LastModified %r" % value[:12]: listing(row(date="<LastModified>%s</LastModified>" % value))
        for value in DATES
        if value.isascii()
    },
    "no IsTruncated": listing(row(), ""),
    "IsTruncated maybe": listing(row(), "<IsTruncated>maybe</IsTruncated>"),
    "more, and no token": listing(row(), MORE),
    "more, and an empty token": listing(row(), MORE + "<NextContinuationToken/>"),
    "the same token for ever": listing("", MORE + "<NextContinuationToken>a</NextContinuationToken>"),
    "the same page for ever": listing(row(), MORE + "<NextContinuationToken>a</NextContinuationToken>"),
    "an empty body": http(headers=[("Content-Length", "0")]),
    "HTML": xml(HTML),
    "HTML that is XML": xml("<html><body/></html>"),
    "XML that is cut": xml("<ListBucketResult><Contents>"),
    "another document": xml("<ListAllMyBucketsResult/>"),
    "JSON": xml('{"Contents": []}'),
    "letters in another code": http(headers=[("Content-Length", "3")], body=b"\xff\xfe\x00"),
    "deep XML": xml("<a>" * 20_000 + "</a>" * 20_000),
    "entities": xml('<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>'),
    "no status": b"\r\n\r\n",
}


class Liar:
    """A server that gives one answer to whatever is asked."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._listener.accept()[0],), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            head = b""
            while b"\r\n\r\n" not in head:
                data = link.recv(65536)
                if not data:
                    return
                head += data
            answer = self.answer
            if head.startswith(b"HEAD"):
                answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            link.sendall(answer)
            link.shutdown(socket.SHUT_WR)
            link.settimeout(1)
            while link.recv(65536):
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _stream(store: t.Any) -> bytes:
    with store.open("k") as stream:
        return b"".join(iter(lambda: stream.read(100), b""))


OBJECT: dict[str, t.Callable[[t.Any], t.Any]] = {
    "get": lambda store: store.get("k", 1000).data,
    "open": _stream,
    "stat": lambda store: store.stat("k"),
}
WRITE: dict[str, t.Callable[[t.Any], t.Any]] = {
    "replace": lambda store: store.replace("k", BODY, None),
    "delete": lambda store: store.delete("k"),
}
Case = tuple[str, str, str, bytes, t.Callable[[t.Any], t.Any]]


def cases() -> list[Case]:
    """(transport, operation, lie, the answer, the work)"""
    found = [
        (way, verb, name, answer, work)
        for way in ("s3", "http")
        for verb, work in OBJECT.items()
        for name, answer in HEADS.items()
    ]
    # What is written is answered without a body: botocore takes one for an error that came late.
    found += [("s3", verb, name, _bare(answer), work) for verb, work in WRITE.items() for name, answer in HEADS.items()]
    found += [
        ("s3", "list", name, answer, lambda store: [one.key for one in store.list("")])
        for name, answer in LISTS.items()
    ]
    return found


def _bare(answer: bytes) -> bytes:
    return (
        answer[: -len(BODY)].replace(b"Content-Length: 10\r\n", b"Content-Length: 0\r\n")
        if answer.endswith(BODY)
        else answer
    )


def open_ways(address: str) -> dict[str, t.Callable[[], t.Any]]:
    s3 = open_store(
        {
            "store": "s3://lies/x",
            "endpoint_url": "http://" + address,
            "region": "us-east-1",
            "access_key": "a",
            "secret_key": "b",
            "store_timeout": SECONDS,
        }
    )

    def fresh() -> t.Any:
        s3.start_clock()
        return s3

    return {"http": lambda: HttpStore("http://%s/x" % address, timeout=SECONDS), "s3": fresh}


def judge(case: Case, liar: Liar, ways: t.Mapping[str, t.Callable[[], t.Any]]) -> tuple[str, str]:
    """(right | refused | traceback | wrong | late, what came)"""
    way, verb, _name, answer, work = case
    liar.answer = answer
    store = ways[way]()
    begun = time.monotonic()
    try:
        result = work(store)
    except BeamError as error:
        kind, said = "refused", "%s: %s" % (error.code, error.message)
    except Exception as error:
        return "traceback", "%s: %s" % (type(error).__name__, error)
    else:
        said = repr(result)
        # Who sends other bytes is found by their hash; who sends fewer than it said, here.
        true = (
            verb not in ("get", "open", "list")
            or result in (BODY, ["k"])
            or (verb in ("get", "open") and _whole(answer, result))
        )
        kind = "right" if true else "wrong"
    return ("late", said) if time.monotonic() - begun > SECONDS + 1 else (kind, said)


def _whole(answer: bytes, result: bytes) -> bool:
    """Whether the result is all of what the server sent as a good answer; its hash tells whether it is the right one."""
    head, _gap, body = answer.partition(b"\r\n\r\n")
    return head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204", b"HTTP/1.1 206")) and result == body


def main(arguments: list[str]) -> int:
    import bad_days_lies_near as near
    from figures import record

    mine = threading.local()

    def one(case: Case) -> tuple[Case, str, str]:
        if not hasattr(mine, "liar"):
            mine.liar = Liar()
            mine.ways = open_ways(mine.liar.address)
        return (case, *judge(case, mine.liar, mine.ways))

    with ThreadPoolExecutor(WORKERS) as pool:
        found: list[tuple[t.Any, str, str]] = list(pool.map(one, cases()))
    for case, kind, said in found:
        if kind not in ("right", "refused") or "-v" in arguments:
            print("%-9s %-4s %-8s %-36s %s" % (kind, *case[:3], said[:200]))
    liar = Liar()
    for case in (*near.haproxy_cases(), *near.metadata_cases(HEADS, http)):
        kind, said = near.judge(case, liar)
        found.append((case, kind, said))
        if kind not in ("right", "refused") or "-v" in arguments:
            print("%-9s %-7s %-8s %-36s %s" % (kind, *case[:3], said[:200]))
    liar.close()
    count = collections.Counter(kind for _case, kind, _said in found)
    print("%d cases: %s" % (len(found), dict(count)))
    ways = collections.Counter(case[0] for case, _kind, _said in found)
    record(
        "bad_days",
        lying_s3_cases=ways["s3"],
        lying_http_cases=ways["http"],
        lying_haproxy_cases=ways["haproxy"],
        lying_imds_cases=ways["imds"],
        lies_refused=count["refused"],
        tracebacks=count["traceback"],
        wrong=count["wrong"],
        lies_late=count["late"],
    )
    return int(bool(count["traceback"] or count["wrong"] or count["late"]))

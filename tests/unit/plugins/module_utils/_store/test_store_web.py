# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The read-only store over http, against a server on 127.0.0.1 that misbehaves on demand."""

from __future__ import annotations

import http.server
import io
import socket
import threading
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, NotFound
from ansible_collections.alchemist.beam.plugins.module_utils._store import web as store_web
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore, open_http

BODY = bytes(range(256)) * 2000
SECRET = "X-Amz-Signature=s3cr3t"


class Faults:
    """What the server does with the next requests, and what it saw."""

    def __init__(self) -> None:
        self.plan: list[str] = []
        self.seen: list[tuple[str, str | None]] = []
        self.connections = 0
        self.etag = '"one"'
        self.base = ""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults

    def setup(self) -> None:
        super().setup()
        self.faults.connections += 1

    def log_message(self, format: str, *args: t.Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        faults = self.faults
        wanted = self.headers.get("Range")
        faults.seen.append((self.path, wanted))
        fault = faults.plan.pop(0) if faults.plan else "ok"
        if fault.isdigit():
            return self.answer(int(fault), b"no")
        if fault.startswith("redirect "):
            self.send_response(302)
            self.send_header("Location", fault.partition(" ")[2])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        if fault == "drop":
            return self.connection.shutdown(socket.SHUT_RDWR)
        if fault == "hang":
            time.sleep(1.5)
            return self.connection.shutdown(socket.SHUT_RDWR)
        start = int(wanted.partition("=")[2].rstrip("-")) if wanted and fault != "no ranges" else 0
        data = BODY[start:]
        headers = {"ETag": '"two"' if fault == "replaced" else faults.etag}
        if wanted and fault != "no ranges":
            headers["Content-Range"] = "bytes %d-%d/%d" % (
                start + (1 if fault == "other range" else 0),
                len(BODY) - 1,
                len(BODY),
            )
        if fault == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
            return None
        return self.answer(
            206 if "Content-Range" in headers else 200, data, headers, cut=len(data) // 2 if fault == "cut" else None
        )

    def answer(
        self, status: int, data: bytes, headers: t.Mapping[str, str] | None = None, cut: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data[:cut])
        if cut is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that goes away is what these tests are about."""


@pytest.fixture(name="faults")
def _faults(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Faults]:
    # A busy machine may take its time to answer: only where it hangs on purpose is little patience right.
    monkeypatch.setattr(store_web, "READ_SECONDS", 10)
    monkeypatch.setattr(store_web, "PAUSE_SECONDS", 0.01)
    faults = Faults()
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"faults": faults}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    faults.base = "http://127.0.0.1:%d/store" % server.server_port
    yield faults
    server.shutdown()
    thread.join()
    server.server_close()


def presigned(faults: Faults, **options: t.Any) -> HttpStore:
    return HttpStore(presigned={"demo/a": "%s/demo/a?%s" % (faults.base, SECRET)}, **options)


def read(store: HttpStore, start: int = 0) -> bytes:
    with store.open("demo/a", start) as stream:
        return b"".join(iter(lambda: stream.read(100_000), b""))


def failure(work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as error:
        work()
    assert "s3cr3t" not in error.value.message and "s3cr3t" not in repr(error.value.as_result())
    assert error.value.hint
    return error.value


def test_it_reads_by_base_url_and_by_presigned_urls(faults: Faults) -> None:
    assert HttpStore(faults.base + "/").get("demo/a", len(BODY)).data == BODY
    assert presigned(faults).get("demo/a", len(BODY)).data == BODY
    assert faults.seen == [("/store/demo/a", None), ("/store/demo/a?" + SECRET, None)]
    assert read(HttpStore(faults.base), start=1000) == BODY[1000:]


def test_connections_are_kept(faults: Faults) -> None:
    store = HttpStore(faults.base)
    for _turn in range(5):
        assert read(store) == BODY
    assert faults.connections == 1
    store.close()


def test_a_body_that_was_not_read_to_its_end_does_not_spoil_the_next(faults: Faults) -> None:
    store = HttpStore(faults.base)
    with store.open("demo/a") as stream:
        assert stream.read(10) == BODY[:10]
    assert read(store) == BODY


@pytest.mark.parametrize(
    "plan",
    [
        ["500"],
        ["503"] * 6,
        ["429"],
        ["drop"],
        ["hang"],
        ["cut"],
        ["cut", "cut", "503", "drop"],
        ["cut", "no ranges"],
        ["chunked"],
        ["redirect /store/elsewhere"],
    ],
)
def test_what_passes_is_read_whole(plan: list[str], faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    if "hang" in plan:
        monkeypatch.setattr(store_web, "READ_SECONDS", 0.5)
    faults.plan = list(plan)
    assert read(presigned(faults)) == BODY
    assert not faults.plan


def test_a_cut_body_is_resumed_where_it_was_cut(faults: Faults) -> None:
    faults.plan = ["cut"]
    assert read(presigned(faults)) == BODY
    assert [ranges for _path, ranges in faults.seen] == [None, "bytes=%d-" % (len(BODY) // 2)]


@pytest.mark.parametrize(
    "plan, code",
    [
        (["drop"] * 5, "store_unavailable"),
        (["403"], "store_denied"),
        (["401"], "store_denied"),
        (["404"], "store_missing"),
        (["418"], "store_failed"),
        (["cut", "replaced"], "store_changed"),
        (["cut", "other range"], "store_range"),
        (["redirect http://127.0.0.2:1/evil?token=s3cr3t"], "store_redirected"),
        (["redirect https://127.0.0.1/evil"], "store_redirected"),
        (["redirect /store/demo/a"] * 5, "store_redirected"),
    ],
)
def test_what_does_not_pass_has_its_own_name(plan: list[str], code: str, faults: Faults) -> None:
    faults.plan = list(plan)
    assert failure(lambda: read(presigned(faults))).code == code


def test_an_expired_url_names_the_next_step(faults: Faults) -> None:
    faults.plan = ["403"]
    error = failure(lambda: presigned(faults).get("demo/a", 10))
    assert "expired" in error.why and "Presign again" in error.hint


def test_a_key_without_url_is_named() -> None:
    error = failure(lambda: HttpStore(presigned={}).get("demo/a", 10))
    assert error.code == "presigned_missing" and "demo/a" in error.what


def test_the_size_is_capped(faults: Faults) -> None:
    faults.plan = ["ok", "chunked"]
    for _turn in range(2):
        assert failure(lambda: presigned(faults).get("demo/a", len(BODY) - 1)).code == "store_object_too_large"


def test_the_deadline_is_for_everything(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_web, "READ_SECONDS", 0.5)
    faults.plan = ["hang"] * 50
    begun = time.monotonic()
    assert failure(lambda: read(presigned(faults, timeout=1))).code == "store_timeout"
    assert time.monotonic() - begun < 5


def test_a_server_that_stays_busy_is_given_up_in_time(faults: Faults) -> None:
    faults.plan = ["503"] * 1000
    error = failure(lambda: read(presigned(faults, timeout=1)))
    assert error.code == "store_timeout" and "503" in error.why


def test_a_black_hole_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full answers no connection at all."""
    monkeypatch.setattr(store_web, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(store_web, "PAUSE_SECONDS", 0.01)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _filler in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        begun = time.monotonic()
        error = failure(lambda: HttpStore("http://127.0.0.1:%d/" % port, timeout=10).get("demo/a", 10))
        assert error.code == "store_unavailable" and time.monotonic() - begun < 9
        for filler in fillers:
            filler.close()


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_web, "PAUSE_SECONDS", 0.01)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    error = failure(lambda: HttpStore("http://127.0.0.1:%d/x" % port).get("demo/a", 10))
    assert error.code == "store_unavailable" and "refused" in error.why


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "http://",
        "http:///x",
        "http://h/a b",
        "http://h/\nx",
        "http://h:99999/x",
        "http://h:x/",
        "http://[::1/x",
        "file:///x",
    ],
)
def test_a_bad_url_is_refused(url: str) -> None:
    assert (
        failure(lambda: HttpStore(presigned={"demo/a": url + "?" + SECRET}).get("demo/a", 10)).code
        == "store_url_invalid"
    )


def test_it_can_only_be_read(faults: Faults) -> None:
    store = HttpStore(faults.base)
    for work in (
        lambda: store.put_if_absent("k", io.BytesIO(b""), 0),
        lambda: store.replace("k", b"", None),
        lambda: store.list("k"),
        lambda: store.delete("k"),
    ):
        assert failure(work).code == "store_read_only"
    assert not faults.seen


def test_stat(faults: Faults) -> None:
    found = HttpStore(faults.base).stat("demo/a")
    assert found is not None and (found.size, found.etag) == (len(BODY), '"one"')
    faults.plan = ["404"]
    assert HttpStore(faults.base).stat("demo/a") is None
    faults.plan = ["404"]
    with pytest.raises(NotFound):
        HttpStore(faults.base).get("demo/a", 10)


def test_many_threads_share_a_store(faults: Faults) -> None:
    store = HttpStore(faults.base)
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(read(store))) for _turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [BODY] * 8


def test_open_http_takes_the_options_of_a_module(faults: Faults) -> None:
    params = {
        "store": faults.base,
        "presigned": None,
        "store_timeout": 7,
        "validate_certs": True,
        "aws_ca_bundle": None,
    }
    assert open_http(params).get("demo/a", len(BODY)).data == BODY
    assert open_http({**params, "presigned": {}}).location == "the presigned URLs"


def test_an_untrusted_certificate_is_refused(tmp_path: t.Any) -> None:
    import shutil
    import ssl
    import subprocess

    assert shutil.which("openssl"), "openssl makes the certificate of this test"
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            key,
            "-out",
            cert,
            "-days",
            "1",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    faults = Faults()
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"faults": faults}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        url = "https://127.0.0.1:%d/store" % server.server_port
        error = failure(lambda: HttpStore(url).get("demo/a", 10))
        assert error.code == "store_untrusted" and "certificate" in error.why
        assert HttpStore(url, ca_file=cert).get("demo/a", len(BODY)).data == BODY
        assert HttpStore(url, validate_certs=False).get("demo/a", len(BODY)).data == BODY
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

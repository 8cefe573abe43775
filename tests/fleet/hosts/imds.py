# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The instance metadata service, version 2: what an instance can ask about itself. It tells hosts apart by the address they come from.

Without a token everything is 401, except for cloud-init (and its python-requests): it takes a token only where a BIOS tells it that it is on EC2, and a
container has none.
What it says of an instance comes from cloud.py; how it behaves is in a file that `fleet imds` writes:

    {"mode": "on" | "off" | "slow" | "no-hop" | "no-role" | "expired", "seconds": of slow, "spot": {address: when it is taken away}}
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
import typing as t
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import CONTROL_ADDRESS, METADATA_PORT, Fleet, FleetError, wait_for, write

MODES = ("on", "off", "slow", "no-hop", "no-role", "expired")
Tree = dict[str, t.Any]  # directories are dicts, the rest is text or bytes
# address -> the tree below /latest/ of its instance; None where there is none
Lookup = t.Callable[[str, dict[str, t.Any]], "Tree | None"]


def control(directory: Path) -> dict[str, t.Any]:
    try:
        found: dict[str, t.Any] = json.loads((directory / "imds.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"mode": "on", "seconds": 0.0, "spot": {}}
    return found


def order(directory: Path, **values: t.Any) -> None:
    write(directory / "imds.json", json.dumps({**control(directory), **values}) + "\n")


def command(fleet: Fleet, mode: str, words: list[str], instances: t.Mapping[str, str]) -> None:
    """`fleet imds slow 5`, `fleet imds spot h3 120`."""
    if "cloud" not in fleet.services:
        raise FleetError("fleet %s has no metadata service: `fleet up 1 --cloud`" % fleet.name)
    if mode == "spot":
        at = time.gmtime(time.time() + float(words[1] if len(words) > 1 else 120))
        spot = control(fleet.directory)["spot"]
        # Of the instance: its address may be another's later.
        order(fleet.directory, spot={**spot, instances[fleet.known(words[0])]: time.strftime("%Y-%m-%dT%H:%M:%SZ", at)})
        return
    order(fleet.directory, mode=mode, seconds=float(words[0]) if words else 0.0)
    wait_for("the metadata service to be %s" % mode, lambda: applied(fleet.directory) == mode)


def applied(directory: Path) -> str:
    """The mode that is in effect."""
    path = directory / "imds.mode"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    lookup: t.ClassVar[t.Any]  # a Lookup
    directory: t.ClassVar[Path]
    tokens: t.ClassVar[dict[str, tuple[str, float]]] = {}  # token -> for whom, until when

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        orders = self.orders()
        if orders["mode"] == "no-hop":  # the answer is lost on the way: its time to live is one hop
            time.sleep(60)
            self.close_connection = True
            return
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token":
            self.answer(404)
        elif "X-Forwarded-For" in self.headers:
            self.answer(403)
        elif not re.fullmatch(r"[0-9]{1,5}", ttl) or not 1 <= int(ttl) <= 21600:
            self.answer(400)
        else:
            token = secrets.token_urlsafe(40)
            self.tokens[token] = (self.client_address[0], time.monotonic() + int(ttl))
            self.answer(200, token.encode(), **{"X-aws-ec2-metadata-token-ttl-seconds": ttl})

    def do_GET(self) -> None:
        orders = self.orders()
        whom, until = self.tokens.get(self.headers.get("X-aws-ec2-metadata-token", ""), ("", 0.0))
        as_cloud_init = (
            self.headers.get("User-Agent", "").startswith(("Cloud-Init/", "python-requests/"))
            and "X-aws-ec2-metadata-token" not in self.headers
        )
        if not as_cloud_init and (whom != self.client_address[0] or time.monotonic() > until):
            self.answer(401)
            return
        found = find(self.lookup(self.client_address[0], orders), urllib.parse.unquote(self.path.split("?")[0]))
        self.answer(404 if found is None else 200, found or b"")

    def orders(self) -> dict[str, t.Any]:
        found = control(self.directory)
        if found["mode"] == "slow":
            time.sleep(float(found["seconds"]))
        return found

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        body = body if status == 200 else b"%d\n" % status
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/plain",
            "Content-Length": str(len(body)),
            "Server": "EC2ws",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: t.Any) -> None:
        """One line a request: who asked what, and was told which status. No tokens."""
        with (self.directory / "imds.log").open("a", encoding="utf-8") as log:
            log.write("%.3f %s %s\n" % (time.time(), self.client_address[0], format % args))


def find(tree: Tree | None, path: str) -> bytes | None:
    """A directory is the list of what is in it."""
    parts = [part for part in path.split("/") if part]
    if tree is None or not parts or not re.fullmatch(r"latest|[0-9]{4}-[0-9]{2}-[0-9]{2}", parts[0]):
        return None
    found: t.Any = tree
    for part in parts[1:]:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    if isinstance(found, dict):
        found = "\n".join(name + ("/" if isinstance(value, dict) else "") for name, value in found.items())
    return found if isinstance(found, bytes) else str(found).encode()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def serve(directory: Path, lookup: Lookup) -> None:
    """In the background, for ever; while it is off nobody listens."""

    def run() -> None:
        server: Server | None = None
        while True:
            mode = control(directory)["mode"]
            if mode == "off" and server:
                server.shutdown()
                server.server_close()
                server = None
            elif mode != "off" and server is None:
                server = Server((CONTROL_ADDRESS, METADATA_PORT), Handler)
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            if applied(directory) != mode:
                write(directory / "imds.mode", mode + "\n")
            time.sleep(0.1)

    Handler.lookup, Handler.directory = staticmethod(lookup), directory
    threading.Thread(target=run, daemon=True).start()

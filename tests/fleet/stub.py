# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the fixture run on hosts in the place of a release: `python3 stub.py VERSION [PORT]`, with the paths of examples/beacon.

Beside them /held answers when the file /run/released is there.
"""

import json
import os
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        milliseconds = int(query.get("ms", "0"))
        if url.path == "/stream":
            self.stream(milliseconds, int(query.get("every", "500")))
            return
        time.sleep(milliseconds / 1000)
        while url.path == "/held" and not os.path.exists("/run/released"):
            time.sleep(0.02)
        body = json.dumps({"name": "beacon", "version": sys.argv[1], "ready": True}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Version", sys.argv[1])
        self.end_headers()
        self.wfile.write(body)

    def stream(self, milliseconds: int, every: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Version", sys.argv[1])
        self.end_headers()
        end = time.monotonic() + milliseconds / 1000
        for number in range(1_000_000):
            line = ("%d\n" % number if time.monotonic() < end else "end\n").encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            if line == b"end\n":
                break
            time.sleep(every / 1000)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_words: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


Server(("0.0.0.0", int(sys.argv[2]) if len(sys.argv) > 2 else 4000), Handler).serve_forever()

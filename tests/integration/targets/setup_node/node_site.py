# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server's directory with real releases of the example, on ports and under a node name of its own, that leaves nothing behind."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._node import process as processes
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import Health, HttpCheck
from ansible_collections.alchemist.beam.plugins.module_utils._node.restart import Result, apply, plan
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import resolve

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "support"))
from ports import free_port

BUILD = Path(__file__).parent / "build.sh"
NAME = "beacon"


def build(where: Path, *versions: str) -> Path:
    subprocess.run([str(BUILD), str(where), *versions], check=True, stdin=subprocess.DEVNULL)
    return where / "releases"


class Site:
    def __init__(self, base: Path, releases: Path, epmd_port: int) -> None:
        self.base = base
        (base / "shared").mkdir(parents=True)
        # Hard links: cheap, and the cookie of a release can still be replaced by rename.
        shutil.copytree(releases, base / "releases", copy_function=os.link)
        self.port = free_port()
        self.cookie = "cookie-" + secrets.token_hex(8)
        self.env_file = base / "shared" / ("%s.env" % NAME)
        self.values: dict[str, t.Any] = {
            "RELEASE_NODE": "b" + secrets.token_hex(6),
            "RELEASE_COOKIE": self.cookie,
            "ERL_EPMD_PORT": epmd_port,
            "PORT": self.port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "BEACON_SECRET": "canary-" + secrets.token_hex(8),
        }
        self.env()
        self.current("0.1.0")

    def env(self, **values: t.Any) -> None:
        """Write the environment file: a value of None removes a name."""
        merged = {key: value for key, value in {**self.values, **values}.items() if value is not None}
        before = os.stat(self.env_file).st_mtime if self.env_file.exists() else None
        self.env_file.write_text("".join("%s=%s\n" % item for item in merged.items()))
        self.env_file.chmod(0o600)
        if before is not None:
            # Changing the environment is a reason to restart of its own; tests that are not about it keep the time.
            os.utime(self.env_file, (before, before))

    def current(self, version: str) -> None:
        link = self.base / "current.new"
        link.symlink_to(Path("releases") / version)
        os.replace(link, self.base / "current")

    @property
    def manager(self) -> Daemon:
        return Daemon(str(self.base), NAME)

    @property
    def url(self) -> str:
        return "http://127.0.0.1:%d/health" % self.port

    def health(self, **changes: t.Any) -> Health:
        http = HttpCheck(self.url, timeout=1.0, json=changes.pop("json", {}))
        return Health(**{"http": http, "passes": 2, "interval": 0.05, "within": 30.0, **changes})

    def run(
        self,
        state: str = "restarted",
        force: bool = False,
        health: t.Optional[Health] = None,
        stop_timeout: float = 10,
        boot_timeout: float = 20,
    ) -> Result:
        manager = self.manager
        target = None if state == "stopped" else resolve(str(self.base), NAME)
        what = plan(state, manager.status(), target, force)
        return apply(what, manager, health or self.health(), stop_timeout, boot_timeout)

    def process(self) -> t.Optional[processes.NodeProcess]:
        return processes.find(str(self.base), NAME)

    def answer(self) -> dict[str, t.Any]:
        with socket.create_connection(("127.0.0.1", self.port), 2) as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with sock.makefile("rb") as stream:
                return dict(json.loads(stream.read().partition(b"\r\n\r\n")[2]))

    def leftovers(self) -> list[int]:
        """Processes that run anything from this base."""
        return [
            int(path.split("/")[2]) for path in glob.glob("/proc/[0-9]*/exe") if _link(path).startswith(str(self.base))
        ]

    def clean(self) -> None:
        for pid in self.leftovers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


@contextlib.contextmanager
def server(behave: t.Callable[[socket.socket], None]) -> t.Iterator[str]:
    """A server that does anything but what HTTP says."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                conn, _peer = listener.accept()
            except OSError:
                return
            with conn, contextlib.suppress(OSError):
                conn.recv(4096)
                behave(conn)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield "http://127.0.0.1:%d/health" % listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)

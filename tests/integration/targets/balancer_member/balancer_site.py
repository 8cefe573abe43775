# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site on loopback: tiny applications, a real HAProxy before them, clients that count what fails."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._balancer.haproxy import Runtime, parse_stat, parse_states

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "support"))
from ports import free_port

import playbooks

COLLECTIONS = os.environ["PYTHONPATH"].split(":")[0]  # runme.sh puts it first


def until(good: t.Callable[[], t.Any], what: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class App:
    """One application on a port of its own; it can be stopped, and started again on the same port."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, free_port()
        self.status, self.delay, self.health = 200, 0.0, 200
        self.served: list[str] = []  # paths, without the health checks
        self.open = threading.Event()  # set: streams end
        self._server: t.Any = None
        self.start()

    def start(self) -> None:
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one packet: no waiting for the client's delayed acknowledgement

            def do_GET(self) -> None:
                if self.path == "/health":
                    return self._answer(app.health)
                app.served.append(self.path)
                if self.path == "/stream":
                    return self._stream()
                time.sleep(app.delay)
                self._answer(app.status)

            def _answer(self, status: int) -> None:
                body = app.name.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for _unused in range(600):
                    self.wfile.write(b"1\r\n.\r\n")
                    self.wfile.flush()
                    if app.open.wait(0.05):
                        break
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size, allow_reuse_address = True, 128, True

            def handle_error(self, *args: t.Any) -> None:
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Proxy:
    """One HAProxy with the backend app, and the backend sticky that keeps a client on its server."""

    def __init__(self, directory: Path, apps: t.Sequence[App], check: str = "check inter 100 fall 2 rise 2") -> None:
        directory.mkdir(parents=True)
        self.socket, self.port, self.sticky_port, self.tcp, self.readonly = (
            str(directory / "s"),
            free_port(),
            free_port(),
            free_port(),
            free_port(),
        )
        self._config, self._log = directory / "haproxy.cfg", (directory / "log").open("w")
        servers = "".join("  server %s 127.0.0.1:%d %s\n" % (app.name, app.port, check) for app in apps)
        sticky = "".join(
            "  server %s 127.0.0.1:%d %s cookie %s\n" % (app.name, app.port, check, app.name) for app in apps
        )
        self._config.write_text(
            "global\n  stats socket %s mode 600 level admin expose-fd listeners\n  stats socket ipv4@127.0.0.1:%d level admin\n"
            "  stats socket ipv4@127.0.0.1:%d level user\n  hard-stop-after 5s\n"
            "defaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n  timeout check 3s\n  option httpchk GET /health\n"
            "frontend front\n  bind 127.0.0.1:%d\n  default_backend app\nbackend app\n  retries 0\n%s"
            "frontend front_sticky\n  bind 127.0.0.1:%d\n  default_backend sticky\nbackend sticky\n  retries 0\n  cookie SRV insert\n%s"
            % (self.socket, self.tcp, self.readonly, self.port, servers, self.sticky_port, sticky)
        )
        self._processes: list[subprocess.Popen[str]] = []
        self.start()

    def start(self, *extra: str) -> None:
        process = subprocess.Popen(
            ["haproxy", "-f", str(self._config), "-db", *extra],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            text=True,
        )
        self._processes.append(process)
        until(lambda: self._all_checked(process.pid), "HAProxy is not ready")

    def reload(self) -> None:
        """The new process takes over, and knows nothing of what the runtime API told the old one."""
        self.start("-x", self.socket, "-sf", str(self._processes[-1].pid))

    def _all_checked(self, pid: int) -> bool:
        try:
            return "Pid: %d\n" % pid in Runtime(self.socket).ask("show info") and "INI" not in Runtime(self.socket).ask(
                "show stat -1 4 -1"
            )
        except Exception:
            assert self._processes[-1].poll() is None, Path(self._log.name).read_text()
            return False

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        self.stop()
        self._log.close()

    def tell(self, command: str) -> None:
        Runtime(self.socket).tell(command)

    def admin(self) -> dict[tuple[str, str], str]:
        """What commands have changed: of each server, its administrative state."""
        return {
            key: row["srv_admin_state"]
            for key, row in parse_states(Runtime(self.socket).ask("show servers state")).items()
        }

    def stat(self, server: str, backend: str = "app") -> dict[str, str]:
        return parse_stat(Runtime(self.socket).ask("show stat"))[backend, server]

    def balancer(self, *backends: str, address: str = "") -> dict[str, t.Any]:
        return {"kind": "haproxy", "address": address or self.socket, "backends": list(backends or ("app",))}


class Clients:
    """Keep-alive and new connections, all the time, until it is left."""

    def __init__(self, port: int, count: int = 4) -> None:
        self.sent, self.failed = 0, []  # type: ignore[var-annotated]
        self._port, self._end, self._lock = port, threading.Event(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number % 2 == 0,), daemon=True) for number in range(count)
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(40)

    def _run(self, keep: bool) -> None:
        conn = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._end.is_set():
            try:
                conn.request("GET", "/work", headers={} if keep else {"Connection": "close"})
                response = conn.getresponse()
                response.read()
                why = "" if response.status < 500 else "status %d" % response.status
            except (OSError, http.client.HTTPException) as exc:
                why = repr(exc)
                conn.close()
            with self._lock:
                self.sent += 1
                if why:
                    self.failed.append(why)
            time.sleep(0.002)
        conn.close()


def tasks(options: t.Sequence[dict[str, t.Any]], *extra: str, directory: Path) -> list[dict[str, t.Any]]:
    """The module as tasks of Ansible, one after the other. Their results, with `failed`."""
    play: dict[str, t.Any] = {"hosts": "localhost", "gather_facts": False, "tasks": []}
    for number, one in enumerate(options):
        play["tasks"].append(
            {"alchemist.beam.balancer_member": one, "register": "result%d" % number, "ignore_errors": True}
        )
    content = "{{ [%s] | to_json }}" % ", ".join("result%d" % number for number in range(len(options)))
    play["tasks"].append(
        {
            "ansible.builtin.copy": {"content": content, "dest": str(directory / "results.json"), "mode": "0600"},
            "check_mode": False,
        }
    )
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps([play]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
        "HOME": str(directory),
    }
    argv = [
        "ansible-playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        "ansible_python_interpreter=%s" % sys.executable,
        str(playbook),
        *extra,
    ]
    done = playbooks.run(argv, environment)
    assert done.returncode == 0, done.stdout
    results: list[dict[str, t.Any]] = json.loads((directory / "results.json").read_text())
    return results

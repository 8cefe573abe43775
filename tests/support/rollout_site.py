# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the example on ports of this machine behind a real HAProxy, and a witness: what rollouts that go wrong are tried against.

The witness asks HAProxy and the kernel, never the collection: who serves, and which VMs run, ten times a second.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import io
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import typing as t
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import releases
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ports import free_ports

import playbooks

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(ROOT / ".cache" / "live")
NAME = "beacon"
BAD = (
    "never-healthy",
    "crash-loop",
    "exits-0",
    "flapping",
    "hangs-on-stop",
    "ignores-term",
    "wrong-abi",
    "missing-env",
    "port-in-use",
    "errors",
    "slow",
    "migration-fails",
)


def build(place: Path, *versions: str) -> dict[str, Path]:
    """The trees of these versions (the bad ones by their names)."""
    return releases.lay_out(place, versions)


def until(good: t.Callable[[], t.Any], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not good():
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.05)


class Balancer:
    """One HAProxy with the backend `app`; a check may take long, because this machine is busy."""

    def __init__(self, directory: Path, ports: t.Mapping[str, int]) -> None:
        directory.mkdir()
        self.address, (self.port,) = str(directory / "s"), free_ports(1)
        servers = "".join("  server %s 127.0.0.1:%d check inter 200 fall 3 rise 1\n" % item for item in ports.items())
        (directory / "haproxy.cfg").write_text(
            "global\n  stats socket %s mode 600 level admin\n"
            "defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  timeout check 3s\n  option httpchk GET /health\n"
            "frontend front\n  bind 127.0.0.1:%d\n  default_backend app\nbackend app\n  retries 0\n%s"
            % (self.address, self.port, servers)
        )
        self._log = (directory / "log").open("w")
        self._process = subprocess.Popen(
            ["haproxy", "-f", str(directory / "haproxy.cfg"), "-db"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        until(lambda: Path(self.address).exists(), "HAProxy does not start")

    def ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect(self.address)
            sock.sendall(command.encode() + b"\n")
            with sock.makefile("r") as stream:
                return stream.read()

    def states(self) -> dict[str, str]:
        """Of each server what HAProxy calls its status: UP, UP 1/3, DOWN, DRAIN, MAINT, ..."""
        rows = csv.DictReader(io.StringIO(self.ask("show stat app 4 -1").lstrip("# ")))
        return {row["svname"]: row["status"] for row in rows}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def virtual_machines(base: Path) -> list[int]:
    """The VMs that run a node from below base: not those of `eval` and `rpc`, which boot without the application."""
    found: dict[int, int] = {}
    # Not Path.glob: of a process that ends meanwhile it raises "no such process".
    for exe in map(Path, glob.glob("/proc/[0-9]*/exe")):
        with contextlib.suppress(OSError):
            if os.readlink(exe).startswith("%s/" % base):
                words = (exe.parent / "cmdline").read_bytes().split(b"\0")
                if b"-boot" in words and words[words.index(b"-boot") + 1].endswith(b"/start"):
                    parent = (exe.parent / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                    found[int(exe.parent.name)] = int(parent)
    # A VM that starts a program is there twice between fork and exec.
    return sorted(pid for pid, parent in found.items() if parent not in found)


@dataclass
class Sample:
    at: float
    states: t.Mapping[str, str]
    machines: t.Mapping[str, t.Sequence[int]]

    @property
    def serving(self) -> list[str]:
        return [host for host, state in self.states.items() if state.startswith("UP")]

    @property
    def out(self) -> list[str]:
        return [host for host, state in self.states.items() if not state.startswith("UP")]


class Witness:
    """Looks ten times a second, until it is closed."""

    def __init__(self, balancer: Balancer, bases: t.Mapping[str, Path]) -> None:
        self.samples: list[Sample] = []
        self._balancer, self._bases, self._end = balancer, bases, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            machines = {host: virtual_machines(base) for host, base in self._bases.items()}
            with contextlib.suppress(OSError):
                self.samples.append(Sample(time.monotonic(), self._balancer.states(), machines))

    def since(self, at: float) -> list[Sample]:
        return [sample for sample in self.samples if sample.at >= at]

    def lowest(self, at: float) -> int:
        """The fewest servers in rotation and healthy that were seen since."""
        return min(len(sample.serving) for sample in self.since(at))

    def overlaps(self, at: float) -> int:
        """How often two nodes of one host were seen at a time."""
        return sum(len(pids) > 1 for sample in self.since(at) for pids in sample.machines.values())

    def home(self, at: float) -> float:
        """Seconds until everybody was in for good; the time until now where somebody is out."""
        last = max((sample.at for sample in self.since(at) if sample.out), default=at)
        return round(last - at + 0.1, 1) if last > at else 0.0

    def close(self) -> None:
        self._end.set()
        self._thread.join()


@dataclass
class Run:
    code: int
    text: str
    report: dict[str, t.Any] = field(repr=False)
    seconds: float

    @property
    def line(self) -> str:
        return re.sub(r"\s+", " ", self.text)


class Site:
    def __init__(
        self, directory: Path, trees: t.Mapping[str, Path], hosts: t.Sequence[str] = ("a", "b", "c"), **variables: t.Any
    ) -> None:
        self.directory, self.hosts = directory, list(hosts)
        directory.mkdir(parents=True, exist_ok=True)
        ports = free_ports(2 * len(hosts))
        self.ports = dict(zip(hosts, ports))
        self.bases = {host: directory / "nodes" / host for host in hosts}
        self.balancer = Balancer(directory / "haproxy", self.ports)
        self.store = directory / "store"
        self.store.mkdir()
        self.inventory: dict[str, t.Any] = {
            "all": {
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    "beam_name": NAME,
                    "beam_store": "file://%s" % self.store,
                    "beam_manager": "daemon",
                    "beam_balancers": [{"kind": "haproxy", "address": self.balancer.address, "backends": ["app"]}],
                    "beam_batches": 1,
                    "beam_min_healthy": len(hosts) - 1,
                    "beam_drain_quiet": 0.3,
                    "beam_drain_timeout": 10,
                    "beam_join_timeout": 30,
                    "beam_stop_timeout": 4,
                    "beam_boot_timeout": 20,
                    "beam_lock_ttl": 5,
                    "beam_wait": 60,
                    "beam_health": {
                        "http": {
                            "url": "http://127.0.0.1:{{ beam_port }}/health",
                            "timeout": 3,
                            "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
                        },
                        "within": 8,
                        "passes": 2,
                        "interval": 0.2,
                        "stable": 1,
                    },
                    **variables,
                }
            },
            "beam": {
                "hosts": {
                    host: {
                        "beam_base": str(self.bases[host]),
                        "beam_port": self.ports[host],
                        "beam_env": {"PORT": str(self.ports[host]), "BEACON_DRAIN_MS": "1000"},
                        "service_node": "beacon_%s_%d@127.0.0.1" % (host, self.ports[host]),
                        "service_dist_port": ports[len(hosts) + index],
                    }
                    for index, host in enumerate(hosts)
                }
            },
        }
        self.write(self.inventory)
        for tree in trees.values():
            run_artifact(
                {"store": "file://%s" % self.store, "state": "present", "name": NAME, "path": str(tree)}, False
            )
        self.witness = Witness(self.balancer, self.bases)

    def write(self, inventory: t.Mapping[str, t.Any]) -> None:
        (self.directory / "inventory.json").write_text(json.dumps(inventory))

    def start(self, name: str, log: Path, *arguments: str, **variables: t.Any) -> playbooks.Process:
        """One ansible-playbook, in a session of its own."""
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.directory / "tmp"),
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
        }
        argv = [
            "ansible-playbook",
            "-i",
            str(variables.pop("inventory", self.directory / "inventory.json")),
            "-e",
            json.dumps(variables),
        ]
        with log.open("wb") as stream:
            return playbooks.start(
                [*argv, "alchemist.beam." + name, *arguments], stream.fileno(), environment, start_new_session=True
            )

    def play(self, name: str, *arguments: str, timeout: float = 400, **variables: t.Any) -> Run:
        log, report = self.directory / "play.log", self.directory / "report.json"
        report.unlink(missing_ok=True)
        begun = time.monotonic()
        process = self.start(name, log, *arguments, **{"beam_report": str(report), **variables})
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(log.read_text())
            raise
        text = log.read_text()
        print(text)
        return Run(code, text, json.loads(report.read_text()) if report.exists() else {}, time.monotonic() - begun)

    def answers(self) -> dict[str, tuple[str, int]]:
        """Version and OS pid, as each node itself says; "" and 0 where nobody answers."""
        return {host: self._answer(port) for host, port in self.ports.items()}

    @staticmethod
    def _answer(port: int) -> tuple[str, int]:
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/health" % port, timeout=5) as answer:
                body = json.load(answer)
            return str(body["version"]), int(body["pid"])
        except (OSError, ValueError):
            return "", 0

    def versions(self) -> dict[str, str]:
        return {host: version for host, (version, _pid) in self.answers().items()}

    def document(self, kind: str) -> dict[str, t.Any]:
        """channels, locks or journal."""
        path = self.store / NAME / kind / "production.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def stable(self) -> str:
        return str((self.document("channels").get("stable") or {}).get("version", ""))

    def close(self) -> None:
        self.witness.close()
        self.balancer.close()
        for base in self.bases.values():
            for exe in map(Path, glob.glob("/proc/[0-9]*/exe")):
                with contextlib.suppress(OSError):
                    if os.readlink(exe).startswith("%s/" % base):
                        os.kill(int(exe.parent.name), signal.SIGKILL)

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts to servers that are not there, for tests/bench/scale.py: what the controller does for a fleet, and nothing else.

`play` runs the real playbook: real Ansible, lock, channel, journal and report, and servers that answer at once. `Controller` does the same steps without
Ansible, in this process, and counts what is asked of the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socketserver
import subprocess
import sys
import threading
import time
import typing as t
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from ansible_collections.alchemist.beam.plugins.module_utils._rollout import run_journal
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock_store import Want
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_lock import hold
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.modules import rollout_info, rollout_journal
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import SeenHosts, load
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_steps import do
from ansible_collections.alchemist.beam.plugins.plugin_utils._in_process import call
from release_site import promote, publish, tree

HERE = Path(__file__).resolve().parent
NAME, CHANNEL, DIGEST = "shop", "production", "d" * 64
OLD, NEW = "0.1.0", "0.2.0"
Vars = dict[str, t.Any]


def _ran(version: str, pid: int, digest: str) -> Vars:
    node = {"node": "shop@10.0.0.1", "started": "2026-01-01T00:00:00Z"}
    return {"version": version, "pid": pid, "digest": digest, **node}


# As servers answer.
PROBE = {"kind": "http", "status": 200, "seconds": 0.004}
PROVEN: Vars = {
    "changed": True,
    "before": _ran(OLD, 4242, "e" * 64),
    "after": _ran(NEW, 4711, DIGEST),
    "began": 1767225600.5,
    "seconds": {"stop": 1.21, "boot": 1.83, "outage": 3.1, "total": 3.4},
    "health": {"passed": True, "seconds": 0.31, "attempts": 2, "reason": "", "probes": [PROBE] * 3},
    "boot_id": "0b1e1f9e-36b7-4b53-b1a5-44bdf8f0b2aa",
    "escalated": "none",
    "notes": [],
}
POINTED: Vars = {
    "changed": True,
    "began": 1767225600.1,
    "seconds": {"total": 0.02},
    "before": OLD,
    "after": NEW,
}
SEEN: Vars = {
    "running": True,
    "version": OLD,
    "pid": 4242,
    "health": {"passed": True},
    "restart": {"action": "restart", "reason": "0.1.0 runs"},
    "current": {"version": OLD},
}
STAGED: Vars = {
    "changed": True,
    "current": OLD,
    "previous": "0.0.9",
    "bytes": {"fetched": 600_000, "reused": 26_000_000},
    "began": 1767225590.0,
    "seconds": {"total": 1.5},
}
STAYS: Vars = {"running": True, "version": NEW, "pid": 4711, "health": {"passed": True}, "boot_id": PROVEN["boot_id"]}


def names(hosts: int) -> list[str]:
    return ["web%04d.shop.example" % (number + 1) for number in range(hosts)]


@dataclass(frozen=True)
class Played:
    """What the controller took. memory: of its largest process. sent: bytes of modules to the servers."""

    hosts: int
    batches: int
    forks: int
    wall: float
    processor: float
    memory: int
    tasks: int
    sent: int
    calls: int


def play(place: Path, hosts: int, batches: t.Sequence[t.Any], forks: int = 10) -> Played:
    """One rollout by the real playbook."""
    for directory in ("moved", "store", "tmp"):
        (place / directory).mkdir(parents=True)
    for version in (OLD, NEW):
        tree(place / "trees", version, 20)
        publish(version, place / "trees")(place)
    promote(OLD)(place)
    answers = {
        "rollout_look": {"changed": True, "staged": STAGED, "seen": SEEN},
        "rollout_host": {**PROVEN, "pointed": POINTED},
        "beam_info": SEEN,
        "beam_info moved": STAYS,
    }
    (place / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    variables = {
        "ansible_connection": "beam_simulated",
        "ansible_python_interpreter": "/usr/bin/python3",
        "simulated_answers": str(place / "answers.json"),
        "beam_name": NAME,
        "beam_store": "file://%s/store" % place,
        "beam_fetch": "store",
        "beam_batches": list(batches),
        "beam_min_healthy": 0,
        "beam_report": str(place / "report.json"),
        "beam_member": {"server": "{{ inventory_hostname }}"},
        "beam_health": {
            "http": {
                "url": "http://127.0.0.1:4000/health",
                "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
            }
        },
        "service_env": {"PORT": "4000"},
    }
    servers = {
        host: {"ansible_host": "10.0.%d.%d" % divmod(number, 250)} for number, host in enumerate(names(hosts), 1)
    }
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": {"localhost": here}}, "beam": {"hosts": servers, "vars": variables}}
    (place / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "simulated_servers"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_LOCAL_TEMP": str(place / "tmp"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_COLLECTIONS_PATH": str(HERE.parents[1] / ".cache" / "live"),
    }
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [playbook, "-i", str(place / "hosts.yml"), "alchemist.beam.rollout", "-e", "beam_version=" + NEW]
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with (place / "out").open("w") as out:
        done = subprocess.run(
            argv, env=environment, cwd=place, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = (place / "out").read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        wrong = [line[:1000] for line in said.splitlines() if line.startswith(("TASK", "[ERROR]", "fatal"))]
        raise SystemExit("the simulated rollout failed:\n" + "\n".join(wrong)[-4000:])
    report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    assert report["succeeded"] and len(report["rows"]) == hosts, report["verdict"]
    sent = [int(line.split()[1]) for line in (place / "sent").read_text(encoding="ascii").splitlines()]
    return Played(
        hosts=hosts,
        batches=len(report["batches"]),
        forks=forks,
        wall=wall,
        processor=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        memory=after.ru_maxrss * 1024,
        tasks=said.count("\nTASK ["),
        sent=sum(sent),
        calls=len(sent),
    )


@dataclass
class Spent:
    """seconds: of the processor, by step; turns: how often. requests: to the store. journal: bytes written of it; one: of its last writing."""

    seconds: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    journal: int = 0
    one: int = 0
    report: int = 0
    remembered: int = 0

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


WRITES = ("replace", "put_if_absent", "delete")


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, store: t.Any, spent: Spent) -> None:
        self._store, self._spent = store, spent

    def __getattr__(self, name: str) -> t.Any:
        found = getattr(self._store, name)
        if name not in (*WRITES, "get", "list", "stat"):
            return found

        def asked(key: str, *words: t.Any, **more: t.Any) -> t.Any:
            self._spent.requests["writes" if name in WRITES else "reads"] += 1
            size = len(words[0]) if name in WRITES and words and isinstance(words[0], bytes) else 0
            if "/journal/" in key:
                self._spent.journal += size
                self._spent.one = size or self._spent.one
            elif "/history/" in key:
                self._spent.report += size
            return found(key, *words, **more)

        return asked


class Controller:
    """hosts in batches of these sizes, of which all is well. The journal is real; balancers answer at once."""

    def __init__(self, place: Path, hosts: int, batches: t.Sequence[t.Any]) -> None:
        self.names, self.place, self.spent = names(hosts), place, Spent()
        (place / "store").mkdir(parents=True)
        store = "file://%s/store" % place
        self.role: Vars = {
            "rollout_store": store,
            "rollout_store_options": {},
            "rollout_name": NAME,
            "rollout_channel": CHANNEL,
            "rollout_on_failure": "revert",
            "rollout_hooks": {},
            "rollout_balancers": [{"kind": "haproxy", "address": "/run/haproxy.sock", "backends": ["shop"]}],
            "rollout_drain_timeout": 60,
            "rollout_drain_quiet": 1,
            "rollout_join_timeout": 60,
            "rollout_canary": {},
            "rollout_store_host": "localhost",
            "rollout_balancer_host": "localhost",
            "inventory_hostname": self.names[0],
            "ansible_play_hosts_all": self.names,
        }
        lease, _fenced = hold(open_store({"store": store}), Want(NAME, CHANNEL, "bench", ttl=3600), None, None)
        draft = {
            **{"name": NAME, "channel": CHANNEL, "version": NEW, "digest": DIGEST},
            **{"kind": "rollout", "why": "named", "strategy": "rolling", "homecoming": False},
            **{"stable": {}, "candidate": None, "ghosts": [], "interrupted": {}, "journal": {}, "balanced": {}},
            **dict.fromkeys(("hosts", "order", "everyone"), self.names),
            **{"batches": [1], "batch_sizes": list(batches), "min_healthy": 0, "colors": [], "ready": False},
            **{"begun": time.time(), "idle": False, "watched": True},
        }
        held = {"mine": True, "token": lease.lock.token, "fence": lease.lock.serial}
        self.here: Vars = {"rollout_plan": draft, "rollout_held": held, "rollout_looks": 0}
        self.own: dict[str, Vars] = {
            host: {"rollout_look": {"staged": STAGED, "seen": SEEN}, "beam_member": {"server": host}}
            for host in self.names
        }

    def _call(self, module: str, options: Vars, _rehearse: bool = False) -> Vars:
        if module == "balancer_member":
            return {"changed": True, "balancers": ["haproxy"], "members": dict(map(_member, options["members"]))}
        if module not in ("rollout_journal", "rollout_info"):
            return {"changed": True, "channel": {"serial": 1, "stable": {"version": NEW, "digest": DIGEST}}}
        opened = run_journal.open_store
        with mock.patch.object(run_journal, "open_store", lambda params: Counted(opened(params), self.spent)):
            return call({"rollout_journal": rollout_journal, "rollout_info": rollout_info}[module], options)

    def _step(self, name: str) -> Vars:
        begun = time.process_time()
        memory = load(str(self.place), str(self.here["rollout_plan"]["begun"]))
        hostvars = SeenHosts({**self.own, "localhost": self.here}, memory)
        found = do(Fleet(self.role.get, hostvars, self._call, memory=memory), name)
        self.spent.seconds[name] += time.process_time() - begun
        self.spent.turns[name] += 1
        assert not found.get("failed"), (name, str(found)[:400])
        return found

    def run(self) -> Spent:
        self.here["rollout_plan"] = self._step("plan")["plan"]
        self._step("begin")
        for batch in self.here["rollout_plan"]["members"]:
            self._part("move", batch)
        self._part("confirm", self.names)
        for step in ("promote", "count", "verdict"):
            self._step(step)
        self.spent.remembered = sum(path.stat().st_size for path in self.place.glob("beam-rollout*"))
        return self.spent

    def _part(self, part: str, batch: t.Sequence[str]) -> None:
        self.role["ansible_play_batch"] = batch
        turn = self._step(part)
        says = {"activate": POINTED, "restart": PROVEN, "confirm": {"changed": False, **STAYS}}
        while not turn["over"]:
            for host in turn["hosts"]:
                answers = {step: json.loads(json.dumps(says[step])) for step in turn["steps"]}
                self.own[host]["rollout_done"] = {"turn": turn["turn"], "answers": answers}
            self.role["rollout_turn"] = turn
            turn = self._step("go_on")


def _member(name: str) -> tuple[str, Vars]:
    place = {"rotation": "in", "healthy": True, "sessions": 0, "note": "UP, L7OK"}
    counters = {"requests": 1000, "responses_5xx": 0, "connect_errors": 0, "response_errors": 0}
    told = {"before": "in", "after": "out", "healthy": True, "began": 1767225600.0, "seconds": 1.1, "cut": 0}
    return name, {**told, "places": {"haproxy /run/haproxy.sock shop": place}, "counters": counters}


@contextlib.contextmanager
def haproxy(place: Path, servers: int) -> t.Iterator[str]:
    """A real HAProxy with that many servers, which are checked and all healthy: the path of its socket."""
    place.mkdir(parents=True)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        port = listener.server_address[1]
        lines = ["  server %s 127.0.0.1:%d check inter 200 rise 1" % (name, port) for name in names(servers)]
        text = "global\n  stats socket %s/s level admin\ndefaults\n  timeout connect 2s\n  timeout client 2s\n" % place
        text += "  timeout server 2s\nbackend shop\n" + "\n".join(lines) + "\n"
        (place / "haproxy.cfg").write_text(text)
        argv = ["haproxy", "-db", "-q", "-f", str(place / "haproxy.cfg")]
        running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 10
            while not (place / "s").exists():
                if running.poll() is not None or time.monotonic() > end:
                    raise SystemExit("haproxy did not start: %s" % place)
                time.sleep(0.02)
            yield str(place / "s")
        finally:
            running.kill()
            running.wait()
            listener.shutdown()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bootstrap with large numbers: real nodes on this machine, a real S3 server, the same file that servers run.

    python tests/bench/bootstrap.py again      a boot with nothing to do: seconds of its own, writes, requests
    python tests/bench/bootstrap.py storm      many starts at the same moment against one store
    python tests/bench/bootstrap.py launches   servers born at random points of rollouts, rollbacks and failed rollouts

After `make setup`. Figures go to .cache/figures/bootstrap.json. Nodes share this machine's cores, so their times are not those of servers.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import glob
import json
import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import urllib.request
from collections import Counter
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.bundle import make_pyz
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel, run_channel_info

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "bench")]

import fault_proxy
import s3_server
from figures import record
from ports import free_ports
from rollout_site import build

NAME, CHANNEL = "beacon", "production"
VERSIONS = ("0.1.0", "0.2.0")


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


class Server:
    """A server that is born: a base directory, a port, an environment and the configuration that user data would leave."""

    def __init__(self, place: Path, number: int, bench: Bench, within: float) -> None:
        self.base, self.bench = place / ("i-%04d" % number), bench
        (self.base / "shared").mkdir(parents=True)
        self.port, epmd = free_ports(2)
        env = self.base / "shared" / (NAME + ".env")
        env.touch(mode=0o600)
        env.write_text(
            "RELEASE_NODE=b%s\nRELEASE_COOKIE=%s\nERL_EPMD_PORT=%d\nERL_EPMD_ADDRESS=127.0.0.1\nPORT=%d\n"
            % (secrets.token_hex(6), secrets.token_hex(12), epmd, self.port)
        )
        options = {name: bench.store[name] for name in ("endpoint_url", "region", "store_timeout")}
        self.config = place / (self.base.name + ".json")
        self.config.write_text(
            json.dumps(
                {
                    "schema": 1,
                    "name": NAME,
                    "base": str(self.base),
                    "store": bench.store["store"],
                    "store_options": options,
                    "channel": CHANNEL,
                    "manager": "daemon",
                    "health": {
                        "http": {
                            "url": "http://127.0.0.1:%d/health" % self.port,
                            "json": {"ready": True, "version": "{version}"},
                        },
                        "passes": 2,
                        "interval": 0.1,
                        "within": within,
                        "stable": 0,
                    },
                    "boot_timeout": within,
                    "lifecycle": "none",
                    "identify": ["file"],
                    "jitter": 0,
                }
            )
        )

    def run(self) -> float:
        """Seconds; what it printed if it failed."""
        began = time.monotonic()
        argv = [sys.executable, str(self.bench.pyz), "run", str(self.config)]
        done = subprocess.run(
            argv, env=self.bench.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(
                "%s: exit %d\n%s%s" % (self.base.name, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
            )
        return time.monotonic() - began

    def version(self) -> str:
        """As the node itself says."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/health" % self.port, timeout=10) as answer:
                return str(json.load(answer)["version"])
        except OSError:
            return "nothing"

    def files(self) -> dict[str, int]:
        """All that the bootstrap may write to; the node's own log is the node's."""
        return {
            str(p): p.lstat().st_mtime_ns
            for p in self.base.rglob("*")
            if "/shared/" not in str(p) and "/tmp/" not in str(p)
        }

    def end(self) -> None:
        for link in map(Path, glob.glob("/proc/[0-9]*/exe")):
            with contextlib.suppress(OSError):
                if os.readlink(link).startswith(str(self.base) + "/"):
                    os.kill(int(link.parent.name), signal.SIGKILL)


class Bench:
    def __init__(self, place: Path, stack: contextlib.ExitStack) -> None:
        self.place = place
        server = stack.enter_context(s3_server.running(place / "s3"))
        self.proxy = stack.enter_context(fault_proxy.running(server.endpoint))
        self.store = {
            **server.params,
            "store": "s3://%s/bootstrap" % server.bucket,
            "endpoint_url": self.proxy.endpoint,
        }
        self.pyz = place / "beam-bootstrap.pyz"
        self.pyz.write_bytes(make_pyz())  # botocore comes from the Python that runs it
        # A server may read; the reader's keys stand for its instance role.
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": server.reader_access_key,
            "AWS_SECRET_ACCESS_KEY": server.reader_secret_key,
        }
        self.environment.pop("PYTHONPATH", None)
        trees = build(_made(place / "trees"), *VERSIONS)
        for tree in trees.values():
            run_artifact({**self.store, "state": "present", "name": NAME, "path": str(tree)}, False)
        self.move("promoted", VERSIONS[0])
        self.servers: list[Server] = []
        stack.callback(self.end)

    def move(self, state: str, version: str | None = None) -> None:
        run_channel(
            {**self.store, "name": NAME, "channel": CHANNEL, "state": state, "version": version, "by": "bench"}, False
        )

    def stable(self) -> str:
        return str(run_channel_info({**self.store, "name": NAME, "channel": CHANNEL})["channel"]["stable"]["version"])

    def launch(self, within: float = 60) -> Server:
        self.servers.append(Server(self.place, len(self.servers), self, within))
        return self.servers[-1]

    def end(self) -> None:
        for server in self.servers:
            server.end()


def outcome(futures: t.Sequence[concurrent.futures.Future[float]]) -> tuple[list[float], int]:
    """Seconds of those that went well, and how many did not; why is printed."""
    concurrent.futures.wait(futures)
    for future in futures:
        if future.exception():
            print(future.exception())
    return [future.result() for future in futures if not future.exception()], sum(
        bool(future.exception()) for future in futures
    )


def again(bench: Bench, options: argparse.Namespace) -> dict[str, t.Any]:
    server = bench.launch()
    first = server.run()
    before = server.files()
    bench.proxy.seen.clear()
    seconds = [server.run() for _round in range(options.rounds)]
    after = server.files()
    methods = Counter(method for method, _target in bench.proxy.seen)
    return {
        "again_first_seconds": first,
        "again_seconds": statistics.median(seconds),
        "again_worst_seconds": max(seconds),
        "again_files_written": len({path for path in {*before, *after} if before.get(path) != after.get(path)}),
        "again_store_writes": sum(count for method, count in methods.items() if method not in ("GET", "HEAD")),
        "again_requests": sum(methods.values()) / options.rounds,
    }


def storm(bench: Bench, options: argparse.Namespace) -> dict[str, t.Any]:
    servers = [bench.launch(within=600) for _number in range(options.starts)]
    bench.proxy.seen.clear()
    barrier = threading.Barrier(len(servers))

    def start(server: Server) -> float:
        barrier.wait()
        return server.run()

    with concurrent.futures.ThreadPoolExecutor(len(servers)) as pool:
        seconds, failed = outcome([pool.submit(start, server) for server in servers])
    wrong = sum(server.version() != bench.stable() for server in servers)
    return {
        "storm_starts": len(servers),
        "storm_failed": failed,
        "storm_wrong": wrong,
        "storm_median_seconds": statistics.median(seconds),
        "storm_worst_seconds": max(seconds),
        "storm_requests_per_start": len(bench.proxy.seen) / len(servers),
    }


def launches(bench: Bench, options: argparse.Namespace) -> dict[str, t.Any]:
    """Waves: some servers are born while a channel moves; who moved it sweeps all that were born, and then everyone has to run what is stable."""
    dice = random.Random(options.seed)
    boots: list[float] = []
    converged: list[float] = []
    wrong = failed = 0
    stories: Counter[str] = Counter()
    while len(boots) + failed < options.launches:
        wave = [bench.launch() for _number in range(min(options.wave, options.launches - len(boots) - failed))]
        delays, at = [dice.uniform(0, 3) for _server in wave], dice.uniform(0, 4)
        story = dice.choice(["rollout", "rollback", "failed rollout", "two rollouts"])
        stories[story] += 1

        def born(pair: tuple[Server, float]) -> float:
            time.sleep(pair[1])
            return pair[0].run()

        with concurrent.futures.ThreadPoolExecutor(len(wave) + 1) as pool:
            futures = [pool.submit(born, pair) for pair in zip(wave, delays)]
            time.sleep(at)
            moves = [_move(bench, story, wave) for _step in range(2 if story == "two rollouts" else 1)]
            converged += [seconds for seconds in moves if seconds]
            seconds, failures = outcome(futures)
        boots += seconds
        failed += failures
        stable = bench.stable()
        stray = [(server.base.name, server.version()) for server in wave if server.version() != stable]
        wrong += len(stray)
        print(
            "%-14s stable %s, born %d%s" % (story, stable, len(wave), ", WRONG: %s" % stray if stray else ""),
            flush=True,
        )
        for server in wave:
            server.end()
    return {
        "launches": len(boots) + failed,
        "launches_failed": failed,
        "launches_wrong": wrong,
        "launches_stories": dict(stories),
        "launches_seed": options.seed,
        "launches_boot_median_seconds": statistics.median(boots),
        "launches_boot_worst_seconds": max(boots),
        "launches_converge_median_seconds": statistics.median(converged) if converged else None,
        "launches_converge_worst_seconds": max(converged) if converged else None,
    }


def _move(bench: Bench, story: str, wave: t.Sequence[Server]) -> float:
    """What a rollout does to the channel, then its sweep; seconds from the promotion until everyone that was there runs it."""
    other = VERSIONS[bench.stable() == VERSIONS[0]]
    if story != "rollback":
        bench.move("proposed", other)
        time.sleep(0.3)
    if story == "failed rollout":
        bench.move("withdrawn")
        return 0.0
    bench.move("promoted", other)
    began = time.monotonic()
    # Every member that exists by now, whether it has told the group that it is in service or not.
    there = [server for server in wave if (server.base / "releases").exists()]
    if not there:
        return 0.0
    with concurrent.futures.ThreadPoolExecutor(len(there)) as pool:
        list(pool.map(lambda server: server.run(), there))
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["again", "storm", "launches"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--launches", type=int, default=200)
    parser.add_argument("--wave", type=int, default=4, help="how many are born in one story")
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="beam-bootstrap-") as directory, contextlib.ExitStack() as stack:
        bench = Bench(Path(directory), stack)
        found = {"again": again, "storm": storm, "launches": launches}[options.what](bench, options)
    shape = "%d cores, load %.1f" % (os.cpu_count() or 0, os.getloadavg()[0])
    record("bootstrap", **found, **{options.what + "_shape": shape})
    for name, value in found.items():
        print("%-34s %s" % (name, "%.3f" % value if isinstance(value, float) else value))
    bad = sum(
        int(value) for name, value in found.items() if name.endswith(("_failed", "_wrong", "_written", "_writes"))
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

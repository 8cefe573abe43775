# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to boot: a server of an auto scaling group, from the start of its userspace to in service, the same release out of the same S3 server.

    python tests/bench/boots.py [--rounds 3] [--only bare,pull]

    baked           an image with the program and the layers of the release
    baked-empty     an image with the program only
    bare            user data of the role bootstrap: all comes out of the bucket
    awscli          user data: apt-get install awscli, aws s3 cp, tar, systemctl start
    pull            user data: pip install ansible-core boto3, ansible-pull of a play that does the same

On the hosts of tests/fleet (root), all ways by turns. After `make setup`. Figures go to .cache/figures/bootstrap.json. Hosts share this machine's cores:
ratios tell more than seconds do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("fleet", "fleet/hosts", "support", "bench")]

import base
import boot_ways
import s3_server
from common import address
from conftest import Hosts
from figures import record
from instances import Aws, eventually, group, template
from rollout_site import build

NAME, VERSION, HOST = "beacon", "0.1.0", "h3"  # h1 and h2 are baked; the next one is always this
WAYS = ("baked", "baked-empty", "bare", "awscli", "pull")
OURS = WAYS[:3]
PARTS = ("before_beam", "way", "beam", "gate", "total")
SECONDS = 240  # for one boot, on a machine with other work
PUBLISH = """
import boto3, json, subprocess, sys
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
store, at, tree, tarball, key = json.loads(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:]
run_artifact({**store, "state": "present", "name": "beacon", "path": tree}, False)
run_channel({**store, "name": "beacon", "channel": "production", "state": "promoted", "version": "0.1.0", "by": "bench"}, False)
subprocess.run(["tar", "czf", tarball, "-C", tree, "."], check=True)
keys = {"aws_access_key_id": at["access_key"], "aws_secret_access_key": at["secret_key"], "region_name": at["region"]}
boto3.client("s3", endpoint_url=at["endpoint_url"], **keys).upload_file(tarball, at["bucket"], key)
"""
# From outside, so that it is the same for all: when did the application first answer that it is ready, by the clock that all hosts share.
WITNESS = """
import http.client, json, sys, time
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    link = http.client.HTTPConnection(sys.argv[1], 4000, timeout=0.3)
    try:
        link.request("GET", "/health")
        if json.load(link.getresponse())["ready"]:
            print(time.monotonic())
            break
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        time.sleep(0.05)
    finally:
        link.close()
"""


@dataclass(frozen=True)
class Boot:
    before_beam: float  # from the start of userspace to the start of the node's process
    way: float  # the part of it that the way brings along: from the start of the bootstrap's unit, or of cloud-init's last stage, which runs the user data
    beam: float  # to the first answer that says ready
    gate: float  # to in service: the gate, the second look at the channel, the group that is told. Others have no such thing
    total: float
    own: float | None = (
        None  # of the bootstrap's own time, what is neither fetching and unpacking nor the BEAM nor the gate's prescribed time
    )
    install: float | None = None
    cpu: float | None = (
        None  # of the bootstrap and what it starts to find out; says more than `own` on a machine with other work
    )


class Bench:
    def __init__(self, place: Path, hosts: Hosts) -> None:
        self.place, self.hosts = place, hosts
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / ".cache" / "live")}
        s3_server.install()
        tree = build(place, VERSION)[VERSION]
        hosts.fleet("up", "2", "--cloud", timeout=580)
        self.services = hosts.services()
        s3, cloud = self.services["s3"], self.services["cloud"]
        options = {name: s3[name] for name in ("endpoint_url", "region", "access_key", "secret_key")}
        self.publish({**options, "store": "s3://%s/boots" % s3["bucket"], "store_timeout": 30}, s3, tree)
        boot_ways.mirrors(
            ROOT / ".cache" / "bench" / "boots",
            place / "web",
            base.ready(base.own_release(), cloud=True),
            self.services,
        )
        serve = "exec python -m http.server --bind %s --directory %s %d >/dev/null 2>&1 &" % (
            boot_ways.CONTROL,
            place / "web",
            boot_ways.PORT,
        )
        hosts.control("sh", "-c", serve)
        answer = {
            "url": "http://127.0.0.1:4000/health",
            "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
        }
        variables = {
            "beam_name": NAME,
            "beam_base": "/srv/" + NAME,
            "beam_store": "s3://%s/boots" % s3["bucket"],
            "beam_store_options": options,
            "beam_env": {"PORT": "4000", "BEACON_IP": "0.0.0.0"},
            "bootstrap_user_data_path": str(place / "user-data"),
            "beam_health": {"http": answer, "within": 60},
            "bootstrap_aws": {
                "endpoint_url": self.services["aws"]["endpoint_url"],
                "metadata_url": cloud["metadata_url"],
            },
            "bootstrap_jitter": 0,  # what is measured is one server
        }
        self.bake(variables)
        self.aws = Aws(hosts, "ec2")
        images = hosts.services()["cloud"]["images"]
        bare = self.services["aws"]["image"]
        data = {
            "bare": (place / "user-data").read_text(encoding="utf-8"),
            **{way: boot_ways.user_data(way, self.services) for way in WAYS[3:]},
        }
        for way in WAYS:
            started = template(self.aws, way, images.get(way, bare), data.get(way, ""))
            group(self.aws, way, started, ["launching"] if way in OURS else [])

    def publish(self, store: dict[str, t.Any], s3: dict[str, t.Any], tree: Path) -> None:
        words = [json.dumps(store), json.dumps(s3), str(tree), str(self.place / "beacon.tar.gz"), boot_ways.TARBALL]
        self.hosts.control(sys.executable, "-c", PUBLISH, *words, env=self.environment)

    def bake(self, variables: dict[str, t.Any]) -> None:
        inventory, play = self.place / "site.yml", self.place / "play.yml"
        inventory.touch(mode=0o600)  # it holds the keys of the store
        inventory.write_text(json.dumps({"all": {"vars": variables}}), encoding="utf-8")
        images = (
            [{"role": "alchemist.beam.image", "image_release": True}],
            [{"role": "alchemist.beam.image", "image_release": False}],
        )
        plays = [("localhost", [{"role": "alchemist.beam.bootstrap"}]), ("h1", images[0]), ("h2", images[1])]
        play.write_text(
            json.dumps([{"name": name, "hosts": name, "gather_facts": False, "roles": roles} for name, roles in plays]),
            encoding="utf-8",
        )
        self.hosts.control(
            "ansible-playbook",
            "-i",
            str(self.hosts.directory / "inventory.yml"),
            "-i",
            str(inventory),
            str(play),
            timeout=580,
        )
        for host, way in (("h1", "baked"), ("h2", "baked-empty")):
            self.hosts.fleet("poweroff", host)
            self.hosts.fleet("bake", host, way)

    def boot(self, way: str) -> Boot:
        witness = [
            str(ROOT / "tests/fleet/fleet"),
            "--name",
            self.hosts.name,
            "run",
            "--",
            sys.executable,
            "-c",
            WITNESS,
            address(HOST),
            str(SECONDS),
        ]
        process = subprocess.Popen(witness, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            self.aws.scaling("set_desired_capacity", AutoScalingGroupName=way, DesiredCapacity=1)
            said, _nothing = process.communicate(timeout=SECONDS + 30)
            if not said.strip():
                raise AssertionError("%s: not in service after %d s\n%s" % (way, SECONDS, self.told()))
            times = self.times(way, float(said))
        finally:
            process.kill()
            process.wait()
        self.aws.scaling("set_desired_capacity", AutoScalingGroupName=way, DesiredCapacity=0)
        eventually(lambda: HOST not in self.hosts.status() and not self.aws.instances(), 120)
        return times

    def times(self, way: str, ready: float) -> Boot:
        begun, node = self.stamp("UserspaceTimestampMonotonic"), self.stamp("ExecMainStartTimestampMonotonic", NAME)
        unit = "beam-bootstrap@" + NAME
        brought = node - self.stamp(
            "ExecMainStartTimestampMonotonic", unit if way.startswith("baked") else "cloud-final"
        )
        if way not in OURS:
            return Boot(node - begun, brought, ready - node, 0.0, ready - begun)
        eventually(lambda: self.stamp("ExecMainExitTimestampMonotonic", unit), 60)
        said = self.hosts.on(HOST, "journalctl", "-b", "-u", unit, "-o", "short-monotonic", "--no-pager")
        served = re.search(r"^\[ *([0-9.]+)\] .*: In service on %s " % re.escape(VERSION), said, re.MULTILINE)
        if served is None or "Told the group %s: CONTINUE" % way not in said:
            raise AssertionError("%s: another story than was to be measured\n%s" % (way, said))
        done = float(served[1])
        installed = re.search(r"Installed \S+ \((\d+) layers fetched, (\d+) here\) in ([0-9.]+) s", said)
        proven = re.search(r"runs and is healthy: start after ([0-9.]+) s \(boot ([0-9.]+) s, gate ([0-9.]+) s\)", said)
        if installed is None or proven is None:
            raise AssertionError("%s: %s" % (way, said))
        install, beam = float(installed[3]), ready - node
        if way == "baked" and int(installed[1]):
            raise AssertionError("The layers were not in the image: %s" % installed[0])
        # The gate asks three times, half a second apart: that is prescribed, and what it is slower than that is its own.
        own = done - self.stamp("ExecMainStartTimestampMonotonic", unit) - install - beam - 1.0
        return Boot(
            node - begun,
            brought,
            beam,
            done - ready,
            done - begun,
            own,
            install,
            int(self.shown("CPUUsageNSec", unit)) / 1e9,
        )

    def stamp(self, name: str, *unit: str) -> float:
        """0 while it has not happened."""
        return int(self.shown(name, *unit) or 0) / 1e6

    def shown(self, name: str, *unit: str) -> str:
        return self.hosts.on(HOST, "systemctl", "show", "--value", "--property=" + name, *unit).strip()

    def told(self) -> str:
        commands = ("tail -n 40 /var/log/cloud-init-output.log", "journalctl -n 60 --no-pager")
        return "\n".join(self.hosts.try_fleet("exec", HOST, *words.split()).stdout for words in commands)

    def end(self) -> None:
        self.aws.process.terminate()
        self.aws.process.wait(timeout=10)


def figures(boots: t.Mapping[str, t.Sequence[Boot]]) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for way, many in boots.items():
        for part in PARTS:
            values = [getattr(boot, part) for boot in many]
            name = "boot_%s_%s" % (way.replace("-", "_"), part)
            found[name + "_seconds"], found[name + "_worst_seconds"] = statistics.median(values), max(values)
        owns = [boot.own for boot in many if boot.own is not None]
        if owns:
            found["boot_%s_own_seconds" % way.replace("-", "_")] = statistics.median(owns)
            for part in ("install", "cpu"):
                found["boot_%s_%s_seconds" % (way.replace("-", "_"), part)] = statistics.median(
                    getattr(boot, part) for boot in many
                )
        if way in OURS and boots.get("pull"):
            for part, name in (("before_beam", "vs_pull_ratio"), ("way", "vs_pull_way_ratio")):
                ours, theirs = (
                    statistics.median(getattr(boot, part) for boot in some) for some in (many, boots["pull"])
                )
                found["boot_%s_%s" % (way.replace("-", "_"), name)] = ours / theirs
    owns = [boot.own for way in OURS for boot in boots.get(way, ()) if boot.own is not None]
    if owns:
        found["boot_own_overhead_seconds"], found["boot_own_overhead_worst_seconds"] = (
            statistics.median(owns),
            max(owns),
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WAYS), help="some of the ways: %(default)s")
    options = parser.parse_args()
    ways = options.only.split(",")
    if not set(ways) <= set(WAYS):
        parser.error("--only takes some of %s" % ", ".join(WAYS))
    signal.signal(signal.SIGTERM, lambda *_words: sys.exit(1))  # the fleet goes down with it
    boots: dict[str, list[Boot]] = {way: [] for way in ways}
    loads: list[float] = []
    with tempfile.TemporaryDirectory(prefix="beam-boots-") as directory, contextlib.ExitStack() as stack:
        hosts = Hosts("b%d" % os.getpid())
        stack.callback(lambda: hosts.directory.with_name(hosts.name + ".lock").unlink(missing_ok=True))
        stack.callback(hosts.fleet, "down")
        bench = Bench(Path(directory), hosts)
        stack.callback(bench.end)
        for number in range(options.rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                loads.append(os.getloadavg()[0])
                boot = bench.boot(way)
                boots[way].append(boot)
                shown = ", ".join("%s %.2f" % (name, value) for name, value in vars(boot).items() if value is not None)
                print("%s %-12s %s (load %.1f)" % (time.strftime("%H:%M:%S"), way, shown, loads[-1]), flush=True)
    found = figures(boots)
    shape = "%d cores, load %.1f to %.1f, %d rounds" % (os.cpu_count() or 0, min(loads), max(loads), options.rounds)
    record("bootstrap", **found, boot_shape=shape)
    for name, value in found.items():
        print("%-44s %.3f" % (name, value))
    return 0


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that an auto scaling group gives birth to, as a test asks and disturbs them: their store, their bootstrap, their group, their console."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import typing as t

from instances import Aws, eventually
from line import ROOT, Line

GROUP = "beacon"
PROGRAM = ("python3", "/usr/local/lib/beam-bootstrap/beacon/beam-bootstrap.pyz")
CONFIG = "/etc/beam-bootstrap/beacon.json"
STORE = """
import boto3, json, sys
at = json.loads(sys.argv[1])
keys = {"aws_access_key_id": at["access_key"], "aws_secret_access_key": at["secret_key"]}
client = boto3.client("s3", endpoint_url=at["endpoint_url"], region_name=at["region"], **keys)
def ask(action, key):
    if action == "list":
        return [line["Key"] for line in client.list_objects_v2(Bucket=at["bucket"], Prefix=key).get("Contents", [])]
    if action == "get":
        return json.loads(client.get_object(Bucket=at["bucket"], Key=key)["Body"].read())
    if action == "mend":
        client.copy_object(Bucket=at["bucket"], Key=key, CopySource={"Bucket": at["bucket"], "Key": "spoiled/" + key})
    else:  # other bytes of the same length
        client.copy_object(Bucket=at["bucket"], Key="spoiled/" + key, CopySource={"Bucket": at["bucket"], "Key": key})
        size = client.head_object(Bucket=at["bucket"], Key=key)["ContentLength"]
        client.put_object(Bucket=at["bucket"], Key=key, Body=b"x" * size)
for line in sys.stdin:
    print(json.dumps(ask(*json.loads(line))), flush=True)
"""


class Born(Line):
    aws: Aws
    user_data: str

    @functools.cached_property
    def s3(self) -> subprocess.Popen[str]:
        """A client of the store, one process for all its calls."""
        fleet = [str(ROOT / "tests/fleet/fleet"), "--name", self.hosts.name, "run", "--"]
        words = [*fleet, sys.executable, "-c", STORE, json.dumps(self.hosts.services()["s3"])]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def store(self, action: str, key: str) -> t.Any:
        assert self.s3.stdin and self.s3.stdout
        self.s3.stdin.write(json.dumps([action, key]) + "\n")
        self.s3.stdin.flush()
        return json.loads(self.s3.stdout.readline())

    def bootstrap(self, host: str, command: str = "run") -> tuple[int, str]:
        return self.program(host, command, CONFIG)

    def bootstrap_with(self, host: str, *before: str, **changes: t.Any) -> tuple[int, str]:
        """With another configuration than the host's. before: words before the command."""
        self.configure(host, "/run/other.json", **changes)
        return self.program(host, "run", "/run/other.json", before)

    def configure(self, host: str, path: str, **changes: t.Any) -> None:
        config = {**json.loads(self.hosts.on(host, "cat", CONFIG)), **changes}
        self.hosts.shell(host, "umask 077; cat > %s <<'END'\n%s\nEND" % (path, json.dumps(config)))

    def program(self, host: str, command: str, config: str, before: t.Sequence[str] = ()) -> tuple[int, str]:
        done = self.hosts.try_fleet(
            "exec", host, "sh", "-c", 'exec "$@" 2>&1', "sh", *before, *PROGRAM, command, config
        )
        assert not re.search("Traceback|internal", done.stdout), done.stdout
        return done.returncode, str(done.stdout)

    def keep(self, secret: str) -> None:
        """Where the application's secret is kept."""
        self.aws.ask(
            "ssm",
            "put_parameter",
            {"Name": "/beacon/secret", "Value": secret, "Type": "SecureString", "Overwrite": True},
        )

    def environment(self, host: str) -> list[str]:
        """Of the node's own process."""
        return self.hosts.shell(host, "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID beacon)/environ").splitlines()

    def holding(self, host: str, text: str) -> set[str]:
        """Files that have it, arguments of processes and the journal's lines among them. It is not in the arguments of who looks for it."""
        head, rest = text[:6], text[6:]
        look = "printf '%%s%%s' %s %s | grep -F -f /dev/stdin " % (head, rest)
        places = (
            "/etc /run/beam-bootstrap /srv/beacon /usr/local/lib/beam-bootstrap /var/lib/beacon /var/lib/cloud /var/log"
        )
        found = self.hosts.shell(host, look + "-r -l %s /proc/[0-9]*/cmdline 2>/dev/null; true" % places).split()
        told = self.hosts.shell(
            host, "journalctl --no-pager -o cat > /run/told; %s -c /run/told; rm /run/told" % look
        ).split()
        return {*found, *(["the journal"] if told != ["0"] else [])}

    def layers(self, host: str) -> set[str]:
        return set(self.hosts.shell(host, "ls /srv/beacon/layers").split())

    def records(self, instance: str) -> list[dict[str, t.Any]]:
        """Of boots of it that failed."""
        return [
            self.store("get", key) for key in self.store("list", "born/beacon/boots/production/") if instance in key
        ]

    def capacity(self, number: int, name: str = GROUP) -> None:
        self.aws.scaling("set_desired_capacity", AutoScalingGroupName=name, DesiredCapacity=number)

    def console(self, instance: str) -> str:
        return str(self.aws.ask("ec2", "get_console_output", {"InstanceId": instance}).get("Output") or "")

    def held(self, host: str, seconds: float = 240) -> str:
        """Its id. Its hook holds it, its release is about to be started, and what would bring it into service or see it off stands still."""
        eventually(lambda: self.aws.instances().get(host) == "Pending:Wait", seconds)
        instance = str(self.hosts.services()["aws"]["instances"][host])
        eventually(
            lambda: self.hosts.try_fleet("exec", host, "systemctl", "is-active", "beam-watch@beacon").returncode == 0,
            seconds,
        )
        self.hosts.shell(host, "systemctl kill --signal=STOP beam-watch@beacon")
        # On the host itself: from the switch to the completion it takes seconds, but nobody knows how long a command from outside takes.
        self.hosts.shell(
            host,
            "until test -e /srv/beacon/current; do sleep 0.05; done; systemctl kill --signal=STOP beam-bootstrap@beacon",
        )
        assert self.aws.instances()[host] == "Pending:Wait"
        return instance

    def goes_on(self, host: str, *units: str) -> None:
        for unit in units:
            self.hosts.shell(host, "systemctl kill --signal=CONT %s@beacon" % unit)

    def started(self, host: str) -> int:
        """When its node was, by a clock that goes on over reboots; 0 while it was not."""
        return int(
            self.hosts.try_fleet(
                "exec", host, "systemctl", "show", "--value", "--property=ExecMainStartTimestampMonotonic", "beacon"
            ).stdout
            or 0
        )

    def told(self, host: str) -> str:
        return str(
            self.hosts.try_fleet("exec", host, "journalctl", "-b", "-u", "beam-*", "--no-pager", "-o", "cat").stdout
        )

    def booted(self, host: str, version: str) -> None:
        """Nothing of its boot goes on, neither its bootstrap nor cloud-init, and its node serves."""
        eventually(lambda: self.health(host).get("version") == version)
        unit = ("systemctl", "is-active", "beam-bootstrap@beacon")
        eventually(lambda: self.hosts.try_fleet("exec", host, *unit).stdout.strip() == "active")
        assert self.hosts.on(host, "systemctl", "is-system-running", "--wait").strip() == "running"

    def serves(self, host: str, version: str, seconds: float = 240) -> None:
        """In service for its group, and on this version."""
        try:
            eventually(lambda: self.aws.instances().get(host) == "InService", seconds)
            eventually(lambda: self.health(host).get("version") == version, seconds)
        except AssertionError:
            raise AssertionError("%s: %s\n%s" % (host, self.aws.instances(), self.told(host))) from None
        assert self.runs(host) == version

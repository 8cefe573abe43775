# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWS as the tests ask it: a client of the fleet's double, groups, and launch templates."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from conftest import Hosts

ROOT = Path(__file__).resolve().parents[2]
HOOK_SECONDS = 300  # longer than a bare host boots until its first heartbeat, on a machine that is busy
AWS = """
import boto3, json, sys
at = json.loads(sys.argv[1])
keys = {"region_name": at["region"], "aws_access_key_id": at["access_key"], "aws_secret_access_key": at["secret_key"]}
clients = {name: boto3.client(name, endpoint_url=at["endpoint_url"], **keys) for name in ("elbv2", "autoscaling", *sys.argv[2:])}
for line in sys.stdin:
    service, action, options = json.loads(line)
    print(json.dumps(getattr(clients[service], action)(**options), default=str), flush=True)
"""


def eventually(what: t.Callable[[], t.Any], seconds: float = 240) -> t.Any:
    """What it is as soon as it is anything. The time is for a machine that is busy with other things: it costs nothing where all goes well."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found or time.monotonic() > deadline:
            assert found
            return found
        time.sleep(0.25)


def states(hosts: Hosts) -> dict[str, str]:
    lines = [line.split() for line in hosts.fleet("balancer").splitlines()[1:]]
    return {line[0]: line[1] for line in lines}


class Aws:
    """A client of the double, one process for all its calls."""

    def __init__(self, hosts: Hosts, *more: str) -> None:
        """more: services."""
        self.hosts = hosts
        words = [
            str(ROOT / "tests/fleet/fleet"),
            "--name",
            hosts.name,
            "run",
            "--",
            sys.executable,
            "-c",
            AWS,
            json.dumps(hosts.services()["aws"]),
            *more,
        ]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words: t.Any) -> dict[str, t.Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def name(self, instance: str) -> str:
        """Its own id while the fleet does not know it: at its very beginning, and at its end."""
        return next(
            (host for host, known in self.hosts.services()["aws"]["instances"].items() if known == instance), instance
        )

    def targets(self, action: str, **options: t.Any) -> dict[str, str]:
        answer = self.ask("elbv2", action, {"TargetGroupArn": self.hosts.services()["aws"]["target_group"], **options})
        return {
            self.name(line["Target"]["Id"]): line["TargetHealth"]["State"]
            for line in answer.get("TargetHealthDescriptions", [])
        }

    def scaling(self, action: str, **options: t.Any) -> None:
        self.ask("autoscaling", action, options)

    def instances(self) -> dict[str, str]:
        groups = self.ask("autoscaling", "describe_auto_scaling_groups", {})["AutoScalingGroups"]
        return {
            self.name(line["InstanceId"]): line["LifecycleState"] for group in groups for line in group["Instances"]
        }


def template(aws: Aws, name: str, image: str, user_data: str, tags: str = "enabled") -> dict[str, t.Any]:
    data = {"ImageId": image, "InstanceType": "t3.micro", "UserData": base64.b64encode(user_data.encode()).decode()}
    options = {"HttpTokens": "required", "InstanceMetadataTags": tags}
    made = aws.ask(
        "ec2",
        "create_launch_template",
        {"LaunchTemplateName": name, "LaunchTemplateData": {**data, "MetadataOptions": options}},
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"}


def group(aws: Aws, name: str, launch_template: dict[str, t.Any], hooks: t.Collection[str] = ()) -> None:
    at = aws.hosts.services()["aws"]
    options = {
        "MinSize": 0,
        "MaxSize": 9,
        "VPCZoneIdentifier": at["subnet"],
        "LaunchTemplate": launch_template,
        "TargetGroupARNs": [at["target_group"]],
    }
    tags = [{"Key": "beam:channel", "Value": "production", "PropagateAtLaunch": True}]
    aws.scaling("create_auto_scaling_group", AutoScalingGroupName=name, Tags=tags, **options)
    for hook in hooks:
        transition = "autoscaling:EC2_INSTANCE_" + hook.upper()
        more = {"LifecycleTransition": transition, "HeartbeatTimeout": HOOK_SECONDS, "DefaultResult": "ABANDON"}
        aws.scaling("put_lifecycle_hook", AutoScalingGroupName=name, LifecycleHookName=hook, **more)


def instance_of(hosts: Hosts, host: str) -> str:
    return str(hosts.services()["aws"]["instances"][host])

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instance refreshes of hosts: they are really replaced, and a version that never comes into service is taken back."""

from __future__ import annotations

import json
import re
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from instances import Aws, eventually, group, template

if t.TYPE_CHECKING:
    from conftest import Hosts


@pytest.fixture(scope="module")
def aws(hosts: Hosts) -> t.Iterator[Aws]:
    hosts.fleet("up", "1", "--balancer", "--aws", timeout=580)
    made = Aws(hosts, "ec2")
    yield made
    made.process.kill()


def versions(aws: Aws) -> list[str]:
    found = aws.ask("autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": ["web"]})[
        "AutoScalingGroups"
    ][0]
    return sorted(
        one["LaunchTemplate"]["Version"] for one in found["Instances"] if one["LifecycleState"] == "InService"
    )


def refresh(hosts: Hosts, version: str, **options: t.Any) -> str:
    at = hosts.services()["aws"]
    keys = {key: at[key] for key in ("endpoint_url", "region", "access_key", "secret_key")}
    sizes = {"min_healthy": 100, "max_healthy": 150, "wait_timeout": 300}
    given = {"group": "web", "launch_template": {"name": "web", "version": version}, **sizes, **keys, **options}
    done = hosts.try_fleet(
        "run",
        "--",
        "ansible",
        "localhost",
        "-c",
        "local",
        "-e",
        "ansible_python_interpreter=" + sys.executable,
        "-m",
        "alchemist.beam.autoscaling_refresh",
        "-a",
        json.dumps(given),
    )
    return done.stdout


def test_hosts_are_replaced_by_new_ones(hosts: Hosts, aws: Aws) -> None:
    made = template(aws, "web", "ami-12c6146b", "")
    group(aws, "web", {**made, "Version": "1"})
    aws.scaling("set_desired_capacity", AutoScalingGroupName="web", DesiredCapacity=2)
    eventually(lambda: list(aws.instances().values()) == ["InService"] * 2)
    before = set(aws.instances())
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.small"}
    aws.ask("ec2", "create_launch_template_version", {"LaunchTemplateName": "web", "LaunchTemplateData": data})
    said = refresh(hosts, "2")
    assert "CHANGED" in said and re.search(r'"status": "Successful"', said), said
    eventually(lambda: len(aws.instances()) == 2 and versions(aws) == ["2", "2"])
    assert not before & set(aws.instances())
    states = hosts.status()
    assert all(states[host]["state"] == "on" for host in aws.instances()) and all(
        host not in states or states[host]["state"] == "off" for host in before
    )


def test_a_version_that_never_comes_into_service_is_taken_back(hosts: Hosts, aws: Aws) -> None:
    before = set(aws.instances())
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    aws.ask("ec2", "create_launch_template_version", {"LaunchTemplateName": "web", "LaunchTemplateData": data})
    hook = {
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 2,
        "DefaultResult": "ABANDON",
    }
    aws.scaling("put_lifecycle_hook", AutoScalingGroupName="web", LifecycleHookName="beam-launching", **hook)
    said = refresh(hosts, "3")
    assert "refresh_rolled_back" in said and "terminated before it was in service" in said, said
    eventually(lambda: set(aws.instances()) == before)
    assert versions(aws) == ["2", "2"]

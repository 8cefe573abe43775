# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role autoscaling, with the real amazon.aws against moto: a new group, one that is adopted, nothing to do, a new version."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import typing as t
import urllib.parse
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests" / "support")]
from cloud import Cloud

import playbooks

DATA = "#!/usr/bin/python3\nprint('é')\n"


class Role:
    def __init__(self, cloud: Cloud, directory: Path) -> None:
        self.cloud, self.directory = cloud, directory
        subprocess.run(
            [str(ROOT / "tests" / "support" / "setup.sh"), "awscollections"], stdin=subprocess.DEVNULL, check=True
        )
        vpc = cloud.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = cloud.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
        found = cloud.clients["elbv2"].create_target_group(Name="shop", Protocol="HTTP", Port=80, VpcId=vpc)[
            "TargetGroups"
        ]
        self.variables = {
            "beam_autoscaling_group": "site",
            "beam_autoscaling_options": cloud.options,
            "beam_name": "shop",
            "beam_store": "s3://releases/beam",
            "beam_cookie_source": "ssm:/shop/cookie",
            "autoscaling_image": "ami-12c6146b",
            "autoscaling_instance_type": "t3.micro",
            "autoscaling_user_data": DATA,
            "autoscaling_subnets": [subnet],
            "autoscaling_target_groups": [found[0]["TargetGroupArn"]],
            "autoscaling_min": 2,
            "autoscaling_max": 4,
            "autoscaling_target_tracking": {
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                "TargetValue": 50.0,
            },
        }

    def run(self, *words: str, **variables: t.Any) -> tuple[int, str, int]:
        """Exit code, text, and how many tasks changed something."""
        play = self.directory / "play.yml"
        play.write_text(
            json.dumps(
                [
                    {
                        "name": "Play",
                        "hosts": "localhost",
                        "gather_facts": False,
                        "vars": {"ansible_python_interpreter": sys.executable},
                        "roles": ["alchemist.beam.autoscaling"],
                    }
                ]
            )
        )
        live = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(ROOT / ".cache" / "live")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": "%s:%s" % (live, ROOT / ".cache" / "awscollections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.directory),
            "ANSIBLE_REMOTE_TEMP": str(self.directory),
        }
        argv = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(play)]
        given = json.dumps({**self.variables, **variables})
        done = playbooks.run([*argv, "-e", given, *words], environment)
        print(done.stdout)
        return done.returncode, done.stdout, sum(int(n) for n in re.findall(r"changed=(\d+)", done.stdout))


@pytest.fixture(scope="module")
def role(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Role]:
    cloud = Cloud()
    try:
        yield Role(cloud, tmp_path_factory.mktemp("role"))
    finally:
        cloud.close()


def test_a_new_group(role: Role) -> None:
    cloud = role.cloud
    code, text, _changed = role.run("--check")
    assert code == 0 and not cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], text
    assert role.run()[0] == 0
    group = cloud.raw("site")
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"], group["HealthCheckType"]) == (2, 2, 4, "ELB")
    assert (
        group["LaunchTemplate"]["Version"] == "1"
        and group["TargetGroupARNs"] == role.variables["autoscaling_target_groups"]
    )
    assert {one["Key"]: one["Value"] for one in group["Tags"]} == {
        "Name": "site",
        "beam:channel": "production",
        "beam:name": "shop",
    }
    hooks = cloud.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName="site")["LifecycleHooks"]
    assert {
        (one["LifecycleTransition"].rpartition("_")[2], one["DefaultResult"], one["HeartbeatTimeout"]) for one in hooks
    } == {
        ("LAUNCHING", "ABANDON", 300),
        ("TERMINATING", "CONTINUE", 300),
    }
    data = cloud.ec2.describe_launch_template_versions(LaunchTemplateName="site")["LaunchTemplateVersions"][0][
        "LaunchTemplateData"
    ]
    assert base64.b64decode(data["UserData"]).decode() == DATA
    assert (
        data["MetadataOptions"]["HttpTokens"] == "required"
        and data["MetadataOptions"]["InstanceMetadataTags"] == "enabled"
    )
    assert "instance-profile/site" in data["IamInstanceProfile"]["Arn"]
    policy = cloud.clients["iam"].get_role_policy(RoleName="site", PolicyName="beam")["PolicyDocument"]
    policy = json.loads(urllib.parse.unquote(policy)) if isinstance(policy, str) else policy
    assert {one["Sid"] for one in policy["Statement"]} == {
        "ReadTheApplication",
        "ListTheApplication",
        "RecordBootsThatFailed",
        "AnswerTheHooks",
        "KnowTheGroup",
        "ReadParameters",
    }
    assert (
        cloud.autoscaling.describe_policies(AutoScalingGroupName="site")["ScalingPolicies"][0]["PolicyType"]
        == "TargetTrackingScaling"
    )


def test_a_second_run_changes_nothing(role: Role) -> None:
    before = role.cloud.members("site")
    code, text, changed = role.run()
    assert code == 0 and changed == 0, text
    assert role.cloud.members("site") == before


def test_what_others_chose_is_kept(role: Role) -> None:
    role.cloud.autoscaling.set_desired_capacity(AutoScalingGroupName="site", DesiredCapacity=3)
    role.cloud.autoscaling.suspend_processes(AutoScalingGroupName="site", ScalingProcesses=["AZRebalance"])
    assert role.run(autoscaling_max=5)[0] == 0
    group = role.cloud.raw("site")
    assert (
        group["DesiredCapacity"] == 3
        and group["MaxSize"] == 5
        and [one["ProcessName"] for one in group["SuspendedProcesses"]] == ["AZRebalance"]
    )


def test_a_new_version_is_for_new_servers_or_replaces_all(role: Role) -> None:
    cloud = role.cloud
    before = cloud.members("site")
    assert role.run(autoscaling_user_data=DATA + "#2\n", autoscaling_strategy="instance_refresh")[0] == 0
    assert cloud.raw("site")["LaunchTemplate"]["Version"] == "2" and cloud.versions("site") == ["2"] * len(before)
    assert not set(before) & set(cloud.members("site"))
    now = cloud.members("site")
    assert role.run(autoscaling_user_data=DATA + "#3\n")[0] == 0
    assert cloud.raw("site")["LaunchTemplate"]["Version"] == "3" and cloud.members("site") == now


def test_a_baked_image_has_no_use_for_the_user_data_of_the_version_before(role: Role) -> None:
    assert role.run(autoscaling_user_data="", autoscaling_image="ami-03cf127a")[0] == 0
    versions = role.cloud.ec2.describe_launch_template_versions(LaunchTemplateName="site")["LaunchTemplateVersions"]
    newest = max(versions, key=lambda one: int(one["VersionNumber"]))["LaunchTemplateData"]
    assert newest["ImageId"] == "ami-03cf127a" and "UserData" not in newest
    assert role.run(autoscaling_user_data="", autoscaling_image="ami-03cf127a")[2] == 0


def test_servers_that_do_not_come_into_service_fail_it(role: Role) -> None:
    for instance in role.cloud.members("site")[:2]:
        role.cloud.set_state("site", instance, "Pending:Wait")
    code, text, _changed = role.run(autoscaling_wait=5)
    assert code != 0 and "1 of 2 servers of the group site are in service after 5 s" in re.sub(r"\s+", " ", text), text
    assert role.run(autoscaling_min="1")[0] == 0  # as -e says it: a text


def test_what_ec2_would_not_take_is_refused_first(role: Role) -> None:
    code, text, _changed = role.run(beam_autoscaling_group="other", autoscaling_user_data="é" * 8200)
    assert code != 0 and "User data are 16400 bytes" in re.sub(r"\s+", " ", text)
    assert role.run(beam_autoscaling_group="other", autoscaling_min=5)[0] != 0
    assert role.run(beam_autoscaling_group="other", autoscaling_image="")[0] != 0
    assert len(role.cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]) == 1

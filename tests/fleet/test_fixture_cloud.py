# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of the fixture: the metadata service, user data that cloud-init runs, images, and hosts that come and go with an auto scaling group."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from instances import Aws, eventually, group, instance_of, states, template

if t.TYPE_CHECKING:
    from conftest import Hosts

ROOT = Path(__file__).resolve().parents[2]
STUB = (ROOT / "tests" / "fleet" / "stub.py").read_text(encoding="utf-8")
# What a host may do with the identity that its metadata service gives it: on the controller, as hosts have no botocore.
S3 = """
import boto3, botocore.exceptions, json, sys
at, keys, wanted = map(json.loads, sys.argv[1:])
options = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"], "region_name": at["region"]}
client = boto3.client("s3", endpoint_url=at["endpoint_url"], **options)
for key in wanted:
    try:
        client.put_object(Bucket=at["bucket"], Key=key, Body=b"{}")
        print("written")
    except botocore.exceptions.ClientError as error:
        print(error.response["Error"]["Code"])
"""
# User data: no more than a program that answers at the application's port, with what the instance was told.
USER_DATA = """#!/bin/sh
echo "user data of $(hostname)" > /dev/console
cat > /srv/stub.py <<'END'
%s
END
systemd-run --quiet --unit=stub python3 /srv/stub.py "%s"
"""


@pytest.fixture(scope="module")
def cloud(hosts: Hosts) -> Hosts:
    hosts.fleet("up", "1", "--cloud", timeout=580)
    return hosts


@pytest.fixture(scope="module")
def aws(cloud: Hosts) -> t.Iterator[Aws]:
    made = Aws(cloud, "ec2")
    yield made
    made.process.terminate()
    made.process.wait(timeout=60)


def imds(hosts: Hosts, host: str, path: str, token: bool = True, seconds: int = 60) -> tuple[str, str]:
    """The status and the text of an answer, asked on the host with and without a token. seconds: for each of the two requests."""
    url = hosts.services()["cloud"]["metadata_url"]
    first = (
        'T=$(curl -sS -m %d -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 600" %s/latest/api/token) || exit 0; '
        % (seconds, url)
        if token
        else ""
    )
    header = '-H "X-aws-ec2-metadata-token: $T"' if token else ""
    said = hosts.shell(
        host,
        first + "curl -sS -m %d %s -w '\\n%%{http_code}' %s/latest/%s || true" % (seconds, header, url, path),
    )
    text, _newline, status = said.rpartition("\n")
    return status, text


def test_the_metadata_service_knows_who_asks_and_wants_a_token(cloud: Hosts) -> None:
    assert imds(cloud, "h1", "meta-data/instance-id") == ("200", instance_of(cloud, "h1"))
    assert imds(cloud, "h1", "meta-data/instance-id", token=False)[0] == "401"
    assert imds(cloud, "h1", "meta-data/placement/region") == ("200", "us-east-1")
    assert imds(cloud, "h1", "meta-data/tags/instance/") == ("200", "Name")
    assert imds(cloud, "h1", "meta-data/tags/instance/Name") == ("200", "h1")
    assert (
        imds(cloud, "h1", "meta-data/autoscaling/target-lifecycle-state")[0]
        == imds(cloud, "h1", "meta-data/spot/instance-action")[0]
        == "404"
    )
    # The controller is no instance.
    url = cloud.services()["cloud"]["metadata_url"]
    token = cloud.control(
        "curl", "-sS", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60", url + "/latest/api/token"
    )
    assert (
        cloud.control(
            "curl", "-sS", "-H", "X-aws-ec2-metadata-token: " + token, url + "/latest/meta-data/instance-id"
        ).strip()
        == "404"
    )
    assert cloud.control("curl", "-sS", "-X", "PUT", url + "/latest/api/token").strip() == "400"


def test_an_instance_reads_the_store_and_writes_only_records_of_boots(cloud: Hosts) -> None:
    assert imds(cloud, "h1", "meta-data/iam/security-credentials/") == ("200", "fleet-host")
    keys = imds(cloud, "h1", "meta-data/iam/security-credentials/fleet-host")[1]
    assert json.loads(keys)["Token"] == ""
    wanted = [
        "shop/boots/production/a.json",
        "p/shop/boots/production/a.json",
        "p/shop/channels/production.json",
        "p/shop/layers/boots",
    ]
    words = [sys.executable, "-c", S3, json.dumps(cloud.services()["s3"]), keys, json.dumps(wanted)]
    assert cloud.control(*words).split() == ["written", "written", "AccessDenied", "AccessDenied"]


def test_the_metadata_service_fails_as_told(cloud: Hosts) -> None:
    try:
        cloud.fleet("imds", "slow", "1")
        assert imds(cloud, "h1", "meta-data/instance-id")[0] == "200"
        cloud.fleet("imds", "slow", "60")
        assert imds(cloud, "h1", "meta-data/instance-id", seconds=3)[0] != "200"
        cloud.fleet("imds", "off")
        assert cloud.try_fleet("run", "--", "curl", "-sS", "http://10.99.0.1:1338/").returncode == 7  # nobody listens
        cloud.fleet("imds", "no-hop")
        assert imds(cloud, "h1", "meta-data/instance-id", seconds=3)[0] != "200"
        cloud.fleet("imds", "no-role")
        assert imds(cloud, "h1", "meta-data/iam/security-credentials/")[0] == "404"
        cloud.fleet("imds", "expired")
        expires = json.loads(imds(cloud, "h1", "meta-data/iam/security-credentials/fleet-host")[1])["Expiration"]
        assert expires < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    finally:
        cloud.fleet("imds", "on")
    cloud.fleet("imds", "spot", "h1", "120")
    assert json.loads(imds(cloud, "h1", "meta-data/spot/instance-action")[1])["action"] == "terminate"


def test_desired_capacity_boots_a_bare_host_by_its_user_data(cloud: Hosts, aws: Aws) -> None:
    launch = template(aws, "bare", cloud.services()["aws"]["image"], USER_DATA % (STUB, "bare"))
    group(aws, "bare", launch, ["launching", "terminating"])
    aws.scaling("set_desired_capacity", AutoScalingGroupName="bare", DesiredCapacity=1)
    eventually(lambda: aws.instances().get("h2") == "Pending:Wait")  # before its boot is over
    eventually(lambda: cloud.try_fleet("exec", "h2", "systemctl", "is-active", "stub").stdout.strip() == "active")
    assert imds(cloud, "h2", "meta-data/autoscaling/target-lifecycle-state") == ("200", "InService")
    assert imds(cloud, "h2", "meta-data/tags/instance/aws:autoscaling:groupName") == ("200", "bare")
    assert imds(cloud, "h2", "meta-data/tags/instance/beam:channel") == ("200", "production")
    assert states(cloud)["h2"] == "MAINT"
    instance = instance_of(cloud, "h2")
    done = {"AutoScalingGroupName": "bare", "InstanceId": instance, "LifecycleActionResult": "CONTINUE"}
    aws.scaling("complete_lifecycle_action", LifecycleHookName="launching", **done)
    eventually(lambda: aws.instances()["h2"] == "InService")
    eventually(lambda: aws.targets("describe_target_health")["h2"] == "healthy")

    aws.scaling("set_desired_capacity", AutoScalingGroupName="bare", DesiredCapacity=0)
    eventually(lambda: aws.instances()["h2"] == "Terminating:Wait")
    assert imds(cloud, "h2", "meta-data/autoscaling/target-lifecycle-state") == ("200", "Terminated")
    aws.scaling("complete_lifecycle_action", LifecycleHookName="terminating", **done)
    eventually(lambda: "h2" not in cloud.status() and "h2" not in cloud.services()["aws"]["instances"])
    # What it said is found after its end.
    assert "user data of h2" in aws.ask("ec2", "get_console_output", {"InstanceId": instance})["Output"]


def test_an_instance_that_ends_while_a_hook_holds_it_ends_once(cloud: Hosts, aws: Aws) -> None:
    aws.scaling("set_desired_capacity", AutoScalingGroupName="bare", DesiredCapacity=1)
    eventually(lambda: aws.instances().get("h2") == "Pending:Wait")
    instance = instance_of(cloud, "h2")
    aws.scaling("terminate_instance_in_auto_scaling_group", InstanceId=instance, ShouldDecrementDesiredCapacity=True)
    eventually(lambda: aws.instances()["h2"] == "Terminating:Wait")
    aws.scaling(
        "complete_lifecycle_action",
        AutoScalingGroupName="bare",
        InstanceId=instance,
        LifecycleActionResult="CONTINUE",
        LifecycleHookName="terminating",
    )
    eventually(lambda: not aws.instances() and set(cloud.status()) == {"h1"})


def test_an_image_has_what_its_host_had_and_is_another_machine(cloud: Hosts, aws: Aws) -> None:
    cloud.shell(
        "h1",
        "mkdir -p /srv/layers && echo one > /srv/layers/a && ln /srv/layers/a /srv/layers/b && rm /usr/bin/w && sync",
    )
    before = cloud.on("h1", "cat", "/etc/machine-id")
    said = cloud.fleet("bake", "h1", "golden").split()
    assert said[:2] == ["image", "golden"] and said[2] == cloud.services()["cloud"]["images"]["golden"]
    assert "there is an image golden already" in cloud.try_fleet("bake", "h1", "golden").stdout
    assert cloud.on("h1", "cat", "/etc/machine-id") == before  # it is up again, and the one that it was

    group(aws, "baked", template(aws, "baked", said[2], USER_DATA % (STUB, "baked"), tags="disabled"))
    aws.scaling("set_desired_capacity", AutoScalingGroupName="baked", DesiredCapacity=1)
    eventually(lambda: aws.instances().get("h2") == "InService")
    eventually(lambda: aws.targets("describe_target_health").get("h2") == "healthy")
    assert cloud.fleet("ssh", "h2", "hostname").strip() == "h2"
    assert cloud.on("h2", "cat", "/etc/machine-id") not in ("", "uninitialized\n", before)
    assert cloud.shell("h2", "cat /srv/layers/a; stat -c %h /srv/layers/a; ls /usr/bin/w 2>&1 || true").split()[:2] == [
        "one",
        "2",
    ]
    assert cloud.try_fleet("exec", "h2", "test", "-e", "/usr/bin/w").returncode != 0
    assert imds(cloud, "h2", "meta-data/tags/instance/")[0] == "404"  # the launch template did not ask for them
    aws.scaling("set_desired_capacity", AutoScalingGroupName="baked", DesiredCapacity=0)
    eventually(lambda: set(cloud.status()) == {"h1"})


def test_down_leaves_nothing(cloud: Hosts) -> None:
    cloud.fleet("down")
    assert (
        cloud.name + "-"
        not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    )
    assert (
        cloud.name
        not in subprocess.run(["findmnt", "-rno", "SOURCE,TARGET"], capture_output=True, text=True, check=True).stdout
    )
    assert not cloud.directory.exists()

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the double of AWS that is there with `fleet up --cloud`: what an instance learns about itself, images, and hosts that come and go.

Runs in the process of aws_double.py.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import time
import typing as t

import balancer
import images
import imds
from common import CONTROL_ADDRESS, Fleet
from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.responses import general

ROLE = "fleet-host"
REGION = "us-east-1"


class Cloud:
    fleet_name: t.ClassVar[str]
    instances: t.ClassVar[dict[str, str]]  # host -> instance id; aws_double.py's own
    hosts: t.ClassVar[dict[str, str]]  # address or instance id -> host
    amis: t.ClassVar[dict[str, str]] = {}  # image of images.py -> AMI id
    running: t.ClassVar[bool] = False
    moto_create_image: t.ClassVar[t.Any]

    @classmethod
    def install(cls, fleet_name: str, instances: dict[str, str], hosts: dict[str, str]) -> None:
        cls.fleet_name, cls.instances, cls.hosts = fleet_name, instances, hosts

    @classmethod
    def look(cls, fleet: Fleet) -> None:
        """Called several times a second: starts with the fleet's --cloud, takes up new images, and forgets hosts that were removed."""
        if "cloud" not in fleet.services:
            return
        if not cls.running:
            cls.running = True
            answers: t.Any = general.General
            answers.get_console_output = console_output
            cls.moto_create_image = staticmethod(EC2Backend.create_image)
            EC2Backend.create_image = create_image  # type: ignore[method-assign]
            imds.serve(fleet.directory, lookup)
        for name in images.names(fleet):
            if name not in cls.amis:
                cls.amis[name] = ec2().register_image(name, "baked from a host of the fleet").id


def ec2() -> t.Any:
    return ec2_backends[DEFAULT_ACCOUNT_ID][REGION]


def state_of(instance: str) -> tuple[t.Any, t.Any] | None:
    """The group that an instance is in, and what the group knows of it."""
    groups = autoscaling_backends[DEFAULT_ACCOUNT_ID][REGION].autoscaling_groups
    return next(
        (
            (group, one)
            for group in list(groups.values())
            for one in list(group.instance_states)
            if one.instance.id == instance
        ),
        None,
    )


def lookup(address: str, orders: dict[str, t.Any]) -> imds.Tree | None:
    """What /latest/ says to the one at this address."""
    deadline = time.monotonic() + (0 if address == CONTROL_ADDRESS else 10)
    while (
        host := Cloud.hosts.get(address)
    ) is None or host not in Cloud.instances:  # a host that `fleet up` made becomes an instance a moment later
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    instance = ec2().get_instance(Cloud.instances[host])
    zone = REGION + "a"
    meta: imds.Tree = {
        "ami-id": instance.image_id,
        "hostname": host,
        "instance-id": instance.id,
        "instance-type": instance.instance_type,
        "local-hostname": host,
        "local-ipv4": address,
        "placement": {"availability-zone": zone, "region": REGION},
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if orders["mode"] != "no-role":
        meta["iam"] = {"security-credentials": {ROLE: json.dumps(credentials(orders["mode"] == "expired"), indent=2)}}
    found = state_of(instance.id)
    if found:
        meta["autoscaling"] = {
            "target-lifecycle-state": "Terminated" if found[1].lifecycle_state.startswith("Terminat") else "InService"
        }
    # Only where the launch template says so, as on EC2; an instance that `fleet up` made has them.
    if found is None or template_options(found[0]).get("InstanceMetadataTags") == "enabled":
        meta["tags"] = {"instance": {tag["key"]: tag["value"] for tag in instance.get_tags()}}
    if instance.id in orders["spot"]:
        meta["spot"] = {"instance-action": json.dumps({"action": "terminate", "time": orders["spot"][instance.id]})}
    document = {
        "accountId": DEFAULT_ACCOUNT_ID,
        "architecture": "x86_64",
        "availabilityZone": zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "privateIp": address,
        "region": REGION,
        "version": "2017-09-30",
    }
    tree: imds.Tree = {"meta-data": meta, "dynamic": {"instance-identity": {"document": json.dumps(document)}}}
    if instance.user_data:
        tree["user-data"] = plain(str(instance.user_data))
    return tree


def template_options(group: t.Any) -> dict[str, t.Any]:
    if group.ec2_launch_template is None:
        return {}
    return dict(group.ec2_launch_template.get_version(group.launch_template_version).data.get("MetadataOptions") or {})


def plain(text: str) -> bytes:
    """moto keeps user data as it was sent: in base64."""
    return base64.b64decode(text) if re.fullmatch(r"[A-Za-z0-9+/\s]+={0,2}\s*", text) else text.encode()


def credentials(expired: bool) -> dict[str, str]:
    """The S3 server's identity that may only read (and leave records of boots). No session token: the S3 server knows none."""
    keys = json.loads((Fleet(Cloud.fleet_name).directory / "s3" / "server.json").read_text(encoding="utf-8"))
    now = dt.datetime.now(dt.timezone.utc)
    until = now + dt.timedelta(hours=-1 if expired else 6)
    times = {"LastUpdated": "%sZ" % now.isoformat()[:19], "Expiration": "%sZ" % until.isoformat()[:19]}
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": keys["reader_access_key"],
        "SecretAccessKey": keys["reader_secret_key"],
        "Token": "",
        **times,
    }


# What aws_scaling.py does otherwise where instances are those of a cloud.


def launch_words(instance: t.Any, host: str) -> list[str]:
    """How the host of a new instance is started. An instance is there as soon as it is on; nobody waits for the end of its boot."""
    name = next((name for name, ami in Cloud.amis.items() if ami == instance.image_id), images.CLOUD)
    balancer.add_idle(balancer.socket_path(Fleet(Cloud.fleet_name)), host)
    return ["add", "--no-wait", "--image", name, host]


def free_name() -> str:
    """The lowest one: names and addresses of hosts that are gone come again."""
    taken = {*Cloud.instances, *Fleet.load(Cloud.fleet_name).hosts}
    return next(name for name in ("h%d" % number for number in range(1, 100)) if name not in taken)


def forget(host: str) -> None:
    """It is gone, and its name and address may be another's."""
    Cloud.instances.pop(host, None)


def console_output(self: t.Any) -> t.Any:
    """What the host wrote to its console; after its end, too."""
    instance = ec2().get_instance(self._get_param("InstanceId"))
    host = Cloud.hosts.get(instance.id)
    fleet = Fleet(Cloud.fleet_name)
    path = fleet.directory / "console" / (instance.id + ".log")
    if not path.exists() and host and Cloud.instances.get(host) == instance.id:
        path = fleet.host_directory(host) / "console.log"
    text = path.read_text(encoding="utf-8", errors="replace")[-65536:] if path.exists() else ""
    return ActionResult(
        {
            "InstanceId": instance.id,
            "Timestamp": dt.datetime.now(dt.timezone.utc),
            "Output": Base64EncodedString.from_raw_string(text),
        }
    )


def create_image(self: t.Any, instance_id: str, name: str, *words: t.Any, **options: t.Any) -> t.Any:
    """Of an instance that is a host: what `fleet bake` makes of it."""
    import aws_scaling

    made = Cloud.moto_create_image(self, instance_id, name, *words, **options)
    host = Cloud.hosts.get(instance_id)
    if host:
        Cloud.amis[name] = made.id  # before the image is there: look() would give it another id
        baking = aws_scaling.in_background(aws_scaling.fleet_command, Cloud.fleet_name, "bake", host, name)
        # The image is there before the host is on again, which takes longer than a client waits for an answer.
        while baking.is_alive() and name not in images.names(Fleet(Cloud.fleet_name)):
            time.sleep(0.1)
        if name not in images.names(Fleet(Cloud.fleet_name)):
            raise EC2ClientError("InternalError", "the host %s could not be baked: see aws.log" % host)
    return made

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A double of AWS for a fleet: moto, with target groups that are not made up.

    register_targets        the server is ready (added, where HAProxy does not know it): `initial`, then what HAProxy's own check says
    deregister_targets      the server drains: `draining` while it has sessions and the group's deregistration delay is not over, then `unused`
    describe_target_health  asks HAProxy

Auto scaling groups: aws_scaling.py, their instance refreshes: aws_refresh.py. Every target group stands for HAProxy's one backend. Each host is an EC2
instance with the host's address and the tag Name.
Run by services.py as `aws_double.py FLEET PORT` in the control namespace; writes aws.json into the fleet's directory when it is ready.
"""

from __future__ import annotations

import json
import sys
import time
import typing as t

import aws_refresh
import aws_scaling
import balancer
import boto3
import cloud
from common import CONTROL_ADDRESS, Fleet, address, write
from moto.elbv2 import exceptions, models
from moto.server import ThreadedMotoServer

elbv2: t.Any = models
REGION = "us-east-1"
INITIAL_SECONDS = 30  # of a target that is not healthy yet; that is about what an Application Load Balancer takes
IMAGE = "ami-12c6146b"  # one that moto knows: it stands for what a host has that was made from nothing else
CREDENTIALS = {"aws_access_key_id": "double", "aws_secret_access_key": "double"}  # moto takes any


class TargetGroup:
    """What is put in the place of the methods of moto's target groups. self is moto's object; what is remembered here is kept on it."""

    path: t.ClassVar[str]
    hosts: t.ClassVar[dict[str, str]] = {}  # instance id or address -> host
    moto_register: t.ClassVar[t.Any]
    moto_deregister: t.ClassVar[t.Any]
    moto_health_for: t.ClassVar[t.Any]

    def register(self: t.Any, targets: list[dict[str, t.Any]]) -> None:
        TargetGroup.moto_register(self, targets)
        for target in targets:
            host = TargetGroup.host_of(target["Id"])
            server = "%s/%s" % (balancer.BACKEND, host)
            was = balancer.servers(TargetGroup.path).get(host)
            if was is None:
                balancer.add(TargetGroup.path, host)
            elif not was["status"].startswith(("UP", "DOWN")):
                # Out of maintenance HAProxy takes it for healthy, whatever was said before; a target group waits for its checks first.
                balancer.tell(
                    TargetGroup.path, "set server %s state ready; set server %s health down" % (server, server)
                )
            registered(self)[target["Id"]] = time.monotonic()

    def deregister(self: t.Any, targets: list[dict[str, t.Any]]) -> None:
        TargetGroup.moto_deregister(self, targets)
        for target in targets:
            balancer.tell(
                TargetGroup.path, "set server %s/%s state drain" % (balancer.BACKEND, TargetGroup.host_of(target["Id"]))
            )
            leaving(self)[target["Id"]] = time.monotonic()
            registered(self).pop(target["Id"], None)

    def health_for(self: t.Any, target: dict[str, t.Any], ec2_backend: t.Any) -> t.Any:
        known = self.targets.get(target["Id"]) or self.deregistered_targets.get(target["Id"])
        if known is None or target["Id"] not in TargetGroup.hosts:
            return TargetGroup.moto_health_for(self, target, ec2_backend)
        state, reason = TargetGroup.state(self, target["Id"])
        return elbv2.FakeHealthStatus(
            target["Id"], known["Port"], self.health_check_port, state, reason, reason and "HAProxy says so"
        )

    @staticmethod
    def state(group: t.Any, target: str) -> tuple[str, str | None]:
        host = TargetGroup.host_of(target)
        server = balancer.servers(TargetGroup.path)[host]
        if target in leaving(group):
            delay = float(group.attributes["deregistration_delay.timeout_seconds"])
            if int(server["scur"]) and time.monotonic() - leaving(group)[target] < delay:
                return "draining", "Target.DeregistrationInProgress"
            name = "%s/%s" % (balancer.BACKEND, host)
            balancer.tell(TargetGroup.path, "set server %s state maint" % name, "shutdown sessions server " + name)
            del leaving(group)[target]
        if target not in group.targets:
            return "unused", "Target.NotRegistered"
        if server["status"].startswith("UP") and server["check_status"].lstrip("* ").startswith("L7OK"):
            registered(group).pop(target, None)
            return "healthy", None
        if server["status"].startswith(("DRAIN", "MAINT")):
            # Somebody spoke to HAProxy behind the target group's back: AWS has no word for that.
            return "unhealthy", "Target.FailedHealthChecks"
        if time.monotonic() - registered(group).get(target, 0) < INITIAL_SECONDS:
            return "initial", "Elb.InitialHealthChecking"
        return "unhealthy", "Target.Timeout" if server["check_status"].endswith("TOUT") else "Target.FailedHealthChecks"

    @staticmethod
    def host_of(target: str) -> str:
        if target not in TargetGroup.hosts:
            raise exceptions.InvalidTargetError()
        return TargetGroup.hosts[target]

    @classmethod
    def install(cls, path: str) -> None:
        cls.path = path
        for name in ("register", "deregister", "health_for"):
            setattr(cls, "moto_" + name, staticmethod(getattr(elbv2.FakeTargetGroup, name)))
            setattr(elbv2.FakeTargetGroup, name, getattr(cls, name))
        elbv2.ELBv2Backend.describe_target_health = describe_target_health


def registered(group: t.Any) -> dict[str, float]:
    """Since when a target that was not yet healthy is in the group."""
    return group.__dict__.setdefault("fleet_registered", {})


def leaving(group: t.Any) -> dict[str, float]:
    return group.__dict__.setdefault("fleet_leaving", {})


def describe_target_health(backend: t.Any, target_group_arn: str, targets: list[dict[str, t.Any]]) -> list[t.Any]:
    group = backend.target_groups.get(target_group_arn)
    if group is None:
        raise exceptions.TargetGroupNotFoundError()
    if targets:
        return [group.health_for(target, backend.ec2_backend) for target in targets]
    # Without a choice a real one lists those that drain, too, and none that is unused.
    every = [group.health_for({"Id": target}, backend.ec2_backend) for target in [*group.targets, *leaving(group)]]
    return [health for health in every if health.status != "unused"]


def client(service: str, port: int) -> t.Any:
    make: t.Any = boto3.client  # typed by the literal name of each service
    return make(service, region_name=REGION, endpoint_url="http://%s:%d" % (CONTROL_ADDRESS, port), **CREDENTIALS)


def new_account(port: int) -> dict[str, str]:
    """A network, a load balancer, a target group."""
    ec2, elb = client("ec2", port), client("elbv2", port)
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/23")["Vpc"]["VpcId"]
    zones = ((REGION + "a", "10.99.0.0/24"), (REGION + "b", "10.99.1.0/24"))
    subnets = [
        ec2.create_subnet(VpcId=vpc, AvailabilityZone=zone, CidrBlock=block)["Subnet"]["SubnetId"]
        for zone, block in zones
    ]
    front = elb.create_load_balancer(Name="fleet", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    options = {
        "Protocol": "HTTP",
        "Port": balancer.APP_PORT,
        "VpcId": vpc,
        "HealthCheckPath": "/health",
        "TargetType": "instance",
    }
    group = elb.create_target_group(Name=balancer.BACKEND, **options)["TargetGroups"][0]["TargetGroupArn"]
    attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[attribute])
    elb.create_listener(
        LoadBalancerArn=front, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}]
    )
    return {"image": IMAGE, "vpc": vpc, "subnet": subnets[0], "load_balancer": front, "target_group": group}


def new_instance(port: int, subnet: str, host: str) -> str:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": host}]}]
    options = {"ImageId": IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    made = client("ec2", port).run_instances(**options, PrivateIpAddress=address(host), TagSpecifications=tags)[
        "Instances"
    ][0]
    TargetGroup.hosts.update({made["InstanceId"]: host, address(host): host})
    return str(made["InstanceId"])


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    fleet = Fleet.load(name)
    TargetGroup.install(balancer.socket_path(fleet))
    server = ThreadedMotoServer(ip_address=CONTROL_ADDRESS, port=port, verbose=False)
    server.start()
    account = new_account(port)
    instances: dict[str, str] = {}

    def adopt(instance: str, host: str) -> None:
        TargetGroup.hosts.update({instance: host, address(host): host})
        instances[host] = instance

    aws_scaling.Scaling.install(name, adopt)
    aws_refresh.Refresh.install()
    cloud.Cloud.install(name, instances, TargetGroup.hosts)
    written: dict[str, t.Any] = {}
    while True:  # until the namespace is taken down; hosts that `fleet up` adds become instances
        new = {
            host: new_instance(port, account["subnet"], host)
            for host in Fleet.load(name).hosts
            if host not in instances
        }
        if new:
            instances.update(new)
            client("elbv2", port).register_targets(
                TargetGroupArn=account["target_group"], Targets=[{"Id": instance} for instance in new.values()]
            )
        cloud.Cloud.look(Fleet.load(name))
        now = {"instances": dict(instances), "images": dict(cloud.Cloud.amis)}
        if now != written:
            written = now
            values = {"endpoint_url": "http://%s:%d" % (CONTROL_ADDRESS, port), "region": REGION}
            values.update(access_key=CREDENTIALS["aws_access_key_id"], secret_key=CREDENTIALS["aws_secret_access_key"])
            write(fleet.directory / "aws.json", json.dumps({**values, **account, **written}, indent=1) + "\n")
        time.sleep(0.3)


if __name__ == "__main__":
    sys.modules["aws_double"] = sys.modules["__main__"]  # aws_scaling.py means this one
    main()
